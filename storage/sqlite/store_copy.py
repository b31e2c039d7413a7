"""Copies of a SQLite file: taken at one moment, checked, and put under their name by a rename."""

import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from collab.errors import StoreError, StoreUnavailable
from collab.storage.sqlite.connection import connect, connect_reader, store_errors
from collab.storage.sqlite.migrations import pending

Progress = Callable[[int, int], None]
"""Hears how many pages are copied, of how many."""

_STEP_PAGES = 256
"""Pages copied in one go, a megabyte."""

_SYNC_PAGES = 4096
"""Pages after which a copy is synced: one sync at the end would hold up a server's commits."""

_PIECE_BYTES = 1 << 20
"""Bytes copied in one go where a file is copied as it is."""

BUSY_SECONDS = 2.0
"""How long a copy waits for another process's lock."""

BESIDE = ("-wal", "-shm", "-journal")
"""What SQLite keeps beside a file; it would be applied to any other file of that name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """What a backup holds.

    Attributes:
        documents: how many documents.
        bytes: length of the file.
    """

    documents: int
    bytes: int


def copy_store(source: Path, copy: Path, progress: Progress) -> None:
    """Copies a store as it is at one moment; the copy is on the disk when this returns.

    Args:
        source: the store's file.
        copy: the file to make.
        progress: hears how it goes.

    Raises:
        StoreError: ``source`` is no collab store, or damaged.
        StoreVersionError: a newer collab wrote it.
        StoreUnavailable: a passing failure.
    """
    synced = 0

    def step(_status: int, remaining: int, total: int) -> None:
        nonlocal synced
        progress(total - remaining, total)
        if total - remaining - synced >= _SYNC_PAGES:
            synced = total - remaining
            sync(copy)

    with (
        store_errors(source),
        closing(connect_reader(source, busy_seconds=BUSY_SECONDS)) as reader,
    ):
        # Without a transaction around it, a copy begins anew whenever somebody else commits.
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM sqlite_master").fetchone()
        pending(reader)
        with (
            store_errors(copy),
            closing(connect(copy, create=True, busy_seconds=BUSY_SECONDS)) as writer,
        ):
            writer.execute("PRAGMA synchronous = OFF")  # ``_sync`` does it.
            reader.backup(writer, pages=_STEP_PAGES, progress=step)
    with (
        store_errors(copy),
        closing(connect(copy, create=False, busy_seconds=BUSY_SECONDS)) as writer,
    ):
        writer.execute("PRAGMA journal_mode = DELETE").fetchone()  # One file, nothing beside it.
    sync(copy)


def check_copy(copy: Path) -> Backup:
    """Checks that a copy is a store in order.

    Raises:
        StoreError: it is not.
        StoreVersionError: it was written by a newer collab.
    """
    with (
        store_errors(copy),
        closing(connect_reader(copy, busy_seconds=BUSY_SECONDS)) as connection,
    ):
        pending(connection)
        (found,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
        if found != "ok":
            raise StoreError(f"expected a copy in order, got: {found}")
        if connection.execute("PRAGMA foreign_key_check").fetchone() is not None:
            raise StoreError("expected a copy in order, got rows that belong to nothing")
        (documents,) = connection.execute("SELECT count(*) FROM documents").fetchone()
    return Backup(documents=documents, bytes=copy.stat().st_size)


@contextmanager
def temporary_beside(target: Path) -> Iterator[Path]:
    """A name beside a file; what is there in the end is removed."""
    if not target.parent.is_dir():
        raise StoreError(f"expected a directory at {target.parent}, got none")
    temporary = target.with_name(f".{target.name[:200]}.{secrets.token_hex(4)}.tmp")
    try:
        yield temporary
    finally:
        for suffix in ("", *BESIDE):
            temporary.with_name(temporary.name + suffix).unlink(missing_ok=True)


@contextmanager
def file_errors(path: Path) -> Iterator[None]:
    """Turns errors of the file system into errors of the store.

    Args:
        path: the file that is written.

    Raises:
        StoreError: it is there already.
        StoreUnavailable: anything else.
    """
    try:
        yield
    except FileExistsError:
        raise StoreError(f"expected {path} not to be there, got a file that is") from None
    except OSError as error:
        raise StoreUnavailable(f"expected to write {path}, got: {error.strerror}") from error


def put_in_place(copy: Path, target: Path) -> None:
    """Gives a file its name, which nothing may have yet; the name it had may go afterwards.

    Raises:
        FileExistsError: something has it.
        OSError: it cannot be written.
    """
    try:
        target.hardlink_to(copy)  # Unlike a rename, it never replaces.
    except FileExistsError:
        raise
    except OSError:  # FAT, and file systems of some networks, have no second names.
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        try:
            copy.replace(target)
        except BaseException:
            target.unlink()
            raise


def keep_aside(opened: BinaryIO, path: Path, aside: Path) -> None:
    """Gives a file a second name, or its content where there can be none.

    Args:
        opened: the file; it is not closed here: that would end locks of this process on it.
        path: its name.
        aside: the second name; nothing has it yet.

    Raises:
        OSError: it cannot be written.
    """
    try:
        aside.hardlink_to(path)
    except OSError:
        with temporary_beside(aside) as temporary:
            with temporary.open("xb") as kept:
                shutil.copyfileobj(opened, kept, _PIECE_BYTES)
            set_mode(temporary, os.fstat(opened.fileno()).st_mode)
            sync(temporary)
            temporary.replace(aside)


def set_mode(path: Path, mode: int) -> None:
    """Sets who may read and write a file of ours, where the file system knows such a thing."""
    with suppress(PermissionError):  # FAT has one for all files.
        path.chmod(mode & 0o7777)


def expect_alone(path: Path) -> None:
    """Refuses a name beside which SQLite would find what belongs to another file."""
    for suffix in BESIDE:
        beside = path.with_name(path.name + suffix)
        if beside.exists():
            raise StoreError(f"expected nothing at {beside}, got a file of another database")


def sync(path: Path) -> None:
    """Waits until a file is on the disk."""
    with file_errors(path):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def sync_folder(path: Path) -> None:
    """Waits until a file's name is on the disk."""
    sync(path.parent)
