"""Files of a store that are removed, moved away or replaced while they are open."""

import os
import shutil
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from collab.errors import StoreUnavailable
from collab.storage.sqlite import SQLiteStore
from tests.storage.appending import append
from tests.storage.sqlite.files import adding, collect, names_in, query
from tests.storage.writers import reported, writing_process

pytestmark = pytest.mark.anyio

WITHIN_SECONDS = 10.0


async def updates_of(store: SQLiteStore, document: str = "a") -> list[bytes]:
    return [entry.update for entry in await collect(store.entries(document))]


async def updates_in(path: Path, document: str = "a") -> list[bytes]:
    async with SQLiteStore(path, create=False) as store:
        return await updates_of(store, document)


def copied(path: Path, folder: Path) -> Path:
    """Copies the files that are there now, for a store to open them as if this process had died."""
    folder.mkdir()
    for file in path.parent.glob(path.name + "*"):
        shutil.copy(file, folder)
    return folder / path.name


async def append_for(store: SQLiteStore, seconds: float) -> None:
    """Appends again and again."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        await store.append([adding("a", b"2")])


def removed(path: Path) -> Path:
    """Where a file that this process has open can be read from once it has no name."""
    return next(
        descriptor
        for descriptor in Path("/proc/self/fd").iterdir()
        if os.readlink(descriptor) == f"{path} (deleted)"  # noqa: PTH115  It is no path.
    )


async def test_a_file_that_is_removed_takes_no_commit_and_no_read(tmp_path: Path) -> None:
    path = tmp_path / "collab.db"
    async with SQLiteStore(path) as store:
        await store.append([adding("a", b"1")])
        path.unlink()
        for _ in range(3):
            with pytest.raises(StoreUnavailable, match=r"collab\.db .* none: it was removed"):
                await store.append([adding("a", b"2")])
            with pytest.raises(StoreUnavailable, match="removed"):
                await store.load("a")
        rescued = tmp_path / "rescued.db"
        shutil.copy(removed(path), rescued)
    assert not path.exists()
    assert await updates_in(rescued) == [b"1"]


async def test_a_file_that_is_moved_away_is_whole_and_goes_on_when_it_is_put_back(
    tmp_path: Path,
) -> None:
    path = tmp_path / "collab.db"
    aside = tmp_path / "aside" / "collab.db"
    aside.parent.mkdir()
    async with SQLiteStore(path) as store:
        await store.append([adding("a", b"1")])
        path.rename(aside)
        for _ in range(3):
            with pytest.raises(StoreUnavailable, match="removed"):
                await store.append([adding("a", b"2")])
        shutil.copy(aside, tmp_path / "copy.db")
        aside.rename(path)
        assert await append(store, [adding("a", b"2")]) == [2]
        assert await updates_of(store) == [b"1", b"2"]
    assert await updates_in(tmp_path / "copy.db") == [b"1"]
    assert await updates_in(path) == [b"1", b"2"]


async def test_a_file_in_the_place_of_another_is_not_written_to(tmp_path: Path) -> None:
    path, other = tmp_path / "collab.db", tmp_path / "other.db"
    async with SQLiteStore(other) as store:
        await store.append([adding("b", b"other" * 10_000)])
    async with SQLiteStore(path) as store:
        await store.append([adding("a", b"1" * 10_000)])
        await store.load("a")
        other.replace(path)
        for _ in range(3):
            with pytest.raises(StoreUnavailable, match="another one in its place"):
                await store.append([adding("a", b"2")])
            with pytest.raises(StoreUnavailable, match="another one in its place"):
                await store.load("a")
        # Whoever opens it meanwhile finds it as it was put there.
        assert await updates_in(path, "b") == [b"other" * 10_000]
        async with SQLiteStore(path) as following:
            assert await append(following, [adding("b", b"more")]) == [2]
            with pytest.raises(StoreUnavailable, match="another one in its place"):
                await store.append([adding("a", b"2")])
    assert query(path, "PRAGMA integrity_check") == [("ok",)]
    assert await updates_in(path, "b") == [b"other" * 10_000, b"more"]


async def test_a_folder_that_is_moved_away_takes_the_store_with_it(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    async with SQLiteStore(folder / "collab.db") as store:
        await store.append([adding("a", b"1")])
        folder.rename(tmp_path / "elsewhere")
        with pytest.raises(StoreUnavailable, match="removed"):
            await store.append([adding("a", b"2")])
    assert await updates_in(tmp_path / "elsewhere" / "collab.db") == [b"1"]


async def test_a_link_that_leads_elsewhere_is_noticed_soon(tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        async with SQLiteStore(tmp_path / name / "collab.db"):
            pass
    path = tmp_path / "collab.db"
    path.symlink_to(tmp_path / "first" / "collab.db")
    async with SQLiteStore(path) as store:
        await store.append([adding("a", b"1")])
        path.unlink()
        path.symlink_to(tmp_path / "second" / "collab.db")
        with pytest.raises(StoreUnavailable, match="another one in its place"):
            await append_for(store, WITHIN_SECONDS)


async def test_a_store_behind_a_link_is_measured_with_its_log(tmp_path: Path) -> None:
    path, link = tmp_path / "collab.db", tmp_path / "elsewhere" / "link.db"
    link.parent.mkdir()
    link.symlink_to(path)
    async with SQLiteStore(path) as store, SQLiteStore(link) as linked:
        await store.append([adding("a", bytes(1_000_000))])
        assert await linked.bytes_on_disk() == await store.bytes_on_disk() > 1_000_000


@pytest.mark.parametrize("suffixes", [["-wal"], ["-shm"], ["-wal", "-shm"]])
async def test_what_is_beside_a_file_is_made_anew_and_nothing_acknowledged_is_lost(
    tmp_path: Path, suffixes: Sequence[str]
) -> None:
    path = tmp_path / "collab.db"
    async with SQLiteStore(path) as store:
        await store.append([adding("a", b"1")])
        assert await updates_of(store) == [b"1"]
        for suffix in suffixes:
            path.with_name(path.name + suffix).unlink()
        with pytest.raises(StoreUnavailable, match="to stay there, got none"):
            await store.append([adding("a", b"2")])
        assert await updates_in(copied(path, tmp_path / "at-once")) == [b"1"]
        assert await append(store, [adding("a", b"2")]) == [2]
        assert await updates_of(store) == [b"1", b"2"]
        assert await updates_in(copied(path, tmp_path / "after")) == [b"1", b"2"]
    assert await updates_in(path) == [b"1", b"2"]
    assert query(path, "PRAGMA integrity_check") == [("ok",)]


@pytest.mark.parametrize("suffixes", [["-wal"], ["-shm"], ["-wal", "-shm"]])
async def test_processes_that_write_all_the_time_go_on_together_after_a_removal(
    tmp_path: Path, suffixes: Sequence[str]
) -> None:
    path = tmp_path / "collab.db"
    owners = ["one", "two"]
    with ExitStack() as exits:
        processes = [
            exits.enter_context(writing_process(f"sqlite:///{path}", owner)) for owner in owners
        ]
        seqs: list[list[tuple[int, int]]] = [[], []]
        for _ in range(4):
            for process, said in zip(processes, seqs, strict=True):
                said += reported(process, 20)
            for suffix in suffixes:
                path.with_name(path.name + suffix).unlink(missing_ok=True)
        for process, said in zip(processes, seqs, strict=True):
            said += reported(process, 20)
            process.kill()
            said += reported(process)
    async with SQLiteStore(path, create=False) as store:
        for owner, said in zip(owners, seqs, strict=True):
            own = await collect(store.entries(owner))
            assert [entry.seq for entry in own] == list(range(1, len(own) + 1))
            assert said[-1][1] in (len(own), len(own) - 1)
        shared = await collect(store.entries("a"))
        assert [entry.seq for entry in shared] == list(range(1, len(shared) + 1))
    assert query(path, "PRAGMA integrity_check") == [("ok",)]


async def test_other_files_in_the_folder_come_and_go(tmp_path: Path) -> None:
    path = tmp_path / "collab.db"
    async with SQLiteStore(path) as store:
        for number in range(20):
            (tmp_path / f"{number}").touch()
            assert await append(store, [adding("a", b"1")]) == [number + 1]
            (tmp_path / f"{number}").unlink()
            assert await append(store, [adding("b", b"1")]) == [number + 1]
    assert names_in(tmp_path) == ["collab.db"]
