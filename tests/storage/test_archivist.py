"""Two processes that compact one document at the same moment."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from collab.archive import Base, Retention, Step, Terms
from collab.errors import StoreError
from collab.storage.archivist import Archivist
from collab.storage.filed import Filed
from collab.storage.sqlite import SQLiteStore
from collab.storage.sqlite.archive import SQLiteArchive
from collab.storage.sqlite.location import Location
from collab.storage.sqlite.log_writer import LogWriter
from collab.storage.sqlite.reader_pool import ReaderPool
from collab.store import Append, Entry, NewEntry
from tests.storage.damage import execute, typed
from tests.storage.dropping import drop, keep

pytestmark = pytest.mark.anyio


class OvertakenArchive(SQLiteArchive):
    """Another process's archivist takes a step right after this one has read where it begins.

    Args:
        path: the store's file.
        terms: of the other one.
    """

    def __init__(self, path: Path, terms: Terms) -> None:
        location = Location(path)
        readers = ReaderPool(location, size=1, busy_seconds=1)
        super().__init__(readers, _writer(location, readers))
        self._readers = readers
        self._other = _writer(location, readers)
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


def _writer(location: Location, readers: ReaderPool) -> LogWriter:
    return LogWriter(location, readers, synchronous="NORMAL", busy_seconds=1)


class WrittenArchive(SQLiteArchive):
    """Somebody goes on writing while it reads.

    Args:
        path: the store's file.
        updates: what comes, one before each time entries are read.
    """

    def __init__(self, path: Path, updates: Sequence[bytes]) -> None:
        location = Location(path)
        self._readers = ReaderPool(location, size=1, busy_seconds=1)
        self._other = _writer(location, self._readers)
        super().__init__(self._readers, self._other)
        self._updates = iter(updates)

    def read_entries(self, filed: Filed, after_seq: int, newest_seq: int) -> Sequence[Entry]:
        entry = NewEntry(update=next(self._updates), time_ms=40_000)
        self._other.append([Append(document=filed.name, entries=[entry])])
        return super().read_entries(filed, after_seq, newest_seq)

    def close(self) -> None:
        """Closes what it has opened."""
        self._readers.close()
        self._other.close()


async def test_what_is_missing_is_told_while_somebody_goes_on_writing(tmp_path: Path) -> None:
    path = tmp_path / "collab.db"
    updates = typed(*"abcdefghijklmnopqrstuvwxyzabcdefgh")
    async with SQLiteStore(path) as store:
        await keep(store, *updates[:30])
        execute(path, "DELETE FROM updates WHERE seq = 7")
        archive = WrittenArchive(path, updates[30:])
        try:
            with pytest.raises(StoreError, match="expected entry 7 of 'd', got 8"):
                Archivist(archive).step("d", Terms(now_ms=50_000, quiet_ms=0))
        finally:
            archive.close()
        assert (await store.load("d")).seq > 30


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
