"""PostgresStore: documents in a Postgres database."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

import anyio
import anyio.to_thread

from collab.archive import Step, Terms
from collab.errors import StoreError
from collab.storage.archivist import Archivist
from collab.storage.checks import check_bounds
from collab.storage.postgres import rows
from collab.storage.postgres.archive import PostgresArchive
from collab.storage.postgres.connection import Connection, Database
from collab.storage.postgres.log_writer import LogWriter
from collab.storage.postgres.migrations import migrate
from collab.storage.row_store import RowStore
from collab.store import Append, Appended

_T = TypeVar("_T")

_CALLS = 4
"""Calls that run at once beside an append and a compaction; others wait their turn."""

_CONNECTIONS = _CALLS + 4
"""More than calls: asyncio's own cancel() gives a turn back while its call still runs."""

_TABLES_BYTES = """
    SELECT coalesce(sum(pg_total_relation_size(oid)), 0) FROM pg_class
    WHERE relnamespace = 'collab'::regnamespace AND relkind = 'r'
"""


class PostgresStore(RowStore[Connection]):
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
        super().__init__(rows)
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

    async def append(self, appends: Sequence[Append]) -> Sequence[Appended]:
        """Adds changes to any number of documents in one transaction; see ``Store.append``."""
        self._check_open()
        return await self._run(partial(self._writer.append, appends), self._append_limiter)

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
                if not tables.claim(tables.read_filed(document, terms.now_ms)):
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

        return await self._read(size)

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

        return await self._read(transact)

    async def _read(self, read: Callable[[Connection], _T]) -> _T:
        self._check_open()
        return await self._run(partial(self._connected, read), self._limiter)

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
