"""Versions in a Postgres store: what each call reads or writes, in one transaction."""

from collab.access import check_name
from collab.errors import DocumentNotFound, PointNotFound, VersionExists, VersionNotFound
from collab.storage.postgres.connection import Connection
from collab.storage.postgres.log_reader import read_head
from collab.storage.postgres.trash_rows import (
    decode_author,
    encode_author,
    find,
    refuse_deleted,
)
from collab.versions import Version, check_version_name

_VERSIONS = """
    SELECT name, seq, created_ms, author, automatic, payload IS NOT NULL FROM collab.versions
    WHERE document_id = %s ORDER BY seq, created_ms, name
"""


def insert_version(connection: Connection, document: str, version: Version) -> None:
    """Names a point of a document; see ``VersionStore.add_version``."""
    name = check_version_name(version.name)
    author = encode_author(version.author)
    # Under the lock: nobody drops the entries that it needs before it is there to be pinned.
    head = find(connection, document)
    if head is None:
        refuse_deleted(connection, document)
        raise DocumentNotFound(document)
    document_id, seq = head
    (oldest_seq,) = connection.execute(
        "SELECT coalesce(max(seq), 0) FROM collab.bases WHERE document_id = %s", (document_id,)
    ).fetchone() or (0,)
    if not oldest_seq <= version.seq <= seq:
        expected = f"expected a seq of {oldest_seq} to {seq} of {document!r}"
        raise PointNotFound(f"{expected}, got {version.seq}", document)
    cursor = connection.execute(
        "INSERT INTO collab.versions (document_id, name, seq, created_ms, author, automatic)"
        " VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
        (document_id, name, version.seq, version.created_ms, author, version.automatic),
    )
    if cursor.rowcount == 0:
        raise VersionExists(document, name)


def read_versions(connection: Connection, document: str) -> list[Version]:
    """Lists a document's versions; see ``VersionStore.versions``."""
    return [
        Version(
            name=name,
            seq=seq,
            created_ms=created_ms,
            author=decode_author(author),
            automatic=automatic,
            pinned=pinned,
        )
        for name, seq, created_ms, author, automatic, pinned in connection.execute(
            _VERSIONS, (_find(connection, document),)
        )
    ]


def delete_version(connection: Connection, document: str, name: str) -> None:
    """Forgets a version; see ``VersionStore.remove_version``."""
    cursor = connection.execute(
        "DELETE FROM collab.versions WHERE document_id = %s AND name = %s",
        (_find(connection, document), _known(name)),
    )
    if cursor.rowcount == 0:
        raise VersionNotFound(document, name)


def write_pin(connection: Connection, document: str, name: str, update: bytes) -> None:
    """Keeps a version's content beside the log; see ``VersionStore.pin_version``."""
    cursor = connection.execute(
        "UPDATE collab.versions SET payload = %b WHERE document_id = %s AND name = %s",
        (update, _find(connection, document), _known(name)),
    )
    if cursor.rowcount == 0:
        raise VersionNotFound(document, name)


def read_pin(connection: Connection, document: str, name: str) -> bytes | None:
    """Reads a version's pinned content; see ``VersionStore.pinned``."""
    row: tuple[bytes | None] | None = connection.execute(
        "SELECT payload FROM collab.versions WHERE document_id = %s AND name = %s",
        (_find(connection, document), _known(name)),
        binary=True,
    ).fetchone()
    if row is None:
        raise VersionNotFound(document, name)
    return row[0]


def _find(connection: Connection, document: str) -> int:
    head = read_head(connection, check_name(document))
    if head is None:
        raise DocumentNotFound(document)
    return head[0]


def _known(name: str) -> str:
    # A name that Postgres could not even be asked about is no version's.
    return name.encode(errors="replace").decode().replace("\0", "\x01")
