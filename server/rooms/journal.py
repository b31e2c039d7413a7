"""Journal: what of one document is on its way to the store, and when a checkpoint is due."""

import math
import time
from collections.abc import Callable, Sequence

import anyio

from collab.document import Document
from collab.errors import DocumentDeleted
from collab.server.rooms.member import Batch, Member
from collab.server.rooms.persister import Persister, Write
from collab.server.rooms.promises import Left, Promises
from collab.server.settings import Settings
from collab.store import Entry, NewEntry, Stored

_CHECKPOINT_SHARE = 8
"""A checkpoint is due only when an eighth of its size was logged: a huge document's is rare."""
_FULL_BYTES_PER_SECOND = 1024 * 1024
"""How much of a full document is encoded a second at most, to see what deletions have freed."""
_NONE: frozenset[int] = frozenset()
"""An empty set takes 200 bytes: there is one for all rooms."""
_ENTRY_BYTES = 32
"""What an entry costs in the log beside its update."""


class Journal:
    """The writes of one room; see ``collab.server.rooms.persister.Owner``.

    Args:
        stored: what the room was made of.
        persister: where writes go.
        settings: bounds.
        promises: what other instances are to make durable.
        committed: called when batches are committed.
        released: called when a batch is durable.
        slow: called when a commit takes too long to keep anybody waiting for it.
        gone: called when the document is gone, and nothing of it will be committed.
        overtaken: called when others have written to the document.
        set_back: called when the store has lost what it had.

    Attributes:
        seq: the seq up to which the room has every committed entry.
        epoch: id of the document's life; None where there was none when the room opened it, until
            something of it is committed.
    """

    def __init__(
        self,
        stored: Stored,
        persister: Persister,
        settings: Settings,
        promises: Promises,
        *,
        committed: Callable[[], None],
        released: Callable[[], None],
        slow: Callable[[], None],
        gone: Callable[[DocumentDeleted], None],
        overtaken: Callable[[], None],
        set_back: Callable[[], None],
    ) -> None:
        self.seq = stored.seq
        self.epoch = stored.epoch
        self._name = stored.document
        self._persister = persister
        self._settings = settings
        self._promises = promises
        self._committed = committed
        self._released = released
        self._slow = slow
        self._gone = gone
        self._overtaken = overtaken
        self._set_back = set_back
        self._ahead = _NONE
        self._uncommitted: list[Write] = []
        self._unreleased: list[Batch] = []  # A deque takes 0.6 kB, in each of many idle rooms.
        self._changed: anyio.Event | None = None
        self._entries_logged = stored.seq - stored.checkpoint_seq
        self._bytes_logged = sum(len(entry.update) for entry in stored.entries)
        self._checkpoint_bytes = len(stored.checkpoint or b"")
        self._checkpoint_at = -math.inf
        self._runs_ahead = False

    @property
    def stored_bytes(self) -> int:
        """How long the document is in the store, about."""
        return self._checkpoint_bytes + self._bytes_logged

    @property
    def newest(self) -> Batch | None:
        """The newest batch that is not durable yet, or None."""
        return self._unreleased[-1] if self._unreleased else None

    @property
    def behind(self) -> bool:
        """Whether others have committed what the room was not told of."""
        return bool(self._ahead)

    @property
    def durable(self) -> bool:
        """Whether everything that was written here is durable."""
        return not self._uncommitted

    @property
    def last(self) -> Write | None:
        """The newest write that is not committed yet."""
        return self._uncommitted[-1] if self._uncommitted else None

    @property
    def promised(self) -> Left:
        """What the room has of others' changes that may not be in the store yet."""
        return self._promises.all_left(time.monotonic())

    @property
    def newest_promise(self) -> int:
        """Place of the newest change that others are still to log; 0 where there is none."""
        return self._promises.newest

    def is_kept(self, place: int) -> bool:
        """Whether others have logged all that they have promised up to a place."""
        return self._promises.kept(place)

    def awaits(self, write: Write | None) -> bool:
        """Whether a write is not committed yet."""
        return write in self._uncommitted

    def write(
        self,
        document: Document,
        entries: Sequence[NewEntry],
        *,
        parts: dict[Member, bytes],
        receipts: dict[Member, list[bytes]],
        merged: bytes,
        frame: bytes,
        state_before: bytes,
    ) -> Batch:
        """Hands changes to the persister, with a checkpoint where one is due.

        Where there is nothing to store and nobody to tell, it is not: others store it.

        Args:
            document: with the changes applied.
            entries: the changes as they are stored.
            parts: see ``Batch``, and so for those below.
            receipts: likewise.
            merged: all changes in one update.
            frame: likewise.
            state_before: likewise.
        """
        self._entries_logged += len(entries) or 1
        self._bytes_logged += len(merged)
        batch = Batch(
            self,
            self._name,
            entries,
            self._encode_checkpoint(document) if self._checkpoint_is_due else None,
            parts=parts,
            receipts=receipts,
            frame=frame,
            state_before=state_before,
            after=self._promises.newest,
        )
        self._unreleased.append(batch)
        if entries or receipts or batch.checkpoint is not None:
            self._submit(batch)
        else:
            batch.committed = True
            self.release()
        return batch

    def checkpoint(self, document: Document) -> None:
        """Writes a checkpoint where opening the document would replay too many entries."""
        if self._entries_logged > self._settings.checkpoint_entries and self._is_logged:
            self._submit(Write(self, self._name, (), self._encode_checkpoint(document)))

    def measure(self, document: Document) -> None:
        """Writes a checkpoint where one is due since something was logged: it tells the size."""
        if self._entries_logged and self._checkpoint_is_due:
            self._submit(Write(self, self._name, (), self._encode_checkpoint(document)))

    def write_anew(self, entry: NewEntry) -> None:
        """Writes all that the room has, for a store that has lost some of it."""
        self._entries_logged += 1
        self._bytes_logged += len(entry.update)
        self._submit(Write(self, self._name, [entry]))

    def run_ahead(self) -> None:
        """The room has taken in changes of which nobody will say when they are in the log.

        No state of it is known to be what the log comes to up to a seq from now on: checkpoints are
        left to whoever compacts the store.
        """
        self._runs_ahead = True

    def caught_up(self, entries: Sequence[Entry]) -> Sequence[Entry]:
        """The room takes in these entries of the log, which follow what it had.

        Returns:
            Those of them that it neither wrote itself nor was told of.
        """
        others = [
            entry for entry in entries if entry.seq > self.seq and entry.seq not in self._ahead
        ]
        if others:
            self._drop_checkpoints()
        self.seq = max(self.seq, entries[-1].seq)
        self._advance()
        return others

    def passed(self, seq: int) -> None:
        """The room takes in all that the log had up to a seq, and has not any more."""
        self._drop_checkpoints()
        self.seq = max(self.seq, seq)
        self._advance()

    def marked(self, seqs: Sequence[range]) -> None:
        """The room has what others have committed under these seqs, in order."""
        news = {seq for each in seqs for seq in each if seq > self.seq}
        if news:
            self._drop_checkpoints()
            self._ahead |= news
            self._advance()

    def release(self) -> None:
        """Releases what waits for batches that are durable by now."""
        unreleased = self._unreleased
        released = False
        while unreleased and unreleased[0].committed and self._promises.kept(unreleased[0].after):
            unreleased.pop(0).durable = released = True
        if released:
            self._released()
            self.announce()

    def announce(self) -> None:
        """Wakes those who wait for a change."""
        if self._changed is not None:
            self._changed.set()
            self._changed = None

    async def next_change(self) -> None:
        """Waits until something was committed or announced."""
        if self._changed is None:
            self._changed = anyio.Event()
        await self._changed.wait()

    async def settled(self) -> None:
        """Waits until everything that was written here is durable."""
        while not self.durable:
            await self.next_change()

    # What the persister calls.

    def began(self, epoch: str) -> None:
        """Something is committed of a document that was not there when it was opened."""
        self.epoch = epoch

    def committed(self, write: Write, seq: int) -> None:
        """A write is committed: what waited for it is released, unless it waits for others'."""
        self.seq = max(self.seq, seq)
        self._advance()
        del self._uncommitted[0]
        if isinstance(write, Batch):
            write.committed = True
            self._committed()
            self.release()
        self.announce()

    def overtaken(self, own: range) -> None:
        """Others have written to the document."""
        self._ahead |= frozenset(own)
        self._advance()
        if self.behind:
            self._overtaken()

    def set_back(self, seq: int) -> None:
        """The store has lost what it had before."""
        self.seq = seq
        self._ahead = _NONE
        self._drop_checkpoints()
        self._set_back()

    def refused(self, error: DocumentDeleted) -> None:
        """The document was deleted: what waits is not committed any more."""
        self._uncommitted.clear()
        self._unreleased.clear()
        self._gone(error)
        self.announce()  # Where it had ended before, nobody else does.

    def commit_is_slow(self) -> None:
        """The store keeps writers waiting."""
        self._slow()

    def _advance(self) -> None:
        while self.seq + 1 in self._ahead:
            self.seq += 1
        if self._ahead:
            self._ahead = frozenset(seq for seq in self._ahead if seq > self.seq) or _NONE

    def _drop_checkpoints(self) -> None:
        """Leaves out checkpoints that wait: they were encoded without what others have logged.

        They would be written on a seq that has it. The next one comes in its turn.
        """
        for write in self._uncommitted:
            write.checkpoint = None

    def _submit(self, write: Write) -> None:
        self._uncommitted.append(write)
        self._persister.submit(write)

    @property
    def _is_logged(self) -> bool:
        """Whether the room has nothing that others are still to log."""
        return not self._runs_ahead and not self._promises.newest

    @property
    def _checkpoint_is_due(self) -> bool:
        entries = self._entries_logged
        settings = self._settings
        # One that is full has what was deleted tell by the next checkpoint.
        is_full = self._checkpoint_bytes + self._bytes_logged > settings.document_max_bytes
        if entries <= settings.checkpoint_entries and not is_full:
            return False
        wait = settings.checkpoint_seconds
        if is_full:
            wait += self._checkpoint_bytes / _FULL_BYTES_PER_SECOND
        if time.monotonic() - self._checkpoint_at < wait:
            return False
        logged = self._bytes_logged + entries * _ENTRY_BYTES
        return self._is_logged and (is_full or logged * _CHECKPOINT_SHARE > self._checkpoint_bytes)

    def _encode_checkpoint(self, document: Document) -> bytes:
        checkpoint = document.encode()
        self._entries_logged = self._bytes_logged = 0
        self._checkpoint_bytes = len(checkpoint)
        self._checkpoint_at = time.monotonic()
        return checkpoint
