"""Archivist: does on a store what the compaction policy decides, a bounded step a call."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from collab.archive import Base, Step, Terms
from collab.errors import StoreError, StoreUnavailable
from collab.storage.compaction import BLOCK_BYTES, Action, Checkpoint, Drop, Pack, next_action
from collab.storage.filed import Filed, Packed, PackedBlock
from collab.storage.states import states_at
from collab.store import Entry

_PAGE = 200
"""Documents whose shapes one read looks at."""


class ArchiveTables(Protocol):
    """The tables of a store as compaction reads and writes them.

    Its methods block. What a write was made from may have been read outside its transaction: it
    looks first whether that is still there, and does nothing where it is not.
    """

    def read_page(self, after: str, limit: int, now_ms: int) -> Sequence[Filed]:
        """The next documents in order of name, as they are at a time."""
        ...

    def read_filed(self, document: str, now_ms: int) -> Filed:
        """A document, as it is at a time.

        Raises:
            DocumentNotFound: the store has no such document.
        """
        ...

    def read_state(self, filed: Filed) -> Base:
        """The newest whole state, checkpoint or base."""
        ...

    def read_base(self, filed: Filed) -> Base:
        """Where its history begins."""
        ...

    def read_entries(self, filed: Filed, after_seq: int, newest_seq: int) -> Sequence[Entry]:
        """A bounded part of its log."""
        ...

    def read_unpinned(self, filed: Filed, before_seq: int) -> set[int]:
        """The seqs of versions that need the entries before ``before_seq``."""
        ...

    def read_block_rest(self, filed: Filed, after_seq: int) -> Sequence[Entry]:
        """What follows an entry in its block; nothing where it is the last or in none."""
        ...

    def write_checkpoint(self, filed: Filed, entries: Sequence[Entry], state: Packed) -> None:
        """Writes the state after ``entries`` unless there is a newer one."""
        ...

    def write_block(self, filed: Filed, entries: Sequence[Entry], block: PackedBlock) -> None:
        """Puts a block in the place of its entries."""
        ...

    def write_base(
        self,
        filed: Filed,
        entries: Sequence[Entry],
        state: Packed,
        pins: Mapping[int, bytes],
        rest: PackedBlock | None,
    ) -> None:
        """Drops the oldest entries and keeps the state they lead to.

        Args:
            filed: what it was made from.
            entries: what is dropped, from the first entry there is.
            state: whole state after them.
            pins: for the versions before that, by seq: whole state.
            rest: what stays of the block that the last of ``entries`` is in; None where that is
                the last of its block or in none.
        """
        ...


class Archivist:
    """Packs and replays outside any lock on the document; what it writes takes milliseconds.

    Its methods block and may be called from any thread.

    Args:
        tables: where it reads and writes.
    """

    def __init__(self, tables: ArchiveTables) -> None:
        self._tables = tables

    def due(self, terms: Terms, after: str) -> list[str]:
        """Names the next documents that there is something to do for; see ``Archive.due``."""
        while True:
            page = self._tables.read_page(after, _PAGE, terms.now_ms)
            names = [filed.name for filed in page if next_action(filed.shape, terms)]
            if names or not page:
                return names
            after = page[-1].name

    def step(self, document: str, terms: Terms) -> Step:
        """Takes the next step for a document; see ``Archive.compact``.

        Raises:
            DocumentNotFound: the store has no such document.
            StoreError: entries that the step needs are missing.
        """
        filed = self._tables.read_filed(document, terms.now_ms)
        action = next_action(filed.shape, terms)
        if action is None:
            return Step(0, more=False)
        try:
            moved = self._take(filed, action, terms.now_ms)
        except StoreUnavailable:
            raise
        except StoreError:
            if not self._is_overtaken(filed, terms):
                raise
            moved = 0  # Somebody has packed or dropped what it was reading.
        if not moved and not self._is_overtaken(filed, terms):
            seq = filed.shape.seq  # Nobody has done it meanwhile, and nobody ever could.
            raise StoreError(f"expected the entries of {document!r} up to {seq}, got fewer")
        return Step(moved, more=True)

    def _is_overtaken(self, filed: Filed, terms: Terms) -> bool:
        """Whether somebody has filed it otherwise; who writes on takes no entry from a step."""
        shape = self._tables.read_filed(filed.name, terms.now_ms).shape
        return replace(shape, seq=filed.shape.seq, newest_ms=filed.shape.newest_ms) != filed.shape

    def _take(self, filed: Filed, action: Action, now_ms: int) -> int:
        if isinstance(action, Checkpoint):
            return self._checkpoint(filed, action)
        if isinstance(action, Drop):
            return self._drop(filed, action)
        return self._pack(filed, action, now_ms)

    def _checkpoint(self, filed: Filed, action: Checkpoint) -> int:
        before = self._tables.read_state(filed)
        entries = self._entries(filed, before.seq, action.seq)
        if before.seq != filed.shape.state_seq or not entries:
            return 0  # Somebody has written one meanwhile.
        reached = entries[-1].seq
        update = states_at(filed.name, before, entries, {reached})[reached]
        packed = Packed.state(update)
        self._tables.write_checkpoint(filed, entries, packed)
        return _size(entries) + len(update) + len(packed.payload)

    def _drop(self, filed: Filed, action: Drop) -> int:
        base = self._tables.read_base(filed)
        entries = action.of(self._entries(filed, base.seq, action.last_seq))
        if base.seq != filed.shape.base_seq or not entries:
            return 0  # Somebody has dropped them meanwhile.
        seq = entries[-1].seq
        wanted = self._tables.read_unpinned(filed, seq)
        pins = states_at(filed.name, base, entries, wanted | {seq})
        update = pins.pop(seq)
        state = Packed.state(update)
        rest = self._tables.read_block_rest(filed, seq)
        block = PackedBlock.of(rest, action.now_ms) if rest else None
        self._tables.write_base(filed, entries, state, pins, block)
        return _size(entries) + len(update) + len(state.payload)

    def _pack(self, filed: Filed, action: Pack, now_ms: int) -> int:
        entries = self._entries(filed, action.first_seq - 1, action.last_seq)
        if not entries:
            return 0  # Somebody has dropped them meanwhile.
        block = PackedBlock.of(entries, now_ms)
        self._tables.write_block(filed, entries, block)
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
            batch = self._tables.read_entries(filed, seq, last_seq)
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


def _size(entries: Sequence[Entry]) -> int:
    return sum(len(entry.update) for entry in entries)
