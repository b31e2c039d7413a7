"""What clients say, whatever the dialect: the events that dialects decode frames into."""

from dataclasses import dataclass


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
    """

    update: bytes


@dataclass(frozen=True, slots=True)
class Update:
    """A change as it happens.

    Attributes:
        update: encoded update (v1).
    """

    update: bytes


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


Message = SyncStep1 | SyncStep2 | Update | AwarenessUpdate | QueryAwareness

EMPTY_UPDATE = b"\x00\x00"
"""An update (v1) of no structs and no deletions."""
EMPTY_STATE_VECTOR = b"\x00"
"""The state vector of somebody who has nothing."""
EMPTY_AWARENESS = b"\x00"
"""An awareness payload about nobody: changes nothing, and shows that the server lives."""
