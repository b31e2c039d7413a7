"""SQLiteStore beside other processes, killed and rival ones."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from collab.errors import (
    DocumentNotFound,
    StoreUnavailable,
)
from collab.storage.sqlite import SQLiteStore
from collab.storage.sqlite.connection import prepare
from collab.storage.sqlite.migrations import pending
from collab.store import Append, NewEntry
from tests.storage.appending import append
from tests.storage.disks import locked_by_another_process
from tests.storage.sqlite.files import adding, collect, connect, query
from tests.storage.writers import reported, writing_process

pytestmark = pytest.mark.anyio


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
            assert await append(
                store,
                [Append(document="a", entries=[NewEntry(update=b"2", time_ms=1, author="ada")])],
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
            assert await append(store, [adding("a", b"2")]) == [2]
