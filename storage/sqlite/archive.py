"""SQLiteArchive: the tables that compaction works on, and the free space, of a SQLite store."""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeVar

from collab.archive import Base
from collab.storage.compaction import pages_to_free
from collab.storage.filed import Filed, Packed, PackedBlock
from collab.storage.sqlite.archive_rows import (
    read_base,
    read_block_rest,
    read_filed,
    read_page,
    read_unpinned,
    write_base,
    write_block,
    write_checkpoint,
)
from collab.storage.sqlite.connection import INCREMENTAL
from collab.storage.sqlite.log_reader import read_entries, read_state
from collab.storage.sqlite.log_writer import LogWriter
from collab.storage.sqlite.reader_pool import ReaderPool
from collab.store import Entry

_T = TypeVar("_T")

_FREE_AT_ONCE = 256
"""Pages that one step gives back: a megabyte, some milliseconds."""


class SQLiteArchive:
    """Reads beside the appends and writes between them; see ``ArchiveTables``.

    Args:
        readers: where it reads.
        writer: where it writes, each time in a transaction of its own.
    """

    def __init__(self, readers: ReaderPool, writer: LogWriter) -> None:
        self._readers = readers
        self._writer = writer

    def read_page(self, after: str, limit: int, now_ms: int) -> Sequence[Filed]:
        """The next documents in order of name, as they are at a time."""
        return self._read(partial(read_page, after=after, limit=limit, now_ms=now_ms))

    def read_filed(self, document: str, now_ms: int) -> Filed:
        """A document; see ``ArchiveTables.read_filed``."""
        return self._read(partial(read_filed, document=document, now_ms=now_ms))

    def read_state(self, filed: Filed) -> Base:
        """The newest whole state, checkpoint or base."""
        seq, update = self._read(partial(read_state, document=filed.name, document_id=filed.id))
        return Base(seq=seq, update=update)

    def read_base(self, filed: Filed) -> Base:
        """Where a history begins."""
        return self._read(partial(read_base, document=filed.name))

    def read_entries(self, filed: Filed, after_seq: int, newest_seq: int) -> Sequence[Entry]:
        """A bounded part of a log."""
        return self._read(
            partial(read_entries, document_id=filed.id, after_seq=after_seq, newest_seq=newest_seq)
        )

    def read_unpinned(self, filed: Filed, before_seq: int) -> set[int]:
        """The seqs of versions that need the entries before ``before_seq``."""
        return self._read(partial(read_unpinned, filed=filed, before_seq=before_seq))

    def read_block_rest(self, filed: Filed, after_seq: int) -> Sequence[Entry]:
        """What follows an entry in its block."""
        return self._read(partial(read_block_rest, filed=filed, after_seq=after_seq))

    def write_checkpoint(self, filed: Filed, entries: Sequence[Entry], state: Packed) -> None:
        """Writes the state after ``entries`` unless there is a newer one."""
        self._writer.transact(partial(write_checkpoint, filed=filed, entries=entries, state=state))

    def write_block(self, filed: Filed, entries: Sequence[Entry], block: PackedBlock) -> None:
        """Puts a block in the place of its entries."""
        self._writer.transact(partial(write_block, filed=filed, entries=entries, block=block))

    def write_base(
        self,
        filed: Filed,
        entries: Sequence[Entry],
        state: Packed,
        pins: Mapping[int, bytes],
        rest: PackedBlock | None,
    ) -> None:
        """Drops the oldest entries; see ``ArchiveTables.write_base``."""
        self._writer.transact(
            partial(write_base, filed=filed, entries=entries, state=state, pins=pins, rest=rest)
        )

    def reclaim(self, *, spare: bool) -> bool:
        """Gives a part of the file's free space back; see ``Archive.reclaim``."""
        free = self._read(partial(_pages_to_free, spare=spare))
        if free:
            self._writer.transact(partial(_free_pages, count=min(free, _FREE_AT_ONCE)))
        if free <= _FREE_AT_ONCE and not spare:
            self._writer.empty()  # Until then both are as long as they were.
        return free > _FREE_AT_ONCE

    def _read(self, read: Callable[[sqlite3.Connection], _T]) -> _T:
        return self._readers.read(read)


def _pages_to_free(connection: sqlite3.Connection, spare: bool) -> int:
    (free,) = connection.execute("PRAGMA freelist_count").fetchone()
    (total,) = connection.execute("PRAGMA page_count").fetchone()
    (vacuum,) = connection.execute("PRAGMA auto_vacuum").fetchone()
    if vacuum != INCREMENTAL:
        return 0
    return pages_to_free(free, total) if spare else int(free)


def _free_pages(connection: sqlite3.Connection, count: int) -> None:
    # The pragma frees a page at each step of the statement, and sqlite3 makes one step of it.
    for _ in range(count):
        connection.execute("PRAGMA incremental_vacuum(1)")
