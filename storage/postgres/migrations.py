"""The Postgres schema and the steps that lead to it.

Everything is in the schema ``collab`` of the database. The steps it has seen are rows of its table
``migrations``. Steps are only ever added: a database that names a step unknown here was written by
a newer collab.
"""

from collections.abc import Mapping

from collab.errors import StoreError, StoreNotFound, StoreVersionError
from collab.storage.postgres.connection import Connection

_LOCK = 0x59636F6C
"""Advisory lock of whoever migrates: servers may start at the same moment. ``Ycol``."""

# Names are compared by bytes, which is the order of code points. Authors and reasons are bytes in
# UTF-8: text of Postgres cannot hold U+0000. Payloads in packed tables are compressed by us.
_STORE = """
    CREATE TABLE collab.documents (
        id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        name TEXT COLLATE "C" NOT NULL UNIQUE,
        created_ms BIGINT NOT NULL,
        updated_ms BIGINT NOT NULL,
        seq BIGINT NOT NULL DEFAULT 0,
        bytes BIGINT NOT NULL DEFAULT 0,
        epoch TEXT NOT NULL,
        retention_ms BIGINT
    ) WITH (fillfactor = 70);

    CREATE TABLE collab.updates (
        document_id BIGINT NOT NULL REFERENCES collab.documents (id),
        seq BIGINT NOT NULL,
        time_ms BIGINT NOT NULL,
        author BYTEA,
        payload BYTEA NOT NULL,
        PRIMARY KEY (document_id, seq)
    );

    CREATE TABLE collab.blocks (
        document_id BIGINT NOT NULL REFERENCES collab.documents (id),
        first_seq BIGINT NOT NULL,
        last_seq BIGINT NOT NULL,
        first_ms BIGINT NOT NULL,
        bytes BIGINT NOT NULL,
        form INTEGER NOT NULL,
        payload BYTEA STORAGE EXTERNAL NOT NULL,
        PRIMARY KEY (document_id, last_seq)
    );

    CREATE TABLE collab.bases (
        document_id BIGINT PRIMARY KEY REFERENCES collab.documents (id),
        seq BIGINT NOT NULL,
        bytes BIGINT NOT NULL,
        form INTEGER NOT NULL,
        payload BYTEA STORAGE EXTERNAL NOT NULL
    );

    CREATE TABLE collab.checkpoints (LIKE collab.bases INCLUDING ALL);
    ALTER TABLE collab.checkpoints
        ADD FOREIGN KEY (document_id) REFERENCES collab.documents (id);

    CREATE TABLE collab.versions (
        document_id BIGINT NOT NULL REFERENCES collab.documents (id),
        name TEXT COLLATE "C" NOT NULL,
        seq BIGINT NOT NULL,
        created_ms BIGINT NOT NULL,
        author BYTEA,
        automatic BOOLEAN NOT NULL,
        payload BYTEA,
        PRIMARY KEY (document_id, name)
    );

    CREATE TABLE collab.quarantine (
        id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        document TEXT COLLATE "C" NOT NULL,
        seq BIGINT,
        time_ms BIGINT NOT NULL,
        author BYTEA,
        reason BYTEA NOT NULL,
        payload BYTEA NOT NULL,
        UNIQUE (document, seq)
    );

    CREATE TABLE collab.tombstones (
        document_id BIGINT PRIMARY KEY REFERENCES collab.documents (id),
        name TEXT COLLATE "C" NOT NULL UNIQUE,
        deleted_ms BIGINT NOT NULL,
        author BYTEA
    );

    CREATE TABLE collab.erased (name_hash BYTEA PRIMARY KEY);
"""

_REVOCATIONS = """
    CREATE TABLE collab.revocations (
        id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        about TEXT COLLATE "C" NOT NULL UNIQUE,
        time_ms BIGINT NOT NULL
    );
    CREATE INDEX revocations_by_time ON collab.revocations (time_ms);
"""

# The same entry with the same bytes is still kept once: whoever writes looks, under a lock.
_QUARANTINED_TWICE = """
    ALTER TABLE collab.quarantine DROP CONSTRAINT quarantine_document_seq_key;
    CREATE INDEX quarantine_by_entry ON collab.quarantine (document, seq);
"""

MIGRATIONS: Mapping[str, str] = {
    "0001_store": _STORE,
    "0002_revocations": _REVOCATIONS,
    "0003_quarantined_twice": _QUARANTINED_TWICE,
}
"""Name and statements of each step, in order."""


def migrate(
    connection: Connection,
    address: str,
    *,
    create: bool,
    migrations: Mapping[str, str] = MIGRATIONS,
) -> None:
    """Brings a blank database or an older store to the schema of this version, or changes nothing.

    Args:
        connection: in autocommit mode, outside a transaction; it is to be closed soon after.
        address: what messages call the database.
        create: whether to make a store where there is none.
        migrations: the steps to take.

    Raises:
        StoreNotFound: there is no store and ``create`` is false.
        StoreError: the database cannot hold every text.
        StoreVersionError: it was written by a newer collab.
    """
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise StoreError(f"expected a database in UTF8, got {address} in {encoding}")
    is_there = _is_there(connection)
    if not is_there and not create:
        raise StoreNotFound(address)
    if is_there and not _pending(connection, migrations):
        return
    # Before the transaction: what is known of tables is looked up anew when one begins. The lock
    # goes with the connection.
    connection.execute("SELECT pg_advisory_lock(%s)", (_LOCK,))
    with connection.transaction():
        if not _is_there(connection):
            (schema,) = connection.execute("SELECT to_regnamespace('collab')").fetchone() or (None,)
            if schema is None:  # It may have been made for a role that may not make one.
                connection.execute("CREATE SCHEMA collab")
            connection.execute(
                "CREATE TABLE collab.migrations ("
                "name TEXT PRIMARY KEY, applied_at TIMESTAMPTZ NOT NULL DEFAULT now())"
            )
        for name in _pending(connection, migrations):
            connection.execute(migrations[name])
            connection.execute("INSERT INTO collab.migrations (name) VALUES (%s)", (name,))


def _is_there(connection: Connection) -> bool:
    (table,) = connection.execute("SELECT to_regclass('collab.migrations')").fetchone() or (None,)
    return table is not None


def _pending(connection: Connection, migrations: Mapping[str, str]) -> list[str]:
    applied = {name for (name,) in connection.execute("SELECT name FROM collab.migrations")}
    newer = sorted(applied - set(migrations))
    if newer:
        raise StoreVersionError(
            f"expected a store of this version of collab, got one of a newer version, "
            f"which has {', '.join(newer)}"
        )
    return [name for name in migrations if name not in applied]
