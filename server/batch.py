"""Batch: changes of one flush, on their way to the readers and to the store."""

from collections.abc import Hashable, Mapping, Sequence

from collab.document import merge
from collab.protocol import yjs
from collab.server.persister import Owner, Write
from collab.store import NewEntry


class Batch(Write):
    """Changes that were applied and passed on together.

    Attributes:
        parts: each writer's own changes, merged.
        frame: all changes, merged and encoded.
        state_before: encoded state vector of the document without them.
        durable: whether they are committed.
    """

    __slots__ = ("durable", "frame", "parts", "state_before")

    def __init__(
        self,
        owner: Owner,
        document: str,
        entries: Sequence[NewEntry],
        checkpoint: bytes | None,
        *,
        parts: Mapping[Hashable, bytes],
        frame: bytes,
        state_before: bytes,
    ) -> None:
        super().__init__(owner, document, entries, checkpoint)
        self.parts = parts
        self.frame = frame
        self.state_before = state_before
        self.durable = False

    def others_frame(self, writer: Hashable) -> bytes | None:
        """What everyone but ``writer`` changed, encoded; None where nobody else did."""
        others = [part for other, part in self.parts.items() if other is not writer]
        return yjs.update(merge(others)) if others else None


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
