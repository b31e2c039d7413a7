import json
import time
from pathlib import Path

import anyio
import pytest
from click.testing import CliRunner, Result

from collab.server.cli.list import human_age, human_size
from collab.server.cli.main import main
from collab.storage.address import open_store
from collab.store import Append, NewEntry

DAY = 86400


def collab(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


async def _fill(address: str, documents: dict[str, list[tuple[int, int]]]) -> None:
    """Writes documents of (size, time in ms) entries."""
    async with open_store(address) as store:
        for name, changes in documents.items():
            entries = [NewEntry(update=bytes(size), time_ms=at) for size, at in changes]
            await store.append([Append(document=name, entries=entries)])


@pytest.fixture
def address(tmp_path: Path) -> str:
    now = int(time.time() * 1000)
    address = f"sqlite:///{tmp_path}/collab.db"
    documents = {
        "notes/b": [(100, now - 3 * DAY * 1000), (1150, now - 2 * DAY * 1000 - 60_000)],
        "notes/a": [(12, 1_700_000_000_000)],
        "zebra 日本": [(2_000_000, now)],
    }
    anyio.run(_fill, address, documents)
    return address


def test_list_shows_a_line_for_each_document_in_order(address: str) -> None:
    result = collab("list", "--store", address)
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "  SIZE  UPDATED     CHANGES  NAME",
        "  12 B  2023-11-14        1  notes/a",
        "1.2 kB  2 days ago        2  notes/b",
        "2.0 MB  just now          1  zebra 日本",
    ]


@pytest.mark.parametrize("time_ms", [2**62, 253_402_300_800_000, -(2**62)])
def test_a_time_that_no_calendar_has_hides_no_document(tmp_path: Path, time_ms: int) -> None:
    address = f"sqlite:///{tmp_path}/collab.db"
    anyio.run(_fill, address, {"a": [(1, 1)], "wild": [(1, time_ms)]})
    for command in (["list"], ["list", "--json"]):
        result = collab(*command, "--store", address)
        assert result.exit_code == 0
        assert "wild" in result.stdout


def test_list_shows_only_a_prefix(address: str) -> None:
    lines = collab("list", "--prefix", "notes/", "--store", address).stdout.splitlines()
    assert [line.split()[-1] for line in lines] == ["NAME", "notes/a", "notes/b"]


def test_list_gives_json_for_programs(address: str) -> None:
    records = json.loads(collab("list", "--json", "--store", address).stdout)
    assert [record["name"] for record in records] == ["notes/a", "notes/b", "zebra 日本"]
    assert records[0] == {
        "name": "notes/a",
        "bytes": 12,
        "created": "2023-11-14T22:13:20.000+00:00",
        "updated": "2023-11-14T22:13:20.000+00:00",
        "changes": 1,
        "retention": None,
    }
    assert json.loads(collab("list", "--json", "--prefix", "x", "--store", address).stdout) == []


def test_list_shows_the_trash_when_asked_for_it(address: str) -> None:
    async def delete() -> None:
        async with open_store(address) as store:
            await store.delete("notes/a", time_ms=1_700_000_000_000, author="ada")
            await store.delete("zebra 日本", time_ms=int(time.time() * 1000))

    anyio.run(delete)
    shown = collab("list", "--store", address).stdout.splitlines()
    assert [line.split()[-1] for line in shown] == ["NAME", "notes/b"]
    result = collab("list", "--deleted", "--store", address)
    assert result.stdout.splitlines() == [
        "  SIZE  DELETED      BY  NAME",
        "  12 B  2023-11-14  ada  notes/a",
        "2.0 MB  just now         zebra 日本",
    ]
    records = json.loads(
        collab("list", "--deleted", "--json", "--prefix", "notes", "--store", address).stdout
    )
    assert records == [
        {
            "name": "notes/a",
            "bytes": 12,
            "deleted": "2023-11-14T22:13:20.000+00:00",
            "by": "ada",
        }
    ]


def test_list_goes_on_past_a_page(tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path}/collab.db"
    names = [f"d{number:05}" for number in range(2001)]

    async def fill() -> None:
        async with open_store(address) as store:
            entry = NewEntry(update=b"\x00\x00", time_ms=0)
            await store.append([Append(document=name, entries=[entry]) for name in names])

    anyio.run(fill)
    records = json.loads(collab("list", "--json", "--store", address).stdout)
    assert [record["name"] for record in records] == names


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (9949, "9.9 kB"),
        (9951, "10 kB"),
        (999_499, "999 kB"),
        (999_500, "1.0 MB"),
        (35_400_000, "35 MB"),
        (7 * 10**15, "7000 TB"),
    ],
)
def test_sizes_have_three_digits_or_so(size: int, shown: str) -> None:
    assert human_size(size) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (-5, "just now"),
        (59, "just now"),
        (60, "1 minute ago"),
        (3599, "59 minutes ago"),
        (7200, "2 hours ago"),
        (DAY, "1 day ago"),
        (29 * DAY, "29 days ago"),
        (30 * DAY, "2023-10-15"),
    ],
)
def test_ages_are_in_words_and_then_a_date(seconds: int, shown: str) -> None:
    now = 1_700_000_000
    assert human_age(now - seconds, now) == shown
