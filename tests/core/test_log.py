"""The log as readers get it: from where it begins, whatever is dropped while they begin to read."""

from pathlib import Path

import anyio
import pycrdt
import pytest

from collab.document import Document
from collab.errors import BrokenEntries
from collab.log import open_log
from collab.storage.sqlite import SQLiteStore
from tests.storage.damage import execute, typed
from tests.storage.dropping import DroppingStore, collect, drop, keep

pytestmark = pytest.mark.anyio

WORDS = [f"{number} " for number in range(1, 31)]


async def text_read(
    store: SQLiteStore, after_seq: int = 0, known: list[bytes] | None = None
) -> str:
    document = Document()
    for update in known or []:
        document.apply(update)
    for entry in await collect(await open_log(store, "d", after_seq)):
        document.apply(entry.update)
    assert not document.pending_bytes
    return str(document.doc.get("text", type=pycrdt.Text))


@pytest.mark.parametrize("keep_ms", [0, 10_000], ids=["all are dropped", "some are dropped"])
@pytest.mark.parametrize("after_seq", [0, 5])
async def test_a_reader_gets_all_of_it_though_entries_are_dropped_as_it_begins(
    tmp_path: Path, keep_ms: int, after_seq: int
) -> None:
    updates = typed(*WORDS)
    async with DroppingStore(tmp_path / "collab.db") as store:
        await keep(store, *updates)
        store.drops, store.keep_ms = 1, keep_ms
        assert await text_read(store, after_seq, updates[:after_seq]) == "".join(WORDS)


async def test_a_reader_that_has_all_gets_nothing(tmp_path: Path) -> None:
    async with SQLiteStore(tmp_path / "collab.db") as store:
        await keep(store, *typed(*WORDS))
        for _ in range(2):
            assert await collect(await open_log(store, "d", 30)) == []
            assert await collect(await open_log(store, "d", 99)) == []
            await drop(store, "d")


@pytest.mark.parametrize(
    ("missing", "first", "last"), [("seq = 1", 1, 1), ("seq BETWEEN 10 AND 12", 10, 12)]
)
async def test_a_reader_is_told_of_entries_that_are_missing(
    tmp_path: Path, missing: str, first: int, last: int
) -> None:
    path = tmp_path / "collab.db"
    async with SQLiteStore(path) as store:
        await keep(store, *typed(*WORDS))
    execute(path, f"DELETE FROM updates WHERE {missing}")
    async with SQLiteStore(path) as store:
        with anyio.fail_after(20), pytest.raises(BrokenEntries, match="expected entries") as broken:
            await collect(await open_log(store, "d"))
        assert (broken.value.first_seq, broken.value.last_seq) == (first, last)
