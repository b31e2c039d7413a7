"""Deleted documents in a Postgres store: what each call reads or writes, in one transaction.

A deleted document's row is renamed to what cannot name a document, as SQLite's is.
Whoever renames or copies a document's row holds its lock first, as appends do.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from psycopg import sql

from collab.access import check_name
from collab.errors import DocumentDeleted, DocumentExists, DocumentNotFound
from collab.storage.checks import check_author
from collab.storage.columns import DELETED, hash_of, new_epoch
from collab.storage.postgres.connection import Connection
from collab.trash import Tombstone

_TOMBSTONES = """
    SELECT tombstones.name, tombstones.deleted_ms, tombstones.author, documents.bytes
    FROM collab.tombstones JOIN collab.documents ON documents.id = tombstones.document_id
"""


def find(connection: Connection, document: str) -> tuple[int, int] | None:
    """Locks a document's row until the transaction ends; returns its id and seq.

    Returns:
        None where there is no such document.
    """
    return connection.execute(
        "SELECT id, seq FROM collab.documents WHERE name = %s FOR UPDATE", (check_name(document),)
    ).fetchone()


def find_deleted(connection: Connection, documents: Sequence[str]) -> str | None:
    """Names one of some documents that was deleted, and perhaps erased; None where none was."""
    # One statement sees one moment: between two, a deleted document could be erased.
    row = connection.execute(
        "SELECT name FROM unnest(%s::text[], %s::bytea[]) AS wanted (name, name_hash)"
        " WHERE EXISTS (SELECT FROM collab.tombstones WHERE tombstones.name = wanted.name)"
        " OR EXISTS (SELECT FROM collab.erased WHERE erased.name_hash = wanted.name_hash) LIMIT 1",
        (list(documents), [hash_of(document) for document in documents]),
    ).fetchone()
    return None if row is None else row[0]


def refuse_deleted(connection: Connection, *documents: str) -> None:
    """Looks for what is left of documents that are not there.

    Raises:
        DocumentDeleted: one was deleted, and perhaps erased.
    """
    deleted = find_deleted(connection, documents)
    if deleted is not None:
        raise DocumentDeleted(deleted)


def write_tombstone(
    connection: Connection, document: str, time_ms: int, author: str | None
) -> Tombstone:
    """Deletes a document; see ``Trash.delete``."""
    signed = encode_author(author)
    head = find(connection, document)
    if head is not None:
        connection.execute(
            "UPDATE collab.documents SET name = %s WHERE id = %s", (DELETED + document, head[0])
        )
        connection.execute(
            "INSERT INTO collab.tombstones (document_id, name, deleted_ms, author)"
            " VALUES (%s, %s, %s, %s)",
            (head[0], document, time_ms, signed),
        )
    row = connection.execute(_TOMBSTONES + "WHERE tombstones.name = %s", (document,)).fetchone()
    if row is None:
        refuse_deleted(connection, document)
        raise DocumentNotFound(document)
    return _tombstone(row)


def remove_tombstone(connection: Connection, document: str) -> None:
    """Brings a deleted document back; see ``Trash.undelete``."""
    if find(connection, document) is not None:
        return
    row = connection.execute(
        "DELETE FROM collab.tombstones WHERE name = %s RETURNING document_id", (document,)
    ).fetchone()
    if row is None:
        if find(connection, document) is not None:
            return  # Somebody else has brought it back meanwhile.
        refuse_deleted(connection, document)
        raise DocumentNotFound(document)
    connection.execute("UPDATE collab.documents SET name = %s WHERE id = %s", (document, row[0]))


def erase_rows(connection: Connection, document: str, deleted_ms: int | None) -> None:
    """Erases a deleted document and leaves a mark; see ``Trash.erase``."""
    row = connection.execute(
        "SELECT document_id, deleted_ms FROM collab.tombstones WHERE name = %s FOR UPDATE",
        (check_name(document),),
    ).fetchone()
    if row is None:
        if find_deleted(connection, [document]) is None:
            raise DocumentNotFound(document)
        return
    document_id, then_ms = row
    if deleted_ms not in (None, then_ms):
        return
    for table in _tables_of_documents(connection):
        statement = sql.SQL("DELETE FROM collab.{} WHERE document_id = %s")
        connection.execute(statement.format(sql.Identifier(table)), (document_id,))
    connection.execute("DELETE FROM collab.quarantine WHERE document = %s", (document,))
    connection.execute("DELETE FROM collab.documents WHERE id = %s", (document_id,))
    connection.execute("INSERT INTO collab.erased (name_hash) VALUES (%s)", (hash_of(document),))


def remove_mark(connection: Connection, document: str) -> None:
    """Lets an erased name be used anew; see ``Trash.readmit``."""
    deleted = connection.execute(
        "SELECT FROM collab.tombstones WHERE name = %s", (check_name(document),)
    )
    if deleted.rowcount:
        raise DocumentDeleted(document)
    connection.execute("DELETE FROM collab.erased WHERE name_hash = %s", (hash_of(document),))


def read_tombstones(
    connection: Connection, prefix: str, after: str, limit: int
) -> Sequence[Tombstone]:
    """Lists deleted documents; see ``Trash.tombstones``."""
    if "\0" in prefix + after:
        prefix, after = storable_bounds(prefix, after)
    rows = connection.execute(
        _TOMBSTONES + "WHERE tombstones.name > %s AND starts_with(tombstones.name, %s)"
        " ORDER BY tombstones.name LIMIT %s",
        (after, prefix, max(limit, 0)),
    )
    return [_tombstone(row) for row in rows]


def copy_rows(connection: Connection, document: str, copy: str) -> None:
    """Copies a document with all that belongs to it; see ``Trash.duplicate``."""
    head = find(connection, document)
    if head is None:
        refuse_deleted(connection, document)
        raise DocumentNotFound(document)
    remove_mark(connection, copy)
    fresh = {"name": copy, "epoch": new_epoch()}
    copy_id = _copy(connection, "documents", "id", head[0], fresh)
    if copy_id is None:
        raise DocumentExists(copy)
    refuse_deleted(connection, copy)  # Or it was deleted while the new row waited for its name.
    for table in _tables_of_documents(connection):
        _copy(connection, table, "document_id", head[0], {"document_id": copy_id})


def encode_author(author: str | None) -> bytes | None:
    """Writes the column ``author``.

    Raises:
        StoreError: it cannot be stored.
    """
    return None if author is None else check_author(author).encode()


def decode_author(author: bytes | None) -> str | None:
    """Reads the column ``author``."""
    return None if author is None else author.decode()


def storable_bounds(prefix: str, after: str) -> tuple[str, str]:
    """Bounds of a listing without U+0000, which Postgres cannot compare with.

    No name has a control character: what begins with one that has U+0000 is nothing, and what
    comes after a text that has one comes after the part before it.
    """
    return prefix.replace("\0", "\x01"), after.split("\0")[0]


def _copy(
    connection: Connection, table: str, key: str, value: int, changed: Mapping[str, str | int]
) -> int | None:
    """Copies rows with some columns changed; each gets an ``id`` of its own where it has one.

    Returns:
        The first value of the last one, its id where it has one; None where nothing was copied.
    """
    columns = [name for name in _columns(connection, table) if name != "id"]
    selected = [sql.Placeholder() if name in changed else sql.Identifier(name) for name in columns]
    statement = sql.SQL(
        "INSERT INTO collab.{table} ({columns}) SELECT {selected} FROM collab.{table}"
        " WHERE {key} = %s ON CONFLICT DO NOTHING RETURNING {first}"
    ).format(
        table=sql.Identifier(table),
        columns=sql.SQL(", ").join(map(sql.Identifier, columns)),
        selected=sql.SQL(", ").join(selected),
        key=sql.Identifier(key),
        first=sql.Identifier(key),
    )
    values = [changed[name] for name in columns if name in changed]
    row = connection.execute(statement, (*values, value)).fetchone()
    return None if row is None else row[0]


def _tables_of_documents(connection: Connection) -> list[str]:
    """Every table whose rows belong to documents: a new one is erased and copied, too."""
    rows = connection.execute(
        "SELECT table_name FROM information_schema.columns"
        " WHERE table_schema = 'collab' AND column_name = 'document_id' ORDER BY table_name"
    )
    return [table for (table,) in rows]


def _columns(connection: Connection, table: str) -> list[str]:
    rows = connection.execute(
        "SELECT column_name FROM information_schema.columns"
        " WHERE table_schema = 'collab' AND table_name = %s ORDER BY ordinal_position",
        (table,),
    )
    return [name for (name,) in rows]


def _tombstone(row: tuple[Any, ...]) -> Tombstone:
    document, deleted_ms, author, size = row
    return Tombstone(
        document=document, deleted_ms=deleted_ms, author=decode_author(author), bytes=size
    )
