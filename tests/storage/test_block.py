import hypothesis.strategies as st
import pytest
from hypothesis import given

from collab.errors import StoreError
from collab.storage.block import pack, unpack
from collab.storage.compression import Form, compress, expand
from collab.store import Entry


@st.composite
def runs(draw: st.DrawFn) -> list[Entry]:
    first_seq = draw(st.integers(1, 2**40))
    fields = st.tuples(
        st.binary(max_size=300),
        st.integers(-(2**63), 2**63 - 1),
        st.none() | st.sampled_from(["ada", "Ada", "", "Ünï 🦄", "\0"]),
    )
    return [
        Entry(seq=seq, update=update, time_ms=time_ms, author=author)
        for seq, (update, time_ms, author) in enumerate(
            draw(st.lists(fields, min_size=1, max_size=50)), first_seq
        )
    ]


@given(runs())
def test_entries_come_out_as_they_went_in(entries: list[Entry]) -> None:
    assert unpack(pack(entries), entries[0].seq) == entries


@given(st.binary(max_size=200), st.integers(0, 100))
def test_any_bytes_are_a_block_or_refused(block: bytes, seq: int) -> None:
    try:
        entries = unpack(block, seq)
    except StoreError:
        return
    assert [entry.seq for entry in entries] == list(range(seq, seq + len(entries)))


@given(runs(), st.data())
def test_a_block_that_was_cut_is_refused(entries: list[Entry], drawn: st.DataObject) -> None:
    block = pack(entries)
    end = drawn.draw(st.integers(0, len(block) - 1))
    with pytest.raises(StoreError, match="expected a block"):
        unpack(block[:end], 1)


@given(st.binary(max_size=2000), st.booleans())
def test_what_was_compressed_comes_back_and_is_no_longer(content: bytes, fast: bool) -> None:
    form, payload = compress(content, fast=fast)
    assert expand(form, payload) == content
    assert len(payload) <= len(content)


def test_a_broken_payload_is_refused() -> None:
    form, payload = compress(bytes(1000), fast=True)
    assert form is Form.ZSTD
    with pytest.raises(StoreError, match="expected a payload that can be expanded"):
        expand(form, payload[:-1])
    with pytest.raises(StoreError, match="got form 9"):
        expand(9, payload)
