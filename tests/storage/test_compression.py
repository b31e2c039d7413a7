"""Payloads as they are stored: whatever becomes of them, they are read as they were or refused."""

import pytest

from collab.errors import StoreError
from collab.storage.compression import Form, compress, expand

CONTENT = b"what was typed " * 20_000


@pytest.mark.parametrize("fast", [True, False])
def test_what_is_packed_comes_back(fast: bool) -> None:
    form, payload = compress(CONTENT, fast=fast)
    assert form is Form.ZSTD
    assert expand(form, payload) == CONTENT
    assert compress(b"?", fast=fast) == (Form.PLAIN, b"?")


def test_a_flipped_bit_never_brings_anything_else_to_light() -> None:
    form, payload = compress(CONTENT, fast=True)
    refused = 0
    for place in range(len(payload)):
        for bit in range(8):
            flipped = bytearray(payload)
            flipped[place] ^= 1 << bit
            try:
                assert expand(form, bytes(flipped)) == CONTENT
            except StoreError:
                refused += 1
    assert refused > 4 * len(payload)


def test_a_length_beyond_all_memory_is_refused() -> None:
    _, payload = compress(CONTENT, fast=True)
    # https://www.rfc-editor.org/rfc/rfc8878#section-3.1.1.1: eight bytes of length, one segment.
    header = payload[:4] + b"\xe0" + (1 << 60).to_bytes(8, "little")
    with pytest.raises(StoreError, match="got: one that needs more memory than there is"):
        expand(Form.ZSTD, header + payload[12:])
