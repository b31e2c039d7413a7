"""Farewell: how a room ends."""

from dataclasses import dataclass

from collab.close import CloseCode
from collab.errors import CollabError


@dataclass(frozen=True, slots=True)
class Farewell:
    """How a room ends.

    Attributes:
        code: what clients are closed with.
        reason: up to 123 UTF-8 bytes for them.
        error: what others get that wait for the room.
    """

    code: CloseCode
    reason: str
    error: CollabError
