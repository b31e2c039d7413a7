"""LogWriter: the group commit into a Postgres store."""

import threading
import time
from collections.abc import Mapping, Sequence

from psycopg_pool import ConnectionPool

from collab.access import check_name
from collab.errors import DocumentDeleted, DocumentExists
from collab.storage.checks import check_appends
from collab.storage.columns import new_epoch
from collab.storage.filed import Packed
from collab.storage.postgres.connection import Connection
from collab.storage.postgres.trash_rows import encode_author, refuse_deleted
from collab.store import Append, Appended

_HEADS = """
    SELECT name, id, seq, epoch FROM collab.documents WHERE name = ANY(%s::text[])
    ORDER BY name FOR UPDATE
"""

_CREATE = """
    INSERT INTO collab.documents (name, created_ms, updated_ms, epoch)
    SELECT name, created_ms, created_ms, epoch
    FROM unnest(%s::text[], %s::bigint[], %s::text[]) AS new (name, created_ms, epoch)
    ORDER BY name COLLATE "C"
    ON CONFLICT (name) DO NOTHING
"""

_UPDATES = """
    INSERT INTO collab.updates (document_id, seq, time_ms, author, payload)
    SELECT * FROM unnest(%b::bigint[], %b::bigint[], %b::bigint[], %b::bytea[], %b::bytea[])
"""

_NEW_HEADS = """
    UPDATE collab.documents
    SET seq = new.seq, updated_ms = new.updated_ms, bytes = documents.bytes + new.bytes
    FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[])
         AS new (id, seq, updated_ms, bytes)
    WHERE documents.id = new.id
"""

_STATE = """
    INSERT INTO collab.{table} (document_id, seq, bytes, form, payload)
    VALUES (%s, %s, %s, %s, %b)
    ON CONFLICT (document_id) DO UPDATE SET seq = excluded.seq, bytes = excluded.bytes,
        form = excluded.form, payload = excluded.payload
"""
_STATES = (_STATE.format(table="bases"), _STATE.format(table="checkpoints"))


class LogWriter:
    """Writes ``append`` calls, one transaction each, however many documents are in it.

    Rows of documents are locked, in order of name, before anything else: so entries of several
    servers come one after the other, without holes. Then everything is sent in one piece, the
    commit with it: an append is two round trips, and two more where it begins a document.

    Its methods block and may be called from any thread; appends wait for each other.

    Args:
        pool: where connections are from.
    """

    def __init__(self, pool: ConnectionPool[Connection]) -> None:
        self._pool = pool
        self._turn = threading.Lock()

    def append(self, appends: Sequence[Append]) -> list[Appended]:
        """Writes everything in one transaction; see ``Store.append``."""
        check_appends(appends)
        if not appends:
            return []
        states = {
            append.document: Packed.state(append.checkpoint)
            for append in appends
            if append.checkpoint is not None
        }
        new: dict[str, str] = {}
        with self._turn, self._pool.connection() as connection:
            while True:
                try:
                    with connection.pipeline(), connection.transaction():
                        return _write(connection, appends, _lock(connection, appends, new), states)
                except _Missing as missing:
                    new |= {name: new_epoch() for name in missing.names}


class _Missing(Exception):
    """There are no rows of these documents; those that were locked are free again."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__(names)
        self.names = names


def _lock(
    connection: Connection, appends: Sequence[Append], new: Mapping[str, str]
) -> dict[str, tuple[int, int, str]]:
    """Locks the rows of documents.

    New ones are made first: who has made a row keeps others from it, as by a lock, and a lock is
    not waited for out of order.

    Args:
        connection: in a transaction that has locked nothing yet.
        appends: what is to be written.
        new: names of documents that are not there, and the epochs that they are made with.

    Returns:
        The id, the seq and the epoch of each, by name.

    Raises:
        _Missing: some that have something to write are not there.
        DocumentDeleted: one that has something to write was deleted, or is another one by now.
        DocumentExists: one that was to begin is there.
    """
    names = [check_name(append.document) for append in appends]
    now_ms = time.time_ns() // 1_000_000
    created_ms = {
        append.document: append.entries[0].time_ms if append.entries else now_ms
        for append in appends
        if append.entries or append.checkpoint is not None
    }
    if new:
        values = (list(new), [created_ms[name] for name in new], list(new.values()))
        connection.execute(_CREATE, values)
    rows = connection.execute(_HEADS, (names,)).fetchall()
    heads = {name: (row_id, seq, epoch) for name, row_id, seq, epoch in rows}
    missing = [name for name in created_ms if name not in heads]
    if missing:
        raise _Missing(missing)
    if new:
        # The names are ours now, or another server's whose row is locked. Only from here on no
        # other transaction can delete them before this one ends.
        refuse_deleted(connection, *new)
    for append in appends:
        name = append.document
        if name not in heads:
            continue
        _, _, epoch = heads[name]
        if append.begins and new.get(name) != epoch:
            raise DocumentExists(name)
        if append.epoch is not None and (name in new or append.epoch != epoch):
            raise DocumentDeleted(name)
    return heads


def _write(
    connection: Connection,
    appends: Sequence[Append],
    heads: Mapping[str, tuple[int, int, str]],
    states: Mapping[str, Packed],
) -> list[Appended]:
    updates: list[tuple[int, int, int, bytes | None, bytes]] = []
    new_heads: list[tuple[int, int, int, int]] = []
    appended = []
    for append in appends:
        if append.document not in heads:
            appended.append(Appended(0, None))
            continue
        document_id, base_seq, epoch = heads[append.document]
        entries = append.entries
        updates += [
            (document_id, seq, entry.time_ms, encode_author(entry.author), entry.update)
            for seq, entry in enumerate(entries, base_seq + 1)
        ]
        seq = base_seq + len(entries)
        if entries:
            size = sum(len(entry.update) for entry in entries)
            new_heads.append((document_id, seq, entries[-1].time_ms, size))
        if append.checkpoint is not None and append.base_seq in (None, base_seq):
            # Before any entry it is what the document begins with, and stays.
            state = states[append.document]
            row = (document_id, seq, state.size, int(state.form), state.payload)
            connection.execute(_STATES[seq > 0], row)
        appended.append(Appended(seq, epoch))
    if updates:
        connection.execute(_UPDATES, [list(column) for column in zip(*updates, strict=True)])
        connection.execute(_NEW_HEADS, [list(column) for column in zip(*new_heads, strict=True)])
    return appended
