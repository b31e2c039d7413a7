import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collab.errors import InvalidQuery
from collab.ndjson import decode_entries, encode_entries, encode_entry
from collab.store import Entry, NewEntry

ENTRIES = st.builds(
    NewEntry,
    update=st.binary(max_size=200),
    time_ms=st.integers(min_value=0, max_value=2**53 - 1),
    author=st.none() | st.text(),
)


@given(st.lists(ENTRIES))
def test_entries_come_back_from_their_lines(entries: list[NewEntry]) -> None:
    assert decode_entries(encode_entries(entries)) == entries


def test_a_line_is_what_the_reference_says() -> None:
    entry = Entry(seq=3, update=b"\x00\x01", time_ms=1_795_365_790_501, author="ada é")
    assert encode_entry(entry).decode() == (
        '{"seq":3,"time_ms":1795365790501,"author":"ada é","update":"AAE="}\n'
    )


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        (b"[]", "a JSON object in line 2"),
        (b"{", "a JSON object in line 2"),
        (b"\xff", "a JSON object in line 2"),
        (b"[" * 100_000, "a JSON object in line 2"),
        (b'{"update": "AAE="}', "milliseconds as time_ms in line 2, got None"),
        (b'{"update": "AAE=", "time_ms": -1}', "got -1"),
        (b'{"update": "AAE=", "time_ms": true}', "got True"),
        (b'{"update": "AAE=", "time_ms": 1, "author": 5}', "author in line 2, got 5"),
        (b'{"update": "AAE=", "time_ms": 1, "author": "\\ud800"}', "author in line 2"),
        (b'{"time_ms": 1}', "base64 as update in line 2, got None"),
        (b'{"time_ms": 1, "update": "A*E="}', "got 'A*E='"),
    ],
)
def test_another_line_is_named(line: bytes, complaint: str) -> None:
    good = encode_entries([NewEntry(update=b"\x00\x00", time_ms=1)])
    with pytest.raises(InvalidQuery, match="expected") as caught:
        decode_entries(good + line + b"\n" + good)
    assert complaint in str(caught.value)


@given(st.binary(max_size=300))
def test_arbitrary_bytes_raise_only_this(lines: bytes) -> None:
    with contextlib.suppress(InvalidQuery):
        decode_entries(lines)
