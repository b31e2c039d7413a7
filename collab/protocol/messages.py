"""What clients say, whatever the dialect: the events that dialects decode frames into."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Receipt:
    """The peer wants to hear when all it sent so far is durable.

    Attributes:
        accepted: the frame that says so, in the peer's dialect.
        refused: the frame that says that the change it came with was refused; None for a dialect
            that then says nothing.
        idle: whether the peer has asked the same before, and has written nothing in between.
    """

    accepted: bytes
    refused: bytes | None = None
    idle: bool = False


@dataclass(frozen=True, slots=True)
class SyncStep1:
    """The peer tells what it has and asks for the rest.

    Attributes:
        state_vector: encoded state vector.
    """

    state_vector: bytes


@dataclass(frozen=True, slots=True)
class SyncStep2:
    """The peer's answer to our step 1: everything it has that we lack.

    Attributes:
        update: encoded update (v1); may be empty (``EMPTY_UPDATE``).
        receipt: what to answer it with, or None where its echo is the answer.
        whole: where this is a part of a long one and not the last, what all of it is answered with.
        more: whether this is such a part: the rest is yet to come.
    """

    update: bytes
    receipt: Receipt | None = None
    whole: Receipt | None = None
    more: bool = False


@dataclass(frozen=True, slots=True)
class Update:
    """A change as it happens.

    Attributes:
        update: encoded update (v1).
        receipt: what to answer it with, or None where its echo is the answer.
        whole: where this is a part of a long one and not the last, what all of it is answered with.
        more: whether this is such a part: the rest is yet to come.
    """

    update: bytes
    receipt: Receipt | None = None
    whole: Receipt | None = None
    more: bool = False


@dataclass(frozen=True, slots=True)
class AwarenessUpdate:
    """States of one or more awareness clients.

    Attributes:
        payload: as y-protocols encodes it; ``collab.presence`` reads it.
    """

    payload: bytes


@dataclass(frozen=True, slots=True)
class QueryAwareness:
    """The peer asks for everyone's presence."""


@dataclass(frozen=True, slots=True)
class Stateless:
    """Something the application says to everyone else in the room; never stored.

    Attributes:
        payload: whatever the application makes of it, often JSON.
    """

    payload: str


Message = SyncStep1 | SyncStep2 | Update | AwarenessUpdate | QueryAwareness | Receipt | Stateless

EMPTY_UPDATE = b"\x00\x00"
"""An update (v1) of no structs and no deletions."""
EMPTY_STATE_VECTOR = b"\x00"
"""The state vector of somebody who has nothing."""
EMPTY_AWARENESS = b"\x00"
"""An awareness payload about nobody: changes nothing, and shows that the server lives."""
