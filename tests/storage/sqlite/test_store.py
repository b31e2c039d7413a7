"""SQLiteStore where the machine comes in: killed and rival processes, full disks, odd files."""

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import anyio
import pytest
from sqlite_utils import Database, Migrations

from collab.archive import Base
from collab.errors import (
    DocumentNotFound,
    StoreError,
    StoreNotFound,
    StoreUnavailable,
    StoreVersionError,
)
from collab.storage.sqlite import SQLiteStore
from collab.storage.sqlite.connection import Synchronous, connect_writer, prepare
from collab.storage.sqlite.migrations import APPLICATION_ID, MIGRATIONS, migrate, pending
from collab.store import Append, Entry, NewEntry
from tests.storage.disks import file_size_limit, locked_by_another_process
from tests.storage.disks import small_disk as small_disk
from tests.storage.writers import reported, writing_process

pytestmark = pytest.mark.anyio

NOBODY = 65534


def adding(document: str, *updates: bytes) -> Append:
    return Append(
        document=document, entries=[NewEntry(update=update, time_ms=1) for update in updates]
    )


async def collect(entries: AsyncIterator[Entry]) -> list[Entry]:
    return [entry async for entry in entries]


def names_in(directory: Path) -> list[str]:
    return [path.name for path in directory.iterdir()]


def query(path: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


class TestKilledProcess:
    async def test_everything_reported_as_appended_is_in_the_file(self, tmp_path: Path) -> None:
        path = tmp_path / "collab.db"
        appends = 0
        for round_ in range(6):
            with writing_process(f"sqlite:///{path}", "own") as process:
                seqs = reported(process, lines=5 + 7 * round_)
                process.kill()
                seqs += reported(process)
            async with SQLiteStore(path, create=False) as store:
                shared = await collect(store.entries("a"))
                own = await collect(store.entries("own"))
            # The kill may have come after a commit and before its report.
            assert len(own) in (seqs[-1][1], seqs[-1][1] + 1)
            assert len(own) >= appends + len(seqs)
            assert [entry.seq for entry in own] == list(range(1, len(own) + 1))
            assert [entry.seq for entry in shared] == list(range(1, 3 * len(own) + 1))
            assert {(entry.update, entry.author) for entry in shared} == {(b"own" * 50, "own")}
            appends = len(own)
        assert query(path, "PRAGMA integrity_check") == [("ok",)]


class TestSeveralProcesses:
    async def test_processes_that_make_and_write_one_file_lose_nothing(
        self, tmp_path: Path
    ) -> None:
        path = tmp_path / "collab.db"
        with ExitStack() as stack:
            owners = ["one", "two", "three"]
            address = f"sqlite:///{path}"
            processes = [stack.enter_context(writing_process(address, own)) for own in owners]
            seqs = {
                own: reported(process, 40) for own, process in zip(owners, processes, strict=True)
            }
        assert [len(seqs[own]) for own in owners] == [40, 40, 40]
        async with SQLiteStore(path, create=False) as store:
            shared = await collect(store.entries("a"))
            for own in owners:
                assert [second for _, second in seqs[own]] == list(range(1, 41))
                for first, _ in seqs[own]:
                    assert {entry.author for entry in shared[first - 3 : first]} == {own}
        assert [entry.seq for entry in shared] == list(range(1, len(shared) + 1))
        assert query(path, "PRAGMA integrity_check") == [("ok",)]

    def test_making_a_store_waits_for_somebody_who_makes_it_too(self, tmp_path: Path) -> None:
        path = tmp_path / "collab.db"
        with connect(path) as other, ThreadPoolExecutor(1) as threads:
            other.execute("BEGIN IMMEDIATE")
            making = threads.submit(prepare, path, create=True, busy_seconds=60)
            assert not wait([making], timeout=0.2).done
            other.execute("ROLLBACK")
            making.result(timeout=30)
            assert pending(other) == []

    async def test_a_reader_beside_a_writing_process_sees_whole_appends(
        self, tmp_path: Path
    ) -> None:
        path = tmp_path / "collab.db"
        with writing_process(f"sqlite:///{path}", "own") as process:
            (first,) = reported(process, lines=1)
            async with SQLiteStore(path, create=False) as store:
                last_seq = first[0]
                for _ in range(20):
                    ((reported_seq, _),) = reported(process, lines=1)
                    stored = await store.load("a")
                    assert stored.seq >= max(reported_seq, last_seq)
                    assert stored.seq % 3 == 0
                    assert len(stored.entries) == stored.seq
                    streamed = await collect(store.entries("a", after_seq=stored.seq))
                    assert len(streamed) % 3 == 0
                    last_seq = stored.seq

    async def test_rows_that_another_process_replaced_are_not_written_to(
        self, tmp_path: Path
    ) -> None:
        path = tmp_path / "collab.db"
        async with SQLiteStore(path) as store:
            await store.append(
                [Append(document="a", entries=[NewEntry(update=b"1", time_ms=1, author="ada")])]
            )
            with closing(sqlite3.connect(path)) as other:
                other.executescript(
                    "DELETE FROM updates; DELETE FROM documents; DELETE FROM authors;"
                    "INSERT INTO authors (id, name) VALUES (1, 'bob');"
                    "INSERT INTO documents (id, name, created_ms, updated_ms)"
                    " VALUES (1, 'b', 1, 1);"
                )
            with pytest.raises(DocumentNotFound):
                await collect(store.entries("a"))
            assert await store.append(
                [Append(document="a", entries=[NewEntry(update=b"2", time_ms=1, author="ada")])]
            ) == [1]
            (entry,) = await collect(store.entries("a"))
            assert (entry.update, entry.author) == (b"2", "ada")
            assert await collect(store.entries("b")) == []

    async def test_a_lock_held_by_another_process_is_a_passing_failure(
        self, tmp_path: Path
    ) -> None:
        path = tmp_path / "collab.db"
        async with SQLiteStore(path, busy_seconds=0.05) as store:
            await store.append([adding("a", b"1")])
            with locked_by_another_process(path):
                with pytest.raises(StoreUnavailable, match="locked"):
                    await store.append([adding("a", b"2")])
                assert (await store.load("a")).seq == 1
                with pytest.raises(StoreUnavailable, match="locked"):
                    await SQLiteStore(path, busy_seconds=0.05).__aenter__()
                async with SQLiteStore(path, create=False, busy_seconds=0.05) as reader:
                    assert (await reader.load("a")).seq == 1
            assert await store.append([adding("a", b"2")]) == [2]


async def fill(store: SQLiteStore) -> int:
    """Appends 100 kB to both of two documents until that fails; returns how often it went well."""
    for appends in range(1000):
        try:
            await store.append([adding("a", os.urandom(100_000)), adding("b", os.urandom(100_000))])
        except StoreUnavailable:
            return appends
    raise AssertionError("the disk never filled")


class TestFailingDisk:
    async def test_a_full_disk_refuses_whole_appends_until_there_is_room(
        self, small_disk: Path
    ) -> None:
        ballast = small_disk / "ballast"
        ballast.write_bytes(bytes(2_000_000))
        path = small_disk / "collab.db"
        async with SQLiteStore(path) as store:
            filled = await fill(store)
            assert filled > 0
            for _ in range(3):
                with pytest.raises(StoreUnavailable, match="full"):
                    await store.append([adding("a", bytes(1_000_000)), adding("new", b"1")])
            assert [(line.document, line.seq) for line in await store.documents()] == [
                ("a", filled),
                ("b", filled),
            ]
            ballast.unlink()
            assert await store.append([adding("a", b"more"), adding("new", b"1")]) == [
                filled + 1,
                1,
            ]
        async with SQLiteStore(path) as store:
            assert len(await collect(store.entries("a"))) == filled + 1
            assert len(await collect(store.entries("b"))) == filled
        assert query(path, "PRAGMA integrity_check") == [("ok",)]

    async def test_a_failed_write_leaves_nothing_behind_and_the_store_usable(
        self, tmp_path: Path
    ) -> None:
        path = tmp_path / "collab.db"
        async with SQLiteStore(path) as store:
            await store.append([adding("a", b"1")])
            with file_size_limit(1_000_000):
                filled = await fill(store)
                with pytest.raises(StoreUnavailable, match=r"expected .* to be available"):
                    await store.append([adding("a", bytes(2_000_000)), adding("new", b"1")])
                assert (await store.load("a")).seq == filled + 1
            assert await store.append([adding("a", b"2"), adding("new", b"1")]) == [filled + 2, 1]
        async with SQLiteStore(path) as store:
            assert len(await collect(store.entries("a"))) == filled + 2
            assert len(await collect(store.entries("b"))) == filled
        assert query(path, "PRAGMA integrity_check") == [("ok",)]

    async def test_an_update_too_long_for_sqlite_is_refused_and_harms_nothing(
        self, tmp_path: Path
    ) -> None:
        async with SQLiteStore(tmp_path / "collab.db") as store:
            with pytest.raises(StoreError, match="too big") as raised:
                await store.append([adding("a", b"1"), adding("b", bytes(1_000_000_001))])
            assert not isinstance(raised.value, StoreUnavailable)
            assert await store.append([adding("a", b"1")]) == [1]

    async def test_a_corrupt_file_is_no_passing_failure(self, tmp_path: Path) -> None:
        path = tmp_path / "collab.db"
        async with SQLiteStore(path) as store:
            await store.append([adding("a", *[os.urandom(3000) for _ in range(100)])])
        with path.open("r+b") as file:
            file.seek(2 * 4096)
            file.write(b"\xff" * (path.stat().st_size - 3 * 4096))
        with pytest.raises(StoreError, match="malformed") as raised:
            async with SQLiteStore(path, create=False) as store:
                await store.load("a")
        assert not isinstance(raised.value, StoreUnavailable)


@contextmanager
def unprivileged(path: Path) -> Iterator[None]:
    """Takes away the right to write a file and its directory; root, who may all, steps down."""
    beside = [path.parent, *path.parent.glob(path.name + "*")]
    modes = {other: other.stat().st_mode & ~0o222 for other in beside}
    if os.geteuid() == 0:
        closed = [folder for folder in path.parents if folder.stat().st_mode & 0o055 != 0o055]
        modes |= {folder: modes.get(folder, folder.stat().st_mode) | 0o055 for folder in closed}
    before = {other: other.stat().st_mode for other in modes}
    for other, mode in modes.items():
        other.chmod(mode)
    if os.geteuid() == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(os.getuid())
        for other, mode in before.items():
            other.chmod(mode)


class TestOpening:
    @pytest.mark.parametrize("folder", [".", "missing"])
    async def test_a_missing_file_is_refused_and_nothing_made(
        self, tmp_path: Path, folder: str
    ) -> None:
        path = tmp_path / folder / "collab.db"
        with pytest.raises(StoreNotFound) as raised:
            await SQLiteStore(path, create=False).__aenter__()
        assert raised.value.address == str(path)
        assert names_in(tmp_path) == []

    async def test_a_store_is_not_made_in_a_missing_directory(self, tmp_path: Path) -> None:
        with pytest.raises(StoreError, match="expected a directory"):
            await SQLiteStore(tmp_path / "missing" / "collab.db").__aenter__()
        assert names_in(tmp_path) == []

    @pytest.mark.parametrize("create", [True, False])
    async def test_a_file_that_is_no_database_is_refused_and_left_alone(
        self, tmp_path: Path, create: bool
    ) -> None:
        path = tmp_path / "notes.txt"
        path.write_text("no database\n" * 1000)
        with pytest.raises(StoreError, match=r"expected a collab store in .*notes\.txt"):
            await SQLiteStore(path, create=create).__aenter__()
        assert path.read_text() == "no database\n" * 1000
        assert names_in(tmp_path) == [path.name]

    @pytest.mark.parametrize("create", [True, False])
    async def test_a_database_of_another_program_is_refused_and_left_alone(
        self, tmp_path: Path, create: bool
    ) -> None:
        path = tmp_path / "other.db"
        with closing(sqlite3.connect(path)) as other:
            other.execute("CREATE TABLE documents (id INTEGER PRIMARY KEY)")
        before = path.read_bytes()
        with pytest.raises(StoreError, match="expected a collab store"):
            await SQLiteStore(path, create=create).__aenter__()
        assert path.read_bytes() == before

    async def test_an_empty_file_becomes_a_store_only_with_create(self, tmp_path: Path) -> None:
        path = tmp_path / "collab.db"
        path.touch()
        with pytest.raises(StoreError, match="empty"):
            await SQLiteStore(path, create=False).__aenter__()
        assert path.stat().st_size == 0
        async with SQLiteStore(path) as store:
            assert await store.append([adding("a", b"1")]) == [1]

    @pytest.mark.parametrize("create", [True, False])
    async def test_a_directory_is_refused(self, tmp_path: Path, create: bool) -> None:
        with pytest.raises(StoreError, match="expected a file"):
            await SQLiteStore(tmp_path, create=create).__aenter__()

    @pytest.mark.parametrize("name", ["a b.db", "ä🦄.db", "50%.db", "a?b#c.db", "it's.db"])
    async def test_any_file_name_is_taken_as_it_stands(self, tmp_path: Path, name: str) -> None:
        async with SQLiteStore(tmp_path / name) as store:
            await store.append([adding("a", b"1")])
        assert names_in(tmp_path) == [name]

    async def test_a_relative_path_stays_what_it_was_when_the_directory_changes(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path)
        store = SQLiteStore("collab.db")
        monkeypatch.chdir(tmp_path / "elsewhere")
        async with store:
            await store.append([adding("a", b"1")])
        assert (tmp_path / "collab.db").is_file()
        assert names_in(tmp_path / "elsewhere") == []

    async def test_a_file_that_cannot_be_written_is_found_out_on_opening_as_a_writer(
        self, tmp_path: Path
    ) -> None:
        path = tmp_path / "collab.db"
        async with SQLiteStore(path) as store:
            await store.append([adding("a", b"1")])
            with unprivileged(path):
                with pytest.raises(StoreError, match=r"expected .* to be writable") as raised:
                    await SQLiteStore(path).__aenter__()
                assert not isinstance(raised.value, StoreUnavailable)

    async def test_a_running_store_can_be_read_without_the_right_to_write(
        self, tmp_path: Path
    ) -> None:
        path = tmp_path / "collab.db"
        async with SQLiteStore(path) as store:
            await store.append([adding("a", b"1")])
            with unprivileged(path):
                async with SQLiteStore(path, create=False) as reader:
                    assert (await reader.load("a")).seq == 1
                    with pytest.raises(StoreError, match=r"expected .* to be writable"):
                        await reader.append([adding("a", b"2")])
            assert await store.append([adding("a", b"2")]) == [2]

    async def test_an_unreadable_file_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "collab.db"
        async with SQLiteStore(path):
            pass
        path.chmod(0)
        with unprivileged(path), pytest.raises(StoreError, match=r"expected .* to be readable"):
            await SQLiteStore(path, create=False).__aenter__()


class TestClosing:
    async def test_leaving_puts_everything_into_the_one_file(self, tmp_path: Path) -> None:
        path = tmp_path / "collab.db"
        async with SQLiteStore(path) as store:
            await store.append([adding("a", bytes(50_000))])
            assert (await store.load("a")).seq == 1
            assert (tmp_path / "collab.db-wal").stat().st_size > 50_000
        assert names_in(tmp_path) == [path.name]

    async def test_leaving_waits_for_calls_that_wait_their_turn(self, tmp_path: Path) -> None:
        path = tmp_path / "collab.db"
        begun: list[None] = []
        all_begun = anyio.Event()

        async def write_and_read(store: SQLiteStore, call: int) -> None:
            begun.append(None)
            if len(begun) == 40:
                all_begun.set()
            if call % 2:
                await store.append([adding("a", bytes(20_000))])
            else:
                await store.load("a")

        async with anyio.create_task_group() as tasks:
            async with SQLiteStore(path) as store:
                for call in range(40):
                    tasks.start_soon(write_and_read, store, call)
                await all_begun.wait()
            # A connection that was opened again behind the closing would keep these there.
            assert names_in(tmp_path) == [path.name]

    async def test_leaving_beside_another_open_store_empties_the_log(self, tmp_path: Path) -> None:
        path = tmp_path / "collab.db"
        async with SQLiteStore(path, create=True) as other:
            async with SQLiteStore(path) as store:
                await store.append([adding("a", bytes(50_000))])
                assert (await other.load("a")).seq == 1
            assert (tmp_path / "collab.db-wal").stat().st_size == 0
            assert (await other.load("a")).seq == 1

    @pytest.mark.parametrize("anyio_backend", ["asyncio"])
    async def test_tasks_cancelled_by_asyncio_itself_leave_whole_appends(
        self, tmp_path: Path
    ) -> None:
        # asyncio's own cancel() gets through anyio's shields: the task ends, its thread goes on.
        path = tmp_path / "collab.db"
        async with SQLiteStore(path) as store:
            for round_ in range(48):
                tasks = [asyncio.create_task(append_both(store, bytes(20_000))) for _ in range(3)]
                for _ in range(round_ % 12):
                    await asyncio.sleep(0)
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        assert names_in(tmp_path) == [path.name]
        async with SQLiteStore(path) as store:
            listed = {line.document: line.seq for line in await store.documents()}
            assert listed["a"] == 2 * listed["b"]
            assert len(await collect(store.entries("a"))) == listed["a"]


async def append_both(store: SQLiteStore, update: bytes) -> Sequence[int]:
    return await store.append([adding("a", update, update), adding("b", update)])


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


def connect(path: Path) -> "closing[sqlite3.Connection]":
    return closing(sqlite3.connect(path, isolation_level=None))


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
            assert await store.append([adding("a", b"1")]) == [1]

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
        assert await store.append([adding("a", b"2")]) == [2]


async def test_a_new_file_can_give_free_pages_back(tmp_path: Path) -> None:
    path = tmp_path / "collab.db"
    async with SQLiteStore(path):
        assert query(path, "PRAGMA auto_vacuum") == [(2,)]


@pytest.mark.parametrize(("synchronous", "level"), [("FULL", 2), ("NORMAL", 1)])
async def test_writers_sync_as_asked_to_a_write_ahead_log(
    tmp_path: Path, synchronous: Synchronous, level: int
) -> None:
    path = tmp_path / "collab.db"
    async with SQLiteStore(path, synchronous=synchronous):
        with closing(connect_writer(path, synchronous=synchronous, busy_seconds=1)) as connection:
            assert connection.execute("PRAGMA synchronous").fetchone() == (level,)
            assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
