"""`collab compact`: in a file, and through a server that has it open."""

import base64
import json
import os
import sqlite3
import subprocess
from contextlib import ExitStack, closing
from pathlib import Path

import pycrdt
import pytest

from collab.archive import Retention
from collab.storage.sqlite import SQLiteStore
from collab.storage.sqlite.trash_rows import write_tombstone
from collab.store import Append, Entry, NewEntry
from tests.e2e.serving import COLLAB, serve
from tests.storage.compacting_process import typed

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "collab.db"


async def fill(path: Path, *names: str, count: int = 5000, broken: bool = False) -> None:
    async with SQLiteStore(path) as store:
        for name in names:
            entries = [NewEntry(update=typed(number), time_ms=1) for number in range(count)]
            checkpoint = b"broken" if broken else None
            await store.append([Append(document=name, entries=entries[:1], checkpoint=checkpoint)])
            await store.append([Append(document=name, entries=entries[1:])])


async def entries_of(path: Path, name: str) -> list[Entry]:
    async with SQLiteStore(path, create=False) as store:
        return [entry async for entry in store.entries(name)]


def size(path: Path) -> int:
    return path.stat().st_size


def names_beside(path: Path) -> list[str]:
    return [found.name for found in path.parent.iterdir()]


def collab(path: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [COLLAB, *arguments, "--store", f"sqlite:///{path}"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


async def test_a_file_becomes_smaller_and_keeps_every_change(path: Path) -> None:
    await fill(path, "a", "b/c")
    before = size(path)
    done = collab(path, "compact")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("compacted 2 documents: ")
    assert "kB" in done.stdout
    assert size(path) * 3 < before
    for name in ("a", "b/c"):
        updates = [entry.update for entry in await entries_of(path, name)]
        assert updates == [typed(number) for number in range(5000)]


async def test_named_documents_alone_are_compacted(path: Path) -> None:
    await fill(path, "a", "b", count=50)
    done = collab(path, "compact", "b", "--history", "none")
    assert (done.returncode, done.stdout.split(":")[0]) == (0, "compacted 1 document")
    assert len(await entries_of(path, "a")) == 50
    assert await entries_of(path, "b") == []


async def test_a_document_with_a_retention_of_its_own_keeps_to_it(path: Path) -> None:
    await fill(path, "a", count=50)
    async with SQLiteStore(path) as store:
        await store.retain("a", Retention.parse("all"))
    assert collab(path, "compact", "--history", "none").returncode == 0
    assert len(await entries_of(path, "a")) == 50
    (listed,) = json.loads(collab(path, "list", "--json").stdout)
    assert listed["retention"] == "all"


async def test_a_running_server_does_it_with_the_history_it_was_told(path: Path) -> None:
    await fill(path, "a", "b/c", count=5000)
    with serve(path, options=("--history", "none")):
        done = collab(path, "compact")
        assert (done.returncode, done.stdout.split(":")[0]) == (0, "compacted 2 documents")
        assert await entries_of(path, "a") == []
    assert size(path) < 300_000


async def test_what_cannot_be_compacted_is_named_and_stops_no_other(path: Path) -> None:
    await fill(path, "a", "c", count=50)
    await fill(path, "b", count=50, broken=True)
    done = collab(path, "compact", "a", "b", "missing", "c")
    assert done.returncode == 1
    assert "collab: b: expected a state of 'b' that applies" in done.stderr
    assert "collab: missing: no document named 'missing'" in done.stderr
    assert done.stdout.startswith("compacted 2 documents: ")
    async with SQLiteStore(path, create=False) as store:
        assert (await store.load("c")).checkpoint_seq == 50
        assert (await store.load("b")).checkpoint == b"broken"


@pytest.mark.parametrize("served", [False, True])
async def test_what_is_deleted_meanwhile_is_told_and_is_no_failure(
    path: Path, served: bool
) -> None:
    await fill(path, "a", "b", "c", count=50)
    with ExitStack() as exits:
        if served:
            exits.enter_context(serve(path))
        process, deleting = compacting(path, exits)
        write_tombstone(deleting, "b", 1, None)
        assert process.stderr is not None
        assert process.stderr.readline() == "compacting\n"
        deleting.execute("COMMIT")
        said, told = process.communicate(timeout=60)
    assert (process.returncode, told) == (0, "collab: b: deleted meanwhile\n")
    assert said.startswith("compacted 2 documents: ")


def compacting(path: Path, exits: ExitStack) -> tuple["subprocess.Popen[str]", sqlite3.Connection]:
    """Compacts all, which waits for the transaction that is returned with it."""
    blocking = exits.enter_context(closing(sqlite3.connect(path, isolation_level=None)))
    blocking.execute("BEGIN IMMEDIATE")
    command = [COLLAB, "compact", "--store", f"sqlite:///{path}"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return exits.enter_context(process), blocking


async def test_a_running_server_gives_the_space_back_at_once(path: Path) -> None:
    await fill(path, "a", count=50_000)
    before = size(path)
    with serve(path):
        done = collab(path, "compact")
        assert done.returncode == 0, done.stderr
        assert size(path) * 3 < before
        assert path.with_name(path.name + "-wal").stat().st_size == 0


async def test_a_store_that_has_grown_is_not_said_to_have_shrunk(path: Path) -> None:
    doc: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc()
    text = doc.get("content", type=pycrdt.Text)
    entries = []
    for _ in range(30):  # What hardly compresses, and a checkpoint has all of it again.
        before = doc.get_state()
        text += base64.b64encode(os.urandom(4000)).decode()
        entries.append(NewEntry(update=doc.get_update(before), time_ms=1))
    async with SQLiteStore(path) as store:
        await store.append([Append(document="a", entries=entries)])
    done = collab(path, "compact")
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(", which is more than before\n")


@pytest.mark.parametrize("history", ["30", "forever", ""])
async def test_a_history_that_is_none_is_a_usage_error(path: Path, history: str) -> None:
    done = collab(path, "compact", "--history", history)
    assert done.returncode == 2
    assert "expected all, none or a span like 30d" in done.stderr


async def test_a_store_that_is_not_there_is_not_made(path: Path) -> None:
    done = collab(path, "compact")
    assert (done.returncode, done.stderr) == (1, f"collab: no store at {path}\n")
    assert names_beside(path) == []
