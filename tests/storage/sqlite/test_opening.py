"""Which files SQLiteStore opens, and which it leaves alone."""

import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from collab.errors import (
    StoreError,
    StoreNotFound,
    StoreUnavailable,
)
from collab.storage.sqlite import SQLiteStore
from tests.storage.appending import append
from tests.storage.sqlite.files import adding, names_in

pytestmark = pytest.mark.anyio


NOBODY = 65534


@contextmanager
def unprivileged(path: Path) -> Iterator[None]:
    """Takes away the right to write a file and its directory; root, who may all, steps down."""
    beside = [path.parent, *path.parent.glob(path.name + "*")]
    modes = {other: other.stat().st_mode & ~0o222 for other in beside}
    if os.geteuid() == 0:
        closed = [folder for folder in path.parents if folder.stat().st_mode & 0o055 != 0o055]
        modes |= {folder: modes.get(folder, folder.stat().st_mode) | 0o055 for folder in closed}
    before = {other: other.stat().st_mode for other in modes}
    for other, mode in modes.items():
        other.chmod(mode)
    if os.geteuid() == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(os.getuid())
        for other, mode in before.items():
            other.chmod(mode)


class TestOpening:
    @pytest.mark.parametrize("folder", [".", "missing"])
    async def test_a_missing_file_is_refused_and_nothing_made(
        self, tmp_path: Path, folder: str
    ) -> None:
        path = tmp_path / folder / "collab.db"
        with pytest.raises(StoreNotFound) as raised:
            await SQLiteStore(path, create=False).__aenter__()
        assert raised.value.address == str(path)
        assert names_in(tmp_path) == []

    async def test_a_store_is_not_made_in_a_missing_directory(self, tmp_path: Path) -> None:
        with pytest.raises(StoreError, match="expected a directory"):
            await SQLiteStore(tmp_path / "missing" / "collab.db").__aenter__()
        assert names_in(tmp_path) == []

    async def test_a_directory_that_cannot_be_written_is_found_out_before_a_store_is_made(
        self, tmp_path: Path
    ) -> None:
        with unprivileged(tmp_path / "collab.db"):
            expected = re.escape(f"expected {tmp_path} to be writable, got no permission")
            with pytest.raises(StoreError, match=expected) as raised:
                await SQLiteStore(tmp_path / "collab.db").__aenter__()
            assert not isinstance(raised.value, StoreUnavailable)
        assert names_in(tmp_path) == []

    @pytest.mark.parametrize("create", [True, False])
    async def test_a_file_that_is_no_database_is_refused_and_left_alone(
        self, tmp_path: Path, create: bool
    ) -> None:
        path = tmp_path / "notes.txt"
        path.write_text("no database\n" * 1000)
        with pytest.raises(StoreError, match=r"expected a collab store in .*notes\.txt"):
            await SQLiteStore(path, create=create).__aenter__()
        assert path.read_text() == "no database\n" * 1000
        assert names_in(tmp_path) == [path.name]

    @pytest.mark.parametrize("create", [True, False])
    async def test_a_database_of_another_program_is_refused_and_left_alone(
        self, tmp_path: Path, create: bool
    ) -> None:
        path = tmp_path / "other.db"
        with closing(sqlite3.connect(path)) as other:
            other.execute("CREATE TABLE documents (id INTEGER PRIMARY KEY)")
        before = path.read_bytes()
        with pytest.raises(StoreError, match=rf"expected a collab store .* in .*{path.name}"):
            await SQLiteStore(path, create=create).__aenter__()
        assert path.read_bytes() == before

    async def test_an_empty_file_becomes_a_store_only_with_create(self, tmp_path: Path) -> None:
        path = tmp_path / "collab.db"
        path.touch()
        with pytest.raises(StoreError, match="empty"):
            await SQLiteStore(path, create=False).__aenter__()
        assert path.stat().st_size == 0
        async with SQLiteStore(path) as store:
            assert await append(store, [adding("a", b"1")]) == [1]

    @pytest.mark.parametrize("create", [True, False])
    async def test_a_directory_is_refused(self, tmp_path: Path, create: bool) -> None:
        with pytest.raises(StoreError, match="expected a file"):
            await SQLiteStore(tmp_path, create=create).__aenter__()

    @pytest.mark.parametrize("name", ["a b.db", "ä🦄.db", "50%.db", "a?b#c.db", "it's.db"])
    async def test_any_file_name_is_taken_as_it_stands(self, tmp_path: Path, name: str) -> None:
        async with SQLiteStore(tmp_path / name) as store:
            await store.append([adding("a", b"1")])
        assert names_in(tmp_path) == [name]

    async def test_a_relative_path_stays_what_it_was_when_the_directory_changes(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path)
        store = SQLiteStore("collab.db")
        monkeypatch.chdir(tmp_path / "elsewhere")
        async with store:
            await store.append([adding("a", b"1")])
        assert (tmp_path / "collab.db").is_file()
        assert names_in(tmp_path / "elsewhere") == []

    async def test_a_file_that_cannot_be_written_is_found_out_on_opening_as_a_writer(
        self, tmp_path: Path
    ) -> None:
        path = tmp_path / "collab.db"
        async with SQLiteStore(path) as store:
            await store.append([adding("a", b"1")])
            with unprivileged(path):
                with pytest.raises(StoreError, match=r"expected .* to be writable") as raised:
                    await SQLiteStore(path).__aenter__()
                assert not isinstance(raised.value, StoreUnavailable)

    async def test_a_running_store_can_be_read_without_the_right_to_write(
        self, tmp_path: Path
    ) -> None:
        path = tmp_path / "collab.db"
        async with SQLiteStore(path) as store:
            await store.append([adding("a", b"1")])
            with unprivileged(path):
                async with SQLiteStore(path, create=False) as reader:
                    assert (await reader.load("a")).seq == 1
                    with pytest.raises(StoreError, match=r"expected .* to be writable"):
                        await reader.append([adding("a", b"2")])
            assert await append(store, [adding("a", b"2")]) == [2]

    async def test_an_unreadable_file_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "collab.db"
        async with SQLiteStore(path):
            pass
        path.chmod(0)
        with unprivileged(path), pytest.raises(StoreError, match=r"expected .* to be readable"):
            await SQLiteStore(path, create=False).__aenter__()
