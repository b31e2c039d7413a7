"""SQLiteStore and its one file: how it is synced, and left."""

import asyncio
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from collab.storage.sqlite import SQLiteStore
from collab.storage.sqlite.connection import Synchronous, connect_writer
from tests.storage.appending import append
from tests.storage.sqlite.files import adding, collect, names_in

pytestmark = pytest.mark.anyio


async def append_both(store: SQLiteStore, update: bytes) -> Sequence[int]:
    return await append(store, [adding("a", update, update), adding("b", update)])


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


@pytest.mark.parametrize(("synchronous", "level"), [("FULL", 2), ("NORMAL", 1)])
async def test_writers_sync_as_asked_to_a_write_ahead_log(
    tmp_path: Path, synchronous: Synchronous, level: int
) -> None:
    path = tmp_path / "collab.db"
    async with SQLiteStore(path, synchronous=synchronous):
        with closing(connect_writer(path, synchronous=synchronous, busy_seconds=1)) as connection:
            assert connection.execute("PRAGMA synchronous").fetchone() == (level,)
            assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
