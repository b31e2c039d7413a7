"""`collab compact`: in a file, and through a server that has it open."""

import json
import subprocess
from pathlib import Path

import pytest

from collab.archive import Retention
from collab.storage.sqlite import SQLiteStore
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


@pytest.mark.parametrize("history", ["30", "forever", ""])
async def test_a_history_that_is_none_is_a_usage_error(path: Path, history: str) -> None:
    done = collab(path, "compact", "--history", history)
    assert done.returncode == 2
    assert "expected all, none or a span like 30d" in done.stderr


async def test_a_store_that_is_not_there_is_not_made(path: Path) -> None:
    done = collab(path, "compact")
    assert (done.returncode, done.stderr) == (1, f"collab: no store at {path}\n")
    assert names_beside(path) == []
