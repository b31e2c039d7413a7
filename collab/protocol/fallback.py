"""The fallback protocol: a connection's frames as events down and as bodies up.

It is written down in ``docs/reference/fallback-protocol.md``.
"""

import base64
import json
from dataclasses import dataclass

from collab import lib0
from collab.close import CloseCode
from collab.errors import ProtocolError
from collab.event_stream import Event, encode_event

OPEN = "open"
FRAME = "frame"
CLOSE = "close"

SESSION_HEADER = "Collab-Session"
"""Names the session a POST or a DELETE belongs to."""
POST_HEADER = "Collab-Post"
"""Numbers the POSTs of a session, from 1 on."""

MAX_FRAMES = 1000
"""Frames that one POST may bring: they are taken in without a rest for anybody else."""


@dataclass(frozen=True, slots=True)
class Place:
    """How far a client has read.

    Attributes:
        session: id of its session.
        number: number of the last frame it has, 0 before the first.
    """

    session: str
    number: int

    def __str__(self) -> str:
        """The place as an event's id."""
        return f"{self.session}.{self.number}"


def read_place(event_id: str) -> Place | None:
    """Reads an event's id; None for one that is not of ours."""
    session, point, number = event_id.rpartition(".")
    if not (session and point and len(number) <= 16 and number.isascii() and number.isdigit()):
        return None
    return Place(session, int(number))


def name_session(instance: str | None, secret: str) -> str:
    """Makes a session's id.

    Args:
        instance: the server that has it, where there are others; None where there are none.
        secret: what nobody can guess.
    """
    return secret if instance is None else f"{instance}:{secret}"


def instance_of(session: str) -> str | None:
    """The server that has a session, as its id says; None where it does not say."""
    instance, said, _ = session.partition(":")
    return instance if said else None


def opened(place: Place, *, resumed: bool) -> bytes:
    """Encodes the beginning of an answer.

    Args:
        place: the session, and the number before the frame that follows.
        resumed: whether it is the session that was asked for.
    """
    text = json.dumps({"session": place.session, "resumed": resumed})
    return encode_event(Event(OPEN, text, str(place)))


def frame_event(place: Place, frame: bytes) -> bytes:
    """Encodes a frame, which has the number that ``place`` says."""
    return encode_event(Event(FRAME, base64.b64encode(frame).decode(), str(place)))


def closed(code: CloseCode, reason: str) -> bytes:
    """Encodes the end of a session."""
    return encode_event(Event(CLOSE, json.dumps({"code": int(code), "reason": reason})))


def join_frames(frames: list[bytes]) -> bytes:
    """Encodes the body of a POST."""
    return b"".join(map(lib0.write_var_bytes, frames))


def split_frames(body: bytes) -> list[bytes]:
    """Decodes the body of a POST.

    Raises:
        ProtocolError: it ends in the middle of a frame, or has more than ``MAX_FRAMES``.
    """
    frames = []
    position = 0
    while position < len(body):
        frame, position = lib0.read_var_bytes(body, position)
        frames.append(frame)
        if len(frames) > MAX_FRAMES:
            raise ProtocolError(f"expected at most {MAX_FRAMES} frames, got more")
    return frames
