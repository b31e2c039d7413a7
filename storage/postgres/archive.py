"""PostgresArchive: the tables that compaction works on, within one transaction."""

from collections.abc import Mapping, Sequence

from collab.access import check_name
from collab.archive import Base, Retention
from collab.errors import DocumentNotFound
from collab.storage.block import unpack
from collab.storage.columns import expand_state, retention_column
from collab.storage.compression import expand
from collab.storage.filed import Filed, Packed, PackedBlock, filed_of
from collab.storage.postgres.connection import Connection
from collab.storage.postgres.log_reader import read_entries, read_head, read_state
from collab.storage.postgres.trash_rows import refuse_deleted
from collab.store import Entry

_SHAPES = """
    SELECT documents.id, documents.epoch, documents.name, documents.seq, documents.updated_ms,
           documents.retention_ms,
           coalesce(bases.seq, 0), coalesce(bases.bytes, 0),
           coalesce(checkpoints.seq, 0), coalesce(checkpoints.bytes, 0),
           tail.first_seq, tail.last_seq, tail.bytes,
           coalesce(
               (SELECT first_ms FROM collab.blocks
                WHERE document_id = documents.id AND first_ms <= %(now_ms)s
                ORDER BY last_seq LIMIT 1),
               (SELECT time_ms FROM collab.updates
                WHERE document_id = documents.id AND time_ms <= %(now_ms)s
                ORDER BY seq LIMIT 1))
    FROM collab.documents
         LEFT JOIN collab.bases ON bases.document_id = documents.id
         LEFT JOIN collab.checkpoints ON checkpoints.document_id = documents.id
         LEFT JOIN LATERAL (
             SELECT first_seq, last_seq, bytes FROM collab.blocks
             WHERE document_id = documents.id ORDER BY last_seq DESC LIMIT 1
         ) AS tail ON true
"""


class PostgresArchive:
    """Reads, and writes under the lock of the document's row; see ``ArchiveTables``.

    Args:
        connection: in a transaction, which ends soon after a write: appends wait for it then.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def claim(self, filed: Filed) -> bool:
        """Keeps others from compacting a document until the transaction ends.

        Returns:
            False where somebody else is at it.
        """
        (claimed,) = self._connection.execute(
            "SELECT pg_try_advisory_xact_lock(hashtextextended(%s, 0))", (filed.epoch,)
        ).fetchone() or (False,)
        return bool(claimed)

    def read_page(self, after: str, limit: int, now_ms: int) -> Sequence[Filed]:
        """The next documents in order of name, as they are at a time."""
        rows = self._connection.execute(
            _SHAPES + "WHERE documents.name >= ' ' AND documents.name > %(after)s"
            " ORDER BY documents.name LIMIT %(limit)s",
            {"after": after.split("\0")[0], "limit": limit, "now_ms": now_ms},
        )
        return [filed_of(row) for row in rows]

    def read_filed(self, document: str, now_ms: int) -> Filed:
        """A document; see ``ArchiveTables.read_filed``."""
        row = self._connection.execute(
            _SHAPES + "WHERE documents.name = %(name)s",
            {"name": check_name(document), "now_ms": now_ms},
        ).fetchone()
        if row is None:
            refuse_deleted(self._connection, document)
            raise DocumentNotFound(document)
        return filed_of(row)

    def read_state(self, filed: Filed) -> Base:
        """The newest whole state, checkpoint or base."""
        seq, update = read_state(self._connection, filed.name, filed.id)
        return Base(seq=seq, update=update)

    def read_base(self, filed: Filed) -> Base:
        """Where a history begins."""
        return read_base(self._connection, filed.name)

    def read_entries(self, filed: Filed, after_seq: int, newest_seq: int) -> Sequence[Entry]:
        """A bounded part of a log; only whoever has the claim packs meanwhile."""
        return read_entries(self._connection, filed.id, after_seq, newest_seq)

    def read_unpinned(self, filed: Filed, before_seq: int) -> set[int]:
        """The seqs of versions that need the entries before ``before_seq``."""
        rows = self._connection.execute(
            "SELECT DISTINCT seq FROM collab.versions"
            " WHERE document_id = %s AND seq >= %s AND seq < %s AND payload IS NULL",
            (filed.id, filed.shape.base_seq, before_seq),
        )
        return {seq for (seq,) in rows}

    def read_block_rest(self, filed: Filed, after_seq: int) -> Sequence[Entry]:
        """What follows an entry in its block."""
        row = self._connection.execute(
            "SELECT first_seq, form, payload FROM collab.blocks"
            " WHERE document_id = %s AND last_seq > %s AND first_seq <= %s",
            (filed.id, after_seq, after_seq),
            binary=True,
        ).fetchone()
        if row is None:
            return []
        entries = unpack(expand(row[1], row[2]), row[0])
        return [entry for entry in entries if entry.seq > after_seq]

    def write_checkpoint(self, filed: Filed, entries: Sequence[Entry], state: Packed) -> None:
        """Writes the state after ``entries`` unless there is a newer one."""
        if self._is_there(filed, entries):
            self._connection.execute(
                "INSERT INTO collab.checkpoints AS old (document_id, seq, bytes, form, payload)"
                " VALUES (%s, %s, %s, %s, %b)"
                " ON CONFLICT (document_id) DO UPDATE SET seq = excluded.seq,"
                " bytes = excluded.bytes, form = excluded.form, payload = excluded.payload"
                " WHERE excluded.seq > old.seq",
                (filed.id, entries[-1].seq, state.size, int(state.form), state.payload),
            )

    def write_block(self, filed: Filed, entries: Sequence[Entry], block: PackedBlock) -> None:
        """Puts a block in the place of its entries."""
        tail = filed.shape.tail
        extends = tail is not None and tail.first_seq == block.first_seq
        if extends:
            entries = _loose(filed, entries)
        if not self._is_there(filed, entries):
            return
        if extends:
            self._connection.execute(
                "DELETE FROM collab.blocks WHERE document_id = %s AND first_seq = %s",
                (filed.id, block.first_seq),
            )
        self._insert_block(filed, block)
        self._connection.execute(
            "DELETE FROM collab.updates WHERE document_id = %s AND seq >= %s AND seq <= %s",
            (filed.id, block.first_seq, block.last_seq),
        )

    def write_base(
        self,
        filed: Filed,
        entries: Sequence[Entry],
        state: Packed,
        pins: Mapping[int, bytes],
        rest: PackedBlock | None,
    ) -> None:
        """Drops the oldest entries; see ``ArchiveTables.write_base``."""
        seq = entries[-1].seq
        if not self._is_there(filed, _loose(filed, entries)):
            return
        if self.read_unpinned(filed, seq) - set(pins):
            return  # A version was made meanwhile.
        for pinned_seq, update in pins.items():
            self._connection.execute(
                "UPDATE collab.versions SET payload = %b"
                " WHERE document_id = %s AND seq = %s AND payload IS NULL",
                (update, filed.id, pinned_seq),
            )
        self._connection.execute(
            "INSERT INTO collab.bases (document_id, seq, bytes, form, payload)"
            " VALUES (%s, %s, %s, %s, %b)"
            " ON CONFLICT (document_id) DO UPDATE SET seq = excluded.seq,"
            " bytes = excluded.bytes, form = excluded.form, payload = excluded.payload",
            (filed.id, seq, state.size, int(state.form), state.payload),
        )
        for statement in (
            "DELETE FROM collab.checkpoints WHERE document_id = %s AND seq <= %s",
            "DELETE FROM collab.blocks WHERE document_id = %s AND first_seq <= %s",
            "DELETE FROM collab.updates WHERE document_id = %s AND seq <= %s",
        ):
            self._connection.execute(statement, (filed.id, seq))
        if rest is not None:
            self._insert_block(filed, rest)
        self._connection.execute(
            "UPDATE collab.documents SET bytes = bytes - %s WHERE id = %s",
            (sum(len(entry.update) for entry in entries), filed.id),
        )

    def _is_there(self, filed: Filed, loose: Sequence[Entry]) -> bool:
        """Locks the document's row; tells whether what was read of the document still stands."""
        locked = self._connection.execute(
            "SELECT FROM collab.documents WHERE id = %s AND name = %s FOR UPDATE",
            (filed.id, filed.name),
        )
        if locked.rowcount == 0:
            return False
        now = self.read_filed(filed.name, now_ms=0).shape
        if (now.base_seq, now.tail) != (filed.shape.base_seq, filed.shape.tail):
            return False
        if not loose:
            return True
        there = self._connection.execute(
            "SELECT count(*), sum(length(payload)) FROM collab.updates"
            " WHERE document_id = %s AND seq >= %s AND seq <= %s",
            (filed.id, loose[0].seq, loose[-1].seq),
        ).fetchone()
        return there == (len(loose), sum(len(entry.update) for entry in loose))

    def _insert_block(self, filed: Filed, block: PackedBlock) -> None:
        self._connection.execute(
            "INSERT INTO collab.blocks"
            " (document_id, first_seq, last_seq, first_ms, bytes, form, payload)"
            " VALUES (%s, %s, %s, %s, %s, %s, %b)",
            (
                filed.id,
                block.first_seq,
                block.last_seq,
                block.first_ms,
                block.size,
                int(block.form),
                block.payload,
            ),
        )


def read_base(connection: Connection, document: str) -> Base:
    """Reads where a document's history begins; see ``Archive.base``."""
    head = read_head(connection, check_name(document))
    if head is None:
        raise DocumentNotFound(document)
    row = connection.execute(
        "SELECT seq, form, payload FROM collab.bases WHERE document_id = %s",
        (head[0],),
        binary=True,
    ).fetchone()
    if row is None:
        return Base(seq=0, update=None)
    return Base(seq=row[0], update=expand_state(document, *row[1:]))


def write_retention(connection: Connection, document: str, retention: Retention | None) -> None:
    """Sets how long a document's entries are kept; see ``Archive.retain``."""
    cursor = connection.execute(
        "UPDATE collab.documents SET retention_ms = %s WHERE name = %s",
        (retention_column(retention), check_name(document)),
    )
    if cursor.rowcount == 0:
        refuse_deleted(connection, document)
        raise DocumentNotFound(document)


def _loose(filed: Filed, entries: Sequence[Entry]) -> Sequence[Entry]:
    tail = filed.shape.tail
    return [entry for entry in entries if tail is None or entry.seq > tail.last_seq]
