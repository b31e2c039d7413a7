"""The SQLite schema and the steps that lead to it.

A file is known as collab's by its ``application_id``; the steps it has seen are rows of the table
``_sqlite_migrations``, which sqlite-utils keeps. Steps are only ever added: a file that names a
step unknown here was written by a newer collab.
"""

import sqlite3

from sqlite_utils import Database, Migrations

from collab.errors import StoreError, StoreVersionError

APPLICATION_ID = 0x59636F6C
"""``Ycol``: marks the file as collab's (https://www.sqlite.org/fileformat2.html#application_id)."""

MIGRATIONS = Migrations("collab")


@MIGRATIONS(name="0001_log")
def _create_log(database: Database) -> None:
    # seq, updated_ms and bytes of a document follow from its updates. They are kept so that a list
    # costs one row a document, and so that seq goes on rightly when old updates are merged away.
    database.execute(
        """
        CREATE TABLE documents (
            id INTEGER PRIMARY KEY,
            name TEXT NOT NULL UNIQUE,
            created_ms INTEGER NOT NULL,
            updated_ms INTEGER NOT NULL,
            seq INTEGER NOT NULL DEFAULT 0,
            bytes INTEGER NOT NULL DEFAULT 0
        )
        """
    )
    database.execute("CREATE TABLE authors (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)")
    # A rowid table with an index beats one that is clustered by (document_id, seq): the updates of
    # a commit land on a few shared pages instead of one page a document (300 documents a commit:
    # 3.2 ms of CPU against 5.1; updates of 2 kB: half the file, a fifth of the CPU).
    database.execute(
        """
        CREATE TABLE updates (
            id INTEGER PRIMARY KEY,
            document_id INTEGER NOT NULL REFERENCES documents (id),
            seq INTEGER NOT NULL,
            time_ms INTEGER NOT NULL,
            author_id INTEGER REFERENCES authors (id),
            payload BLOB NOT NULL,
            UNIQUE (document_id, seq)
        )
        """
    )
    database.execute(
        """
        CREATE TABLE checkpoints (
            document_id INTEGER PRIMARY KEY REFERENCES documents (id),
            seq INTEGER NOT NULL,
            payload BLOB NOT NULL
        )
        """
    )


@MIGRATIONS(name="0002_quarantine")
def _create_quarantine(database: Database) -> None:
    # By name, not by document: what is refused may be all there is under a name. SQLite lets
    # any number of rows without a seq pass the constraint: entries alone are unique.
    database.execute(
        """
        CREATE TABLE quarantine (
            id INTEGER PRIMARY KEY,
            document TEXT NOT NULL,
            seq INTEGER,
            time_ms INTEGER NOT NULL,
            author TEXT,
            reason TEXT NOT NULL,
            payload BLOB NOT NULL,
            UNIQUE (document, seq)
        )
        """
    )


@MIGRATIONS(name="0003_versions")
def _create_versions(database: Database) -> None:
    # payload: whole state, where the log no longer leads to the version.
    database.execute(
        """
        CREATE TABLE versions (
            id INTEGER PRIMARY KEY,
            document_id INTEGER NOT NULL REFERENCES documents (id),
            name TEXT NOT NULL,
            seq INTEGER NOT NULL,
            created_ms INTEGER NOT NULL,
            author_id INTEGER REFERENCES authors (id),
            automatic INTEGER NOT NULL DEFAULT 0,
            payload BLOB,
            UNIQUE (document_id, name)
        )
        """
    )


@MIGRATIONS(name="0004_trash")
def _create_trash(database: Database) -> None:
    database.execute("ALTER TABLE documents ADD COLUMN epoch TEXT NOT NULL DEFAULT ''")
    database.execute("UPDATE documents SET epoch = lower(hex(randomblob(8)))")
    database.execute(
        """
        CREATE TABLE tombstones (
            document_id INTEGER PRIMARY KEY REFERENCES documents (id),
            name TEXT NOT NULL UNIQUE,
            deleted_ms INTEGER NOT NULL,
            author_id INTEGER REFERENCES authors (id)
        )
        """
    )
    database.execute("CREATE TABLE erased (name_hash BLOB PRIMARY KEY) WITHOUT ROWID")


@MIGRATIONS(name="0005_archive")
def _create_archive(database: Database) -> None:
    # NULL: what the server says. -1: for ever.
    database.execute("ALTER TABLE documents ADD COLUMN retention_ms INTEGER")
    # bytes is the length of what is packed, form how. The payload comes last: what stands behind
    # it could only be read through all of its pages.
    database.execute(
        """
        CREATE TABLE blocks (
            id INTEGER PRIMARY KEY,
            document_id INTEGER NOT NULL REFERENCES documents (id),
            first_seq INTEGER NOT NULL,
            last_seq INTEGER NOT NULL,
            first_ms INTEGER NOT NULL,
            bytes INTEGER NOT NULL,
            form INTEGER NOT NULL,
            payload BLOB NOT NULL,
            UNIQUE (document_id, last_seq)
        )
        """
    )
    for table in ("bases", "packed_checkpoints"):
        database.execute(
            f"""
            CREATE TABLE {table} (
                document_id INTEGER PRIMARY KEY REFERENCES documents (id),
                seq INTEGER NOT NULL,
                bytes INTEGER NOT NULL,
                form INTEGER NOT NULL,
                payload BLOB NOT NULL
            )
            """
        )
    # A checkpoint before any entry is what a document began with.
    for table, where in (("bases", "seq = 0"), ("packed_checkpoints", "seq > 0")):
        database.execute(
            f"INSERT INTO {table} SELECT document_id, seq, length(payload), 0, payload"
            f" FROM checkpoints WHERE {where}"
        )
    database.execute("DROP TABLE checkpoints")
    database.execute("ALTER TABLE packed_checkpoints RENAME TO checkpoints")


@MIGRATIONS(name="0006_revocations")
def _create_revocations(database: Database) -> None:
    database.execute(
        """
        CREATE TABLE revocations (
            id INTEGER PRIMARY KEY,
            about TEXT NOT NULL UNIQUE,
            time_ms INTEGER NOT NULL
        )
        """
    )
    database.execute("CREATE INDEX revocations_by_time ON revocations (time_ms)")


@MIGRATIONS(name="0007_quarantined_twice")
def _allow_several_at_a_seq(database: Database) -> None:
    # A constraint cannot be taken off a table. The same entry with the same bytes is still kept
    # once: whoever writes looks.
    database.execute(
        """
        CREATE TABLE new_quarantine (
            id INTEGER PRIMARY KEY,
            document TEXT NOT NULL,
            seq INTEGER,
            time_ms INTEGER NOT NULL,
            author TEXT,
            reason TEXT NOT NULL,
            payload BLOB NOT NULL
        )
        """
    )
    database.execute(
        "INSERT INTO new_quarantine (id, document, seq, time_ms, author, reason, payload)"
        " SELECT id, document, seq, time_ms, author, reason, payload FROM quarantine"
    )
    database.execute("DROP TABLE quarantine")
    database.execute("ALTER TABLE new_quarantine RENAME TO quarantine")
    database.execute("CREATE INDEX quarantine_by_entry ON quarantine (document, seq)")


def is_blank(connection: sqlite3.Connection) -> bool:
    """Tells whether a database has nothing in it and belongs to nobody yet."""
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    return tables == 0 and _application_id(connection) == 0


def pending(connection: sqlite3.Connection, migrations: Migrations = MIGRATIONS) -> list[str]:
    """Names the steps a store has not seen yet, without writing.

    Raises:
        StoreError: the database is not a collab store.
        StoreVersionError: it has seen steps that are not in ``migrations``.
    """
    application_id = _application_id(connection)
    if application_id != APPLICATION_ID:
        raise StoreError(
            f"expected a collab store (application_id {APPLICATION_ID:#x}) in {_file(connection)}, "
            f"got another SQLite database (application_id {application_id:#x})"
        )
    database = Database(connection, execute_plugins=False)
    known = _names(migrations)
    newer = [step.name for step in migrations.applied(database) if step.name not in known]
    if newer:
        raise StoreVersionError(
            f"expected a store of this version of collab in {_file(connection)}, "
            f"got one of a newer version, which has {', '.join(newer)}"
        )
    return [step.name for step in migrations.pending(database)]


def _file(connection: sqlite3.Connection) -> str:
    """The path of a database's file."""
    _, _, path = connection.execute("PRAGMA database_list").fetchone()
    return str(path)


def migrate(connection: sqlite3.Connection, migrations: Migrations = MIGRATIONS) -> None:
    """Brings a blank database or an older store to the schema of this version, or changes nothing.

    Args:
        connection: in autocommit mode (``isolation_level=None``), outside a transaction.
        migrations: the steps to take.

    Raises:
        StoreError: the database is neither blank nor a collab store.
        StoreVersionError: it was written by a newer collab.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        if is_blank(connection):
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        if pending(connection, migrations):
            migrations.apply(Database(connection, execute_plugins=False))
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _names(migrations: Migrations) -> set[str]:
    with Database(memory=True, execute_plugins=False) as blank:
        return {step.name for step in migrations.pending(blank)}


def _application_id(connection: sqlite3.Connection) -> int:
    (application_id,) = connection.execute("PRAGMA application_id").fetchone()
    return int(application_id)
