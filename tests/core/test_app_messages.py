"""Application messages: what is one, what is not, and what is said about them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collab.app_messages import AppMessage, acknowledgement, read_app_message, refusal
from collab.errors import InvalidMessage

_NAMES = st.text(st.characters(blacklist_categories=["Cs"]), min_size=1, max_size=128)
_PAYLOADS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(_NAMES, _PAYLOADS, st.none() | _NAMES, st.none() | _NAMES)
def test_what_is_written_is_read_again(
    kind: str, payload: object, message_id: str | None, to: str | None
) -> None:
    message = AppMessage(type=kind, payload=payload, id=message_id, to=to)  # type: ignore[arg-type]  # JSON
    assert read_app_message(message.encode()) == message


def test_who_it_is_from_is_told_and_not_believed() -> None:
    message = AppMessage(type="a", payload=1, sender="ada")
    assert json.loads(message.encode()) == {"type": "a", "payload": 1, "from": "ada"}
    read = read_app_message(message.encode())
    assert read is not None
    assert read.sender is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "{",
        "[]",
        "null",
        '{"type": "a"}',
        '{"payload": 1}',
        '{"type": 7, "payload": 1}',
        '{"type": "", "payload": 1}',
        '{"type": "a", "payload": 1, "id": 7}',
        '{"type": "a", "payload": 1, "to": ["b"]}',
        '{"type": "a", "payload": NaN}',
        '{"type": "\\ud800", "payload": 1}',
        '{"type": "' + "x" * 129 + '", "payload": 1}',
        "[" * 100_000,
    ],
)
def test_anything_else_is_left_to_the_application(text: str) -> None:
    assert read_app_message(text) is None


@pytest.mark.parametrize("payload", [float("nan"), {1, 2}, b"bytes"])
def test_a_payload_that_is_no_json_is_refused(payload: object) -> None:
    with pytest.raises(InvalidMessage):
        AppMessage(type="a", payload=payload).encode()  # type: ignore[arg-type]  # what is refused


def test_a_message_beyond_the_bound_is_refused() -> None:
    message = AppMessage(type="a", payload="x" * 100)
    assert len(message.encode(max_bytes=200)) > 100
    with pytest.raises(InvalidMessage):
        message.encode(max_bytes=100)


@pytest.mark.parametrize("field", ["type", "id", "to"])
@pytest.mark.parametrize("name", ["", "x" * 129, "\ud800"])
def test_names_are_short_and_whole(field: str, name: str) -> None:
    names = {"type": "a", field: name}
    with pytest.raises(InvalidMessage):
        AppMessage(payload=None, **names)


def test_answers_say_which_message_they_are_about() -> None:
    assert json.loads(acknowledgement("7", 2)) == {"type": "ack", "id": "7", "receivers": 2}
    assert json.loads(refusal(None, "no"))["id"] is None
