"""Versions in a SQLite store: what each call reads or writes, in one transaction."""

import sqlite3

from collab.access import check_name
from collab.errors import DocumentNotFound, PointNotFound, VersionExists, VersionNotFound
from collab.storage.checks import check_author
from collab.storage.sqlite.log_reader import read_head
from collab.versions import Version, check_version_name

_VERSIONS = """
    SELECT versions.name, versions.seq, versions.created_ms, authors.name, versions.automatic,
           versions.payload IS NOT NULL
    FROM versions LEFT JOIN authors ON authors.id = versions.author_id
    WHERE versions.document_id = ?
    ORDER BY versions.seq, versions.created_ms, versions.name
"""


def insert_version(connection: sqlite3.Connection, document: str, version: Version) -> None:
    """Names a point of a document; see ``VersionStore.add_version``."""
    name = check_version_name(version.name)
    document_id, seq = _find(connection, document)
    (oldest_seq,) = connection.execute(
        "SELECT coalesce(max(seq), 0) FROM bases WHERE document_id = ?", (document_id,)
    ).fetchone()
    if not oldest_seq <= version.seq <= seq:
        expected = f"expected a seq of {oldest_seq} to {seq} of {document!r}"
        raise PointNotFound(f"{expected}, got {version.seq}", document)
    author_id = None
    if version.author is not None:
        author = check_author(version.author)
        connection.execute("INSERT OR IGNORE INTO authors (name) VALUES (?)", (author,))
        (author_id,) = connection.execute(
            "SELECT id FROM authors WHERE name = ?", (author,)
        ).fetchone()
    cursor = connection.execute(
        "INSERT OR IGNORE INTO versions"
        " (document_id, name, seq, created_ms, author_id, automatic) VALUES (?, ?, ?, ?, ?, ?)",
        (document_id, name, version.seq, version.created_ms, author_id, version.automatic),
    )
    if cursor.rowcount == 0:
        raise VersionExists(document, name)


def read_versions(connection: sqlite3.Connection, document: str) -> list[Version]:
    """Lists a document's versions; see ``VersionStore.versions``."""
    document_id, _ = _find(connection, document)
    return [
        Version(
            name=name,
            seq=seq,
            created_ms=created_ms,
            author=author,
            automatic=bool(automatic),
            pinned=bool(pinned),
        )
        for name, seq, created_ms, author, automatic, pinned in connection.execute(
            _VERSIONS, (document_id,)
        )
    ]


def delete_version(connection: sqlite3.Connection, document: str, name: str) -> None:
    """Forgets a version; see ``VersionStore.remove_version``."""
    document_id, _ = _find(connection, document)
    cursor = connection.execute(
        "DELETE FROM versions WHERE document_id = ? AND name = ?", (document_id, _known(name))
    )
    if cursor.rowcount == 0:
        raise VersionNotFound(document, name)


def write_pin(connection: sqlite3.Connection, document: str, name: str, update: bytes) -> None:
    """Keeps a version's content beside the log; see ``VersionStore.pin_version``."""
    document_id, _ = _find(connection, document)
    cursor = connection.execute(
        "UPDATE versions SET payload = ? WHERE document_id = ? AND name = ?",
        (update, document_id, _known(name)),
    )
    if cursor.rowcount == 0:
        raise VersionNotFound(document, name)


def read_pin(connection: sqlite3.Connection, document: str, name: str) -> bytes | None:
    """Reads a version's pinned content; see ``VersionStore.pinned``."""
    document_id, _ = _find(connection, document)
    row: tuple[bytes | None] | None = connection.execute(
        "SELECT payload FROM versions WHERE document_id = ? AND name = ?",
        (document_id, _known(name)),
    ).fetchone()
    if row is None:
        raise VersionNotFound(document, name)
    return row[0]


def _find(connection: sqlite3.Connection, document: str) -> tuple[int, int]:
    head = read_head(connection, check_name(document))
    if head is None:
        raise DocumentNotFound(document)
    document_id, seq, _ = head
    return document_id, seq


def _known(name: str) -> str:
    # A name that SQLite could not even be asked about is no version's.
    return name.encode(errors="replace").decode()
