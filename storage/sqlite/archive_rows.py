"""The archive in a SQLite store: what compaction reads, and what each of its steps writes.

What a step was made from is read before it, outside its transaction; so each write looks first
whether that is still there, and does nothing where it is not.
"""

import sqlite3
from collections.abc import Mapping, Sequence

from collab.access import check_name
from collab.archive import Base, Retention
from collab.errors import DocumentNotFound
from collab.storage.block import unpack
from collab.storage.columns import LEAST_NAME, expand_state, retention_column
from collab.storage.compression import expand
from collab.storage.filed import Filed, Packed, PackedBlock, filed_of
from collab.storage.sqlite.log_reader import read_head
from collab.storage.sqlite.trash_rows import refuse_deleted
from collab.store import Entry

_SHAPES = """
    SELECT documents.id, documents.epoch, documents.name, documents.seq, documents.updated_ms,
           documents.retention_ms,
           coalesce(bases.seq, 0), coalesce(bases.bytes, 0),
           coalesce(checkpoints.seq, 0), coalesce(checkpoints.bytes, 0),
           blocks.first_seq, blocks.last_seq, blocks.bytes,
           coalesce(
               (SELECT first_ms FROM blocks
                WHERE document_id = documents.id AND first_ms <= :now_ms
                ORDER BY last_seq LIMIT 1),
               (SELECT time_ms FROM updates
                WHERE document_id = documents.id AND time_ms <= :now_ms
                ORDER BY seq LIMIT 1))
    FROM documents LEFT JOIN bases ON bases.document_id = documents.id
         LEFT JOIN checkpoints ON checkpoints.document_id = documents.id
         LEFT JOIN blocks ON blocks.document_id = documents.id AND blocks.last_seq =
             (SELECT max(last_seq) FROM blocks WHERE document_id = documents.id)
"""


def read_filed(connection: sqlite3.Connection, document: str, now_ms: int) -> Filed:
    """Reads a document's shape at a time.

    Raises:
        DocumentNotFound: the store has no such document.
    """
    row = connection.execute(
        f"{_SHAPES} WHERE documents.name = :name", {"name": check_name(document), "now_ms": now_ms}
    ).fetchone()
    if row is None:
        refuse_deleted(connection, document)
        raise DocumentNotFound(document)
    return filed_of(row)


def read_page(connection: sqlite3.Connection, after: str, limit: int, now_ms: int) -> list[Filed]:
    """Reads the shapes of the next documents in order of name, at a time."""
    rows = connection.execute(
        f"{_SHAPES} WHERE documents.name >= :least AND documents.name <> :after"
        " ORDER BY documents.name LIMIT :limit",
        {"least": max(after, LEAST_NAME), "after": after, "limit": limit, "now_ms": now_ms},
    )
    return [filed_of(row) for row in rows]


def read_base(connection: sqlite3.Connection, document: str) -> Base:
    """Reads where a document's history begins; see ``Archive.base``."""
    head = read_head(connection, check_name(document))
    if head is None:
        raise DocumentNotFound(document)
    row = connection.execute(
        "SELECT seq, form, payload FROM bases WHERE document_id = ?", (head[0],)
    ).fetchone()
    if row is None:
        return Base(seq=0, update=None)
    return Base(seq=row[0], update=expand_state(document, *row[1:]))


def write_retention(
    connection: sqlite3.Connection, document: str, retention: Retention | None
) -> None:
    """Sets how long a document's entries are kept; see ``Archive.retain``."""
    cursor = connection.execute(
        "UPDATE documents SET retention_ms = ? WHERE name = ?",
        (retention_column(retention), check_name(document)),
    )
    if cursor.rowcount == 0:
        refuse_deleted(connection, document)
        raise DocumentNotFound(document)


def read_unpinned(connection: sqlite3.Connection, filed: Filed, before_seq: int) -> set[int]:
    """Reads the seqs of versions that need the entries before ``before_seq``."""
    rows = connection.execute(
        "SELECT DISTINCT seq FROM versions"
        " WHERE document_id = ? AND seq >= ? AND seq < ? AND payload IS NULL",
        (filed.id, filed.shape.base_seq, before_seq),
    )
    return {seq for (seq,) in rows}


def read_block_rest(connection: sqlite3.Connection, filed: Filed, after_seq: int) -> list[Entry]:
    """Reads what follows an entry in its block; nothing where it is the last or in none."""
    row = connection.execute(
        "SELECT first_seq, form, payload FROM blocks"
        " WHERE document_id = ? AND last_seq > ? AND first_seq <= ?",
        (filed.id, after_seq, after_seq),
    ).fetchone()
    if row is None:
        return []
    entries = unpack(expand(row[1], row[2]), row[0])
    return [entry for entry in entries if entry.seq > after_seq]


def write_checkpoint(
    connection: sqlite3.Connection, filed: Filed, entries: Sequence[Entry], state: Packed
) -> bool:
    """Writes a checkpoint unless there is a newer one.

    Args:
        connection: in a transaction.
        filed: what it was made from.
        entries: the entries it was made from, after the state before it.
        state: whole state after them.

    Returns:
        Whether it was written.
    """
    if not _is_there(connection, filed, entries):
        return False
    cursor = connection.execute(
        "INSERT INTO checkpoints (document_id, seq, bytes, form, payload) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (document_id) DO UPDATE SET seq = excluded.seq, bytes = excluded.bytes,"
        " form = excluded.form, payload = excluded.payload WHERE excluded.seq > seq",
        (filed.id, entries[-1].seq, state.size, state.form, state.payload),
    )
    return cursor.rowcount > 0


def write_block(
    connection: sqlite3.Connection, filed: Filed, entries: Sequence[Entry], block: PackedBlock
) -> bool:
    """Puts a block in the place of its entries.

    Args:
        connection: in a transaction.
        filed: what it was made from.
        entries: what is in it.
        block: the block.

    Returns:
        Whether it was written.
    """
    tail = filed.shape.tail
    extends = tail is not None and tail.first_seq == block.first_seq
    if extends:
        entries = [entry for entry in entries if tail is None or entry.seq > tail.last_seq]
    if not _is_there(connection, filed, entries):
        return False
    if extends:
        connection.execute(
            "DELETE FROM blocks WHERE document_id = ? AND first_seq = ?",
            (filed.id, block.first_seq),
        )
    insert_block(connection, filed.id, block)
    connection.execute(
        "DELETE FROM updates WHERE document_id = ? AND seq >= ? AND seq <= ?",
        (filed.id, block.first_seq, block.last_seq),
    )
    return True


def write_base(
    connection: sqlite3.Connection,
    filed: Filed,
    entries: Sequence[Entry],
    state: Packed,
    pins: Mapping[int, bytes],
    rest: PackedBlock | None,
) -> bool:
    """Drops the oldest entries and keeps the state they lead to.

    Args:
        connection: in a transaction.
        filed: what it was made from.
        entries: what is dropped, from the first entry there is.
        state: whole state after them.
        pins: for the versions before that, by seq: whole state.
        rest: what stays of the block that the last of ``entries`` is in; None where that is the
            last of its block or in none.

    Returns:
        Whether they were dropped.
    """
    seq = entries[-1].seq
    loose = [
        entry
        for entry in entries
        if filed.shape.tail is None or entry.seq > filed.shape.tail.last_seq
    ]
    if not _is_there(connection, filed, loose) or read_unpinned(connection, filed, seq) - set(pins):
        return False
    connection.executemany(
        "UPDATE versions SET payload = ? WHERE document_id = ? AND seq = ? AND payload IS NULL",
        [(update, filed.id, pinned_seq) for pinned_seq, update in pins.items()],
    )
    connection.execute(
        "INSERT OR REPLACE INTO bases (document_id, seq, bytes, form, payload)"
        " VALUES (?, ?, ?, ?, ?)",
        (filed.id, seq, state.size, state.form, state.payload),
    )
    connection.execute(
        "DELETE FROM checkpoints WHERE document_id = ? AND seq <= ?", (filed.id, seq)
    )
    connection.execute(
        "DELETE FROM blocks WHERE document_id = ? AND first_seq <= ?", (filed.id, seq)
    )
    if rest is not None:
        insert_block(connection, filed.id, rest)
    connection.execute("DELETE FROM updates WHERE document_id = ? AND seq <= ?", (filed.id, seq))
    connection.execute(
        "UPDATE documents SET bytes = bytes - ? WHERE id = ?",
        (sum(len(entry.update) for entry in entries), filed.id),
    )
    return True


def _is_there(connection: sqlite3.Connection, filed: Filed, loose: Sequence[Entry]) -> bool:
    """Whether the document, its base, its tail and these of its rows are still as they were."""
    head = connection.execute(
        f"{_SHAPES} WHERE documents.id = :id AND documents.name = :name"
        " AND documents.epoch = :epoch",
        {"id": filed.id, "name": filed.name, "epoch": filed.epoch, "now_ms": 0},
    ).fetchone()
    if head is None:
        return False
    now = filed_of(head).shape
    if (now.base_seq, now.tail) != (filed.shape.base_seq, filed.shape.tail):
        return False
    if not loose:
        return True
    there: tuple[int, int | None] = connection.execute(
        "SELECT count(*), sum(length(payload)) FROM updates"
        " WHERE document_id = ? AND seq >= ? AND seq <= ?",
        (filed.id, loose[0].seq, loose[-1].seq),
    ).fetchone()
    return there == (len(loose), sum(len(entry.update) for entry in loose))


def insert_block(connection: sqlite3.Connection, document_id: int, block: PackedBlock) -> None:
    """Adds a block to a document, in a transaction."""
    connection.execute(
        "INSERT INTO blocks (document_id, first_seq, last_seq, first_ms, bytes, form, payload)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            document_id,
            block.first_seq,
            block.last_seq,
            block.first_ms,
            block.size,
            block.form,
            block.payload,
        ),
    )
