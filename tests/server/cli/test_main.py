"""`collab` itself: what it says of its commands."""

import os
import subprocess
import sys
from pathlib import Path

import anyio
import pycrdt
import pytest
from click.testing import CliRunner

from collab.server import Collab
from collab.server.cli.main import main


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_the_list_of_commands_says_what_each_does_in_a_whole_sentence(columns: int) -> None:
    result = CliRunner().invoke(main, ["--help"], terminal_width=columns)
    _, _, listing = result.output.partition("Commands:\n")
    said = " ".join(listing.split())
    assert "Check that all documents of a store are whole, or those that are NAMEd." in said
    assert "..." not in said
    assert max(len(line) for line in result.output.splitlines()) <= columns


@pytest.mark.parametrize("command", [["list"], ["compact"], ["check"], ["restore-backup", "b.db"]])
def test_a_file_that_is_not_there_is_named_in_full(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(main, command)
    missing = tmp_path / ("b.db" if "b.db" in command else "collab.db")
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1] == f"collab: no store at {missing}"


_SIGNED = ["token", "--jwt-secret", "s" * 32]


@pytest.mark.parametrize(
    "command",
    [
        ["list", "--store", "notes.db"],
        ["list", "--prefix", "\udcff"],
        ["export", ""],
        ["export", "a\x01b"],
        ["versions", "notes", "--add", ""],
        ["backup", "b.db", "--store", "memory://"],
        ["tail", "notes"],
        ["token", "--user", "ana", "--admin"],
        ["token", "--user", "ana", "--admin", "--jwt-secret", "short"],
        [*_SIGNED, "--user", "", "--admin"],
        [*_SIGNED, "--user", "ana", "--read", "--doc", ""],
        ["serve", "--bind", "8000"],
        ["serve", "--bind", "\udcff:0"],
        ["serve", "--bind", "127.0.0.1:65536"],
        ["serve", "--bind", "127.0.0.1:0", "--seed", "nowhere"],
        ["serve", "--bind", "127.0.0.1:0", "--jwt-secret", "short"],
        ["serve", "--bind", "127.0.0.1:0", "--bus", "http://127.0.0.1"],
    ],
)
def test_what_is_called_wrongly_exits_with_2_and_one_line(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make_document(tmp_path, "notes")
    result = CliRunner().invoke(main, command)
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith("collab: expected ")


@pytest.mark.parametrize("number", ["nan", "inf"])
@pytest.mark.parametrize(
    "command",
    [["serve", "--unload-seconds"], ["serve", "--jwt-leeway"], ["history", "notes", "--pause"]],
)
def test_seconds_are_a_number(command: list[str], number: str) -> None:
    result = CliRunner().invoke(main, [*command, number])
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1].endswith(f"expected a number of seconds, got {number}")


_FULL_DISK = Path("/dev/full")
_COLLAB = "from collab.server.cli.main import main; main()"


def make_document(folder: Path, name: str) -> None:
    async def write() -> None:
        async with Collab(f"sqlite:///{folder}/collab.db") as app, app.document(name) as document:
            document.doc["content"] = pycrdt.Text("hello")

    anyio.run(write)


@pytest.mark.skipif(not _FULL_DISK.exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("command", [["list"], ["history", "notes"], ["export", "notes"]])
def test_a_full_disk_is_told_of_in_one_line(command: list[str], tmp_path: Path) -> None:
    make_document(tmp_path, "notes")
    with _FULL_DISK.open("wb") as full:
        ended = subprocess.run(
            [sys.executable, "-c", _COLLAB, *command],
            cwd=tmp_path,
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=60,
        )
    assert ended.stderr == b"collab: expected to write all of it, got: No space left on device\n"
    assert ended.returncode == 1


def test_it_runs_as_a_module_too() -> None:
    command = [sys.executable, "-m", "collab", "--help"]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    assert said.startswith("Usage: python -m collab ")


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_an_output_that_lacks_characters_is_told_of_in_one_line(
    form: list[str], tmp_path: Path
) -> None:
    make_document(tmp_path, "🦄")
    latin = os.environ | {"PYTHONIOENCODING": "latin-1"}
    ended = subprocess.run(
        [sys.executable, "-c", _COLLAB, "list", *form],
        cwd=tmp_path,
        capture_output=True,
        env=latin,
        timeout=60,
    )
    got = b"characters that are not in latin-1: PYTHONIOENCODING=utf-8 writes all"
    assert ended.stderr == b"collab: expected to write all of it, got " + got + b"\n"
    assert ended.returncode == 1
