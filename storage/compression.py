"""How states and blocks are written: plain or compressed, told by a number beside them."""

from enum import IntEnum

import zstandard

from collab.errors import StoreError

_FAST = 3
"""zstd level for states: they are written while somebody waits. 1.7 MB in 10 ms."""

_SMALL = 19
"""zstd level for what is packed once and for all: half the size of level 3, ten times the time."""


class Form(IntEnum):
    """What a stored payload is; kept beside it, so that it can change."""

    PLAIN = 0
    """The bytes themselves."""
    ZSTD = 1
    """One zstandard frame that tells its length and ends with a checksum."""


def compress(content: bytes, *, fast: bool) -> tuple[Form, bytes]:
    """Compresses bytes, or leaves them where that makes them no shorter."""
    compressor = zstandard.ZstdCompressor(level=_FAST if fast else _SMALL, write_checksum=True)
    compressed = compressor.compress(content)
    if len(compressed) < len(content):
        return Form.ZSTD, compressed
    return Form.PLAIN, content


def expand(form: int, payload: bytes) -> bytes:
    """Returns what was compressed.

    Raises:
        StoreError: it is broken, or of a form that is not known here.
    """
    if form == Form.PLAIN:
        return payload
    if form != Form.ZSTD:
        raise StoreError(f"expected a payload of a known form, got form {form}")
    try:
        return zstandard.ZstdDecompressor().decompress(payload)
    except (zstandard.ZstdError, MemoryError) as error:
        # A flipped bit in the length that a frame tells may ask for any amount of memory.
        what = str(error) or "one that needs more memory than there is"
        raise StoreError(f"expected a payload that can be expanded, got: {what}") from error
