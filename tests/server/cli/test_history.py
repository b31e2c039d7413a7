"""``collab history``, ``diff``, ``versions``, ``restore``, ``export --at``; beside a server too."""

import json
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import anyio
import pytest
from click.testing import CliRunner, Result

from collab.server.cli.main import main
from collab.storage.sqlite import SQLiteStore
from collab.store import Append, NewEntry
from collab.versions import Version
from tests.core.writing import typed
from tests.e2e.serving import serve

MINUTE_MS = 60_000


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store with one document of four words, ``team/plan``."""
    path = tmp_path / "collab.db"

    async def fill() -> None:
        async with SQLiteStore(path) as opened:
            for minute, update in enumerate(typed("one ", "two\n", "three ", "four 😀")):
                author = "ada" if minute < 2 else None
                entry = NewEntry(update=update, time_ms=minute * MINUTE_MS, author=author)
                await opened.append([Append(document="team/plan", entries=[entry])])

    anyio.run(fill)
    return path


@pytest.fixture(params=[False, True], ids=["alone", "beside a server"])
def beside(request: pytest.FixtureRequest, store: Path) -> Iterator[None]:
    """Runs a server, or none, for as long as the test."""
    with serve(store) if request.param else nullcontext():
        yield


def collab(store: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, [*arguments, "--store", f"sqlite:///{store}"])


def shown(store: Path, *arguments: str) -> str:
    result = collab(store, *arguments)
    assert (result.exit_code, result.stderr) == (0, "")
    return result.stdout


def told(store: Path, *arguments: str, code: int = 1) -> str:
    """What a command says that fails."""
    result = collab(store, *arguments)
    assert (result.exit_code, result.stdout) == (code, "")
    return result.stderr


@pytest.mark.usefixtures("beside")
def test_history_shows_who_wrote_when_the_newest_first(store: Path) -> None:
    assert shown(store, "history", "team/plan").splitlines() == [
        "SEQ  FROM (UTC)           TO                   ENTRIES  AUTHOR",
        "3-4  1970-01-01 00:02:00  1970-01-01 00:03:00        2  -",
        "1-2  1970-01-01 00:00:00  1970-01-01 00:01:00        2  ada",
    ]


def test_what_others_have_as_names_and_times_moves_no_terminal_and_ends_nothing(
    tmp_path: Path,
) -> None:
    path = tmp_path / "odd.db"
    author = "ada\x1b[2J\nmallory"

    async def fill() -> None:
        async with SQLiteStore(path) as opened:
            (update,) = typed("one")
            entry = NewEntry(update=update, time_ms=2**62, author=author)
            await opened.append([Append(document="odd", entries=[entry])])
            version = Version(name="v", seq=1, created_ms=-(2**62), author=author)
            await opened.add_version("odd", version)
            await opened.append([Append(document="gone", entries=[entry])])
            await opened.delete("gone", time_ms=2**62, author=author)

    anyio.run(fill)
    for command in (["history", "odd"], ["versions", "odd"], ["list", "--deleted"]):
        result = CliRunner().invoke(main, [*command, "--store", f"sqlite:///{path}"])
        assert result.exit_code == 0
        _, row = result.stdout.splitlines()
        assert r"ada\x1b[2J\nmallory" in row


def test_history_is_cut_to_pages_and_by_pause(store: Path) -> None:
    result = collab(store, "history", "team/plan", "--limit", "1", "--pause", "59")
    assert [line.split()[0] for line in result.stdout.splitlines()] == ["SEQ", "4"]
    assert result.stderr == "collab: older changes with --before 4\n"
    older = json.loads(shown(store, "history", "team/plan", "--before", "4", "--json"))
    assert [change["last_seq"] for change in older["changes"]] == [3, 2]
    assert older["next"] is None


def test_diff_shows_what_was_removed_and_inserted(store: Path) -> None:
    assert shown(store, "diff", "team/plan", "2", "3").splitlines() == [
        "@@ content 8 -> 8 @@",
        "one two",
        "{+three +}",
    ]
    backwards = shown(store, "diff", "team/plan", "1970-01-01T00:01:30", "1")
    assert backwards == "@@ content 4 -> 4 @@\none [-two\n-]\n"
    assert shown(store, "diff", "team/plan", "4") == ""
    record = json.loads(shown(store, "diff", "team/plan", "3", "--json"))
    assert (record["from"], record["to"]) == (3, 4)
    assert [hunk["inserted"] for hunk in record["differences"][0]["hunks"]] == ["four 😀"]


@pytest.mark.usefixtures("beside")
def test_versions_are_named_shown_used_and_forgotten(store: Path) -> None:
    assert shown(store, "versions", "team/plan", "--add", "end / 😀") == ""
    assert shown(store, "versions", "team/plan", "--add", "draft", "--at", "2") == ""
    lines = shown(store, "versions", "team/plan").splitlines()
    assert [line.split()[0] for line in lines] == ["SEQ", "2", "4"]
    assert lines[2].endswith("  end / 😀")
    listed = json.loads(shown(store, "versions", "team/plan", "--json"))["versions"]
    assert [(each["name"], each["seq"]) for each in listed] == [("draft", 2), ("end / 😀", 4)]
    assert shown(store, "export", "team/plan", "--at", "draft") == "one two\n"
    taken = "collab: expected a new name for a version of 'team/plan', got 'draft'\n"
    assert told(store, "versions", "team/plan", "--add", "draft") == taken
    assert shown(store, "versions", "team/plan", "--remove", "end / 😀") == ""
    gone = "collab: no version 'end / 😀' of 'team/plan'\n"
    assert told(store, "versions", "team/plan", "--remove", "end / 😀") == gone


@pytest.mark.usefixtures("beside")
@pytest.mark.parametrize(
    "arguments",
    [
        ["export", "team/plan", "--at", "3days"],
        ["versions", "team/plan", "--add", "draft", "--at", "3days"],
        ["restore", "team/plan", "--to", "3days"],
        ["diff", "team/plan", "3days"],
    ],
    ids=" ".join,
)
def test_what_is_no_point_is_answered_with_the_forms_that_one_takes(
    store: Path, arguments: list[str]
) -> None:
    forms = "a seq, a date or time in ISO 8601, or the name of a version of 'team/plan'"
    assert told(store, *arguments) == f"collab: expected {forms}, got '3days'\n"


@pytest.mark.usefixtures("beside")
def test_restore_takes_a_document_back_and_can_be_taken_back(store: Path) -> None:
    assert shown(store, "restore", "team/plan", "--to", "1") == "restored 'team/plan' to 1\n"
    assert shown(store, "export", "team/plan") == "one "
    again = shown(store, "restore", "team/plan", "--to", "1")
    assert again == "'team/plan' is as it was at 1 already\n"
    shown(store, "restore", "team/plan", "--to", "4")
    assert shown(store, "export", "team/plan") == "one two\nthree four 😀"
    assert shown(store, "export", "team/plan", "--at", "5") == "one "
    assert told(store, "restore", "team/plan", "--to", "9") == (
        "collab: expected a seq of 0 to 6 of 'team/plan', got 9\n"
    )
    assert told(store, "restore", "unknown", "--to", "0") == "collab: no document named 'unknown'\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["versions", "d", "--add", "a", "--remove", "a"], "expected --add or --remove, got both"),
        (["versions", "d", "--at", "1"], "expected --at together with --add"),
        (["restore", "d"], "Missing option '--to'"),
        (
            ["restore", "d", "--to", ""],
            "expected a seq, a date or time in ISO 8601, or the name of a version",
        ),
    ],
)
def test_what_cannot_be_meant_is_told_as_usage(
    store: Path, arguments: list[str], says: str
) -> None:
    result = collab(store, *arguments)
    assert result.exit_code == 2
    assert says in result.stderr


def test_a_text_in_a_diff_moves_no_terminal(tmp_path: Path) -> None:
    store = tmp_path / "collab.db"

    async def fill() -> None:
        (update,) = typed("a\tb\n\x1b[2Jc")
        entry = NewEntry(update=update, time_ms=0)
        async with SQLiteStore(store) as opened:
            await opened.append([Append(document="a", entries=[entry])])

    anyio.run(fill)
    assert "{+a\tb\n\\x1b[2Jc+}" in shown(store, "diff", "a", "0")


def test_a_versions_name_that_reads_like_a_point_is_refused(store: Path) -> None:
    assert told(store, "versions", "team/plan", "--add", "2026-11-22", code=2) == (
        "collab: expected a version's name that is no number, date or time, got '2026-11-22'\n"
    )
