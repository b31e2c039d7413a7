"""Archivist: does on a SQLite store what the compaction policy decides, a bounded step a call."""

import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from itertools import takewhile
from typing import TypeVar

from collab.archive import Base, Step, Terms
from collab.errors import StoreError
from collab.storage.archive_rows import (
    Filed,
    Packed,
    PackedBlock,
    read_base,
    read_block_rest,
    read_filed,
    read_page,
    read_unpinned,
    write_base,
    write_block,
    write_checkpoint,
)
from collab.storage.compaction import (
    BLOCK_BYTES,
    Checkpoint,
    Drop,
    Pack,
    next_action,
    pages_to_free,
)
from collab.storage.connection import INCREMENTAL
from collab.storage.log_reader import read_entries, read_state
from collab.storage.log_writer import LogWriter
from collab.storage.reader_pool import ReaderPool
from collab.storage.states import states_at
from collab.store import Entry

_T = TypeVar("_T")

_PAGE = 200
"""Documents whose shapes one read looks at."""

_FREE_AT_ONCE = 256
"""Pages that one step gives back: a megabyte, some milliseconds."""


class Archivist:
    """Reads, packs and replays outside any transaction; what it writes takes milliseconds.

    Its methods block and may be called from any thread.

    Args:
        readers: where it reads.
        writer: where it writes, between the appends.
    """

    def __init__(self, readers: ReaderPool, writer: LogWriter) -> None:
        self._readers = readers
        self._writer = writer

    def due(self, terms: Terms, after: str) -> list[str]:
        """Names the next documents that there is something to do for; see ``Archive.due``."""
        while True:
            page = self._read(partial(read_page, after=after, limit=_PAGE))
            names = [filed.name for filed in page if next_action(filed.shape, terms)]
            if names or not page:
                return names
            after = page[-1].name

    def step(self, document: str, terms: Terms) -> Step:
        """Takes the next step for a document; see ``Archive.compact``."""
        filed = self._read(partial(read_filed, document=document))
        action = next_action(filed.shape, terms)
        if action is None:
            return Step(0, more=False)
        if isinstance(action, Checkpoint):
            moved = self._checkpoint(filed, action)
        elif isinstance(action, Drop):
            moved = self._drop(filed, action)
        else:
            moved = self._pack(filed, action)
        return Step(moved, more=True)

    def reclaim(self, *, spare: bool) -> bool:
        """Gives a part of the file's free space back; see ``Archive.reclaim``."""
        free = self._read(partial(_pages_to_free, spare=spare))
        if free:
            self._writer.transact(partial(_free_pages, count=min(free, _FREE_AT_ONCE)))
        return free > _FREE_AT_ONCE

    def _checkpoint(self, filed: Filed, action: Checkpoint) -> int:
        seq, state = self._read(partial(read_state, document=filed.name, document_id=filed.id))
        entries = self._entries(filed, seq, action.seq)
        if seq != filed.shape.state_seq or not entries:
            return 0  # Somebody has written one meanwhile.
        reached = entries[-1].seq
        update = states_at(filed.name, Base(seq=seq, update=state), entries, {reached})[reached]
        packed = Packed.state(update)
        self._writer.transact(
            partial(write_checkpoint, filed=filed, seq=reached, entries=entries, state=packed)
        )
        return _size(entries) + len(update) + len(packed.payload)

    def _drop(self, filed: Filed, action: Drop) -> int:
        base = self._read(partial(read_base, document=filed.name))
        kept = self._entries(filed, base.seq, action.last_seq)
        entries = list(takewhile(lambda entry: entry.time_ms <= action.until_ms, kept))
        if base.seq != filed.shape.base_seq or not entries:
            return 0  # Somebody has dropped them meanwhile.
        seq = entries[-1].seq
        wanted = self._read(partial(read_unpinned, filed=filed, before_seq=seq))
        pins = states_at(filed.name, base, entries, wanted | {seq})
        update = pins.pop(seq)
        state = Packed.state(update)
        rest = self._read(partial(read_block_rest, filed=filed, after_seq=seq))
        write = partial(
            write_base,
            filed=filed,
            entries=entries,
            state=state,
            pins=pins,
            rest=PackedBlock.of(rest) if rest else None,
        )
        self._writer.transact(write)
        return _size(entries) + len(update) + len(state.payload)

    def _pack(self, filed: Filed, action: Pack) -> int:
        entries = self._entries(filed, action.first_seq - 1, action.last_seq)
        if not entries:
            return 0  # Somebody has dropped them meanwhile.
        block = PackedBlock.of(entries)
        self._writer.transact(partial(write_block, filed=filed, entries=entries, block=block))
        return block.size + len(block.payload)

    def _entries(self, filed: Filed, after_seq: int, last_seq: int) -> list[Entry]:
        """Reads entries, fewer where they are long.

        Raises:
            StoreError: one is missing among them.
        """
        entries: list[Entry] = []
        size = 0
        seq = after_seq
        while seq < last_seq and size < BLOCK_BYTES:
            batch = self._read(
                partial(read_entries, document_id=filed.id, after_seq=seq, newest_seq=last_seq)
            )
            for entry in batch:
                if size >= BLOCK_BYTES:
                    break
                seq += 1
                if entry.seq != seq:
                    raise StoreError(f"expected entry {seq} of {filed.name!r}, got {entry.seq}")
                entries.append(entry)
                size += len(entry.update)
            if not batch:
                break
        return entries

    def _read(self, read: Callable[[sqlite3.Connection], _T]) -> _T:
        return self._readers.read(read)


def _size(entries: Sequence[Entry]) -> int:
    return sum(len(entry.update) for entry in entries)


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
