"""SQLiteStore: documents in one SQLite file."""

import contextlib
import os
import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import anyio
import anyio.to_thread

from collab.archive import Step, Terms
from collab.errors import StoreError, StoreUnavailable
from collab.storage.archivist import Archivist
from collab.storage.checks import check_bounds
from collab.storage.row_store import RowStore
from collab.storage.sqlite import rows
from collab.storage.sqlite.archive import SQLiteArchive
from collab.storage.sqlite.connection import Synchronous, prepare, rebuild
from collab.storage.sqlite.location import Location
from collab.storage.sqlite.log_writer import LogWriter
from collab.storage.sqlite.neighbours import Neighbours
from collab.storage.sqlite.reader_pool import ReaderPool
from collab.store import Append, Appended

_T = TypeVar("_T")

_READERS = 4
"""Reads that run at once; others wait their turn. More than the cores hardly helps."""


class SQLiteStore(RowStore[sqlite3.Connection]):
    """A Store in one SQLite file, with its write-ahead log beside it while it is in use.

    It keeps the contract of ``collab.store`` among any number of processes on one machine. Every
    call runs in a worker thread: ``append`` calls one after the other, reads beside them.

    Args:
        path: the file; a relative path is taken from the working directory now.
        create: whether entering makes a store where there is none. Without it a store is found or
            refused, and files are only written by ``append`` or to migrate an older store.
        synchronous: ``FULL`` keeps what was appended through a loss of power; ``NORMAL`` only
            through the death of the process, at a fraction of the cost.
        busy_seconds: how long a call waits for another process's lock before it raises
            ``StoreUnavailable``.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        create: bool = True,
        synchronous: Synchronous = "FULL",
        busy_seconds: float = 2.0,
    ) -> None:
        super().__init__(rows)
        self._path = Path(path).absolute()
        self._create = create
        self._busy_seconds = busy_seconds
        self._open = False
        self._synchronous: Synchronous = synchronous

    async def __aenter__(self) -> "SQLiteStore":
        """Opens the store, making or migrating the file if need be.

        Raises:
            StoreNotFound: there is no file, and ``create`` is false; nothing has been made.
            StoreError: the file is not a collab store, or it is open already.
            StoreVersionError: it was written by a newer collab.
            StoreUnavailable: a passing failure.
        """
        await anyio.to_thread.run_sync(
            partial(prepare, self._path, create=self._create, busy_seconds=self._busy_seconds)
        )
        if self._open:
            raise StoreError(f"expected {self._path} not to be open yet, got a store that is")
        # A limiter lets calls in by turns. The writer and the pool hold on by themselves to what a
        # thread uses: asyncio's own cancel() gives a turn back while the thread still runs.
        self._write_limiter = anyio.CapacityLimiter(1)
        self._read_limiter = anyio.CapacityLimiter(_READERS)
        self._location = Location(self._path)
        self._readers = ReaderPool(self._location, size=_READERS, busy_seconds=self._busy_seconds)
        self._writer = LogWriter(
            self._location,
            self._readers,
            synchronous=self._synchronous,
            busy_seconds=self._busy_seconds,
        )
        self._compaction_limiter = anyio.CapacityLimiter(1)
        self._tables = SQLiteArchive(self._readers, self._writer)
        self._archivist = Archivist(self._tables)
        self._open = True
        return self

    async def __aexit__(self, *exception: object) -> None:
        """Closes the store; calls under way are finished first."""
        self._open = False
        with anyio.CancelScope(shield=True):
            # Limiters let in by order of coming: holding every turn, all calls are done.
            await self._compaction_limiter.acquire_on_behalf_of(object())
            for _ in range(_READERS):
                await self._read_limiter.acquire_on_behalf_of(object())
            await anyio.to_thread.run_sync(self._readers.close)
            await anyio.to_thread.run_sync(self._writer.close, limiter=self._write_limiter)

    def neighbours(self) -> Neighbours:
        """Finds out whether another process serves this store, for whoever serves it, too."""
        return Neighbours(self._path)

    async def append(self, appends: Sequence[Append]) -> Sequence[Appended]:
        """Adds changes to any number of documents in one transaction; see ``Store.append``."""
        self._check_open()
        return await anyio.to_thread.run_sync(
            self._writer.append, appends, limiter=self._write_limiter
        )

    async def due(self, terms: Terms, after: str = "") -> Sequence[str]:
        """Names documents there is something to do for; see ``Archive.due``."""
        check_bounds("", after)
        return await self._archive(partial(self._archivist.due, terms, after))

    async def compact(self, document: str, terms: Terms) -> Step:
        """Does a bounded piece of the work there is for a document; see ``Archive.compact``."""
        return await self._archive(partial(self._archivist.step, document, terms))

    async def reclaim(self, *, spare: bool = True) -> bool:
        """Gives a part of the file's free space back; see ``Archive.reclaim``."""
        return await self._archive(partial(self._tables.reclaim, spare=spare))

    async def rebuild(self) -> None:
        """Writes the file anew, as small as it can be; see ``Archive.rebuild``."""
        await self._archive(partial(rebuild, self._path, busy_seconds=self._busy_seconds))

    async def bytes_on_disk(self) -> int:
        """Tells the length of the file and of what is beside it; see ``Archive.bytes_on_disk``."""
        return await self._archive(partial(_bytes_on_disk, self._path))

    async def erase(self, document: str, *, deleted_ms: int | None = None) -> None:
        """Erases a deleted document; see ``Trash.erase``."""
        self._check_open()
        erase = partial(rows.erase_rows, document=document, deleted_ms=deleted_ms)
        await anyio.to_thread.run_sync(
            partial(self._writer.transact, erase, erases=True), limiter=self._write_limiter
        )

    def _check_open(self) -> None:
        if not self._open:
            raise StoreError(f"expected {self._path} to be open, got a store that is closed")

    async def _write(self, write: Callable[[sqlite3.Connection], _T]) -> _T:
        self._check_open()
        return await anyio.to_thread.run_sync(
            partial(self._writer.transact, write), limiter=self._write_limiter
        )

    async def _archive(self, work: Callable[[], _T]) -> _T:
        self._check_open()
        return await anyio.to_thread.run_sync(work, limiter=self._compaction_limiter)

    async def _read(self, read: Callable[[sqlite3.Connection], _T]) -> _T:
        self._check_open()
        try:
            return await anyio.to_thread.run_sync(
                self._readers.read, read, limiter=self._read_limiter
            )
        except StoreUnavailable:
            await anyio.to_thread.run_sync(self._writer.check, limiter=self._write_limiter)
            raise


def _bytes_on_disk(path: Path) -> int:
    path = path.resolve()  # SQLite names what is beside a file after what a link points to.
    sizes = []
    for suffix in ("", "-wal"):
        with contextlib.suppress(FileNotFoundError):
            sizes.append(path.with_name(path.name + suffix).stat().st_size)
    return sum(sizes)
