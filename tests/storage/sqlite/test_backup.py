"""Backups: complete and whole under load, put back whole, and never half after a SIGKILL."""

import os
import random
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
import pytest

from collab.errors import StoreError, StoreNotFound, StoreOwned, StoreUnavailable, StoreVersionError
from collab.storage.sqlite import SQLiteStore
from collab.storage.sqlite.backup import restore_backup, write_backup
from collab.storage.sqlite.ownership import owned
from collab.storage.sqlite.store_copy import Backup
from collab.store import Append, NewEntry
from tests.e2e.serving import COLLAB
from tests.storage.refusing import run_refused

WRITER = Path(__file__).parents[1] / "writing_process.py"
ROUNDS = 200 if os.environ.get("COLLAB_SOAK") else 4


def fill(path: Path, documents: Sequence[str], *, entries: int = 1, size: int = 100) -> Path:
    """Makes a store with documents of entries of a size."""

    async def write() -> None:
        async with SQLiteStore(path) as store:
            for name in documents:
                new = [NewEntry(update=os.urandom(size), time_ms=1)] * entries
                await store.append([Append(document=name, entries=new)])

    anyio.run(write)
    return path


def seqs(path: Path) -> dict[str, int]:
    """What a store has, as it opens: each document's seq, every entry read."""

    async def read() -> dict[str, int]:
        async with SQLiteStore(path, create=False) as store:
            names = [summary.document for summary in await store.documents()]
            return {name: len([entry async for entry in store.entries(name)]) for name in names}

    return anyio.run(read)


def back_up(store: Path, target: Path, *, overwrite: bool = False) -> Backup:
    return write_backup(store, target, overwrite=overwrite, progress=lambda done, total: None)


def put_back(backup: Path, store: Path, late_seconds: float = 0.0) -> Path | None:
    return restore_backup(
        backup, store, progress=lambda done, total: None, late_seconds=late_seconds
    )


def until_replaced(store: Path, old: Path, restored: "Future[Any]") -> None:
    """Waits until another file has the store's name, or raises why that did not come to be."""
    deadline = time.monotonic() + 20
    while store.samefile(old):  # The file system tells nobody.
        assert time.monotonic() < deadline
        with suppress(TimeoutError):
            restored.result(0.001)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return fill(tmp_path / "collab.db", ["a", "b"], entries=3)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    (tmp_path / "kept").mkdir()
    return tmp_path / "kept" / "backup.db"


@contextmanager
def writer(store: Path, own: str) -> Iterator["subprocess.Popen[str]"]:
    """A process that appends for ever, and prints what was acknowledged."""
    command = [sys.executable, str(WRITER), f"sqlite:///{store}", own]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


class TestBackup:
    def test_it_is_one_file_that_opens_as_a_store(self, store: Path, target: Path) -> None:
        backup = back_up(store, target)
        assert backup == Backup(documents=2, bytes=target.stat().st_size)
        assert list(target.parent.iterdir()) == [target]
        assert seqs(target) == {"a": 3, "b": 3}

    def test_under_load_it_has_all_that_was_acknowledged_before_and_nothing_half(
        self, store: Path, target: Path
    ) -> None:
        fill(store, ["large"], entries=3000, size=5000)
        with writer(store, "one") as one, writer(store, "two") as two:
            assert one.stdout is not None
            assert two.stdout is not None
            for overwrite in (False, True, True):
                acknowledged = [
                    [int(seq) for seq in out.readline().split()] for out in (one.stdout, two.stdout)
                ]
                steps: list[int] = []
                write_backup(
                    store,
                    target,
                    overwrite=overwrite,
                    progress=lambda done, total, steps=steps: steps.append(done),  # type: ignore[misc]  # mypy infers no type for defaults
                )
                assert len(steps) > 10
                assert steps == sorted(steps)
                found = seqs(target)
                (a, own_one), (_, own_two) = acknowledged
                assert found["a"] >= max(a, acknowledged[1][0])
                assert found["one"] >= own_one
                assert found["two"] >= own_two
                assert found["a"] == 3 + 3 * (found["one"] + found["two"])

    def test_it_includes_what_is_in_the_write_ahead_log_alone(
        self, store: Path, target: Path
    ) -> None:
        async def write_and_back_up() -> None:
            async with SQLiteStore(store) as opened:
                entry = NewEntry(update=b"new", time_ms=1)
                await opened.append([Append(document="new", entries=[entry])])
                await anyio.to_thread.run_sync(back_up, store, target)

        anyio.run(write_and_back_up)
        assert seqs(target) == {"a": 3, "b": 3, "new": 1}

    def test_it_replaces_nothing_unasked(self, store: Path, target: Path) -> None:
        target.write_text("precious")
        with pytest.raises(StoreError, match="not to be there, got a file that is"):
            back_up(store, target)
        assert target.read_text() == "precious"
        back_up(store, target, overwrite=True)
        assert seqs(target) == {"a": 3, "b": 3}

    def test_it_never_replaces_the_store(self, store: Path) -> None:
        link = store.with_name("link.db")
        link.symlink_to(store)
        for path in (store, link):
            with pytest.raises(StoreError, match="expected another file than the store's"):
                back_up(store, path, overwrite=True)

    def test_it_is_not_put_where_another_s_log_would_be_applied_to_it(
        self, store: Path, target: Path
    ) -> None:
        target.with_name(target.name + "-wal").write_bytes(b"something")
        with pytest.raises(StoreError, match="a file of another database"):
            back_up(store, target)

    def test_a_damaged_store_is_said_to_be(self, store: Path, target: Path) -> None:
        fill(store, ["large"], entries=100, size=5000)
        with store.open("r+b") as opened:
            opened.seek(100_000)
            opened.write(os.urandom(100_000))
        with pytest.raises(StoreError, match="expected"):
            back_up(store, target)
        assert list(target.parent.iterdir()) == []

    def test_what_is_no_store_is_refused(self, tmp_path: Path, target: Path) -> None:
        with pytest.raises(StoreNotFound):
            back_up(tmp_path / "nothing.db", target)
        other = tmp_path / "other.db"
        with closing(sqlite3.connect(other)) as database:
            database.execute("CREATE TABLE t (x)")
        with pytest.raises(StoreError, match="expected a collab store"):
            back_up(other, target)
        with pytest.raises(StoreError, match="expected a directory"):
            back_up(fill(tmp_path / "collab.db", ["a"]), tmp_path / "no" / "backup.db")


class TestRestore:
    def test_the_store_is_the_backup_and_the_old_one_is_kept(
        self, store: Path, target: Path
    ) -> None:
        back_up(store, target)
        before = target.read_bytes()
        fill(store, ["later"])
        aside = put_back(target, store)
        assert seqs(store) == {"a": 3, "b": 3}
        assert aside is not None
        assert seqs(aside) == {"a": 3, "b": 3, "later": 1}
        assert target.read_bytes() == before
        fill(store, ["goes on"])
        assert seqs(store) == {"a": 3, "b": 3, "goes on": 1}

    def test_it_goes_where_no_store_is(self, store: Path, target: Path, tmp_path: Path) -> None:
        back_up(store, target)
        elsewhere = tmp_path / "new.db"
        assert put_back(target, elsewhere) is None
        assert seqs(elsewhere) == {"a": 3, "b": 3}
        assert list(tmp_path.glob("new.db*")) == [elsewhere]

    def test_what_a_crash_left_in_the_log_is_kept_aside_and_not_applied(
        self, store: Path, target: Path
    ) -> None:
        back_up(store, target)
        with writer(store, "own") as process:
            assert process.stdout is not None
            acknowledged = [process.stdout.readline().split() for _ in range(20)][-1]
            process.kill()
            process.wait()
        assert store.with_name("collab.db-wal").stat().st_size > 0
        aside = put_back(target, store)
        assert aside is not None
        assert seqs(store) == {"a": 3, "b": 3}
        assert seqs(aside)["own"] >= int(acknowledged[1])

    def test_a_store_that_is_damaged_is_replaced(self, store: Path, target: Path) -> None:
        back_up(store, target)
        damaged = b"no database any more" * 1000
        store.write_bytes(damaged)
        store.with_name("collab.db-wal").write_bytes(b"a log")
        aside = put_back(target, store)
        assert seqs(store) == {"a": 3, "b": 3}
        assert aside is not None
        assert aside.read_bytes() == damaged
        assert aside.with_name(aside.name + "-wal").read_bytes() == b"a log"

    def test_it_is_refused_while_somebody_has_the_store_open(
        self, store: Path, target: Path
    ) -> None:
        back_up(store, target)
        before = seqs(store)

        async def open_and_restore() -> None:
            async with SQLiteStore(store) as opened:
                await opened.load("a")
                with pytest.raises(StoreOwned):
                    await anyio.to_thread.run_sync(put_back, target, store)

        anyio.run(open_and_restore)
        with owned(store), pytest.raises(StoreOwned):
            put_back(target, store)
        assert seqs(store) == before
        assert list(store.parent.glob("collab.db*")) == [store]

    def test_a_file_that_is_no_good_backup_changes_nothing(
        self, store: Path, tmp_path: Path, target: Path
    ) -> None:
        other = tmp_path / "other.db"
        with closing(sqlite3.connect(other)) as database:
            database.execute("CREATE TABLE t (x)")
        newer = fill(tmp_path / "newer.db", ["x"])
        with closing(sqlite3.connect(newer)) as database, database:
            database.execute(
                "INSERT INTO _sqlite_migrations (migration_set, name, applied_at)"
                " VALUES ('collab', '9999_future', '')"
            )
        torn = tmp_path / "torn.db"
        back_up(store, target)
        torn.write_bytes(target.read_bytes()[:-5000])
        before = store.read_bytes()
        for path, error in (
            (other, StoreError),
            (newer, StoreVersionError),
            (torn, StoreError),
            (tmp_path / "nothing", StoreNotFound),
            (store, StoreError),
        ):
            with pytest.raises(error, match=r"expected|no store"):
                put_back(path, store)
        assert store.read_bytes() == before
        assert list(tmp_path.glob(".*")) == []


def test_who_began_to_open_the_old_file_gives_up_instead_of_writing_to_it(
    store: Path, target: Path
) -> None:
    back_up(store, target)
    fill(store, ["later"])
    # Another name of the old file stands for a process that has it open, but has not read it yet.
    old = store.with_name("old.db")
    old.hardlink_to(store)
    with ThreadPoolExecutor() as threads:
        restored = threads.submit(put_back, target, store, 2.5)
        until_replaced(store, old, restored)
        with pytest.raises(StoreUnavailable, match="locked"):
            fill(old, ["lost"])
        aside = restored.result(20)
    assert aside is not None
    assert seqs(aside) == {"a": 3, "b": 3, "later": 1}
    assert seqs(store) == {"a": 3, "b": 3}


class TestWithoutLinks:
    """On FAT, and on file systems of some networks."""

    def test_a_backup_is_made_and_replaces_nothing_unasked(self, store: Path, target: Path) -> None:
        command = [COLLAB, "backup", str(target), "--store", f"sqlite:///{store}"]
        done = run_refused("link,chmod", command)
        assert done.returncode == 0, done.stderr
        assert seqs(target) == {"a": 3, "b": 3}
        assert list(target.parent.iterdir()) == [target]
        target.write_text("precious")
        assert run_refused("link,chmod", command).returncode == 1
        assert target.read_text() == "precious"

    def test_a_store_is_put_back_and_the_old_one_kept(self, store: Path, target: Path) -> None:
        back_up(store, target)
        fill(store, ["later"])
        command = [COLLAB, "restore-backup", str(target), "--store", f"sqlite:///{store}"]
        done = run_refused("link,chmod", command)
        assert done.returncode == 0, done.stderr
        assert seqs(store) == {"a": 3, "b": 3}
        (aside,) = store.parent.glob("collab.db.before-*")
        assert seqs(aside) == {"a": 3, "b": 3, "later": 1}

    def test_who_began_to_open_the_old_file_is_locked_out_all_the_same(
        self, store: Path, target: Path
    ) -> None:
        back_up(store, target)
        old = store.with_name("old.db")
        old.hardlink_to(store)
        command = [COLLAB, "restore-backup", str(target), "--store", f"sqlite:///{store}"]
        with ThreadPoolExecutor() as threads:
            restored = threads.submit(run_refused, "link", command)
            until_replaced(store, old, restored)
            with pytest.raises(StoreUnavailable, match="locked"):
                fill(old, ["lost"])
            assert restored.result(20).returncode == 0

    def test_it_goes_where_no_store_is(self, store: Path, target: Path, tmp_path: Path) -> None:
        back_up(store, target)
        elsewhere = tmp_path / "new.db"
        command = [COLLAB, "restore-backup", str(target), "--store", f"sqlite:///{elsewhere}"]
        assert run_refused("link", command).returncode == 0
        assert seqs(elsewhere) == {"a": 3, "b": 3}
        assert list(tmp_path.glob("new.db*")) == [elsewhere]


def run_until_killed(arguments: Sequence[str], seconds: float) -> bool:
    """Runs the command and kills it after a while; returns whether it was done before."""
    command = [sys.executable, "-c", "from collab.server.cli.main import main; main()", *arguments]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        with suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        process.kill()
        return process.wait() == 0


@pytest.mark.slow
def test_a_backup_that_is_killed_leaves_the_old_one_or_a_whole_one(
    store: Path, target: Path
) -> None:
    fill(store, ["large"], entries=4000, size=10_000)
    older = {"a": 3, "b": 3}
    back_up(fill(store.with_name("older.db"), ["a", "b"], entries=3), target)
    newer = seqs(store)
    seen = []
    for round_number in range(ROUNDS):
        seconds = random.Random(round_number).uniform(0.4, 1.6)
        arguments = ["backup", "--force", str(target), "--store", f"sqlite:///{store}"]
        done = run_until_killed(arguments, seconds)
        found = seqs(target)
        seen.append(found)
        assert found in (older, newer)
        if done:
            assert found == newer
    assert seqs(store) == newer


@pytest.mark.slow
def test_a_restore_that_is_killed_leaves_the_old_store_or_the_new_one(
    store: Path, target: Path, tmp_path: Path
) -> None:
    fill(store, ["large"], entries=2000, size=10_000)
    old = seqs(store)
    back_up(fill(tmp_path / "other.db", ["other"], entries=2000, size=10_000), target)
    new = {"other": 2000}
    for round_number in range(ROUNDS):
        path = tmp_path / f"round {round_number}.db"
        back_up(store, path)
        seconds = random.Random(round_number).uniform(0.5, 1.3)
        run_until_killed(["restore-backup", str(target), "--store", f"sqlite:///{path}"], seconds)
        found = seqs(path)
        assert found in (old, new)
        for aside in tmp_path.glob(f"{path.name}.before-*"):
            assert seqs(aside) == old
            aside.unlink()
        path.unlink()
