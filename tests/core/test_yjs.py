"""The y-websocket dialect: round trips, the bytes y-protocols writes, strictness."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collab import lib0
from collab.errors import ProtocolError
from collab.protocol import yjs
from collab.protocol.messages import (
    AwarenessUpdate,
    Message,
    QueryAwareness,
    SyncStep1,
    SyncStep2,
    Update,
)


def encode(message: Message) -> bytes:
    match message:
        case SyncStep1(state_vector):
            return yjs.sync_step1(state_vector)
        case SyncStep2(update):
            return yjs.sync_step2(update)
        case Update(update):
            return yjs.update(update)
        case AwarenessUpdate(payload):
            return yjs.awareness(payload)
        case QueryAwareness():
            return b"\x03"
        case _:
            raise AssertionError(f"{message} is not of this dialect")


PAYLOADS = st.binary(max_size=300)
MESSAGES = st.one_of(
    st.builds(SyncStep1, PAYLOADS),
    st.builds(SyncStep2, PAYLOADS),
    st.builds(Update, PAYLOADS),
    st.builds(AwarenessUpdate, PAYLOADS),
    st.just(QueryAwareness()),
)


@given(MESSAGES)
def test_messages_round_trip(message: Message) -> None:
    assert yjs.decode(encode(message)) == message


@given(st.binary(max_size=64))
def test_arbitrary_bytes_are_a_message_or_a_protocol_error(frame: bytes) -> None:
    try:
        message = yjs.decode(frame)
    except ProtocolError:
        return
    assert yjs.decode(encode(message)) == message


@given(MESSAGES)
def test_every_cut_of_a_message_is_refused(message: Message) -> None:
    frame = encode(message)
    for end in range(len(frame)):
        with pytest.raises(ProtocolError):
            yjs.decode(frame[:end])


@given(MESSAGES, st.binary(min_size=1, max_size=8))
def test_a_rest_after_a_message_is_refused(message: Message, rest: bytes) -> None:
    with pytest.raises(ProtocolError, match="expected the end"):
        yjs.decode(encode(message) + rest)


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (b"\x00\x00\x01\x00", SyncStep1(b"\x00")),
        (b"\x00\x01\x02\x00\x00", SyncStep2(b"\x00\x00")),
        (b"\x00\x02\x02\x00\x00", Update(b"\x00\x00")),
        (b"\x01\x07\x01\x05\x01\x03{ }", AwarenessUpdate(b"\x01\x05\x01\x03{ }")),
        (b"\x03", QueryAwareness()),
    ],
)
def test_frames_mean_what_y_protocols_says(frame: bytes, expected: Message) -> None:
    assert yjs.decode(frame) == expected


@pytest.mark.parametrize(
    ("frame", "complaint"),
    [
        (b"\x02\x00\x00", "a message of type 0, 1 or 3, got 2"),
        (b"\x66\x01\x00", "a message of type 0, 1 or 3, got 102"),
        (b"\x00\x03\x00", "a sync message of type 0 to 2, got 3"),
    ],
)
def test_what_clients_do_not_say_is_refused_by_its_number(frame: bytes, complaint: str) -> None:
    with pytest.raises(ProtocolError, match=complaint):
        yjs.decode(frame)


def test_a_refusal_carries_its_reason_as_text() -> None:
    frame = yjs.permission_denied("nur für Leser 😀")
    assert frame[:2] == b"\x02\x00"
    assert lib0.read_var_string(frame, 2) == ("nur für Leser 😀", len(frame))
