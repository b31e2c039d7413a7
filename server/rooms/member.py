"""Member: one session's seat in a room, and the batches of changes it gets."""

import time
from collections import deque
from collections.abc import Mapping, Sequence

from collab.others import Others
from collab.protocol import yjs
from collab.server.connection import Connection
from collab.server.limits.pace import Pace
from collab.server.rooms.persister import Owner, Write
from collab.session import Session
from collab.store import NewEntry


class Batch(Write):
    """Changes that were applied and passed on together.

    Attributes:
        parts: each writer's own changes, merged.
        receipts: what writers want to be sent when it is durable, encoded, in their order.
        frame: all changes, merged and encoded.
        state_before: encoded state vector of the document without them.
        after: place of the newest change of another instance among them or before them, for which
            they wait; 0 for none. See ``collab.server.rooms.promises``.
        committed: whether this instance has committed what it is to commit of them.
        durable: whether all of them are durable, and all before them.
    """

    __slots__ = (
        "_others",
        "after",
        "committed",
        "durable",
        "frame",
        "parts",
        "receipts",
        "state_before",
    )

    def __init__(
        self,
        owner: Owner,
        document: str,
        entries: Sequence[NewEntry],
        checkpoint: bytes | None,
        *,
        parts: Mapping["Member", bytes],
        receipts: Mapping["Member", Sequence[bytes]],
        frame: bytes,
        state_before: bytes,
        after: int = 0,
    ) -> None:
        super().__init__(owner, document, entries, checkpoint)
        self.parts = parts
        self.receipts = receipts
        self.frame = frame
        self.state_before = state_before
        self.after = after
        self.committed = False
        self.durable = False
        self._others: Others[Member] | None = None

    def others_frame(self, writer: "Member") -> bytes | None:
        """What everyone but a writer of it changed, encoded; None where nobody else did."""
        if len(self.parts) == 1:
            return None
        if self._others is None:
            self._others = Others(self.parts)
        return yjs.update(self._others.without(writer))


class Hold:
    """Something that a member gets when a batch is durable, and not before.

    In the y-websocket dialect the echo of a change is its ack.

    Attributes:
        batch: the batch it waits for.
        whole: whether the batch's frame is still to be sent.
        own: the member's own changes, whose echo is its ack; None where it made none.
    """

    __slots__ = ("batch", "own", "whole")

    def __init__(self, batch: Batch, *, whole: bool, own: bytes | None) -> None:
        self.batch = batch
        self.whole = whole
        self.own = own


class Parts:
    """A long diff that goes out in parts, and how far it is.

    Attributes:
        frames: the parts, encoded; None until they are cut.
        state_vector: what a reader has when they are through.
        version: the document's version they were made of.
        sent: how many went out.
    """

    __slots__ = ("frames", "sent", "state_vector", "version")

    def __init__(self, frames: Sequence[bytes] | None, state_vector: bytes, version: int) -> None:
        self.frames = frames
        self.state_vector = state_vector
        self.version = version
        self.sent = 0


class Member:
    """One session's seat in a room.

    It is *live* while it gets each batch as it comes. It is behind before its first sync, and
    after its connection filled up: then it is owed one diff from ``known`` on.

    Attributes:
        connection: where its frames go; nowhere once it has left.
        session: its protocol state.
        live: whether it gets batches as they come.
        paused: whether its connection is full.
        paused_at: since when, or when it was last seen to take something; seconds on the
            monotonic clock.
        queued_bytes: what waited for it then.
        known: encoded state vector of what it has or was sent, where it is not live.
        synced: whether it was brought up to date once.
        parts: what is left of a long diff, or None.
        asked: whether it waits for our question, which comes with the end of the answer to its own.
        held: what waits for commits, in order.
        heard_at: when the heartbeat last found that the peer was heard, as ``paused_at``.
        told_at: when it last found that the peer was sent something.
        missed_presence: whether it was spared others' presence while it was paused.
        pace: how fast it sends application messages, or None where it sent none.
        held_back: whether we take no frames from it, so that it cannot be heard.
        guilty: whether it sent an update that cannot be applied: nothing more of it is tried.
        unread: a long frame of its, and those behind it, in order; None where there is none, or
            where they are not to be read any more.
    """

    __slots__ = (
        "asked",
        "connection",
        "guilty",
        "heard_at",
        "held",
        "held_back",
        "known",
        "live",
        "missed_presence",
        "pace",
        "parts",
        "paused",
        "paused_at",
        "queued_bytes",
        "session",
        "synced",
        "told_at",
        "unread",
    )

    def __init__(self, connection: Connection, session: Session) -> None:
        self.connection = connection
        self.session = session
        self.live = False
        self.paused = False
        self.paused_at = 0.0
        self.queued_bytes = 0
        self.known: bytes | None = None
        self.synced = False
        self.parts: Parts | None = None
        self.heard_at = self.told_at = time.monotonic()
        self.asked = False
        self.held: list[Hold] = []
        self.missed_presence = False
        self.pace: Pace | None = None
        self.held_back = False
        self.guilty = False
        self.unread: deque[bytes] | None = None

    def hold_back(self) -> None:
        """Takes no more frames from it until ``read_on``."""
        self.held_back = True
        self.connection.pause_reading()

    def read_on(self) -> None:
        """Takes frames from it again, unless it does not take ours or the last one is unread."""
        if self.held_back and not self.paused and self.unread is None:
            self.held_back = False
            self.connection.resume_reading()
