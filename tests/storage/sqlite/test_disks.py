"""SQLiteStore on full and failing disks."""

import os
from pathlib import Path

import pytest

from collab.errors import (
    StoreError,
    StoreUnavailable,
)
from collab.storage.sqlite import SQLiteStore
from tests.storage.appending import append
from tests.storage.disks import file_size_limit
from tests.storage.disks import small_disk as small_disk
from tests.storage.sqlite.files import adding, collect, query

pytestmark = pytest.mark.anyio


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
            assert await append(store, [adding("a", b"more"), adding("new", b"1")]) == [
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
            assert await append(store, [adding("a", b"2"), adding("new", b"1")]) == [filled + 2, 1]
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
            assert await append(store, [adding("a", b"1")]) == [1]

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
