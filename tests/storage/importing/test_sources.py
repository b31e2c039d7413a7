"""Readers of real files of other packages, whole and damaged."""

import math
import sqlite3
import struct
import time
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from collab.errors import SourceError
from collab.storage.importing.open import open_source
from collab.storage.importing.source import Kind
from collab.store import NewEntry
from tests.core.writing import read, typed
from tests.fixtures.stores import HOCUSPOCUS, NAMES, Y_LEVELDB
from tests.fixtures.ystores import write_files, write_sqlite

pytestmark = pytest.mark.anyio

NOW_MS = 1_795_000_000_000
ODD_SECONDS = [math.inf, -math.inf, 1e300, 253_402_300_800.0, -1.0]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def contents(kind: Kind, path: Path) -> dict[str, list[NewEntry]]:
    """Everything a source gives."""
    with open_source(kind, path, NOW_MS) as source:
        return {name: list(source.changes(name)) for name in source.names()}


def updates_of(changes: list[NewEntry]) -> list[bytes]:
    return [change.update for change in changes]


class TestSQLiteYStore:
    async def test_every_update_comes_with_its_time(self, tmp_path: Path) -> None:
        began_ms = time.time() * 1000
        documents = {"a": typed("one ", "two ", "three"), "b/日": typed("x")}
        path = await write_sqlite(tmp_path / "ystore.db", documents)
        ended_ms = time.time() * 1000
        found = contents(Kind.PYCRDT_STORE, path)
        assert {name: updates_of(changes) for name, changes in found.items()} == documents
        times = [change.time_ms for change in found["a"]]
        assert times == sorted(times)
        assert began_ms - 1 <= times[0] <= times[-1] <= ended_ms + 1
        assert {change.author for changes in found.values() for change in changes} == {None}

    async def test_what_only_a_checkpoint_has_comes_last(self, tmp_path: Path) -> None:
        updates = typed(*"abcdefgh")
        path = await write_sqlite(tmp_path / "ystore.db", {"a": updates}, checkpoint_interval=8)
        with closing(sqlite3.connect(path)) as database, database:
            database.execute("DELETE FROM yupdates WHERE rowid < 6")
        found = contents(Kind.PYCRDT_STORE, path)["a"]
        assert updates_of(found[:-1]) == updates[5:]
        assert read(updates_of(found)) == "abcdefgh"

    @pytest.mark.parametrize("seconds", ODD_SECONDS)
    async def test_a_time_that_is_none_is_now(self, tmp_path: Path, seconds: float) -> None:
        path = await write_sqlite(tmp_path / "ystore.db", {"a": typed("x", "y")})
        with closing(sqlite3.connect(path)) as database, database:
            database.execute("UPDATE yupdates SET timestamp = ? WHERE rowid = 1", (seconds,))
        found = {change.update: change.time_ms for change in contents(Kind.PYCRDT_STORE, path)["a"]}
        assert found[typed("x", "y")[0]] == NOW_MS
        assert len(found) == 2

    async def test_other_databases_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match="expected the tables of pycrdt-store, version 2"):
            contents(Kind.PYCRDT_STORE, HOCUSPOCUS)
        path = await write_sqlite(tmp_path / "ystore.db", {"a": typed("x")})
        with closing(sqlite3.connect(path)) as database:
            database.execute("PRAGMA user_version = 3")
        with pytest.raises(SourceError, match="got version 3"):
            contents(Kind.PYCRDT_STORE, path)

    def test_reading_changes_nothing(self, tmp_path: Path) -> None:
        path = anyio.run(write_sqlite, tmp_path / "ystore.db", {"a": typed("x")})
        before = path.read_bytes()
        contents(Kind.PYCRDT_STORE, path)
        assert path.read_bytes() == before
        assert list(tmp_path.iterdir()) == [path]


class TestFileYStore:
    async def test_a_folder_gives_each_file_by_its_path(self, tmp_path: Path) -> None:
        documents = {"a.y": typed("one ", "two"), "deep/b": typed("x" * 100_000)}
        began_ms = time.time() * 1000
        await write_files(tmp_path, documents)
        (tmp_path / "README").write_text("no store")
        found = contents(Kind.PYCRDT_STORE, tmp_path)
        assert {name: updates_of(changes) for name, changes in found.items()} == documents
        assert began_ms - 1 <= found["a.y"][0].time_ms <= time.time() * 1000 + 1

    async def test_a_file_alone_is_one_document(self, tmp_path: Path) -> None:
        await write_files(tmp_path, {"a": typed("one")})
        assert list(contents(Kind.PYCRDT_STORE, tmp_path / "a")) == ["a"]

    async def test_a_torn_file_gives_all_that_is_whole(self, tmp_path: Path) -> None:
        updates = typed("one ", "two ", "three")
        await write_files(tmp_path, {"a": updates})
        path = tmp_path / "a"
        whole = path.read_bytes()
        for size in range(len(whole) - 1, len(b"VERSION:2\n"), -1):
            path.write_bytes(whole[:size])
            found = updates_of(contents(Kind.PYCRDT_STORE, path)["a"])
            good = [update for update in found if update in updates]
            assert good == updates[: len(good)]
            assert len(found) - len(good) <= 1
            lost = sum(len(update) + 12 for update in updates[len(good) :])
            assert lost <= len(whole) - size + 12 + len(updates[-1])

    @pytest.mark.parametrize("seconds", [*ODD_SECONDS, math.nan])
    async def test_a_time_that_is_none_is_now(self, tmp_path: Path, seconds: float) -> None:
        await write_files(tmp_path, {"a": typed("one ", "two")})
        path = tmp_path / "a"
        whole = bytearray(path.read_bytes())
        at = whole.index(typed("one ", "two")[0]) + len(typed("one ", "two")[0]) + 2
        whole[at : at + 8] = struct.pack("<d", seconds)
        path.write_bytes(whole)
        first, second = contents(Kind.PYCRDT_STORE, path)["a"]
        assert first.time_ms == NOW_MS
        assert second.time_ms != NOW_MS

    async def test_other_files_are_refused(self, tmp_path: Path) -> None:
        (tmp_path / "x").write_text("no store")
        with pytest.raises(SourceError, match="expected files of pycrdt-store"):
            contents(Kind.PYCRDT_STORE, tmp_path)
        (tmp_path / "x").write_text("VERSION:1\n")
        with pytest.raises(SourceError, match="expected version 2 of a FileYStore"):
            contents(Kind.PYCRDT_STORE, tmp_path)


class TestHocuspocus:
    def test_every_document_comes_as_one_state(self) -> None:
        found = contents(Kind.HOCUSPOCUS_SQLITE, HOCUSPOCUS)
        assert set(found) == NAMES
        for name, changes in found.items():
            (change,) = changes
            assert read([change.update]) == f"{name}, kept by Hocuspocus"[1:]
            assert (change.time_ms, change.author) == (NOW_MS, None)

    async def test_other_databases_are_refused(self, tmp_path: Path) -> None:
        path = await write_sqlite(tmp_path / "ystore.db", {"a": typed("x")})
        with pytest.raises(SourceError, match="expected Hocuspocus' table documents"):
            contents(Kind.HOCUSPOCUS_SQLITE, path)
        with pytest.raises(SourceError, match="expected the database of Hocuspocus"):
            contents(Kind.HOCUSPOCUS_SQLITE, Y_LEVELDB)


class TestYLeveldbDump:
    def test_every_update_comes_in_order(self, tmp_path: Path) -> None:
        found = contents(Kind.Y_LEVELDB_DUMP, Y_LEVELDB)
        assert set(found) == NAMES
        assert [len(found[name]) for name in ("notes", "team/plan", "emoji 😀")] == [3, 1, 3]
        for name, changes in found.items():
            assert read(updates_of(changes)) == f"{name}, kept by y-leveldb"
        shuffled = tmp_path / "dump"
        lines = Y_LEVELDB.read_text().splitlines()
        shuffled.write_text("\n\n".join(reversed(lines)))
        assert contents(Kind.Y_LEVELDB_DUMP, shuffled) == found

    def test_other_keys_are_passed_over(self, tmp_path: Path) -> None:
        dump = tmp_path / "dump"
        dump.write_text(
            '{"key": ["v1_sv", "a"], "value": "AA=="}\n'
            '{"key": ["v1", "a", "meta", "owner"], "value": "AA=="}\n'
            '{"key": ["v1", "a", "update", 0], "value": "AAA="}\n'
            '{"key": ["v1", "a", "update", 1], "value": 5}\n'
            '{"key": ["v1", "a", "update", 2]}\n'
        )
        found = contents(Kind.Y_LEVELDB_DUMP, dump)
        assert updates_of(found.pop("a")) == [b"\x00\x00", b"", b""]
        assert found == {}

    @pytest.mark.parametrize("line", ["{}", "[]", "{", '{"key": 5}', "\x00", "[" * 100_000])
    def test_lines_that_are_none_are_named(self, tmp_path: Path, line: str) -> None:
        dump = tmp_path / "dump"
        dump.write_text('{"key": ["v1", "a", "update", 0], "value": "AAA="}\n' + line)
        with pytest.raises(SourceError, match="expected a key and a value in line 2"):
            contents(Kind.Y_LEVELDB_DUMP, dump)


class TestUpdateFiles:
    def test_a_folder_gives_each_file_without_its_ending(self, tmp_path: Path) -> None:
        (tmp_path / "deep").mkdir()
        (tmp_path / "notes.bin").write_bytes(b"one")
        (tmp_path / "deep" / "v1.2.bin").write_bytes(b"two")
        found = contents(Kind.UPDATE, tmp_path)
        assert {name: updates_of(changes) for name, changes in found.items()} == {
            "deep/v1.2": [b"two"],
            "notes": [b"one"],
        }
        modified_ms = (tmp_path / "notes.bin").stat().st_mtime_ns // 1_000_000
        assert found["notes"][0].time_ms == modified_ms

    def test_a_file_alone_is_one_document(self, tmp_path: Path) -> None:
        (tmp_path / "notes.bin").write_bytes(b"one")
        assert list(contents(Kind.UPDATE, tmp_path / "notes.bin")) == ["notes"]

    def test_two_files_of_one_name_are_refused(self, tmp_path: Path) -> None:
        for ending in ("bin", "update"):
            (tmp_path / f"notes.{ending}").write_bytes(b"one")
        with pytest.raises(SourceError, match="expected one file for 'notes'"):
            contents(Kind.UPDATE, tmp_path)

    def test_an_empty_folder_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(SourceError, match="expected files with updates"):
            contents(Kind.UPDATE, tmp_path)


@pytest.mark.parametrize("kind", list(Kind))
def test_a_path_without_anything_is_refused(tmp_path: Path, kind: Kind) -> None:
    with pytest.raises(SourceError, match=r"expected something to import at .*, got nothing"):
        contents(kind, tmp_path / "nothing")


@pytest.mark.parametrize("kind", [Kind.HOCUSPOCUS_SQLITE, Kind.Y_LEVELDB_DUMP])
def test_a_folder_is_refused_where_a_file_is_expected(tmp_path: Path, kind: Kind) -> None:
    with pytest.raises(SourceError, match="expected"):
        contents(kind, tmp_path)
