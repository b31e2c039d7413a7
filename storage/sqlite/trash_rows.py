"""Deleted documents in a SQLite store: what each call reads or writes, in one transaction.

A deleted document's row is renamed to what cannot name a document, and all its other rows stay. So
nothing that goes by names finds it.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence

from collab.access import check_name
from collab.errors import DocumentDeleted, DocumentExists, DocumentNotFound
from collab.storage.checks import check_author
from collab.storage.columns import DELETED, hash_of, new_epoch
from collab.trash import Tombstone

_TOMBSTONES = """
    SELECT tombstones.name, tombstones.deleted_ms, authors.name, documents.bytes
    FROM tombstones JOIN documents ON documents.id = tombstones.document_id
         LEFT JOIN authors ON authors.id = tombstones.author_id
"""


def refuse_deleted(connection: sqlite3.Connection, document: str) -> None:
    """Looks for what is left of a document that is not there.

    Raises:
        DocumentDeleted: it was deleted, and perhaps erased.
    """
    if _find_deleted(connection, document) is not None or _is_erased(connection, document):
        raise DocumentDeleted(document)


def write_tombstone(
    connection: sqlite3.Connection, document: str, time_ms: int, author: str | None
) -> Tombstone:
    """Deletes a document; see ``Trash.delete``."""
    document_id = _find(connection, document)
    if document_id is not None:
        connection.execute(
            "UPDATE documents SET name = ? WHERE id = ?", (DELETED + document, document_id)
        )
        connection.execute(
            "INSERT INTO tombstones (document_id, name, deleted_ms, author_id) VALUES (?, ?, ?, ?)",
            (document_id, document, time_ms, _author_id(connection, author)),
        )
    row = connection.execute(_TOMBSTONES + "WHERE tombstones.name = ?", (document,)).fetchone()
    if row is None:
        refuse_deleted(connection, document)
        raise DocumentNotFound(document)
    return _tombstone(row)


def remove_tombstone(connection: sqlite3.Connection, document: str) -> None:
    """Brings a deleted document back; see ``Trash.undelete``."""
    if _find(connection, document) is not None:
        return
    document_id = _find_deleted(connection, document)
    if document_id is None:
        refuse_deleted(connection, document)
        raise DocumentNotFound(document)
    connection.execute("DELETE FROM tombstones WHERE document_id = ?", (document_id,))
    connection.execute("UPDATE documents SET name = ? WHERE id = ?", (document, document_id))


def erase_rows(connection: sqlite3.Connection, document: str, deleted_ms: int | None) -> None:
    """Erases a deleted document and leaves a mark; see ``Trash.erase``.

    The connection overwrites what it deletes (see ``connect_writer``).
    """
    check_name(document)
    document_id = _find_deleted(connection, document)
    if document_id is None:
        if _is_erased(connection, document):
            return
        raise DocumentNotFound(document)
    (then_ms,) = connection.execute(
        "SELECT deleted_ms FROM tombstones WHERE document_id = ?", (document_id,)
    ).fetchone()
    if deleted_ms not in (None, then_ms):
        return
    for table in _tables_of_documents(connection):
        connection.execute(f"DELETE FROM {table} WHERE document_id = ?", (document_id,))
    connection.execute("DELETE FROM quarantine WHERE document = ?", (document,))
    connection.execute("DELETE FROM documents WHERE id = ?", (document_id,))
    connection.execute("INSERT INTO erased (name_hash) VALUES (?)", (hash_of(document),))


def remove_mark(connection: sqlite3.Connection, document: str) -> None:
    """Lets an erased name be used anew; see ``Trash.readmit``."""
    if _find_deleted(connection, check_name(document)) is not None:
        raise DocumentDeleted(document)
    connection.execute("DELETE FROM erased WHERE name_hash = ?", (hash_of(document),))


def read_tombstones(
    connection: sqlite3.Connection, prefix: str, after: str, limit: int
) -> Sequence[Tombstone]:
    """Lists deleted documents; see ``Trash.tombstones``."""
    rows = connection.execute(
        _TOMBSTONES + "WHERE tombstones.name >= ? AND tombstones.name > ? ORDER BY tombstones.name",
        (prefix, after),
    )
    found: list[Tombstone] = []
    for row in rows:
        if len(found) >= limit or not row[0].startswith(prefix):
            break
        found.append(_tombstone(row))
    rows.close()
    return found


def copy_rows(connection: sqlite3.Connection, document: str, copy: str) -> None:
    """Copies a document with all that belongs to it; see ``Trash.duplicate``."""
    document_id = _find(connection, document)
    if document_id is None:
        refuse_deleted(connection, document)
        raise DocumentNotFound(document)
    remove_mark(connection, copy)
    if _find(connection, copy) is not None:
        raise DocumentExists(copy)
    fresh = {"name": copy, "epoch": new_epoch()}
    copy_id = _copy(connection, "documents", "id", document_id, fresh)
    for table in _tables_of_documents(connection):
        _copy(connection, table, "document_id", document_id, {"document_id": copy_id})


def _copy(
    connection: sqlite3.Connection,
    table: str,
    key: str,
    value: int,
    changed: Mapping[str, str | int],
) -> int:
    """Copies rows with some columns changed; each gets an ``id`` of its own where it has one.

    Returns:
        The row id of the last one.
    """
    columns = [name for name in _columns(connection, table) if name != "id"]
    selected = ["?" if name in changed else name for name in columns]
    values = [changed[name] for name in columns if name in changed]
    cursor = connection.execute(
        f"INSERT INTO {table} ({', '.join(columns)})"
        f" SELECT {', '.join(selected)} FROM {table} WHERE {key} = ?",
        (*values, value),
    )
    return cursor.lastrowid or 0


def _tables_of_documents(connection: sqlite3.Connection) -> Iterator[str]:
    """Every table whose rows belong to documents: a new one is erased and copied, too."""
    tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    for (table,) in tables:
        if "document_id" in _columns(connection, table):
            yield table


def _columns(connection: sqlite3.Connection, table: str) -> list[str]:
    return [name for _, name, *_ in connection.execute(f"PRAGMA table_info({table})")]


def _find(connection: sqlite3.Connection, document: str) -> int | None:
    row: tuple[int] | None = connection.execute(
        "SELECT id FROM documents WHERE name = ?", (check_name(document),)
    ).fetchone()
    return row and row[0]


def _find_deleted(connection: sqlite3.Connection, document: str) -> int | None:
    row: tuple[int] | None = connection.execute(
        "SELECT document_id FROM tombstones WHERE name = ?", (document,)
    ).fetchone()
    return row and row[0]


def _is_erased(connection: sqlite3.Connection, document: str) -> bool:
    statement = "SELECT 1 FROM erased WHERE name_hash = ?"
    return connection.execute(statement, (hash_of(document),)).fetchone() is not None


def _author_id(connection: sqlite3.Connection, author: str | None) -> int | None:
    if author is None:
        return None
    connection.execute("INSERT OR IGNORE INTO authors (name) VALUES (?)", (check_author(author),))
    row: tuple[int] = connection.execute(
        "SELECT id FROM authors WHERE name = ?", (author,)
    ).fetchone()
    return row[0]


def _tombstone(row: tuple[str, int, str | None, int]) -> Tombstone:
    document, deleted_ms, author, size = row
    return Tombstone(document=document, deleted_ms=deleted_ms, author=author, bytes=size)
