"""The rows of a SQLite file; see ``collab.storage.row_store.Rows``."""

import sqlite3
from collections.abc import Sequence

from collab.storage.sqlite.archive_rows import read_base, write_retention
from collab.storage.sqlite.log_reader import read_entries, read_head, read_stored, read_summaries
from collab.storage.sqlite.quarantine import read_quarantine, write_quarantine
from collab.storage.sqlite.revocation_rows import read_revocations, write_revocation
from collab.storage.sqlite.trash_rows import (
    copy_rows,
    erase_rows,
    read_tombstones,
    remove_mark,
    remove_tombstone,
    write_tombstone,
)
from collab.storage.sqlite.version_rows import (
    delete_version,
    insert_version,
    read_pin,
    read_versions,
    write_pin,
)
from collab.store import Entry

__all__ = [
    "copy_rows",
    "delete_version",
    "erase_rows",
    "insert_version",
    "read_base",
    "read_batch",
    "read_head",
    "read_pin",
    "read_quarantine",
    "read_revocations",
    "read_stored",
    "read_summaries",
    "read_tombstones",
    "read_versions",
    "remove_mark",
    "remove_tombstone",
    "write_pin",
    "write_quarantine",
    "write_retention",
    "write_revocation",
    "write_tombstone",
]


def read_batch(
    connection: sqlite3.Connection,
    document_id: int,
    epoch: str,
    after_seq: int,
    newest_seq: int,
) -> Sequence[Entry]:
    """Reads entries of a document that may be erased meanwhile: its row's id is used again."""
    entries = read_entries(connection, document_id, after_seq, newest_seq)
    same = connection.execute(
        "SELECT 1 FROM documents WHERE id = ? AND epoch = ?", (document_id, epoch)
    ).fetchone()
    return entries if same else ()
