"""Stores of older and newer versions."""

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from sqlite_utils import Database, Migrations

from collab.archive import Base
from collab.errors import (
    StoreVersionError,
)
from collab.quarantine import Outcome, Refused
from collab.storage.sqlite import SQLiteStore
from collab.storage.sqlite.migrations import APPLICATION_ID, MIGRATIONS, migrate, pending
from tests.storage.appending import append
from tests.storage.sqlite.files import adding, collect, connect, query

pytestmark = pytest.mark.anyio


def extended() -> Migrations:
    """The steps of a later version: today's and one more."""
    steps = Migrations(MIGRATIONS.name)
    with Database(memory=True) as blank:
        for step in MIGRATIONS.pending(blank):
            steps(name=step.name)(step.fn)

    @steps(name="9999_notes")
    def create_notes(database: Database) -> None:
        database.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT)")

    return steps


def steps_until(last: str) -> Migrations:
    """The steps that a store had seen before those after ``last`` were added."""
    steps = Migrations("collab")
    with Database(memory=True) as blank:
        for step in MIGRATIONS.pending(blank):
            steps(name=step.name)(step.fn)
            if step.name == last:
                break
    return steps


class TestMigrations:
    async def test_an_older_store_is_migrated_with_what_it_holds(self, tmp_path: Path) -> None:
        path = tmp_path / "collab.db"
        async with SQLiteStore(path) as store:
            await store.append([adding("a", b"1")])
        with connect(path) as connection:
            assert pending(connection) == []
            assert pending(connection, extended()) == ["9999_notes"]
            migrate(connection, extended())
            assert pending(connection, extended()) == []
            migrate(connection, extended())
        assert query(path, "SELECT count(*) FROM notes") == [(0,)]
        assert query(path, "SELECT payload FROM updates") == [(b"1",)]

    @pytest.mark.parametrize("create", [True, False])
    async def test_a_store_at_its_first_step_is_migrated_on_opening(
        self, tmp_path: Path, create: bool
    ) -> None:
        path = tmp_path / "collab.db"
        with connect(path) as connection:
            connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
            MIGRATIONS.ensure_migrations_table(Database(connection))
        async with SQLiteStore(path, create=create) as store:
            assert await append(store, [adding("a", b"1")]) == [1]

    async def test_states_of_a_store_from_before_packing_are_read_as_they_are(
        self, tmp_path: Path
    ) -> None:
        path = tmp_path / "collab.db"
        with connect(path) as connection:
            migrate(connection, steps_until("0004_trash"))
            connection.executescript(
                "INSERT INTO documents (name, created_ms, updated_ms, seq, bytes)"
                " VALUES ('a', 1, 2, 2, 2), ('imported', 1, 1, 0, 0);"
                "INSERT INTO updates (document_id, seq, time_ms, payload)"
                " VALUES (1, 1, 1, x'01'), (1, 2, 2, x'02');"
                "INSERT INTO checkpoints VALUES (1, 1, x'0a0b0c'), (2, 0, x'0d0e');"
            )
        async with SQLiteStore(path) as store:
            stored = await store.load("a")
            assert (stored.checkpoint, stored.checkpoint_seq) == (b"\x0a\x0b\x0c", 1)
            assert [entry.update for entry in stored.entries] == [b"\x02"]
            assert await store.base("a") == Base(seq=0, update=None)
            assert (await store.load("imported")).checkpoint == b"\x0d\x0e"
            assert await store.base("imported") == Base(seq=0, update=b"\x0d\x0e")
            assert [summary.bytes for summary in await store.documents()] == [5, 2]

    async def test_the_quarantine_of_an_older_store_is_kept(self, tmp_path: Path) -> None:
        path = tmp_path / "collab.db"
        with connect(path) as connection:
            migrate(connection, steps_until("0006_revocations"))
            connection.executescript(
                "INSERT INTO quarantine (document, seq, time_ms, author, reason, payload)"
                " VALUES ('a', 3, 1, 'ada', 'odd', x'01'), ('a', NULL, 2, NULL, 'odd', x'02');"
            )
        entry = Refused(update=b"\1", time_ms=1, author="ada", reason="odd", seq=3)
        update = Refused(update=b"\2", time_ms=2, author=None, reason="odd")
        other = replace(entry, update=b"\3")
        async with SQLiteStore(path) as store:
            assert list(await store.quarantined("a")) == [entry, update]
            assert await store.quarantine("a", [entry, other]) == Outcome(added=1, dropped=0)
            assert list(await store.quarantined("a")) == [entry, update, other]

    @pytest.mark.parametrize("create", [True, False])
    async def test_a_store_of_a_newer_version_is_refused(
        self, tmp_path: Path, create: bool
    ) -> None:
        path = tmp_path / "collab.db"
        with connect(path) as connection:
            migrate(connection, extended())
        with pytest.raises(StoreVersionError, match="newer version, which has 9999_notes"):
            await SQLiteStore(path, create=create).__aenter__()

    async def test_a_step_that_fails_leaves_the_store_as_it_was(self, tmp_path: Path) -> None:
        path = tmp_path / "collab.db"
        async with SQLiteStore(path) as store:
            await store.append([adding("a", b"1")])
        steps = extended()

        @steps(name="9999_worse")
        def fail(database: Database) -> None:
            database.execute("DELETE FROM updates")
            database.execute("SELECT * FROM nowhere")

        with connect(path) as connection:
            with pytest.raises(sqlite3.OperationalError, match="nowhere"):
                migrate(connection, steps)
            assert pending(connection, steps) == ["9999_notes", "9999_worse"]
            assert pending(connection) == []
        async with SQLiteStore(path) as store:
            assert (await store.load("a")).seq == 1
            assert len(await collect(store.entries("a"))) == 1


async def test_an_older_file_can_give_free_pages_back_once_it_was_rebuilt(tmp_path: Path) -> None:
    path = tmp_path / "collab.db"
    with connect(path) as connection:
        migrate(connection)
        connection.execute("PRAGMA journal_mode = WAL")
    async with SQLiteStore(path) as store:
        assert query(path, "PRAGMA auto_vacuum") == [(0,)]
        await store.append([adding("a", b"1")])
        assert not await store.reclaim(spare=False)
        await store.rebuild()
        assert query(path, "PRAGMA auto_vacuum") == [(2,)]
        assert await append(store, [adding("a", b"2")]) == [2]


async def test_a_new_file_can_give_free_pages_back(tmp_path: Path) -> None:
    path = tmp_path / "collab.db"
    async with SQLiteStore(path):
        assert query(path, "PRAGMA auto_vacuum") == [(2,)]
