"""PostgresStore beside the contract: several servers, lost connections, crashes, migrations."""

import contextlib
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import anyio
import psycopg
import pytest

from collab.archive import Terms
from collab.errors import (
    SettingsError,
    StoreError,
    StoreNotFound,
    StoreUnavailable,
    StoreVersionError,
)
from collab.quarantine import Outcome, Refused
from collab.storage.postgres.connection import Database
from collab.storage.postgres.migrations import MIGRATIONS, migrate
from collab.storage.postgres.store import PostgresStore
from collab.store import Append, Entry, NewEntry
from tests.postgres import PostgresServer, running_postgres
from tests.storage.appending import append
from tests.storage.writers import reported, writing_process

pytestmark = pytest.mark.anyio

AT_ONCE = Terms(now_ms=1_000_000, quiet_ms=0)


@pytest.fixture
def address(postgres: PostgresServer) -> str:
    return postgres.new_database()


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    """A server that a test may stop; it syncs what it commits."""
    with running_postgres() as server:
        yield server


def adding(document: str, *updates: bytes) -> Append:
    return Append(
        document=document, entries=[NewEntry(update=update, time_ms=1) for update in updates]
    )


async def collect(entries: AsyncIterator[Entry]) -> list[Entry]:
    return [entry async for entry in entries]


async def updates_of(store: PostgresStore, document: str) -> list[bytes]:
    entries = await collect(store.entries(document))
    assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
    return [entry.update for entry in entries]


async def patiently(call: Callable[[], Awaitable[Sequence[int]]]) -> Sequence[int]:
    """Calls again and again, as whoever writes does; each call takes a while to fail."""
    with anyio.fail_after(60):
        while True:
            with contextlib.suppress(StoreUnavailable):
                return await call()


def query(address: str, statement: str) -> Sequence[tuple[Any, ...]]:
    with psycopg.connect(address, autocommit=True) as connection:
        return connection.execute(statement.encode()).fetchall()


HELD_UP = """
    CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM pg_advisory_xact_lock_shared(1); RETURN new; END $$;
    CREATE TRIGGER hold_up BEFORE INSERT ON collab.documents
        FOR EACH ROW WHEN (new.name = 'b') EXECUTE FUNCTION wait();
"""
"""Whoever makes a document called b waits for an advisory lock with the number 1."""


async def until_waiting(connection: psycopg.Connection[Any], count: int) -> None:
    """Waits until so many locks are waited for in this database."""
    with anyio.fail_after(30):
        while True:
            (waiting,) = connection.execute(
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE datname = current_database() AND wait_event_type = 'Lock'"
            ).fetchone() or (0,)
            if waiting >= count:
                return
            await anyio.sleep(0.01)


class TestSeveralServers:
    async def test_entries_of_two_servers_have_no_holes_and_keep_their_order(
        self, address: str
    ) -> None:
        async with PostgresStore(address) as one, PostgresStore(address) as two:

            async def write(store: PostgresStore, mark: bytes) -> None:
                for number in range(30):
                    update = mark + bytes([number])
                    # The order of documents is that of nobody: locks are taken in another one.
                    documents = ["a", "b"] if mark == b"1" else ["b", "a"]
                    await store.append([adding(name, update, update * 2) for name in documents])

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(write, one, b"1")
                tasks.start_soon(write, two, b"2")
            for document in ("a", "b"):
                updates = await updates_of(one, document)
                assert len(updates) == 120
                for mark in (b"1", b"2"):
                    theirs = [update for update in updates if update[:1] == mark]
                    assert theirs == [
                        update
                        for number in range(30)
                        for update in (mark + bytes([number]), (mark + bytes([number])) * 2)
                    ]

    async def test_a_document_that_two_servers_make_at_once_is_one(self, address: str) -> None:
        async with PostgresStore(address) as one, PostgresStore(address) as two:
            for number in range(20):
                name = f"new {number}"
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(one.append, [adding(name, b"1")])
                    tasks.start_soon(two.append, [adding(name, b"2")])
                assert sorted(await updates_of(one, name)) == [b"1", b"2"]

    async def test_servers_that_begin_documents_with_and_without_each_other_never_deadlock(
        self, address: str
    ) -> None:
        async with PostgresStore(address) as one, PostgresStore(address) as two:
            with psycopg.connect(address, autocommit=True) as other:
                other.execute(HELD_UP)
                other.execute("SELECT pg_advisory_lock(1)")
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(one.append, [adding("a", b"1"), adding("b", b"1")])
                    await until_waiting(other, 1)  # It has made a, and goes on to b.
                    other.execute(
                        "SET session_replication_role = replica;"
                        "INSERT INTO collab.documents (name, created_ms, updated_ms, epoch)"
                        " VALUES ('b', 1, 1, 'other')"
                    )
                    tasks.start_soon(two.append, [adding("a", b"2"), adding("b", b"2")])
                    await until_waiting(other, 2)
                    other.execute("SELECT pg_advisory_unlock(1)")
            assert await updates_of(one, "a") == [b"1", b"2"]
            assert await updates_of(one, "b") == [b"1", b"2"]

    async def test_a_checkpoint_made_without_what_another_wrote_is_left_out(
        self, address: str
    ) -> None:
        async with PostgresStore(address) as one, PostgresStore(address) as two:
            await one.append([adding("a", b"1")])
            await two.append([adding("a", b"2")])
            late = Append(
                document="a",
                entries=[NewEntry(update=b"3", time_ms=1)],
                checkpoint=b"without 2",
                base_seq=1,
            )
            assert await append(one, [late]) == [3]
            assert (await one.load("a")).checkpoint is None

    async def test_a_document_that_another_server_compacts_is_left_to_it(
        self, address: str
    ) -> None:
        async with PostgresStore(address) as store:
            await store.append([adding("a", *[b"\0\0"] * 40)])
            epoch = (await store.load("a")).epoch
            with psycopg.connect(address) as other:
                other.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (epoch,))
                step = await store.compact("a", AT_ONCE)
                assert (step.bytes, step.more) == (0, False)
            assert (await store.compact("a", AT_ONCE)).more

    async def test_servers_that_start_at_once_make_one_store(self, address: str) -> None:
        async def start(number: int) -> None:
            async with PostgresStore(address) as store:
                await store.append([adding(str(number), b"1")])

        async with anyio.create_task_group() as tasks:
            for number in range(5):
                tasks.start_soon(start, number)
        async with PostgresStore(address, create=False) as store:
            assert [each.document for each in await store.documents()] == list("01234")


class TestKilledProcess:
    async def test_everything_reported_as_appended_is_there_once(self, address: str) -> None:
        owners = ["one", "two"]
        appends = dict.fromkeys(owners, 0)
        for round_ in range(4):
            with ExitStack() as stack:
                processes = [stack.enter_context(writing_process(address, own)) for own in owners]
                seqs = [reported(process, lines=5 + 7 * round_) for process in processes]
                for process, before in zip(processes, seqs, strict=True):
                    process.kill()
                    before += reported(process)
            async with PostgresStore(address, create=False) as store:
                # Postgres may still be at what a killed process sent last: this waits for it.
                await store.append([adding("a", b"end")])
                shared = await collect(store.entries("a"))
                assert [entry.seq for entry in shared] == list(range(1, len(shared) + 1))
                for own, lines in zip(owners, seqs, strict=True):
                    theirs = await updates_of(store, own)
                    # The kill may have come after a commit and before its report.
                    assert len(theirs) in (lines[-1][1], lines[-1][1] + 1)
                    assert len(theirs) >= appends[own] + len(lines)
                    assert [each.author for each in shared].count(own) == 3 * len(theirs)
                    appends[own] = len(theirs)


class TestFaults:
    async def test_a_server_that_crashes_and_comes_back_has_what_was_appended(
        self, own_server: PostgresServer
    ) -> None:
        async with PostgresStore(own_server.address(), wait_seconds=0.5) as store:
            await store.append([adding("a", b"1")])
            own_server.stop(signal.SIGQUIT)
            with pytest.raises(StoreUnavailable, match="expected postgresql://"):
                await store.append([adding("a", b"2")])
            with pytest.raises(StoreUnavailable, match="expected postgresql://"):
                await store.load("a")
            own_server.start()
            assert await patiently(lambda: append(store, [adding("a", b"2")])) == [2]
            assert await updates_of(store, "a") == [b"1", b"2"]

    async def test_opening_a_store_on_a_server_that_is_away_is_a_passing_failure(
        self, own_server: PostgresServer
    ) -> None:
        own_server.stop()
        with pytest.raises(StoreUnavailable, match="expected postgresql://"):
            await PostgresStore(own_server.address()).__aenter__()

    async def test_connections_that_were_cut_are_replaced(self, address: str) -> None:
        async with PostgresStore(address) as store:
            await store.append([adding("a", b"1")])
            cut = query(
                address,
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()",
            )
            assert cut
            assert await append(store, [adding("a", b"2")]) == [2]

    async def test_a_lock_that_is_not_to_be_had_is_a_passing_failure(self, address: str) -> None:
        async with PostgresStore(address, wait_seconds=0.2) as store:
            await store.append([adding("a", b"1")])
            with psycopg.connect(address) as other:
                other.execute("SELECT FROM collab.documents FOR UPDATE")
                with pytest.raises(StoreUnavailable, match="got: "):
                    await store.append([adding("b", b"1"), adding("a", b"2")])
            assert [each.document for each in await store.documents()] == ["a"]
            assert await append(store, [adding("b", b"1"), adding("a", b"2")]) == [1, 2]

    @pytest.mark.parametrize(
        "bound", ["idle_in_transaction_session_timeout", "transaction_timeout"]
    )
    async def test_a_transaction_that_was_ended_while_this_process_hung_is_a_passing_failure(
        self, address: str, bound: str
    ) -> None:
        database = Database(address, wait_seconds=1)
        with database.connect() as connection:
            connection.execute(f"SET {bound} = '20ms'".encode())
            connection.execute("BEGIN")
            with anyio.fail_after(20):
                await anyio.wait_readable(connection)  # What the server says when it ends it.
            with pytest.raises(StoreUnavailable, match="timeout"), database.errors():
                connection.execute("SELECT 1")

    async def test_a_database_that_is_read_only_for_now_is_a_passing_failure(
        self, address: str
    ) -> None:
        async with PostgresStore(address):
            pass
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute(
                f"ALTER DATABASE {connection.info.dbname} SET default_transaction_read_only = on"
            )
        async with PostgresStore(address) as store:
            with pytest.raises(StoreUnavailable, match="read-only"):
                await store.append([adding("a", b"1")])

    async def test_what_somebody_else_did_to_the_tables_is_a_lasting_failure(
        self, address: str
    ) -> None:
        async with PostgresStore(address) as store:
            with psycopg.connect(address) as other:
                other.execute("ALTER TABLE collab.updates DROP COLUMN author")
            with pytest.raises(StoreError, match="to be in order") as raised:
                await store.append([adding("a", b"1")])
            assert not isinstance(raised.value, StoreUnavailable)


class TestOpening:
    async def test_without_create_a_database_without_a_store_stays_empty(
        self, address: str
    ) -> None:
        with pytest.raises(StoreNotFound):
            await PostgresStore(address, create=False).__aenter__()
        assert query(address, "SELECT to_regnamespace('collab')") == [(None,)]

    async def test_other_tables_of_the_database_are_left_alone(self, address: str) -> None:
        with psycopg.connect(address) as other:
            other.execute("CREATE TABLE documents (theirs TEXT)")
        async with PostgresStore(address) as store:
            await store.append([adding("a", b"1")])
        assert query(address, "SELECT count(*) FROM documents") == [(0,)]

    async def test_a_store_of_a_newer_collab_is_refused(self, address: str) -> None:
        async with PostgresStore(address):
            pass
        with psycopg.connect(address) as other:
            other.execute("INSERT INTO collab.migrations (name) VALUES ('9999_later')")
        with pytest.raises(StoreVersionError, match="9999_later"):
            await PostgresStore(address).__aenter__()

    async def test_the_quarantine_of_an_older_store_is_kept_and_takes_more_of_an_entry(
        self, address: str
    ) -> None:
        older = {name: MIGRATIONS[name] for name in ("0001_store", "0002_revocations")}
        with Database(address, wait_seconds=5).connect() as connection:
            migrate(connection, address, create=True, migrations=older)
        with psycopg.connect(address) as other:
            other.execute(
                "INSERT INTO collab.quarantine (document, seq, time_ms, reason, payload)"
                r" VALUES ('a', 3, 1, 'odd', '\x01'), ('a', NULL, 2, 'odd', '\x02')"
            )
        entry = Refused(update=b"\1", time_ms=1, author=None, reason="odd", seq=3)
        update = Refused(update=b"\2", time_ms=2, author=None, reason="odd")
        another = replace(entry, update=b"\3")
        async with PostgresStore(address) as store, PostgresStore(address) as second:
            assert await store.quarantine("a", [entry, another]) == Outcome(added=1, dropped=0)
            assert list(await second.quarantined("a")) == [entry, update, another]

    async def test_a_role_that_may_not_make_schemas_uses_the_one_made_for_it(
        self, address: str
    ) -> None:
        with psycopg.connect(address) as other:
            role = f"writer_of_{other.info.dbname}"
            other.execute(f"CREATE ROLE {role} LOGIN")
            other.execute(f"CREATE SCHEMA collab AUTHORIZATION {role}")
        async with PostgresStore(address.replace("//postgres@", f"//{role}@")) as store:
            assert await append(store, [adding("a", b"1")]) == [1]

    async def test_a_database_that_cannot_hold_every_name_is_refused(
        self, postgres: PostgresServer
    ) -> None:
        address = postgres.new_database("ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
        with pytest.raises(StoreError, match=r"expected a database in UTF8, got .* LATIN1"):
            await PostgresStore(address).__aenter__()

    async def test_commits_are_durable_whatever_the_database_has_for_others(
        self, address: str
    ) -> None:
        with psycopg.connect(address, autocommit=True) as connection:
            name = connection.info.dbname
            connection.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
        with Database(address, wait_seconds=1).connect() as connection:
            assert connection.execute("SHOW synchronous_commit").fetchone() == ("on",)

    async def test_no_message_has_the_password(self, address: str) -> None:
        secret = address.replace("//postgres@", "//postgres:hunter2@")
        missing = secret.replace("/test_", "/missing_")
        for wrong in (missing, secret.replace("host=", "port=1&host=")):
            with pytest.raises(StoreUnavailable) as raised:
                await PostgresStore(wrong).__aenter__()
            assert "hunter2" not in str(raised.value)
        with pytest.raises(SettingsError) as refused:
            PostgresStore("postgresql://postgres:hunter2@host/db?nonsense=1")
        assert "hunter2" not in str(refused.value)
