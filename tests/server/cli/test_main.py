"""`collab` itself: what it says of its commands."""

from pathlib import Path

import pytest
from click.testing import CliRunner

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
