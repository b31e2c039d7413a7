import json
import os
import pty
import sqlite3
import subprocess
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import anyio
import pytest
from click.testing import CliRunner, Result

from collab.quarantine import Refused
from collab.server.cli.main import main
from collab.storage.address import open_store
from collab.storage.sqlite.trash_rows import write_tombstone
from collab.store import Append, NewEntry
from tests.core import poison
from tests.e2e.serving import COLLAB, serve

NOISE = b"\xff" * 12


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store with a whole document, one with a broken entry, and one with a quarantine."""
    path = tmp_path / "collab.db"

    async def write() -> None:
        async with open_store(f"sqlite:///{path}") as store:
            for name, updates in {
                "whole": [poison.HELLO],
                "broken/日": [poison.HELLO, NOISE],
                "refusing": [poison.HELLO],
            }.items():
                entries = [NewEntry(update=update, time_ms=5, author="ada") for update in updates]
                await store.append([Append(document=name, entries=entries)])
            refused = Refused(update=NOISE, time_ms=6, author="mallory", reason="expected less")
            await store.quarantine("refusing", [refused])

    anyio.run(write)
    return path


def check(path: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["check", "--store", f"sqlite:///{path}", *arguments])


def test_it_names_what_is_broken_and_exits_with_1(path: Path) -> None:
    result = check(path)
    assert result.exit_code == 1
    first, *rest = result.stdout.splitlines()
    assert first.startswith("broken/日: entry 2: does not apply: expected an update")
    assert rest == ["refusing: 1 update in the quarantine", "3 documents checked, 1 broken"]


def test_it_exits_with_0_where_all_is_whole(path: Path) -> None:
    result = check(path, "whole", "refusing")
    assert result.exit_code == 0
    assert result.stdout.endswith("2 documents checked, none broken\n")


def test_json_has_all_of_it(path: Path) -> None:
    result = check(path, "--json")
    assert result.exit_code == 1
    said: dict[str, Any] = json.loads(result.stdout)
    assert (said["file"], said["checked"]) == ([], 3)
    broken, refusing = said["documents"]
    assert (broken["name"], broken["entries"], broken["repaired"]) == ("broken/日", 2, False)
    assert len(broken["faults"]) == 1
    assert (refusing["name"], refusing["faults"]) == ("refusing", [])
    assert refusing["quarantine"] == [
        {"seq": None, "time_ms": 6, "author": "mallory", "reason": "expected less", "bytes": 12}
    ]


def test_it_changes_nothing_without_being_told_to(path: Path) -> None:
    before = path.read_bytes()
    check(path)
    assert path.read_bytes() == before


def test_repair_mends_and_keeps_aside_and_the_next_check_is_content(path: Path) -> None:
    result = check(path, "--repair")
    assert result.exit_code == 0
    assert "broken/日: 1 update in the quarantine\nbroken/日: repaired\n" in result.stdout
    assert result.stdout.endswith("3 documents checked, none broken\n")
    again = check(path, "--json")
    assert again.exit_code == 0
    (broken, _) = json.loads(again.stdout)["documents"]
    (kept,) = broken["quarantine"]
    assert (kept["seq"], kept["author"], kept["time_ms"], kept["bytes"]) == (2, "ada", 5, 12)


def test_what_cannot_be_repaired_is_told_and_left_as_it_is(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE updates SET seq = seq + (1 << 40) WHERE seq = 2")
    result = check(path, "--repair")
    assert result.exit_code == 1
    assert "broken/日: not repaired: expected at most" in result.stdout
    assert result.stdout.endswith("3 documents checked, 1 broken\n")


def test_it_works_beside_a_running_server_which_a_repair_does_not(path: Path) -> None:
    with serve(path):
        assert check(path, "whole").exit_code == 0
        result = check(path, "--repair")
        assert result.exit_code == 1
        assert result.stdout == ""
        assert result.stderr.startswith("collab: ")
        assert result.stderr.count("\n") == 1
    assert check(path, "--repair").exit_code == 0


@pytest.mark.parametrize("repair", [(), ("--repair",)], ids=["check", "repair"])
def test_a_file_with_an_overwritten_page_is_found_and_not_touched(
    path: Path, repair: tuple[str, ...]
) -> None:
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size - 4096)
        file.write(b"\xff" * 4096)
    before = path.read_bytes()
    result = check(path, *repair)
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    assert "collab.db" in result.output
    assert path.read_bytes() == before


def test_a_truncated_file_is_found(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)
    result = check(path)
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    assert "collab.db" in result.output


@pytest.mark.parametrize(
    ("address", "names", "code", "message"),
    [
        ("memory://", (), 2, "expected the address of a store in a file"),
        ("sqlite:///{}/missing.db", (), 1, "no store at"),
        ("sqlite:///{}/collab.db", ("nobody",), 1, "no document named 'nobody'"),
        ("sqlite:///{}/collab.db", ("a\nb",), 2, "expected"),
    ],
)
def test_a_mistake_is_one_clear_line(
    path: Path, address: str, names: tuple[str, ...], code: int, message: str
) -> None:
    result = CliRunner().invoke(main, ["check", "--store", address.format(path.parent), *names])
    assert result.exit_code == code
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_what_is_deleted_meanwhile_is_told_and_is_no_failure(path: Path) -> None:
    assert check(path, "--repair").exit_code == 0
    reader, terminal = pty.openpty()
    with closing(sqlite3.connect(path, isolation_level=None)) as deleting:
        deleting.execute("BEGIN IMMEDIATE")
        write_tombstone(deleting, "refusing", 1, None)
        with subprocess.Popen(
            [COLLAB, "check", "--repair", "--store", f"sqlite:///{path}"],
            stdout=subprocess.PIPE,
            stderr=terminal,
        ) as process:
            os.close(terminal)
            shown = os.read(reader, 10_000)
            while b"checking" not in shown:
                shown += os.read(reader, 10_000)
            deleting.execute("COMMIT")
            said, _ = process.communicate(timeout=30)
    with suppress(OSError):  # Nobody holds the other end.
        while part := os.read(reader, 10_000):
            shown += part
    os.close(reader)
    assert process.returncode == 0
    assert b"collab: refusing: deleted meanwhile" in shown
    assert said.endswith(b"2 documents checked, none broken\n")


def test_a_terminal_sees_how_far_it_is(path: Path) -> None:
    reader, terminal = pty.openpty()
    with subprocess.Popen(
        [COLLAB, "check", "--store", f"sqlite:///{path}"],
        stdout=subprocess.DEVNULL,
        stderr=terminal,
    ) as process:
        process.wait(timeout=30)
    os.close(terminal)
    shown = os.read(reader, 10_000)
    os.close(reader)
    assert b"checking" in shown
    assert b"100%" in shown
