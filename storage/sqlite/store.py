"""SQLiteStore: documents in one SQLite file."""

import contextlib
import os
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import anyio
import anyio.to_thread

from collab.access import check_name
from collab.archive import Base, Retention, Step, Terms
from collab.errors import DocumentNotFound, StoreError, StoreUnavailable
from collab.quarantine import Outcome, Refused
from collab.revocation import Revoked
from collab.storage.archivist import Archivist
from collab.storage.checks import check_bounds
from collab.storage.sqlite.archive import SQLiteArchive
from collab.storage.sqlite.archive_rows import read_base, write_retention
from collab.storage.sqlite.connection import Synchronous, prepare, rebuild
from collab.storage.sqlite.log_reader import read_entries, read_head, read_stored, read_summaries
from collab.storage.sqlite.log_writer import LogWriter
from collab.storage.sqlite.quarantine import read_quarantine, write_quarantine
from collab.storage.sqlite.reader_pool import ReaderPool
from collab.storage.sqlite.revocation_rows import read_revocations, write_revocation
from collab.storage.sqlite.trash_rows import (
    copy_rows,
    erase_rows,
    read_tombstones,
    remove_mark,
    remove_tombstone,
    write_tombstone,
)
from collab.storage.sqlite.version_rows import (
    delete_version,
    insert_version,
    read_pin,
    read_versions,
    write_pin,
)
from collab.storage.stream import EntryStream
from collab.store import Append, Entry, Stored, Summary
from collab.trash import Tombstone
from collab.versions import Version

_T = TypeVar("_T")

_READERS = 4
"""Reads that run at once; others wait their turn. More than the cores hardly helps."""


class SQLiteStore:
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
        self._writer = LogWriter(
            self._path, synchronous=self._synchronous, busy_seconds=self._busy_seconds
        )
        self._read_limiter = anyio.CapacityLimiter(_READERS)
        self._readers = ReaderPool(self._path, size=_READERS, busy_seconds=self._busy_seconds)
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

    async def append(self, appends: Sequence[Append]) -> Sequence[int]:
        """Adds changes to any number of documents in one transaction; see ``Store.append``."""
        self._check_open()
        return await anyio.to_thread.run_sync(
            self._writer.append, appends, limiter=self._write_limiter
        )

    async def load(self, document: str) -> Stored:
        """Reads what is needed to open a document; see ``Store.load``."""
        check_name(document)
        return await self._read(partial(read_stored, document=document))

    def entries(self, document: str, after_seq: int = 0) -> AsyncIterator[Entry]:
        """Streams a document's log in order of seq; see ``Store.entries``."""
        seq = max(after_seq, 0)
        head: tuple[int, int] | None = None
        begun = False

        async def read_batch() -> Sequence[Entry]:
            nonlocal seq, head, begun
            if head is None:
                head = await self._read(partial(read_head, document=check_name(document)))
            if head is None:
                raise DocumentNotFound(document)
            document_id, newest_seq = head
            batch = await self._read(
                partial(read_entries, document_id=document_id, after_seq=seq, newest_seq=newest_seq)
            )
            if begun and seq < newest_seq and (not batch or batch[0].seq != seq + 1):
                raise StoreUnavailable(
                    f"expected entry {seq + 1} of {document!r}, got a log that was cut meanwhile"
                )
            if batch:
                begun = True
                seq = batch[-1].seq
            return batch

        return EntryStream(read_batch)

    async def documents(
        self, prefix: str = "", after: str = "", limit: int = 1000
    ) -> Sequence[Summary]:
        """Lists documents in order of name; see ``Store.documents``."""
        check_bounds(prefix, after)
        return await self._read(partial(read_summaries, prefix=prefix, after=after, limit=limit))

    async def base(self, document: str) -> Base:
        """Reads where the history of a document begins; see ``Archive.base``."""
        return await self._read(partial(read_base, document=document))

    async def retain(self, document: str, retention: Retention | None) -> None:
        """Sets how long a document's entries are kept; see ``Archive.retain``."""
        await self._write(partial(write_retention, document=document, retention=retention))

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

    async def quarantine(self, document: str, refused: Sequence[Refused]) -> Outcome:
        """Keeps updates aside that could not be taken in; see ``Quarantine.quarantine``."""
        check_name(document)
        return await self._write(partial(write_quarantine, document=document, refused=refused))

    async def quarantined(self, document: str) -> Sequence[Refused]:
        """Reads what is kept aside under a name; see ``Quarantine.quarantined``."""
        check_name(document)
        return await self._read(partial(read_quarantine, document=document))

    async def revoke(self, revoked: Revoked) -> None:
        """Remembers a revocation durably; see ``RevocationStore.revoke``."""
        await self._write(partial(write_revocation, revoked=revoked))

    async def revocations(self) -> Sequence[Revoked]:
        """Reads all revocations; see ``RevocationStore.revocations``."""
        return await self._read(read_revocations)

    async def delete(self, document: str, *, time_ms: int, author: str | None = None) -> Tombstone:
        """Puts a document under a tombstone; see ``Trash.delete``."""
        return await self._write(
            partial(write_tombstone, document=document, time_ms=time_ms, author=author)
        )

    async def undelete(self, document: str) -> None:
        """Brings a deleted document back; see ``Trash.undelete``."""
        await self._write(partial(remove_tombstone, document=document))

    async def erase(self, document: str, *, deleted_ms: int | None = None) -> None:
        """Erases a deleted document; see ``Trash.erase``."""
        await self._write(partial(erase_rows, document=document, deleted_ms=deleted_ms))
        await anyio.to_thread.run_sync(self._writer.empty_log, limiter=self._write_limiter)

    async def readmit(self, document: str) -> None:
        """Lets an erased name be used anew; see ``Trash.readmit``."""
        await self._write(partial(remove_mark, document=document))

    async def tombstones(
        self, prefix: str = "", after: str = "", limit: int = 1000
    ) -> Sequence[Tombstone]:
        """Lists deleted documents; see ``Trash.tombstones``."""
        check_bounds(prefix, after)
        return await self._read(partial(read_tombstones, prefix=prefix, after=after, limit=limit))

    async def duplicate(self, document: str, copy: str) -> None:
        """Copies a document with its history; see ``Trash.duplicate``."""
        await self._write(partial(copy_rows, document=document, copy=copy))

    async def add_version(self, document: str, version: Version) -> None:
        """Names a point of a document; see ``VersionStore.add_version``."""
        await self._write(partial(insert_version, document=document, version=version))

    async def versions(self, document: str) -> Sequence[Version]:
        """Lists a document's versions; see ``VersionStore.versions``."""
        return await self._read(partial(read_versions, document=document))

    async def remove_version(self, document: str, name: str) -> None:
        """Forgets a version; see ``VersionStore.remove_version``."""
        await self._write(partial(delete_version, document=document, name=name))

    async def pin_version(self, document: str, name: str, update: bytes) -> None:
        """Keeps a version's content beside the log; see ``VersionStore.pin_version``."""
        await self._write(partial(write_pin, document=document, name=name, update=update))

    async def pinned(self, document: str, name: str) -> bytes | None:
        """Reads a version's pinned content; see ``VersionStore.pinned``."""
        return await self._read(partial(read_pin, document=document, name=name))

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
        return await anyio.to_thread.run_sync(self._readers.read, read, limiter=self._read_limiter)


def _bytes_on_disk(path: Path) -> int:
    sizes = []
    for suffix in ("", "-wal"):
        with contextlib.suppress(FileNotFoundError):
            sizes.append(path.with_name(path.name + suffix).stat().st_size)
    return sum(sizes)
