"""Files of a store that are removed, moved away or replaced while they are open."""

import os
import shutil
import sqlite3
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from threading import Event

import anyio
import pytest

from collab.errors import StoreUnavailable
from collab.storage.sqlite import SQLiteStore
from collab.storage.sqlite.location import Location
from collab.storage.sqlite.log_writer import LogWriter
from collab.storage.sqlite.reader_pool import ReaderPool
from tests.storage.appending import append
from tests.storage.sqlite.files import adding, collect, names_in, query
from tests.storage.writers import reported, writing_process

pytestmark = pytest.mark.anyio

WITHIN_SECONDS = 10.0


async def updates_of(store: SQLiteStore, document: str = "a") -> list[bytes]:
    return [entry.update for entry in await collect(store.entries(document))]


async def updates_in(path: Path, document: str = "a") -> list[bytes]:
    async with SQLiteStore(path, create=False) as store:
        return await updates_of(store, document)


def copied(path: Path, folder: Path) -> Path:
    """Copies the files that are there now, for a store to open them as if this process had died."""
    folder.mkdir()
    for file in path.parent.glob(path.name + "*"):
        shutil.copy(file, folder)
    return folder / path.name


async def append_for(store: SQLiteStore, seconds: float) -> None:
    """Appends again and again."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        await store.append([adding("a", b"2")])


def removed(path: Path) -> Path:
    """Where a file that this process has open can be read from once it has no name."""
    return next(
        descriptor
        for descriptor in Path("/proc/self/fd").iterdir()
        if os.readlink(descriptor) == f"{path} (deleted)"  # noqa: PTH115  It is no path.
    )


async def test_a_file_that_is_removed_takes_no_commit_and_no_read(tmp_path: Path) -> None:
    path = tmp_path / "collab.db"
    async with SQLiteStore(path) as store:
        await store.append([adding("a", b"1")])
        path.unlink()
        for _ in range(3):
            with pytest.raises(StoreUnavailable, match=r"collab\.db .* none: it was removed"):
                await store.append([adding("a", b"2")])
            with pytest.raises(StoreUnavailable, match="removed"):
                await store.load("a")
        rescued = tmp_path / "rescued.db"
        shutil.copy(removed(path), rescued)
    assert not path.exists()
    assert await updates_in(rescued) == [b"1"]


async def test_a_file_that_is_moved_away_is_whole_and_goes_on_when_it_is_put_back(
    tmp_path: Path,
) -> None:
    path = tmp_path / "collab.db"
    aside = tmp_path / "aside" / "collab.db"
    aside.parent.mkdir()
    async with SQLiteStore(path) as store:
        await store.append([adding("a", b"1")])
        path.rename(aside)
        for _ in range(3):
            with pytest.raises(StoreUnavailable, match="removed"):
                await store.append([adding("a", b"2")])
        shutil.copy(aside, tmp_path / "copy.db")
        aside.rename(path)
        assert await append(store, [adding("a", b"2")]) == [2]
        assert await updates_of(store) == [b"1", b"2"]
    assert await updates_in(tmp_path / "copy.db") == [b"1"]
    assert await updates_in(path) == [b"1", b"2"]


async def test_a_file_in_the_place_of_another_is_not_written_to(tmp_path: Path) -> None:
    path, other = tmp_path / "collab.db", tmp_path / "other.db"
    async with SQLiteStore(other) as store:
        await store.append([adding("b", b"other" * 10_000)])
    async with SQLiteStore(path) as store:
        await store.append([adding("a", b"1" * 10_000)])
        await store.load("a")
        other.replace(path)
        for _ in range(3):
            with pytest.raises(StoreUnavailable, match="another one in its place"):
                await store.append([adding("a", b"2")])
            with pytest.raises(StoreUnavailable, match="another one in its place"):
                await store.load("a")
        # Whoever opens it meanwhile finds it as it was put there.
        assert await updates_in(path, "b") == [b"other" * 10_000]
        async with SQLiteStore(path) as following:
            assert await append(following, [adding("b", b"more")]) == [2]
            with pytest.raises(StoreUnavailable, match="another one in its place"):
                await store.append([adding("a", b"2")])
    assert query(path, "PRAGMA integrity_check") == [("ok",)]
    assert await updates_in(path, "b") == [b"other" * 10_000, b"more"]


async def test_a_long_read_leaves_no_log_beside_a_file_in_the_place_of_another(
    tmp_path: Path,
) -> None:
    path, other = tmp_path / "collab.db", tmp_path / "other.db"
    async with SQLiteStore(other) as store:
        await store.append([adding("b", b"other" * 10_000)])
    async with SQLiteStore(path):
        pass
    location = Location(path)
    readers = ReaderPool(location, size=2, busy_seconds=2.0)
    writer = LogWriter(location, readers, synchronous="FULL", busy_seconds=2.0)
    begun, over = Event(), Event()

    def read_long(connection: sqlite3.Connection) -> None:
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM documents").fetchone()
        begun.set()
        over.wait(WITHIN_SECONDS)
        connection.execute("COMMIT")

    writer.append([adding("a", b"1" * 10_000)])
    with ThreadPoolExecutor() as threads:
        reading = threads.submit(readers.read, read_long)
        assert begun.wait(WITHIN_SECONDS)
        other.replace(path)
        writing = threads.submit(writer.append, [adding("a", b"2")])
        with pytest.raises(TimeoutError):  # It waits for who reads.
            writing.result(timeout=1.0)
        over.set()
        reading.result(WITHIN_SECONDS)
        with pytest.raises(StoreUnavailable, match="another one in its place"):
            writing.result(WITHIN_SECONDS)
    assert await updates_in(path, "b") == [b"other" * 10_000]
    assert query(path, "PRAGMA integrity_check") == [("ok",)]
    readers.close()
    writer.close()


async def test_a_folder_that_is_moved_away_takes_the_store_with_it(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    async with SQLiteStore(folder / "collab.db") as store:
        await store.append([adding("a", b"1")])
        folder.rename(tmp_path / "elsewhere")
        with pytest.raises(StoreUnavailable, match="removed"):
            await store.append([adding("a", b"2")])
    assert await updates_in(tmp_path / "elsewhere" / "collab.db") == [b"1"]


async def test_a_link_that_leads_elsewhere_is_noticed_soon(tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        async with SQLiteStore(tmp_path / name / "collab.db"):
            pass
    path = tmp_path / "collab.db"
    path.symlink_to(tmp_path / "first" / "collab.db")
    async with SQLiteStore(path) as store:
        await store.append([adding("a", b"1")])
        path.unlink()
        path.symlink_to(tmp_path / "second" / "collab.db")
        with pytest.raises(StoreUnavailable, match="another one in its place"):
            await append_for(store, WITHIN_SECONDS)


async def test_a_store_behind_a_link_is_measured_with_its_log(tmp_path: Path) -> None:
    path, link = tmp_path / "collab.db", tmp_path / "elsewhere" / "link.db"
    link.parent.mkdir()
    link.symlink_to(path)
    async with SQLiteStore(path) as store, SQLiteStore(link) as linked:
        await store.append([adding("a", bytes(1_000_000))])
        assert await linked.bytes_on_disk() == await store.bytes_on_disk() > 1_000_000


@pytest.mark.parametrize("suffixes", [["-wal"], ["-shm"], ["-wal", "-shm"]])
async def test_what_is_beside_a_file_is_made_anew_and_nothing_acknowledged_is_lost(
    tmp_path: Path, suffixes: Sequence[str]
) -> None:
    path = tmp_path / "collab.db"
    async with SQLiteStore(path) as store:
        await store.append([adding("a", b"1")])
        assert await updates_of(store) == [b"1"]
        for suffix in suffixes:
            path.with_name(path.name + suffix).unlink()
        with pytest.raises(StoreUnavailable, match="to stay there, got none"):
            await store.append([adding("a", b"2")])
        assert await updates_in(copied(path, tmp_path / "at-once")) == [b"1"]
        assert await append(store, [adding("a", b"2")]) == [2]
        assert await updates_of(store) == [b"1", b"2"]
        assert await updates_in(copied(path, tmp_path / "after")) == [b"1", b"2"]
    assert await updates_in(path) == [b"1", b"2"]
    assert query(path, "PRAGMA integrity_check") == [("ok",)]


@pytest.mark.parametrize("suffixes", [["-wal"], ["-shm"], ["-wal", "-shm"]])
async def test_reads_need_nobody_who_writes_after_a_removal(
    tmp_path: Path, suffixes: Sequence[str]
) -> None:
    path = tmp_path / "collab.db"
    async with SQLiteStore(path) as store:
        await store.append([adding("a", b"1")])
        for suffix in suffixes:
            path.with_name(path.name + suffix).unlink()
        with pytest.raises(StoreUnavailable, match="to stay there, got none"):
            await updates_of(store)
        assert await updates_of(store) == [b"1"]
        assert await append(store, [adding("a", b"2")]) == [2]
    assert await updates_in(path) == [b"1", b"2"]


async def test_reads_that_go_on_keep_nothing_of_what_was_removed(tmp_path: Path) -> None:
    path = tmp_path / "collab.db"

    async def read_on(store: SQLiteStore) -> None:
        while True:
            with suppress(StoreUnavailable):
                await store.load("a")

    async with SQLiteStore(path) as store:
        await store.append([adding("a", b"1")])
        async with anyio.create_task_group() as tasks:
            for _ in range(8):
                tasks.start_soon(read_on, store)
            for _ in range(50):
                for suffix in ("-wal", "-shm"):
                    path.with_name(path.name + suffix).unlink(missing_ok=True)
                try:
                    await store.append([adding("a", b"2")])
                except StoreUnavailable:  # Unless a read has found it first.
                    await store.append([adding("a", b"2")])
            tasks.cancel_scope.cancel()
    assert await updates_in(path) == [b"1", *[b"2"] * 50]
    assert query(path, "PRAGMA integrity_check") == [("ok",)]


@pytest.mark.parametrize("suffixes", [["-wal"], ["-shm"], ["-wal", "-shm"]])
async def test_processes_that_write_all_the_time_go_on_together_after_a_removal(
    tmp_path: Path, suffixes: Sequence[str]
) -> None:
    path = tmp_path / "collab.db"
    owners = ["one", "two"]
    with ExitStack() as exits:
        processes = [
            exits.enter_context(writing_process(f"sqlite:///{path}", owner)) for owner in owners
        ]
        seqs: list[list[tuple[int, int]]] = [[], []]
        for _ in range(4):
            for process, said in zip(processes, seqs, strict=True):
                said += reported(process, 20)
            for suffix in suffixes:
                path.with_name(path.name + suffix).unlink(missing_ok=True)
        for process, said in zip(processes, seqs, strict=True):
            said += reported(process, 20)
            process.kill()
            said += reported(process)
    async with SQLiteStore(path, create=False) as store:
        for owner, said in zip(owners, seqs, strict=True):
            own = await collect(store.entries(owner))
            assert [entry.seq for entry in own] == list(range(1, len(own) + 1))
            assert said[-1][1] in (len(own), len(own) - 1)
        shared = await collect(store.entries("a"))
        assert [entry.seq for entry in shared] == list(range(1, len(shared) + 1))
    assert query(path, "PRAGMA integrity_check") == [("ok",)]


async def test_other_files_in_the_folder_come_and_go(tmp_path: Path) -> None:
    path = tmp_path / "collab.db"
    async with SQLiteStore(path) as store:
        for number in range(20):
            (tmp_path / f"{number}").touch()
            assert await append(store, [adding("a", b"1")]) == [number + 1]
            (tmp_path / f"{number}").unlink()
            assert await append(store, [adding("b", b"1")]) == [number + 1]
    assert names_in(tmp_path) == ["collab.db"]
