"""SQLite connections to a store's file, and what their errors mean."""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from collab.errors import StoreError, StoreNotFound, StoreUnavailable
from collab.storage.sqlite.migrations import is_blank, migrate, pending

Synchronous = Literal["FULL", "NORMAL"]

_PASSING = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,  # also: out of file descriptors
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_PROTOCOL,  # the race for a WAL lock was lost too often
    }
)
"""Primary result codes (https://www.sqlite.org/rescode.html) of failures that may pass."""

_WAL_PAGES = 4000
"""Length at which a commit moves the write-ahead log into the file: 16 MB. SQLite's 1000 pages made
one commit in a hundred wait ten times as long (p99 5.7 ms against 0.5)."""

_WAL_LIMIT_BYTES = 64 << 20
"""Length to which the write-ahead log is cut once moved: a long read may have let it grow."""


INCREMENTAL = 2
"""How ``PRAGMA auto_vacuum`` calls files that give space back when told; older ones do not."""


@contextmanager
def store_errors(path: Path) -> Iterator[None]:
    """Turns errors of SQLite into errors of the store.

    Raises:
        StoreUnavailable: the disk is full, the file locked, or input and output failed.
        StoreError: anything else, a file that is no SQLite database among it.
    """
    try:
        yield
    except sqlite3.Error as error:
        # Errors that the sqlite3 module finds by itself (a blob over 2 GB) have no code.
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        if code in _PASSING:
            raise StoreUnavailable(f"expected {path} to be available, got: {error}") from error
        if code == sqlite3.SQLITE_NOTADB:
            raise StoreError(f"expected a collab store in {path}, got: {error}") from error
        if code == sqlite3.SQLITE_READONLY:
            raise StoreError(f"expected {path} to be writable, got: {error}") from error
        raise StoreError(f"expected {path} to be in order, got: {error}") from error


def connect(path: Path, *, create: bool, busy_seconds: float) -> sqlite3.Connection:
    """Opens a connection in autocommit mode, usable from any thread.

    Args:
        path: absolute path of the file.
        create: whether to make a file that is not there.
        busy_seconds: how long a statement waits for another process's lock.
    """
    mode = "rwc" if create else "rw"
    return sqlite3.connect(
        f"file:{quote(os.fsencode(path))}?mode={mode}",
        uri=True,
        timeout=busy_seconds,
        isolation_level=None,
        check_same_thread=False,
    )


def connect_reader(path: Path, *, busy_seconds: float) -> sqlite3.Connection:
    """Opens a connection that cannot write."""
    connection = connect(path, create=False, busy_seconds=busy_seconds)
    connection.execute("PRAGMA query_only = ON")
    return connection


def connect_writer(
    path: Path, *, synchronous: Synchronous, busy_seconds: float
) -> sqlite3.Connection:
    """Opens a connection whose commits are durable, and that overwrites what it deletes.

    Args:
        path: absolute path of the file.
        synchronous: ``FULL`` syncs the write-ahead log at each commit; ``NORMAL`` may lose the last
            commits with the machine, but not with the process, and never harms the file.
        busy_seconds: how long a transaction waits for another process's lock.
    """
    connection = connect(path, create=False, busy_seconds=busy_seconds)
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    # What was erased must not stand in free pages: those of earlier checkpoints among them.
    connection.execute("PRAGMA secure_delete = ON")
    connection.execute(f"PRAGMA wal_autocheckpoint = {_WAL_PAGES}")
    connection.execute(f"PRAGMA journal_size_limit = {_WAL_LIMIT_BYTES}")
    return connection


def prepare(path: Path, *, create: bool, busy_seconds: float) -> None:
    """Makes sure that a file is a store of this version, creating or migrating it if need be.

    Args:
        path: absolute path of the file.
        create: whether to make a store where there is none. A file that is there must be writable
            then, to find that out here and not at the first append; otherwise a store of this
            version is only read.
        busy_seconds: how long to wait for another process's lock.

    Raises:
        StoreNotFound: there is no file and ``create`` is false; nothing has been made.
        StoreError: the file is not a collab store, or there is no folder to make it in,
            or none that may be written.
        StoreVersionError: it was written by a newer collab.
        StoreUnavailable: a passing failure.
    """
    try:
        _check_file(path, create=create)
    except OSError as error:
        raise StoreError(f"expected {path} to be readable, got: {error.strerror}") from error
    with (
        store_errors(path),
        closing(connect(path, create=create, busy_seconds=busy_seconds)) as connection,
    ):
        if is_blank(connection):
            if not create:
                raise StoreError(f"expected a collab store in {path}, got an empty database")
        elif not pending(connection) and not create:
            return
        # A step may copy what is in the store, and leave pages behind.
        connection.execute("PRAGMA secure_delete = ON")
        if is_blank(connection):  # It takes effect before the first page alone.
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        mode = _use_write_ahead_log(connection, busy_seconds=busy_seconds)
        if mode != "wal":
            raise StoreError(f"expected {path} to allow a write-ahead log, got mode {mode!r}")
        migrate(connection)


def rebuild(path: Path, *, busy_seconds: float) -> None:
    """Writes a store's file anew without a free page, and able to give pages back from then on.

    Args:
        path: absolute path of a store that ``prepare`` has seen.
        busy_seconds: how long to wait for another process's lock.

    Raises:
        StoreUnavailable: somebody else uses it, or there is not as much space again on the disk.
    """
    with (
        store_errors(path),
        closing(connect_writer(path, synchronous="FULL", busy_seconds=busy_seconds)) as connection,
    ):
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("VACUUM")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()


def _check_file(path: Path, *, create: bool) -> None:
    if path.is_dir():
        raise StoreError(f"expected a file at {path}, got a directory")
    if path.exists():
        # Not by opening it: closing a file drops the locks that SQLite holds on it anywhere in this
        # process (https://www.sqlite.org/howtocorrupt.html, section 2.2).
        for right, what in ((os.R_OK, "readable"), (os.W_OK if create else os.F_OK, "writable")):
            _check_right(path, right, what)
    elif not create:
        raise StoreNotFound(str(path))
    elif not path.parent.is_dir():
        raise StoreError(f"expected a directory at {path.parent} to make a store in, got none")
    if create:
        # For the write-ahead log, which SQLite makes beside the file.
        _check_right(path.parent, os.W_OK | os.X_OK, "writable")


def _check_right(path: Path, right: int, what: str) -> None:
    if not os.access(path, right, effective_ids=os.access in os.supports_effective_ids):
        raise StoreError(f"expected {path} to be {what}, got no permission")


def _use_write_ahead_log(connection: sqlite3.Connection, *, busy_seconds: float) -> str:
    # Where another process has begun to write, SQLite fails at once here, whatever its timeout: two
    # processes that make a store at the same moment would meet that.
    deadline = time.monotonic() + busy_seconds
    while True:
        try:
            (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.005)
        else:
            return str(mode)
