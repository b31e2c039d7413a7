"""Persister: the only writer. Every room's changes go to the store in one commit."""

import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

import anyio

from collab.errors import DocumentDeleted
from collab.server.failures import unforeseen
from collab.server.metrics import Metrics
from collab.server.rooms.backlog import Backlog
from collab.server.rooms.rest import Rest
from collab.server.settings import Settings
from collab.server.timers import Timers
from collab.store import Append, Appended, NewEntry, Store

logger = logging.getLogger("collab")

_RETRY_FIRST_SECONDS = 0.1
_RETRY_MAX_SECONDS = 5.0


class Owner(Protocol):
    """Whose writes they are: it hears what becomes of them.

    Attributes:
        seq: the seq up to which the owner has every entry of the document.
        epoch: id of the document's life that it writes to; None where it knows of none.
    """

    seq: int
    epoch: str | None

    def began(self, epoch: str) -> None:
        """Called first where the owner knew of no epoch, and something is committed.

        Args:
            epoch: id of the document's life that it is in.
        """
        ...

    def committed(self, write: "Write", seq: int) -> None:
        """Called once for each write, in the order of ``submit``, when it is durable.

        Args:
            write: the write.
            seq: the seq up to which the owner has every entry, after the commit it was part of;
                behind the store's from when somebody else has written to the document, so that
                the store refuses checkpoints that lack the others' entries.
        """
        ...

    def overtaken(self, own: range) -> None:
        """Called after that where somebody else has written to the document before.

        Args:
            own: the seqs of what was committed, which its own seq does not reach.
        """
        ...

    def set_back(self, seq: int) -> None:
        """Called after that where the store has lost entries that it had before, and the owner has.

        Args:
            seq: the seq of the last of what was committed.
        """
        ...

    def commit_is_slow(self) -> None:
        """Called when a commit takes too long to keep anybody waiting for it."""
        ...

    def refused(self, error: DocumentDeleted) -> None:
        """Called when the document is gone: none of the writes so far will be committed."""
        ...


class Write:
    """Changes of one document on their way to the store.

    Attributes:
        owner: who hears what becomes of it.
        document: document name.
        entries: changes in order; may be empty where only a checkpoint is written.
        checkpoint: whole state after ``entries``, or None.
        size: bytes of both.
        seqs: the seqs of ``entries`` in the log, once they are committed.
    """

    __slots__ = ("checkpoint", "document", "entries", "owner", "seqs", "size")

    def __init__(
        self,
        owner: Owner,
        document: str,
        entries: Sequence[NewEntry],
        checkpoint: bytes | None = None,
    ) -> None:
        self.owner = owner
        self.document = document
        self.entries = entries
        self.checkpoint = checkpoint
        self.seqs = range(0)
        self.size = sum(len(entry.update) for entry in entries) + len(checkpoint or b"")


class Persister:
    """Commits writes in the order of ``submit``, as many as there are in one go.

    A store that fails is tried again for as long as it takes: writes are kept, nothing is called
    committed, and ``failure`` says what is wrong. Checkpoints are not: a disk that has no room for
    one, or a damaged page in its place, keeps nobody's changes from being durable.

    Args:
        store: where to.
        settings: bounds and times.
        timers: wake it.
        changed: called when changes were committed, with the seq of the last of them.

    Attributes:
        failure: what the store said when it last failed, or None while it works.
        backlog: what was submitted and is not committed, among others.
    """

    def __init__(
        self,
        store: Store,
        settings: Settings,
        timers: Timers,
        metrics: Metrics,
        *,
        changed: Callable[[Append, int], None] = lambda append, seq: None,
    ) -> None:
        self._changed = changed
        self._store = store
        self._settings = settings
        self._timers = timers
        self._metrics = metrics
        self._queue: deque[Write] = deque()
        self._committing: list[Write] = []
        self._wake: anyio.Event | None = None
        self._rest = Rest(timers)
        self._settled: anyio.Event | None = None
        self.failure: str | None = None
        self.backlog = Backlog(settings.uncommitted_max_bytes)

    @property
    def soon(self) -> bool:
        """Whether a write that writers wait for is on its way within some ten milliseconds."""
        return not self._committing and self._rest.ends_soon

    def submit(self, write: Write) -> None:
        """Takes in a write; its owner hears of the commit."""
        self._queue.append(write)
        self.backlog.uncommitted_bytes += write.size
        if self._wake is not None:
            self._wake.set()

    def expect(self) -> None:
        """Writers wait until what was submitted is durable: it is committed soon."""
        self._rest.shorten()

    def hasten(self) -> None:
        """A program does nothing until what was submitted is durable: it is committed at once."""
        self._rest.end()

    async def settle(self) -> None:
        """Waits until nothing is uncommitted."""
        while self._queue or self._committing:
            if self._settled is None:
                self._settled = anyio.Event()
            await self._settled.wait()

    async def run(self) -> None:
        """Commits until it is cancelled."""
        while True:
            if not self._queue:
                self._wake = anyio.Event()
                await self._wake.wait()
                self._wake = None
            while self._queue:
                await self._rest.wait()
                started = time.monotonic()
                await self._commit_group()
                self._rest.begin(time.monotonic() - started, lingers=bool(self._queue))
            if self._settled is not None:
                self._settled.set()
                self._settled = None

    async def _commit_group(self) -> None:
        appends: Sequence[Append] = self._gather()
        newest: Sequence[Appended] = ()
        alarm = self._timers.call_later(self._settings.slow_commit_seconds, self._turn_slow)
        try:
            with self._metrics.commit_seconds.time():
                appends, newest = await self._append(appends)
        finally:
            alarm.cancel()
        writes, self._committing = self._committing, []
        seqs = {write.document: write.owner.seq for write in writes}
        firsts: dict[str, int] = {}
        overtaken: dict[str, range] = {}
        set_back: dict[str, int] = {}
        begun: dict[str, str] = {}
        for append, (seq, epoch) in zip(appends, newest, strict=True):
            if append.epoch is None and epoch is not None:
                begun[append.document] = epoch
            own = range(seq - len(append.entries) + 1, seq + 1)
            firsts[append.document] = own.start
            if own and append.epoch and append.base_seq and own.start <= append.base_seq:
                logger.error(
                    "the store has lost entries %d to %d of %r; what was opened of it is stored",
                    own.start,
                    append.base_seq,
                    append.document,
                )
                set_back[append.document] = seq
            elif own.start == seqs[append.document] + 1:
                seqs[append.document] = seq
            elif seq > seqs[append.document]:
                overtaken[append.document] = own
            if append.entries:
                self._changed(append, seq)
        for write in writes:
            self.backlog.uncommitted_bytes -= write.size
            first = firsts[write.document]
            firsts[write.document] += len(write.entries)
            write.seqs = range(first, firsts[write.document])
            try:
                if write.document in begun and write.owner.epoch is None:
                    write.owner.began(begun[write.document])
                write.owner.committed(write, seqs[write.document])
            except Exception:
                logger.exception("passing on a commit of %r failed", write.document)
        for owner, document in {write.owner: write.document for write in writes}.items():
            if document in overtaken:
                owner.overtaken(overtaken[document])
            elif document in set_back:
                owner.set_back(set_back[document])
        if self.backlog.waiting:
            self.backlog.offer()

    def _gather(self) -> list[Append]:
        """Moves queued writes into one group: all there are, up to a document's checkpoint."""
        entries: dict[str, list[NewEntry]] = {}
        checkpoints: dict[str, bytes] = {}
        owners: dict[str, Owner] = {}
        kept: deque[Write] = deque()
        for write in self._queue:
            if write.document in checkpoints:
                kept.append(write)  # A checkpoint stands for what came before it, no more.
                continue
            entries.setdefault(write.document, []).extend(write.entries)
            owners[write.document] = write.owner
            if write.checkpoint is not None:
                checkpoints[write.document] = write.checkpoint
            self._committing.append(write)
        self._queue = kept
        return [
            Append(
                document=name,
                entries=new,
                checkpoint=checkpoints.get(name),
                base_seq=owners[name].seq,
                epoch=owners[name].epoch,
            )
            for name, new in entries.items()
        ]

    async def _append(
        self, appends: Sequence[Append]
    ) -> tuple[Sequence[Append], Sequence[Appended]]:
        """Appends, trying again until the store has taken it.

        Returns:
            What it has taken, all but the writes to documents that were deleted; and where each
            document is.
        """
        wait = _RETRY_FIRST_SECONDS
        newest: Sequence[Appended] = ()
        while appends:
            try:
                newest = await self._store.append(appends)
            except DocumentDeleted as error:
                appends = [append for append in appends if append.document != error.document]
                self._give_up(error)
            except Exception as error:
                # Whatever it is, dropping the changes would be worse than trying again.
                if self.failure is None:
                    logger.error(
                        "the store fails; changes are kept and not acknowledged: %s",
                        error,
                        exc_info=unforeseen(error),
                    )
                self.failure = str(error) or type(error).__name__
                # They are needed by nobody; the next ones come in their turn.
                appends = [replace(append, checkpoint=None) for append in appends]
                await anyio.sleep(wait)
                wait = min(wait * 2, _RETRY_MAX_SECONDS)
            else:
                if self.failure is not None:
                    logger.warning("the store works again")
                    self.failure = None
                break
        return appends, newest

    def _give_up(self, error: DocumentDeleted) -> None:
        """Drops what was to be written to a document that is gone."""
        waiting = [*self._committing, *self._queue]
        dropped = {write for write in waiting if write.document == error.document}
        self._committing = [write for write in self._committing if write not in dropped]
        self._queue = deque(write for write in self._queue if write not in dropped)
        self.backlog.uncommitted_bytes -= sum(write.size for write in dropped)
        for owner in {write.owner for write in dropped}:
            owner.refused(error)

    def _turn_slow(self) -> None:
        for owner in {write.owner for write in [*self._committing, *self._queue]}:
            owner.commit_is_slow()
