"""Application messages: what programs and people's apps say to each other in a room.

A message is a JSON object with a ``type`` and a ``payload``. Whatever else applications send as
text is theirs alone, and is passed on unread.
"""

import json
from dataclasses import dataclass
from typing import Any, TypeGuard

from collab.errors import InvalidMessage
from collab.render.values import Json

ACK = "ack"
REFUSED = "refused"

_MAX_NAME_CHARACTERS = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class AppMessage:
    """One application message.

    Attributes:
        type: what kind it is; the application's word.
        payload: what it says.
        id: the sender's name for it, by which it is acknowledged; None for no acknowledgement.
        to: id of the identity it is for, in all its connections; None for everybody.
        sender: id of the identity it is from, as the server knows it; None where nobody is named.
    """

    type: str
    payload: Json
    id: str | None = None
    to: str | None = None
    sender: str | None = None

    def __post_init__(self) -> None:
        names = (("type", self.type), ("id", self.id), ("to", self.to))
        for field, name in names:
            if name is not None and not _is_name(name):
                raise InvalidMessage(
                    f"expected {field} of 1 to {_MAX_NAME_CHARACTERS} characters, got {name!r:.40}"
                )

    def encode(self, max_bytes: int | None = None) -> str:
        """The message as JSON, without what it does not have.

        Args:
            max_bytes: how long it may be; None for no bound.

        Raises:
            InvalidMessage: the payload is no JSON, or it is longer.
        """
        record: dict[str, Json] = {"type": self.type, "payload": self.payload}
        names = (("id", self.id), ("to", self.to), ("from", self.sender))
        record |= {field: name for field, name in names if name is not None}
        try:
            text = json.dumps(record, allow_nan=False, separators=(",", ":"))
        except (TypeError, ValueError, RecursionError) as error:
            raise InvalidMessage(f"expected a payload that is JSON, got: {error}") from None
        if max_bytes is not None and len(text) > max_bytes:
            raise InvalidMessage(f"expected a message of {max_bytes} bytes, got {len(text)}")
        return text


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server says about a message that was sent.

    Attributes:
        id: the sender's name for it.
        receivers: how many connections and programs it was passed on to.
        refusal: why it was not passed on; None where it was.
    """

    id: str
    receivers: int
    refusal: str | None = None


def read_app_message(text: str, *, of_server: bool = False) -> AppMessage | None:
    """Reads a message; None for anything else that an application may send.

    Args:
        text: the message.
        of_server: whether a server said it, who knows whom it is from: who sends something cannot
            choose who it is, and ``from`` is not read.
    """
    record = _read_object(text)
    if record is None or "payload" not in record:
        return None
    sender = record.get("from") if of_server else None
    kind, message_id, to = (record.get(field) for field in ("type", "id", "to"))
    if not _is_name(kind) or not all(name is None or _is_name(name) for name in (message_id, to)):
        return None
    return AppMessage(
        type=kind,
        payload=record["payload"],
        id=message_id,
        to=to,
        sender=sender if isinstance(sender, str) else None,
    )


def read_answer(text: str) -> Answer | None:
    """Reads an acknowledgement or a refusal; None for anything else."""
    record = _read_object(text)
    if record is None or not _is_name(message_id := record.get("id")):
        return None
    receivers, reason = record.get("receivers"), record.get("reason")
    if record.get("type") == ACK and isinstance(receivers, int):
        return Answer(message_id, receivers)
    if record.get("type") == REFUSED and isinstance(reason, str):
        return Answer(message_id, 0, reason)
    return None


def acknowledgement(message_id: str, receivers: int) -> str:
    """Tells a sender that its message was passed on, and to how many connections."""
    return json.dumps({"type": ACK, "id": message_id, "receivers": receivers})


def refusal(message_id: str | None, reason: str) -> str:
    """Tells a sender that its message was not passed on; without an id where that was not read."""
    return json.dumps({"type": REFUSED, "id": message_id, "reason": reason})


def _read_object(text: str) -> dict[str, Any] | None:
    try:
        record = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def _is_name(value: object) -> TypeGuard[str]:
    if not isinstance(value, str) or not 1 <= len(value) <= _MAX_NAME_CHARACTERS:
        return False
    return not any("\ud800" <= character <= "\udfff" for character in value)


def _refuse_constant(name: str) -> Json:
    raise ValueError(f"{name} is no JSON")
