"""Stretches of a stored log: its blocks and rows one by one, also those that cannot be read."""

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from collab.errors import StoreError
from collab.quarantine import brief
from collab.storage.block import unpack
from collab.storage.compression import Form, expand
from collab.store import Entry

Table = Literal["blocks", "updates"]

# A flipped bit may have made something else of a payload: it is read as bytes whatever it is.
_BLOCKS = """
    SELECT id, first_seq, last_seq, first_ms, form, CAST(payload AS BLOB) FROM blocks
    WHERE document_id = ? ORDER BY min(first_seq, last_seq)
"""

_ROWS = """
    SELECT updates.id, updates.seq, CAST(updates.payload AS BLOB), updates.time_ms, authors.name
    FROM updates LEFT JOIN authors ON authors.id = updates.author_id
    WHERE updates.document_id = ? ORDER BY updates.seq
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """A block, or a row with a single entry.

    Attributes:
        table: where it stands.
        id: its row there.
        first_seq: seq of its first entry.
        last_seq: seq of its last one.
        first_ms: when the first one was received, milliseconds since the Unix epoch.
        entries: what is in it; none where it cannot be read.
        error: why it cannot be read, or None.
        payload: what is stored.
        wrong_seqs: the first and last seq that its row tells, where those are not its entries'.
    """

    table: Table
    id: int
    first_seq: int
    last_seq: int
    first_ms: int
    entries: Sequence[Entry]
    error: str | None
    payload: bytes
    wrong_seqs: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """A base or a checkpoint.

    Attributes:
        seq: the entries up to this one are in it.
        update: whole state (a v1 update); None where it cannot be read.
        error: why it cannot be read, or None.
        payload: what is stored.
    """

    seq: int
    update: bytes | None
    error: str | None
    payload: bytes


def read_stretches(
    connection: sqlite3.Connection, document_id: int, begin_seq: int
) -> Iterator[Stretch]:
    """Reads a log as the store's readers find it: blocks in order of seq, then rows.

    Args:
        connection: a connection to the store.
        document_id: row id of the document.
        begin_seq: seq of its base; 0 where it has none.
    """
    next_seq = begin_seq + 1
    for row_id, first_seq, last_seq, first_ms, form, payload in connection.execute(
        _BLOCKS, (document_id,)
    ):
        entries, error = _unpack(form, payload, first_seq)
        stretch = Stretch(
            table="blocks",
            id=row_id,
            first_seq=first_seq,
            last_seq=last_seq,
            first_ms=first_ms,
            entries=entries,
            error=error,
            payload=payload,
        )
        if error is None and len(entries) != last_seq - first_seq + 1:
            stretch = _placed(stretch, next_seq)
        next_seq = stretch.last_seq + 1
        yield stretch
    for row_id, seq, payload, time_ms, author in connection.execute(_ROWS, (document_id,)):
        yield Stretch(
            table="updates",
            id=row_id,
            first_seq=seq,
            last_seq=seq,
            first_ms=time_ms,
            entries=(Entry(seq=seq, update=payload, time_ms=time_ms, author=author),),
            error=None,
            payload=payload,
        )


def read_state(
    connection: sqlite3.Connection, table: Literal["bases", "checkpoints"], document_id: int
) -> State | None:
    """Reads a document's base or checkpoint; None where it has none."""
    row = connection.execute(
        f"SELECT seq, form, CAST(payload AS BLOB) FROM {table} WHERE document_id = ?",
        (document_id,),
    ).fetchone()
    if row is None:
        return None
    seq, form, payload = row
    try:
        return State(seq=seq, update=expand(form, payload), error=None, payload=payload)
    except StoreError as error:
        return State(seq=seq, update=None, error=brief(error), payload=payload)


def _unpack(form: Form, payload: bytes, first_seq: int) -> tuple[Sequence[Entry], str | None]:
    try:
        return unpack(expand(form, payload), first_seq), None
    except StoreError as error:
        return (), brief(error)


def _placed(block: Stretch, next_seq: int) -> Stretch:
    """A block that has not as many entries as its row tells, put where one of its seqs is right.

    Right is the one that has the block follow what is before it.
    """
    count = len(block.entries)
    if not count or next_seq not in (block.first_seq, block.last_seq - count + 1):
        expected = block.last_seq - block.first_seq + 1
        return replace(block, entries=(), error=f"expected {expected} entries, got {count}")
    return replace(
        block,
        first_seq=next_seq,
        last_seq=next_seq + count - 1,
        entries=[replace(entry, seq=seq) for seq, entry in enumerate(block.entries, next_seq)],
        wrong_seqs=(block.first_seq, block.last_seq),
    )
