"""The rows of a SQLite file; see ``collab.storage.row_store.Rows``."""

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

read_batch = read_entries
