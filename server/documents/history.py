"""History: the past of documents, read out of a store."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar, TypeVarTuple

import anyio
import anyio.to_thread

from collab.document import Document
from collab.errors import (
    BrokenDocument,
    BrokenEntries,
    DocumentNotFound,
    EntriesDropped,
    PointNotFound,
    PoisonedUpdate,
    VersionNotFound,
)
from collab.history.attribution import AttributedText, Deliveries, attribute
from collab.history.changes import PAUSE_SECONDS, Change, Changes
from collab.history.difference import Difference, compare
from collab.history.point import FORMS, Point, milliseconds
from collab.history.restore import Restoration
from collab.replay import Replay
from collab.store import Entry, Store

_BATCH_ENTRIES = 1000
_TURNS = 2
"""Worker threads that look back at the same time: they take the processor from those who type."""

_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some of a document's changes.

    Attributes:
        changes: the newest first.
        next: what ``before`` is for the page that follows; None where there are no more.
    """

    changes: Sequence[Change]
    next: int | None


@dataclass(frozen=True, slots=True)
class _State:
    """Whole state after an entry; None for an empty document."""

    seq: int
    update: bytes | None


class History:
    """Tells what documents were, and who made them so.

    What it tells is durable: changes on their way to the store are not in it. Long work is done in
    worker threads, and reads the log in pieces.

    Args:
        store: where the documents are.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._turns = anyio.CapacityLimiter(_TURNS)

    async def newest(self, document: str) -> int:
        """The seq of a document's newest entry.

        Raises:
            DocumentNotFound: the store has no such document.
        """
        page = await self._store.documents(prefix=document, limit=1)
        if not page or page[0].document != document:
            raise DocumentNotFound(document)
        return page[0].seq

    async def find(self, document: str, point: Point) -> int:
        """Finds the entry after which a document was as it was at some point.

        Args:
            document: document name.
            point: a seq; a time, for the last entry that is not later; or the name of a version.

        Returns:
            Its seq; 0 is before the first.

        Raises:
            DocumentNotFound: the store has no such document.
            PointNotFound: its history has no such seq, or begins later.
            VersionNotFound: it has no version of this name.
        """
        newest = await self.newest(document)
        if isinstance(point, str):
            for version in await self._store.versions(document):
                if version.name == point:
                    return version.seq
            raise VersionNotFound(document, point, forms=FORMS)
        if isinstance(point, datetime):
            return await self._find_time(document, point, newest)
        oldest = (await self._store.base(document)).seq
        if not (oldest <= point <= newest or await self._pinned_at(document, point)):
            expected = f"expected a seq of {oldest} to {newest} of {document!r}"
            raise PointNotFound(f"{expected}, got {point}", document)
        return point

    async def changes(
        self,
        document: str,
        before: int | None = None,
        limit: int = 100,
        pause_seconds: float = PAUSE_SECONDS,
    ) -> Page:
        """Lists who changed a document when, a page at a time, reading no more than the page needs.

        A change that goes on beyond the end of a page is cut there.

        Args:
            document: document name.
            before: only entries of a smaller seq.
            limit: changes at most.
            pause_seconds: see ``Changes``.

        Raises:
            DocumentNotFound: the store has no such document.
        """
        newest = await self.newest(document)
        last = newest if before is None else min(newest, before - 1)
        changes = Changes(pause_seconds)
        while batch := await self._window(document, last):
            left = changes.take(batch, limit)
            if left is not None:
                return Page(changes=changes.gathered, next=left + 1)
            last = batch[-1].seq - 1
        return Page(changes=changes.gathered, next=None)

    async def content(self, document: str, seq: int) -> Document:
        """Rebuilds a document as it was after an entry, from the nearest state before.

        Raises:
            DocumentNotFound: the store has no such document.
            PointNotFound: its history begins later.
        """
        return (await self._replay(document, seq)).document

    async def attribution(
        self,
        document: str,
        seq: int,
        root: str | None = None,
        pause_seconds: float = PAUSE_SECONDS,
    ) -> Sequence[AttributedText]:
        """Tells who wrote each run of the texts as they were after an entry; see ``attribute``.

        Raises:
            DocumentNotFound: the store has no such document.
            PointNotFound: its history begins later.
            UnknownRoot: the document has no such root.
        """
        while True:
            base = await self._store.base(document)
            self._check_begun(document, seq, base.seq)
            replay = await self._work(Replay, base.update)
            deliveries = Deliveries(pause_seconds)
            if base.update is not None:
                await self._work(deliveries.skip, base.update)
            if await self._take(document, base.seq, seq, replay, deliveries):
                break
        return await self._work(attribute, replay.document, deliveries, root)

    async def compare(
        self, document: str, before: int, after: int, root: str | None = None
    ) -> Sequence[Difference]:
        """Tells what distinguishes a document after one entry from the same after another.

        Raises:
            DocumentNotFound: the store has no such document.
            PointNotFound: its history begins later.
            UnknownRoot: the document has no such root.
        """
        one = await self.content(document, before)
        other = await self.content(document, after)
        return await self._work(compare, one, other, root)

    async def restoration(self, document: str, seq: int) -> Restoration:
        """Begins to restore a document: all the store has after an entry is undone.

        Returns:
            What only ``Restoration.finish`` is missing of.

        Raises:
            DocumentNotFound: the store has no such document.
            PointNotFound: its history begins later.
            HistoryError: the CRDT cannot undo it.
        """
        while True:
            replay = await self._replay(document, seq, keep_deleted=True)
            restoration = Restoration(replay)
            await self._work(restoration.mark)
            base = await self._store.base(document)
            if base.update is not None and seq < base.seq:
                # A version keeps its content; what came between is known by what it came to.
                await self._work(self._join, document, replay, base.update)
            newest = await self.newest(document)
            if await self._take(document, max(seq, base.seq), newest, replay):
                await self._work(restoration.undo)
                return restoration

    async def _replay(self, document: str, seq: int, *, keep_deleted: bool = False) -> Replay:
        while True:
            for state in await self._states(document, seq):
                try:
                    replay = await self._work(
                        lambda update: Replay(update, keep_deleted=keep_deleted), state.update
                    )
                except PoisonedUpdate:
                    continue  # The log behind it is what counts.
                if await self._take(document, state.seq, seq, replay):
                    return replay
                break
            else:
                raise BrokenDocument(f"expected a state of {document!r} that applies", document)

    async def _states(self, document: str, seq: int) -> Sequence[_State]:
        """Whole states to begin a replay to ``seq`` with, the nearest first."""
        base = await self._store.base(document)
        states = [_State(base.seq, base.update)] if base.seq <= seq else []
        stored = await self._store.load(document)
        if stored.checkpoint is not None and stored.checkpoint_seq <= seq:
            states.append(_State(stored.checkpoint_seq, stored.checkpoint))
        for version in reversed(await self._store.versions(document)):
            # Below the base only the very seq helps: the entries after it are gone.
            if version.pinned and (base.seq <= version.seq <= seq or version.seq == seq):
                pin = await self._pin(document, version.name)
                if pin is not None:
                    states.append(_State(version.seq, pin))
                    break
        if not states:
            self._check_begun(document, seq, base.seq)
        return sorted(states, key=lambda state: state.seq, reverse=True)

    async def _take(
        self,
        document: str,
        after: int,
        to: int,
        replay: Replay,
        deliveries: Deliveries | None = None,
    ) -> bool:
        """Replays the entries after one up to another.

        Returns:
            False where some that were there a moment ago have been dropped, or the document was
            made anew.

        Raises:
            PointNotFound: the document has no entry ``to``.
            BrokenEntries: some are missing, or cannot be read.
        """

        def take(batch: list[Entry]) -> None:
            replay.take(batch)
            if deliveries is not None:
                left_out = {refused.seq for refused in replay.left_out}
                for entry in batch:
                    if entry.seq not in left_out:
                        deliveries.add(entry)

        if after == to:
            return True
        expected = after + 1
        batch: list[Entry] = []
        dropped = False
        try:
            async for entry in self._store.entries(document, after):
                if entry.seq != expected:
                    break
                batch.append(entry)
                expected += 1
                if len(batch) == _BATCH_ENTRIES or entry.seq == to:
                    await self._work(take, batch)
                    batch = []
                if entry.seq == to:
                    return True
        except EntriesDropped:
            dropped = True
        newest = await self.newest(document)
        if newest < to:
            raise PointNotFound(
                f"expected a seq up to {newest} of {document!r}, got {to}", document
            )
        if dropped or (await self._store.base(document)).seq > after:
            return False
        what = f"expected entries {expected}..{to} of {document!r}, got some that are missing"
        raise BrokenEntries(what, expected, to)

    async def _window(self, document: str, last: int) -> Sequence[Entry]:
        """Reads entries from one backwards, some at a time; none where there are no older ones."""
        while last > 0:
            batch: list[Entry] = []
            with suppress(EntriesDropped):
                async for entry in self._store.entries(document, max(last - _BATCH_ENTRIES, 0)):
                    if entry.seq > last:
                        break
                    batch.append(entry)
                return batch[::-1]
        return ()

    async def _find_time(self, document: str, time: datetime, newest: int) -> int:
        time_ms = milliseconds(time)
        last = newest
        while batch := await self._window(document, last):
            for entry in batch:
                if entry.time_ms <= time_ms:
                    return entry.seq
            last = batch[-1].seq - 1
        if (await self._store.base(document)).seq:  # Now: more may have been dropped meanwhile.
            expected = f"expected a time since the history of {document!r} begins"
            raise PointNotFound(f"{expected}, got {time.isoformat()}", document)
        return 0

    async def _pinned_at(self, document: str, seq: int) -> bool:
        versions = await self._store.versions(document)
        return any(version.pinned and version.seq == seq for version in versions)

    async def _pin(self, document: str, name: str) -> bytes | None:
        try:
            return await self._store.pinned(document, name)
        except VersionNotFound:  # Removed a moment ago.
            return None

    async def _work(self, call: Callable[[*_Ts], _T], *arguments: *_Ts) -> _T:
        return await anyio.to_thread.run_sync(call, *arguments, limiter=self._turns)

    @staticmethod
    def _join(document: str, replay: Replay, state: bytes) -> None:
        try:
            replay.join(state)
        except PoisonedUpdate as error:
            what = f"expected a state of {document!r} that applies, got: {error}"
            raise BrokenDocument(what, document) from error

    @staticmethod
    def _check_begun(document: str, seq: int, oldest: int) -> None:
        if seq < oldest:
            expected = f"expected a seq of {oldest} or more of {document!r}"
            raise PointNotFound(f"{expected}, as its history begins there, got {seq}", document)
