"""Stretches of a stored log: its blocks and rows one by one, also those that cannot be read."""

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
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
    WHERE document_id = ? ORDER BY first_seq
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
    """

    table: Table
    id: int
    first_seq: int
    last_seq: int
    first_ms: int
    entries: Sequence[Entry]
    error: str | None
    payload: bytes


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


def read_stretches(connection: sqlite3.Connection, document_id: int) -> Iterator[Stretch]:
    """Reads a log as the store's readers find it: blocks in order of seq, then rows."""
    for row_id, first_seq, last_seq, first_ms, form, payload in connection.execute(
        _BLOCKS, (document_id,)
    ):
        entries, error = _unpack(form, payload, first_seq, last_seq)
        yield Stretch(
            table="blocks",
            id=row_id,
            first_seq=first_seq,
            last_seq=last_seq,
            first_ms=first_ms,
            entries=entries,
            error=error,
            payload=payload,
        )
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


def _unpack(
    form: Form, payload: bytes, first_seq: int, last_seq: int
) -> tuple[Sequence[Entry], str | None]:
    try:
        entries = unpack(expand(form, payload), first_seq)
    except StoreError as error:
        return (), brief(error)
    if not entries or entries[-1].seq != last_seq:
        return (), f"expected {last_seq - first_seq + 1} entries, got {len(entries)}"
    return entries, None
