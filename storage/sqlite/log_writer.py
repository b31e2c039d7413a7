"""LogWriter: the group commit into a SQLite store."""

import sqlite3
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from collab.access import check_name
from collab.errors import DocumentDeleted, DocumentExists, StoreError, StoreUnavailable
from collab.storage.checks import check_appends, check_author
from collab.storage.columns import new_epoch
from collab.storage.compression import Form, compress
from collab.storage.sqlite.connection import Synchronous, connect_writer, store_errors
from collab.storage.sqlite.location import Location, Lost
from collab.storage.sqlite.reader_pool import ReaderPool
from collab.storage.sqlite.trash_rows import refuse_deleted
from collab.store import Append, Appended

_T = TypeVar("_T")

_MAX_CACHED = 16_384
"""Documents, and authors, whose row ids are remembered: about 4 MB. Emptied when full."""

_EMPTYING_SECONDS = 0.25
"""How long erasing waits for readers to let go of the write-ahead log. A read takes milliseconds; a
backup may take minutes, and nobody writes while this waits."""

_KEEP_CONNECTION = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_FULL})


class LogWriter:
    """Writes ``append`` calls, one transaction each, over a connection of its own.

    Its methods block and may be called from any thread; they wait for each other.

    Args:
        location: where the store is.
        readers: who reads in this process: they let go of files that are lost.
        synchronous: see ``connect_writer``.
        busy_seconds: how long a transaction waits for another process's lock.
    """

    def __init__(
        self,
        location: Location,
        readers: ReaderPool,
        *,
        synchronous: Synchronous,
        busy_seconds: float,
    ) -> None:
        self._location = location
        self._readers = readers
        self._path = location.path
        self._synchronous: Synchronous = synchronous
        self._busy_seconds = busy_seconds
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._closed = False
        self._lost = False  # Whether another file is in the place of the store's, or none.
        self._to_empty = False  # Whether the write-ahead log may hold what was erased.
        self._version = -1
        self._heads: dict[str, tuple[int, int, str]] = {}  # name -> row id, seq, epoch
        self._author_ids: dict[str, int] = {}

    def append(self, appends: Sequence[Append]) -> list[Appended]:
        """Writes everything in one transaction; see ``Store.append``."""
        check_appends(appends)
        checkpoints = {
            append.document: (len(append.checkpoint), *compress(append.checkpoint, fast=True))
            for append in appends
            if append.checkpoint is not None
        }
        return self._commit(lambda connection: self._write(connection, appends, checkpoints))

    def transact(self, write: Callable[[sqlite3.Connection], _T], *, erases: bool = False) -> _T:
        """Calls ``write`` within a transaction of its own, durable when this returns.

        Args:
            write: takes the connection and may change any row; it neither begins nor commits.
            erases: whether what it deletes must not stay in the write-ahead log, either. That is
                then moved into the file and cut; while somebody reads it, with a later write.

        Returns:
            What ``write`` returned.
        """

        def write_and_forget(connection: sqlite3.Connection) -> _T:
            self._forget()  # It may change the rows that are remembered.
            return write(connection)

        return self._commit(write_and_forget, _EMPTYING_SECONDS if erases else None)

    def empty(self) -> None:
        """Moves the write-ahead log into the file and cuts both, unless somebody reads them."""
        with self._lock, store_errors(self._path):
            if self._connection is not None and not self._lost:
                self._empty(self._connection, wait_seconds=_EMPTYING_SECONDS)

    def check(self) -> None:
        """Looks whether all files are where they were, as each commit does, and lets go if not.

        A read that fails may have come of that, and nobody may write for long.
        """
        with self._lock, store_errors(self._path):
            if self._connection is None or self._lost:
                return
            lost = self._find_lost()
            if lost is not None:
                self._let_go(lost)

    def close(self) -> None:
        """Closes the connection, with the write-ahead log emptied unless somebody reads it.

        Later calls of ``append`` are refused.
        """
        with self._lock, store_errors(self._path):
            self._closed = True
            connection, self._connection = self._connection, None
            if connection is not None:
                if not self._lost:  # What is beside another file is that one's by now.
                    _empty_log(connection, wait_seconds=0)
                connection.close()

    def _commit(
        self, write: Callable[[sqlite3.Connection], _T], emptying_seconds: float | None = None
    ) -> _T:
        with self._lock, store_errors(self._path):
            if self._closed:
                raise StoreError(f"expected {self._path} to be open, got a store that is closed")
            connection = self._connected()
            lost = None
            try:
                connection.execute("BEGIN IMMEDIATE")
                written = write(connection)
                # Under the lock: what another process does about it comes before or after.
                lost = self._location.lost()
                if lost is not None:
                    raise self._location.unavailable(lost)
                connection.execute("COMMIT")
            except BaseException as error:
                if isinstance(error, sqlite3.DatabaseError):
                    lost = self._find_lost()  # It may have come of that.
                self._roll_back(connection, error)
                if lost is not None:
                    self._let_go(lost)
                    raise self._location.unavailable(lost) from error
                raise
            if self._to_empty or emptying_seconds is not None:
                self._empty(connection, wait_seconds=emptying_seconds or 0)
            return written

    def _connected(self) -> sqlite3.Connection:
        """Returns the connection, made where there is none.

        Raises:
            StoreUnavailable: another file is in the place of the store's, or none.
        """
        if self._connection is None or self._lost:
            lost = self._location.look()
            self._lost = lost is not None and lost.is_file
            if lost is not None and self._lost:
                if lost is Lost.REPLACED:
                    self._disconnect()
                raise self._location.unavailable(lost)
        if self._connection is None:
            self._connection = connect_writer(
                self._path, synchronous=self._synchronous, busy_seconds=self._busy_seconds
            )
            # Who has erased something may have been killed right after.
            self._empty(self._connection, wait_seconds=0)
            self._location.note()
        return self._connection

    def _find_lost(self) -> Lost | None:
        try:
            return self._location.look()
        except StoreUnavailable:
            return None  # What has gone wrong already tells more.

    def _let_go(self, lost: Lost) -> None:
        """Moves what is committed into the file, and uses nothing that is lost from then on.

        A file in the place of the store's could be opened with what is beside it, so nothing is
        left in there. A file that was removed stays open, unused: it has no other name. A log that
        is still there may be another process's by now, which has the memory that belongs to it.

        Nobody reads meanwhile. A long read would keep the log from being emptied; and whoever
        begins one while this connection is open shares the memory that is lost, which the next
        connection would share, too, while other processes have what is in its place.
        """
        self._lost = lost.is_file
        if self._connection is not None and lost is Lost.LOG:
            self._empty(self._connection, wait_seconds=_EMPTYING_SECONDS)
            if self._to_empty:
                return  # Somebody reads it: with the next call, which finds the same.
        with self._readers.paused():
            if self._connection is not None and self._lost:
                self._empty(self._connection, wait_seconds=_EMPTYING_SECONDS)
            if lost is not Lost.REMOVED:
                self._disconnect()

    def _disconnect(self) -> None:
        self._forget()
        self._location.forget()
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _empty(self, connection: sqlite3.Connection, *, wait_seconds: float) -> None:
        self._to_empty = not _empty_log(connection, wait_seconds=wait_seconds)
        connection.execute(f"PRAGMA busy_timeout = {int(self._busy_seconds * 1000)}")

    def _write(
        self,
        connection: sqlite3.Connection,
        appends: Sequence[Append],
        checkpoints: Mapping[str, tuple[int, Form, bytes]],
    ) -> list[Appended]:
        # Inside the transaction nobody else can write. data_version is another than last time if
        # and only if another connection has: then what is remembered may be wrong
        # (https://www.sqlite.org/pragma.html#pragma_data_version).
        (version,) = connection.execute("PRAGMA data_version").fetchone()
        if version != self._version or len(self._heads) + len(self._author_ids) > _MAX_CACHED:
            self._forget()
            self._version = version
        updates = []
        heads = []
        states: dict[str, list[tuple[int, int, int, int, bytes]]] = {"checkpoints": [], "bases": []}
        appended = []
        for append in appends:
            head = None if append.begins else self._heads.get(append.document)
            head = head or self._find(connection, append)
            if head is None:
                appended.append(Appended(0, None))
                continue
            document_id, base_seq, epoch = head
            if append.epoch not in (None, epoch):
                raise DocumentDeleted(append.document)
            seq = base_seq
            size = 0
            for entry in append.entries:
                seq += 1
                author_id = None
                if entry.author is not None:
                    author_id = self._author_ids.get(entry.author)
                    if author_id is None:
                        author_id = self._find_author(connection, entry.author)
                updates.append((document_id, seq, entry.time_ms, author_id, entry.update))
                size += len(entry.update)
            if seq != base_seq:
                heads.append((seq, append.entries[-1].time_ms, size, document_id))
                self._heads[append.document] = (document_id, seq, epoch)
            if append.checkpoint is not None and append.base_seq in (None, base_seq):
                # Before any entry it is what the document begins with, and stays.
                table = "checkpoints" if seq else "bases"
                states[table].append((document_id, seq, *checkpoints[append.document]))
            appended.append(Appended(seq, epoch))
        if updates:
            connection.executemany(
                "INSERT INTO updates (document_id, seq, time_ms, author_id, payload)"
                " VALUES (?, ?, ?, ?, ?)",
                updates,
            )
            connection.executemany(
                "UPDATE documents SET seq = ?, updated_ms = ?, bytes = bytes + ? WHERE id = ?",
                heads,
            )
        for table, rows in states.items():
            if rows:
                connection.executemany(
                    f"INSERT OR REPLACE INTO {table} (document_id, seq, bytes, form, payload)"
                    " VALUES (?, ?, ?, ?, ?)",
                    rows,
                )
        return appended

    def _find(self, connection: sqlite3.Connection, append: Append) -> tuple[int, int, str] | None:
        name = check_name(append.document)
        head: tuple[int, int, str] | None = connection.execute(
            "SELECT id, seq, epoch FROM documents WHERE name = ?", (name,)
        ).fetchone()
        if head is None:
            if append.entries:
                created_ms = append.entries[0].time_ms
            elif append.checkpoint is not None:
                created_ms = time.time_ns() // 1_000_000
            else:
                return None
            refuse_deleted(connection, name)
            if append.epoch is not None:
                raise DocumentDeleted(name)
            epoch = new_epoch()
            cursor = connection.execute(
                "INSERT INTO documents (name, created_ms, updated_ms, epoch) VALUES (?, ?, ?, ?)",
                (name, created_ms, created_ms, epoch),
            )
            assert cursor.lastrowid is not None  # an INSERT has one
            head = (cursor.lastrowid, 0, epoch)
        elif append.begins:
            raise DocumentExists(name)
        self._heads[name] = head
        return head

    def _find_author(self, connection: sqlite3.Connection, author: str) -> int:
        check_author(author)
        row: tuple[int] | None = connection.execute(
            "SELECT id FROM authors WHERE name = ?", (author,)
        ).fetchone()
        if row is None:
            cursor = connection.execute("INSERT INTO authors (name) VALUES (?)", (author,))
            assert cursor.lastrowid is not None  # an INSERT has one
            row = (cursor.lastrowid,)
        self._author_ids[author] = row[0]
        return row[0]

    def _roll_back(self, connection: sqlite3.Connection, error: BaseException) -> None:
        self._forget()
        code = getattr(error, "sqlite_errorcode", None)
        try:
            # Some errors have rolled back already (https://www.sqlite.org/lang_transaction.html).
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        except sqlite3.Error:
            code = sqlite3.SQLITE_ERROR
        if code is not None and code & 0xFF not in _KEEP_CONNECTION:
            # After a failed read, write or sync nobody knows what the connection still believes.
            self._disconnect()

    def _forget(self) -> None:
        self._version = -1
        self._heads.clear()
        self._author_ids.clear()


def _empty_log(connection: sqlite3.Connection, *, wait_seconds: float) -> bool:
    """Moves the write-ahead log into the file and cuts it.

    Returns:
        False where it could not: somebody reads it, or the disk or the file is at fault.
    """
    try:
        connection.execute(f"PRAGMA busy_timeout = {int(wait_seconds * 1000)}")
        (busy, _, _) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except sqlite3.Error:
        # Everything committed is safe in the write-ahead log, and must not be taken for lost. The
        # next writer moves it; what is wrong with the file is for the next call to find.
        return False
    return not busy
