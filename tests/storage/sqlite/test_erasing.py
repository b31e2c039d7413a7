"""What is left in the files of a store of documents that were erased, byte by byte."""

import os
import random
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from collab.quarantine import Refused
from collab.storage.sqlite import SQLiteStore
from collab.storage.sqlite.migrations import migrate
from collab.store import Append, NewEntry
from tests.storage.sqlite.files import adding, connect
from tests.storage.sqlite.test_migrations import steps_until

pytestmark = pytest.mark.anyio

TELLTALE = b"TELLTALE"

ERASING = """
import sys
import anyio
from collab.storage.sqlite import SQLiteStore

async def main() -> None:
    async with SQLiteStore(sys.argv[1]) as store:
        await store.erase("d")
        print("erased", flush=True)
        await anyio.sleep_forever()

anyio.run(main)
"""


def files_with(folder: Path, telltale: bytes = TELLTALE) -> list[str]:
    return [path.name for path in folder.iterdir() if telltale in path.read_bytes()]


async def delete(store: SQLiteStore) -> None:
    await store.append([adding("d", TELLTALE * 1000), adding("other", b"STAYS")])
    await store.delete("d", time_ms=1)


@contextmanager
def another_process(path: Path) -> Iterator[sqlite3.Connection]:
    """Somebody who has the file open all the time: it is not closed by its last user meanwhile."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("SELECT count(*) FROM documents").fetchall()
        yield connection


@contextmanager
def reading(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN")
    connection.execute("SELECT count(*) FROM documents").fetchall()
    yield
    connection.execute("ROLLBACK")


def erase_and_be_killed(path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", ERASING, str(path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "erased\n"
        process.kill()


async def test_what_a_reader_held_in_the_write_ahead_log_goes_with_the_next_write(
    tmp_path: Path,
) -> None:
    path = tmp_path / "collab.db"
    async with SQLiteStore(path) as store:
        await delete(store)
        with another_process(path) as connection:
            with reading(connection):
                await store.erase("d")
                assert files_with(tmp_path)
                await store.append([adding("other", b"1")])
                assert files_with(tmp_path)
            await store.append([adding("other", b"2")])
            assert files_with(tmp_path) == []
            assert files_with(tmp_path, b"STAYS") == ["collab.db"]


async def test_what_a_killed_process_left_there_goes_with_the_first_write_of_another(
    tmp_path: Path,
) -> None:
    path = tmp_path / "collab.db"
    async with SQLiteStore(path) as store:
        await delete(store)
    with another_process(path) as connection:
        with reading(connection):
            erase_and_be_killed(path)
        assert files_with(tmp_path)
        async with SQLiteStore(path) as store:
            await store.append([adding("other", b"1")])
            assert files_with(tmp_path) == []


async def test_a_commit_stands_where_the_file_can_take_nothing_over(tmp_path: Path) -> None:
    path = tmp_path / "collab.db"
    async with SQLiteStore(path) as store:
        await store.append([adding("large", random.Random(1).randbytes(600_000))])
        await delete(store)
    with another_process(path) as connection:
        async with SQLiteStore(path) as store:
            with reading(connection):
                await store.erase("d")
                await store.append([adding("other", b"1")])
            os.truncate(path, 8192)
            assert await store.append([adding("other", b"2")])


async def test_steps_to_a_newer_version_leave_nothing_in_free_pages(tmp_path: Path) -> None:
    path = tmp_path / "collab.db"
    with connect(path) as connection:
        migrate(connection, steps_until("0004_trash"))
        connection.execute(
            "INSERT INTO documents (name, created_ms, updated_ms, seq) VALUES ('d', 1, 1, 0)"
        )
        connection.execute("INSERT INTO checkpoints VALUES (1, 1, ?)", (TELLTALE * 5000,))
        connection.execute(
            "INSERT INTO quarantine (document, time_ms, reason, payload) VALUES ('d', 1, 'odd', ?)",
            (TELLTALE * 5000,),
        )
    async with SQLiteStore(path) as store:
        await store.delete("d", time_ms=1)
        assert files_with(tmp_path)
        await store.erase("d")
        assert files_with(tmp_path) == []


@pytest.mark.parametrize("seed", range(3))
async def test_a_file_that_is_written_anew_has_nothing_of_many_that_were_erased(
    tmp_path: Path, seed: int
) -> None:
    # SQLite leaves copies of rows that it moves in the unused part of pages.
    chance = random.Random(seed)
    telltales = {f"name {number}": chance.randbytes(8) for number in range(40)}
    async with SQLiteStore(tmp_path / "collab.db") as store:
        for _ in range(150):
            name = chance.choice([*telltales])
            update = telltales[name] * chance.choice([1, 20, 100, 300, 700])
            entries = [NewEntry(update=update, time_ms=1)] * chance.randint(1, 3)
            state = telltales[name] + chance.randbytes(2000) if chance.random() < 0.3 else None
            await store.append([Append(document=name, entries=entries, checkpoint=state)])
            refused = Refused(update=update, time_ms=1, author=None, reason="odd")
            await store.quarantine(name, [refused])
        erased = [summary.document for summary in await store.documents()][:20]
        for name in erased:
            await store.delete(name, time_ms=1)
            await store.erase(name)
        await store.rebuild()
        assert [name for name in erased if files_with(tmp_path, telltales[name])] == []
        assert files_with(tmp_path, telltales[(await store.documents())[0].document])
