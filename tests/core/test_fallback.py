"""The fallback protocol's own parts: places in a session, bodies of POSTs."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collab.close import CloseCode
from collab.errors import ProtocolError
from collab.event_stream import EventReader
from collab.protocol.fallback import (
    MAX_FRAMES,
    Place,
    closed,
    frame_event,
    join_frames,
    opened,
    read_place,
    split_frames,
)


@given(st.lists(st.binary()))
def test_frames_of_a_body_come_apart_again(frames: list[bytes]) -> None:
    assert split_frames(join_frames(frames)) == frames


def test_more_frames_than_a_post_may_bring_are_refused() -> None:
    assert len(split_frames(join_frames([b""] * MAX_FRAMES))) == MAX_FRAMES
    with pytest.raises(ProtocolError):
        split_frames(join_frames([b""] * (MAX_FRAMES + 1)))


@given(st.binary())
def test_any_other_body_is_refused(body: bytes) -> None:
    try:
        frames = split_frames(body)
    except ProtocolError:
        return
    assert sum(map(len, frames)) <= len(body)


@given(st.from_regex(r"[\w-]{22}", fullmatch=True), st.integers(0, 2**53 - 1))
def test_a_place_is_read_as_it_was_written(session: str, number: int) -> None:
    assert read_place(str(Place(session, number))) == Place(session, number)


@pytest.mark.parametrize(
    "text", ["", ".", "a.", ".1", "a.b", "a.-1", "a.1e3", "a.²", "a." + "9" * 17]
)
def test_what_is_no_place_is_none(text: str) -> None:
    assert read_place(text) is None


def test_events_say_what_they_are() -> None:
    place = Place("abc", 3)
    stream = opened(place, resumed=True) + frame_event(place, b"\xff\x00")
    opening, frame, closing = EventReader().feed(stream + closed(CloseCode.FORBIDDEN, "you\nmay"))
    assert (opening.type, opening.id) == ("open", "abc.3")
    assert json.loads(opening.text) == {"session": "abc", "resumed": True}
    assert (frame.type, frame.text, frame.id) == ("frame", "/wA=", "abc.3")
    assert closing.type == "close"
    assert json.loads(closing.text) == {"code": 4403, "reason": "you\nmay"}
