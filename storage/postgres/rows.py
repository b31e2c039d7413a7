"""The rows of a Postgres database; see ``collab.storage.row_store.Rows``."""

from collections.abc import Sequence

from collab.storage.postgres.archive import read_base, write_retention
from collab.storage.postgres.connection import Connection
from collab.storage.postgres.log_reader import (
    read_entries,
    read_head,
    read_stored,
    read_summaries,
    see_one_moment,
)
from collab.storage.postgres.quarantine import read_quarantine, write_quarantine
from collab.storage.postgres.revocation_rows import read_revocations, write_revocation
from collab.storage.postgres.trash_rows import (
    copy_rows,
    erase_rows,
    read_tombstones,
    remove_mark,
    remove_tombstone,
    write_tombstone,
)
from collab.storage.postgres.version_rows import (
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
    connection: Connection, document_id: int, epoch: str, after_seq: int, newest_seq: int
) -> Sequence[Entry]:
    """Reads entries that belong together, while they may be packed by somebody else.

    Args:
        connection: outside a transaction.
        document_id: row id of the document; Postgres uses none again.
        epoch: of that row.
        after_seq: the first entry has a greater seq.
        newest_seq: the last entry has no greater seq.
    """
    with connection.transaction():
        see_one_moment(connection)
        return read_entries(connection, document_id, after_seq, newest_seq)
