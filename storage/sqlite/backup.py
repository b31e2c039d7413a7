"""Backups of a SQLite store: a copy in one file, taken and put back while nothing is lost.

A backup is one read transaction, so it is the store at one moment: everything acknowledged before
it began, and nothing half. Writers go on meanwhile; what they write stays in the write-ahead log
until the copy is done (https://www.sqlite.org/wal.html, section 6). Both ways end in a rename of a
file that was checked and is on the disk: killed at any moment, they leave the old file or the new.
"""

import os
import secrets
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from collab.errors import StoreError, StoreNotFound, StoreOwned
from collab.storage.sqlite.connection import connect, store_errors
from collab.storage.sqlite.ownership import owned
from collab.storage.sqlite.store_copy import (
    BESIDE,
    BUSY_SECONDS,
    Backup,
    Progress,
    check_copy,
    copy_store,
    expect_alone,
    file_errors,
    keep_aside,
    put_in_place,
    set_mode,
    sync_folder,
    temporary_beside,
)

_DAMAGED = frozenset({sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT})


def write_backup(store: Path, target: Path, *, overwrite: bool, progress: Progress) -> Backup:
    """Copies a store into a file, whoever has it open meanwhile.

    Args:
        store: the store's file.
        target: the file to make; it appears whole and checked, or not at all.
        overwrite: whether to replace what is there.
        progress: hears how it goes.

    Raises:
        StoreNotFound: there is no store.
        StoreError: the store is damaged, or ``target`` is there or can't be written.
        StoreUnavailable: a passing failure.
    """
    if not store.exists():
        raise StoreNotFound(str(store))
    target = target.absolute()
    if target.exists() and target.samefile(store):
        raise StoreError(f"expected another file than the store's, got {target}")
    if target.exists() and not overwrite:
        raise StoreError(f"expected {target} not to be there, got a file that is")
    expect_alone(target)
    with temporary_beside(target) as copy:
        copy_store(store, copy, progress)
        backup = check_copy(copy)
        with file_errors(target):
            set_mode(copy, store.stat().st_mode)
            if overwrite:
                copy.replace(target)
            else:
                put_in_place(copy, target)
            sync_folder(target)
    return backup


def restore_backup(
    backup: Path, store: Path, *, progress: Progress, late_seconds: float = 2.5
) -> Path | None:
    """Puts a backup in a store's place. Nobody may have the store open.

    Args:
        backup: a file that ``write_backup`` made, or any collab store; it stays as it is.
        store: the store's file; it need not be there.
        progress: hears how it goes.
        late_seconds: how long the old file stays locked after it was replaced. Who began to open it
            just before must give up in that time: longer than ``SQLiteStore``'s ``busy_seconds``.

    Returns:
        Where the file is now that was the store before; None where there was none.

    Raises:
        StoreNotFound: there is no backup.
        StoreOwned: somebody has the store open.
        StoreError: the backup is no store, or damaged; nothing has changed.
        StoreVersionError: a newer collab wrote it.
        StoreUnavailable: a passing failure.
    """
    if not backup.exists():
        raise StoreNotFound(str(backup.absolute()))
    store = store.resolve()
    if store.exists() and backup.samefile(store):
        raise StoreError(f"expected another file than the store's, got {backup}")
    with owned(store), temporary_beside(store) as copy:
        copy_store(backup, copy, progress)
        check_copy(copy)
        if not store.exists():
            expect_alone(store)
            with file_errors(store):
                set_mode(copy, backup.stat().st_mode)
                put_in_place(copy, store)
                sync_folder(store)
            return None
        return _swap(copy, store, late_seconds)


def _swap(copy: Path, store: Path, late_seconds: float) -> Path:
    """Renames a copy to the store, and keeps the old one aside."""
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    aside = store.with_name(f"{store.name}.before-{moment}-{secrets.token_hex(2)}")
    with file_errors(store), store.open("rb") as old, _to_ourselves(store):
        before = store.stat()
        set_mode(copy, before.st_mode)
        with suppress(PermissionError):  # Only root can give files away, and needs to.
            os.chown(copy, before.st_uid, before.st_gid)
        keep_aside(old, store, aside)
        for suffix in BESIDE:
            beside = store.with_name(store.name + suffix)
            if beside.exists():  # It could not be opened: what belongs to it goes with it.
                beside.rename(aside.with_name(aside.name + suffix))
        copy.replace(store)
        sync_folder(store)
        time.sleep(late_seconds)  # Let go earlier, the file aside would be written to.
    return aside


@contextmanager
def _to_ourselves(store: Path) -> Iterator[None]:
    """Locks everybody out of a store's file, with nothing of it left in other files.

    One that is so damaged that SQLite cannot open it is nobody's.

    Raises:
        StoreOwned: somebody has it open.
    """
    with (
        store_errors(store),
        closing(connect(store, create=False, busy_seconds=BUSY_SECONDS)) as connection,
    ):
        try:
            # While anybody has the file open in write-ahead mode, this mode cannot be left.
            (mode,) = connection.execute("PRAGMA journal_mode = DELETE").fetchone()
            connection.execute("BEGIN EXCLUSIVE")
            (after,) = connection.execute("PRAGMA journal_mode").fetchone()
        except sqlite3.DatabaseError as error:
            code = error.sqlite_errorcode & 0xFF
            if code == sqlite3.SQLITE_BUSY:
                raise StoreOwned(str(store)) from error
            if code not in _DAMAGED:
                raise
        else:
            if (mode, after) != ("delete", "delete"):
                raise StoreOwned(str(store))
        yield
