"""PostgresStore: documents in a Postgres database."""

from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
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
from collab.storage.postgres.archive import PostgresArchive, read_base, write_retention
from collab.storage.postgres.connection import Connection, Database
from collab.storage.postgres.log_reader import (
    read_entries,
    read_head,
    read_stored,
    read_summaries,
    see_one_moment,
)
from collab.storage.postgres.log_writer import LogWriter
from collab.storage.postgres.migrations import migrate
from collab.storage.postgres.quarantine import read_quarantine, write_quarantine
from collab.storage.postgres.revocation_rows import read_revocations, write_revocation
from collab.storage.postgres.trash_rows import (
    copy_rows,
    erase_rows,
    read_tombstones,
    remove_mark,
    remove_tombstone,
    write_tombstone,
)
from collab.storage.postgres.version_rows import (
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

_CALLS = 4
"""Calls that run at once beside an append and a compaction; others wait their turn."""

_CONNECTIONS = _CALLS + 4
"""More than calls: asyncio's own cancel() gives a turn back while its call still runs."""

_TABLES_BYTES = """
    SELECT coalesce(sum(pg_total_relation_size(oid)), 0) FROM pg_class
    WHERE relnamespace = 'collab'::regnamespace AND relkind = 'r'
"""


class PostgresStore:
    """A Store in the schema ``collab`` of a Postgres database.

    It keeps the contract of ``collab.store`` among any number of processes on any machines. Every
    call runs in a worker thread, so that it is the same on asyncio and trio: ``append`` calls one
    after the other, others beside them.

    Args:
        address: ``postgresql://...`` or any other that libpq takes.
        create: whether entering makes a store where there is none. Without it a store is found or
            refused.
        wait_seconds: how long a call waits for a connection, or for another transaction's lock,
            before it raises ``StoreUnavailable``.

    Raises:
        SettingsError: this is no such address.
    """

    def __init__(self, address: str, *, create: bool = True, wait_seconds: float = 5.0) -> None:
        self._database = Database(address, wait_seconds=wait_seconds)
        self._create = create
        self._open = False

    async def __aenter__(self) -> "PostgresStore":
        """Opens the store, making or migrating its tables if need be.

        Raises:
            StoreNotFound: there is no store, and ``create`` is false; nothing has been made.
            StoreError: the database cannot be one, or the store is open already.
            StoreVersionError: it was written by a newer collab.
            StoreUnavailable: a passing failure.
        """
        if self._open:
            raise StoreError(
                f"expected {self._database.shown} not to be open yet, got a store that is"
            )
        await anyio.to_thread.run_sync(self._prepare)
        # As in SQLiteStore: limiters let calls in by turns, writer and pool hold on by themselves.
        self._append_limiter = anyio.CapacityLimiter(1)
        self._limiter = anyio.CapacityLimiter(_CALLS)
        self._compaction_limiter = anyio.CapacityLimiter(1)
        self._pool = self._database.pool(_CONNECTIONS)
        await anyio.to_thread.run_sync(self._pool.open)
        self._writer = LogWriter(self._pool)
        self._open = True
        return self

    async def __aexit__(self, *exception: object) -> None:
        """Closes the store; calls under way are finished first."""
        self._open = False
        with anyio.CancelScope(shield=True):
            # Limiters let in by order of coming: holding every turn, all calls are done.
            await self._append_limiter.acquire_on_behalf_of(object())
            await self._compaction_limiter.acquire_on_behalf_of(object())
            for _ in range(_CALLS):
                await self._limiter.acquire_on_behalf_of(object())
            await anyio.to_thread.run_sync(self._pool.close)

    async def append(self, appends: Sequence[Append]) -> Sequence[int]:
        """Adds changes to any number of documents in one transaction; see ``Store.append``."""
        self._check_open()
        return await self._run(partial(self._writer.append, appends), self._append_limiter)

    async def load(self, document: str) -> Stored:
        """Reads what is needed to open a document; see ``Store.load``."""
        check_name(document)
        return await self._call(partial(read_stored, document=document))

    def entries(self, document: str, after_seq: int = 0) -> AsyncIterator[Entry]:
        """Streams a document's log in order of seq; see ``Store.entries``."""
        seq = max(after_seq, 0)
        head: tuple[int, int] | None = None
        begun = False

        async def read_batch() -> Sequence[Entry]:
            nonlocal seq, head, begun
            if head is None:
                head = await self._call(partial(read_head, document=check_name(document)))
            if head is None:
                raise DocumentNotFound(document)
            document_id, newest_seq = head

            def read(connection: Connection) -> Sequence[Entry]:
                with connection.transaction():
                    see_one_moment(connection)
                    return read_entries(connection, document_id, seq, newest_seq)

            batch = await self._call(read)
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
        return await self._call(partial(read_summaries, prefix=prefix, after=after, limit=limit))

    async def base(self, document: str) -> Base:
        """Reads where the history of a document begins; see ``Archive.base``."""
        return await self._call(partial(read_base, document=document))

    async def retain(self, document: str, retention: Retention | None) -> None:
        """Sets how long a document's entries are kept; see ``Archive.retain``."""
        await self._write(partial(write_retention, document=document, retention=retention))

    async def due(self, terms: Terms, after: str = "") -> Sequence[str]:
        """Names documents there is something to do for; see ``Archive.due``."""
        check_bounds("", after)

        def due(connection: Connection) -> Sequence[str]:
            return Archivist(PostgresArchive(connection)).due(terms, after)

        return await self._archive(due)

    async def compact(self, document: str, terms: Terms) -> Step:
        """Does a bounded piece of the work there is for a document; see ``Archive.compact``.

        Where another process is at it, this leaves the document to that one.
        """

        def step(connection: Connection) -> Step:
            tables = PostgresArchive(connection)
            with connection.transaction():
                if not tables.claim(tables.read_filed(document)):
                    return Step(0, more=False)
                return Archivist(tables).step(document, terms)

        return await self._archive(step)

    async def reclaim(self, *, spare: bool = True) -> bool:
        """Leaves free space to Postgres, whose autovacuum uses it anew; see ``Archive.reclaim``."""
        self._check_open()
        return False

    async def rebuild(self) -> None:
        """Writes the tables anew, as small as they can be; see ``Archive.rebuild``."""

        def rebuild(connection: Connection) -> None:
            tables = connection.execute(
                "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables"
                " WHERE schemaname = 'collab'"
            ).fetchall()
            for (table,) in tables:
                connection.execute(f"VACUUM (FULL) {table}")

        await self._archive(rebuild)

    async def bytes_on_disk(self) -> int:
        """Tells the length of the tables and their indexes; see ``Archive.bytes_on_disk``."""

        def size(connection: Connection) -> int:
            (size,) = connection.execute(_TABLES_BYTES).fetchone() or (0,)
            return int(size)

        return await self._call(size)

    async def quarantine(self, document: str, refused: Sequence[Refused]) -> Outcome:
        """Keeps updates aside that could not be taken in; see ``Quarantine.quarantine``."""
        check_name(document)
        return await self._write(partial(write_quarantine, document=document, refused=refused))

    async def quarantined(self, document: str) -> Sequence[Refused]:
        """Reads what is kept aside under a name; see ``Quarantine.quarantined``."""
        check_name(document)
        return await self._call(partial(read_quarantine, document=document))

    async def revoke(self, revoked: Revoked) -> None:
        """Remembers a revocation durably; see ``RevocationStore.revoke``."""
        await self._write(partial(write_revocation, revoked=revoked))

    async def revocations(self) -> Sequence[Revoked]:
        """Reads all revocations; see ``RevocationStore.revocations``."""
        return await self._call(read_revocations)

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

    async def readmit(self, document: str) -> None:
        """Lets an erased name be used anew; see ``Trash.readmit``."""
        await self._write(partial(remove_mark, document=document))

    async def tombstones(
        self, prefix: str = "", after: str = "", limit: int = 1000
    ) -> Sequence[Tombstone]:
        """Lists deleted documents; see ``Trash.tombstones``."""
        check_bounds(prefix, after)
        return await self._call(partial(read_tombstones, prefix=prefix, after=after, limit=limit))

    async def duplicate(self, document: str, copy: str) -> None:
        """Copies a document with its history; see ``Trash.duplicate``."""
        await self._write(partial(copy_rows, document=document, copy=copy))

    async def add_version(self, document: str, version: Version) -> None:
        """Names a point of a document; see ``VersionStore.add_version``."""
        await self._write(partial(insert_version, document=document, version=version))

    async def versions(self, document: str) -> Sequence[Version]:
        """Lists a document's versions; see ``VersionStore.versions``."""
        return await self._call(partial(read_versions, document=document))

    async def remove_version(self, document: str, name: str) -> None:
        """Forgets a version; see ``VersionStore.remove_version``."""
        await self._write(partial(delete_version, document=document, name=name))

    async def pin_version(self, document: str, name: str, update: bytes) -> None:
        """Keeps a version's content beside the log; see ``VersionStore.pin_version``."""
        await self._write(partial(write_pin, document=document, name=name, update=update))

    async def pinned(self, document: str, name: str) -> bytes | None:
        """Reads a version's pinned content; see ``VersionStore.pinned``."""
        return await self._call(partial(read_pin, document=document, name=name))

    def _prepare(self) -> None:
        with self._database.errors(), self._database.connect() as connection:
            migrate(connection, self._database.shown, create=self._create)

    def _check_open(self) -> None:
        if not self._open:
            raise StoreError(
                f"expected {self._database.shown} to be open, got a store that is closed"
            )

    async def _write(self, write: Callable[[Connection], _T]) -> _T:
        def transact(connection: Connection) -> _T:
            with connection.transaction():
                return write(connection)

        return await self._call(transact)

    async def _call(self, call: Callable[[Connection], _T]) -> _T:
        self._check_open()
        return await self._run(partial(self._connected, call), self._limiter)

    async def _archive(self, work: Callable[[Connection], _T]) -> _T:
        self._check_open()
        return await self._run(partial(self._connected, work), self._compaction_limiter)

    def _connected(self, call: Callable[[Connection], _T]) -> _T:
        with self._pool.connection() as connection:
            return call(connection)

    async def _run(self, work: Callable[[], _T], limiter: anyio.CapacityLimiter) -> _T:
        def run() -> _T:
            with self._database.errors():
                return work()

        return await anyio.to_thread.run_sync(run, limiter=limiter)
