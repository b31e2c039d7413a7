"""Event streams: what is written is read again, in whatever pieces it comes."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collab.errors import ProtocolError
from collab.event_stream import PADDING, SIGN_OF_LIFE, Event, EventReader, encode_event

_WORDS = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\r\n\0:"))
_TEXTS = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\r"))
_EVENTS = st.builds(Event, _WORDS.filter(bool), _TEXTS, _WORDS.map(str.strip).filter(bool))


@given(st.lists(_EVENTS), st.integers(1, 7))
def test_what_is_written_is_read_again_in_whatever_pieces(events: list[Event], size: int) -> None:
    events = [Event(each.type.strip() or "x", each.text, each.id) for each in events]
    stream = PADDING + SIGN_OF_LIFE.join(map(encode_event, events))
    reader = EventReader()
    read = [
        event
        for start in range(0, len(stream), size)
        for event in reader.feed(stream[start : start + size])
    ]
    assert read == events
    assert reader.last_id == (events[-1].id if events else None)


@given(st.binary())
def test_arbitrary_bytes_are_read_or_refused(stream: bytes) -> None:
    with suppress(ProtocolError):
        EventReader().feed(stream)


def test_an_event_without_an_id_leaves_the_last_one() -> None:
    reader = EventReader()
    (first, second) = reader.feed(
        encode_event(Event("a", "1", "7")) + encode_event(Event("b", "2"))
    )
    assert (first.id, second.id) == ("7", "7")


def test_lines_may_end_as_windows_ends_them() -> None:
    assert EventReader().feed(b"event: a\r\ndata: 1\r\ndata: 2\r\n\r\n") == [Event("a", "1\n2")]


def test_what_says_nothing_is_no_event() -> None:
    assert EventReader().feed(PADDING + SIGN_OF_LIFE + b"retry: 5\n\nid: 1\n\n") == []


def test_other_bytes_than_utf_8_are_refused() -> None:
    with pytest.raises(ProtocolError):
        EventReader().feed(b"data: \xff\n")
