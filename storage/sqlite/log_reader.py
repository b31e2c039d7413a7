"""What is read from a SQLite store, each in one short read transaction."""

import sqlite3

from collab.storage.columns import LEAST_NAME, entries_of, expand_state, summary_of
from collab.storage.sqlite.trash_rows import refuse_deleted
from collab.store import Entry, Stored, Summary

_BATCH_ENTRIES = 500
_BATCH_BYTES = 1 << 20

_ENTRIES = """
    SELECT updates.seq, updates.payload, updates.time_ms, authors.name
    FROM updates LEFT JOIN authors ON authors.id = updates.author_id
    WHERE updates.document_id = ? AND updates.seq > ? AND updates.seq <= ?
    ORDER BY updates.seq
"""

_BLOCK = """
    SELECT first_seq, last_seq, form, payload FROM blocks
    WHERE document_id = ? AND last_seq > ? ORDER BY last_seq LIMIT 1
"""

_WHOLE = """
    SELECT seq, form, payload FROM checkpoints WHERE document_id = ?1
    UNION ALL SELECT seq, form, payload FROM bases WHERE document_id = ?1
    ORDER BY seq DESC LIMIT 1
"""

_SUMMARIES = """
    SELECT documents.name, documents.seq, documents.created_ms, documents.updated_ms,
           documents.bytes + coalesce(checkpoints.bytes, 0) + coalesce(bases.bytes, 0),
           documents.epoch, documents.retention_ms
    FROM documents LEFT JOIN checkpoints ON checkpoints.document_id = documents.id
         LEFT JOIN bases ON bases.document_id = documents.id
    WHERE documents.name >= ? AND documents.name <> ? AND documents.name <= ?
    ORDER BY documents.name
    LIMIT ?
"""

_ABOVE_ANY_NAME = "\U0010ffff" * 128
"""Not less than any name: 512 bytes of the greatest character."""


def read_head(connection: sqlite3.Connection, document: str) -> tuple[int, int, str] | None:
    """Reads a document's row id, seq and epoch; None where there is no such document.

    Raises:
        DocumentDeleted: it was deleted.
    """
    head: tuple[int, int, str] | None = connection.execute(
        "SELECT id, seq, epoch FROM documents WHERE name = ?", (document,)
    ).fetchone()
    if head is None:
        refuse_deleted(connection, document)
    return head


def read_stored(connection: sqlite3.Connection, document: str) -> Stored:
    """Reads the newest whole state and the entries after it; see ``Store.load``."""
    connection.execute("BEGIN")
    try:
        document_id, seq, epoch = read_head(connection, document) or (0, 0, None)
        checkpoint_seq, checkpoint = read_state(connection, document, document_id)
        rows = connection.execute(_ENTRIES, (document_id, checkpoint_seq, seq)).fetchall()
    finally:
        if connection.in_transaction:  # some errors end it themselves
            connection.execute("ROLLBACK")
    return Stored(
        document=document,
        seq=seq,
        checkpoint=checkpoint,
        checkpoint_seq=checkpoint_seq,
        entries=tuple(_entry(row) for row in rows),
        epoch=epoch,
    )


def read_state(
    connection: sqlite3.Connection, document: str, document_id: int
) -> tuple[int, bytes | None]:
    """Reads the newest whole state, checkpoint or base, and its seq; (0, None) where none is.

    Raises:
        BrokenDocument: it cannot be read.
    """
    row = connection.execute(_WHOLE, (document_id,)).fetchone()
    return (0, None) if row is None else (row[0], expand_state(document, *row[1:]))


def read_entries(
    connection: sqlite3.Connection, document_id: int, after_seq: int, newest_seq: int
) -> list[Entry]:
    """Reads a bounded part of a log: a block, or some hundred entries, or about a megabyte.

    Args:
        connection: a connection to the store.
        document_id: row id of the document.
        after_seq: the first entry has a greater seq.
        newest_seq: the last entry has no greater seq.

    Returns:
        The entries in order of seq; none where there are no more.
    """
    connection.execute("BEGIN")  # Or rows might go into a block between the two looks.
    try:
        block = connection.execute(_BLOCK, (document_id, after_seq)).fetchone()
        if block is None:
            return _read_rows(connection, document_id, after_seq, newest_seq)
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    return entries_of(block, after_seq, newest_seq)


def read_summaries(
    connection: sqlite3.Connection, prefix: str, after: str, limit: int
) -> list[Summary]:
    """Reads a page of the list of documents; see ``Store.documents``."""
    # SQLite compares text by its UTF-8 bytes, which is the order of code points.
    bounds = (max(prefix, after, LEAST_NAME), after, prefix + _ABOVE_ANY_NAME, max(limit, 0))
    return [summary_of(row) for row in connection.execute(_SUMMARIES, bounds)]


def read_names(connection: sqlite3.Connection) -> list[str]:
    """Reads the names of all documents, in order."""
    rows = connection.execute(
        "SELECT name FROM documents WHERE name >= ? ORDER BY name", (LEAST_NAME,)
    )
    return [name for (name,) in rows]


def _read_rows(
    connection: sqlite3.Connection, document_id: int, after_seq: int, newest_seq: int
) -> list[Entry]:
    entries = []
    size = 0
    cursor = connection.execute(_ENTRIES, (document_id, after_seq, newest_seq))
    try:
        for row in cursor:
            entries.append(_entry(row))
            size += len(row[1])
            if len(entries) >= _BATCH_ENTRIES or size >= _BATCH_BYTES:
                break
    finally:
        cursor.close()
    return entries


def _entry(row: tuple[int, bytes, int, str | None]) -> Entry:
    seq, update, time_ms, author = row
    return Entry(seq=seq, update=update, time_ms=time_ms, author=author)
