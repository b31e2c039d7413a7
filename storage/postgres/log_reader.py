"""What is read from a Postgres store, each in one short transaction."""

from typing import Any

from collab.storage.columns import LEAST_NAME, entries_of, expand_state, summary_of
from collab.storage.postgres.connection import Connection
from collab.storage.postgres.trash_rows import decode_author, refuse_deleted, storable_bounds
from collab.store import Entry, Stored, Summary

_BATCH_ENTRIES = 500

_ENTRIES = """
    SELECT seq, payload, time_ms, author FROM collab.updates
    WHERE document_id = %s AND seq > %s AND seq <= %s ORDER BY seq
"""

_BATCH_BYTES = 1 << 20

# Rows up to the one that exceeds the bytes: what the server need not send.
_BATCH = f"""
    SELECT seq, payload, time_ms, author FROM (
        SELECT *, sum(length(payload)) OVER (ORDER BY seq) - length(payload) AS before FROM (
            {_ENTRIES} LIMIT {_BATCH_ENTRIES}
        ) AS page
    ) AS measured
    WHERE before < {_BATCH_BYTES} ORDER BY seq
"""

_BLOCK = """
    SELECT first_seq, last_seq, form, payload FROM collab.blocks
    WHERE document_id = %s AND last_seq > %s ORDER BY last_seq LIMIT 1
"""

_WHOLE = """
    SELECT seq, form, payload FROM collab.checkpoints WHERE document_id = %(id)s
    UNION ALL SELECT seq, form, payload FROM collab.bases WHERE document_id = %(id)s
    ORDER BY seq DESC LIMIT 1
"""

_SUMMARIES = """
    SELECT documents.name, documents.seq, documents.created_ms, documents.updated_ms,
           documents.bytes + coalesce(checkpoints.bytes, 0) + coalesce(bases.bytes, 0),
           documents.epoch, documents.retention_ms
    FROM collab.documents
         LEFT JOIN collab.checkpoints ON checkpoints.document_id = documents.id
         LEFT JOIN collab.bases ON bases.document_id = documents.id
    WHERE documents.name >= %s AND documents.name > %s AND starts_with(documents.name, %s)
    ORDER BY documents.name
    LIMIT %s
"""


def read_head(connection: Connection, document: str) -> tuple[int, int, str] | None:
    """Reads a document's row id, seq and epoch; None where there is no such document.

    Raises:
        DocumentDeleted: it was deleted.
    """
    head = connection.execute(
        "SELECT id, seq, epoch FROM collab.documents WHERE name = %s", (document,)
    ).fetchone()
    if head is None:
        refuse_deleted(connection, document)
    return head


def read_stored(connection: Connection, document: str) -> Stored:
    """Reads the newest whole state and the entries after it; see ``Store.load``."""
    with connection.transaction():
        see_one_moment(connection)
        document_id, seq, epoch = read_head(connection, document) or (0, 0, None)
        state_seq, state = read_state(connection, document, document_id)
        rows = connection.execute(_ENTRIES, (document_id, state_seq, seq), binary=True).fetchall()
    return Stored(
        document=document,
        seq=seq,
        checkpoint=state,
        checkpoint_seq=state_seq,
        entries=tuple(_entry(row) for row in rows),
        epoch=epoch,
    )


def read_state(connection: Connection, document: str, document_id: int) -> tuple[int, bytes | None]:
    """Reads the newest whole state, checkpoint or base, and its seq; (0, None) where none is.

    Raises:
        BrokenDocument: it cannot be read.
    """
    row = connection.execute(_WHOLE, {"id": document_id}, binary=True).fetchone()
    return (0, None) if row is None else (row[0], expand_state(document, *row[1:]))


def read_entries(
    connection: Connection, document_id: int, after_seq: int, newest_seq: int
) -> list[Entry]:
    """Reads a bounded part of a log: a block, or some hundred entries, or about a megabyte.

    Args:
        connection: in a transaction that sees one moment, or that keeps others from packing.
        document_id: row id of the document.
        after_seq: the first entry has a greater seq.
        newest_seq: the last entry has no greater seq.

    Returns:
        The entries in order of seq; none where there are no more.
    """
    block = connection.execute(_BLOCK, (document_id, after_seq), binary=True).fetchone()
    if block is None:
        rows = connection.execute(_BATCH, (document_id, after_seq, newest_seq), binary=True)
        return [_entry(row) for row in rows]
    return entries_of(block, after_seq, newest_seq)


def read_summaries(connection: Connection, prefix: str, after: str, limit: int) -> list[Summary]:
    """Reads a page of the list of documents; see ``Store.documents``."""
    if "\0" in prefix + after:
        prefix, after = storable_bounds(prefix, after)
    bounds = (max(prefix, LEAST_NAME), after, prefix, max(limit, 0))
    return [summary_of(row) for row in connection.execute(_SUMMARIES, bounds)]


def see_one_moment(connection: Connection) -> None:
    """Has every statement of the transaction that begins see what the first one sees."""
    connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")


def _entry(row: tuple[Any, ...]) -> Entry:
    seq, update, time_ms, author = row
    return Entry(seq=seq, update=update, time_ms=time_ms, author=decode_author(author))
