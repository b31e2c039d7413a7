"""Two processes that compact one document at the same moment."""

from pathlib import Path

import pytest

from collab.archive import Base, Retention, Step, Terms
from collab.storage.archivist import Archivist
from collab.storage.filed import Filed
from collab.storage.sqlite import SQLiteStore
from collab.storage.sqlite.archive import SQLiteArchive
from collab.storage.sqlite.log_writer import LogWriter
from collab.storage.sqlite.reader_pool import ReaderPool
from tests.storage.damage import typed
from tests.storage.dropping import drop, keep

pytestmark = pytest.mark.anyio


class OvertakenArchive(SQLiteArchive):
    """Another process's archivist takes a step right after this one has read where it begins.

    Args:
        path: the store's file.
        terms: of the other one.
    """

    def __init__(self, path: Path, terms: Terms) -> None:
        readers = ReaderPool(path, size=1, busy_seconds=1)
        super().__init__(readers, LogWriter(path, synchronous="NORMAL", busy_seconds=1))
        self._readers = readers
        self._other = LogWriter(path, synchronous="NORMAL", busy_seconds=1)
        self._terms = terms
        self.overtaken = False

    def read_base(self, filed: Filed) -> Base:
        base = super().read_base(filed)
        if not self.overtaken:
            self.overtaken = True
            Archivist(SQLiteArchive(self._readers, self._other)).step(filed.name, self._terms)
        return base

    def close(self) -> None:
        """Closes what it has opened."""
        self._readers.close()
        self._writer.close()
        self._other.close()


async def test_who_is_overtaken_looks_again(tmp_path: Path) -> None:
    path = tmp_path / "collab.db"
    terms = Terms(now_ms=30_000, history=Retention(10_000), quiet_ms=0)
    async with SQLiteStore(path) as store:
        await keep(store, *typed(*"abcdefghijklmnopqrstuvwxyzabcd"))
        await store.compact("d", Terms(now_ms=30_000, quiet_ms=0))
        archive = OvertakenArchive(path, terms)
        try:
            assert Archivist(archive).step("d", terms) == Step(0, more=True)
        finally:
            archive.close()
        assert archive.overtaken
        assert (await store.base("d")).seq == 20
        await drop(store, "d", keep_ms=10_000)
        assert [entry.seq async for entry in store.entries("d")] == list(range(21, 31))
