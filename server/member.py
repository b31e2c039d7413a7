"""Member: one session's seat in a room: what it was sent, what it is owed."""

import time
from collections.abc import Iterator

from collab.server.batch import Hold
from collab.server.connection import Connection
from collab.session import Session


class Parts:
    """What is left of a diff that goes out in parts.

    Attributes:
        frames: the parts, encoded.
        state_vector: what a reader has when they are through.
        version: the document's version they were made of.
    """

    __slots__ = ("frames", "state_vector", "version")

    def __init__(self, frames: Iterator[bytes], state_vector: bytes, version: int) -> None:
        self.frames = frames
        self.state_vector = state_vector
        self.version = version


class Member:
    """One session's seat in a room.

    It is *live* while it gets each batch as it comes. It is behind before its first sync, and
    after its connection filled up: then it is owed one diff from ``known`` on.

    Attributes:
        connection: where its frames go.
        session: its protocol state.
        live: whether it gets batches as they come.
        paused: whether its connection is full.
        paused_at: since when, seconds on the monotonic clock.
        known: encoded state vector of what it has or was sent, where it is not live.
        synced: whether it was brought up to date once.
        parts: what is left of a long diff, or None.
        held: what waits for commits, in order.
        heard_at: when the heartbeat last found that the peer was heard, as ``paused_at``.
        told_at: when it last found that the peer was sent something.
        missed_presence: whether it was spared others' presence while it was paused.
    """

    __slots__ = (
        "connection",
        "heard_at",
        "held",
        "known",
        "live",
        "missed_presence",
        "parts",
        "paused",
        "paused_at",
        "session",
        "synced",
        "told_at",
    )

    def __init__(self, connection: Connection, session: Session) -> None:
        self.connection = connection
        self.session = session
        self.live = False
        self.paused = False
        self.paused_at = 0.0
        self.known: bytes | None = None
        self.synced = False
        self.parts: Parts | None = None
        self.heard_at = self.told_at = time.monotonic()
        self.held: list[Hold] = []
        self.missed_presence = False
