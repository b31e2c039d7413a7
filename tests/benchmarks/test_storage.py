"""The storage benchmark: what it reads out of files and messages, and how it judges."""

import json
from pathlib import Path

import pytest

from benchmarks.load.authors import Author
from benchmarks.load.dialect import sync_update
from benchmarks.storage import opening, writing
from benchmarks.storage.__main__ import write
from benchmarks.storage.peers import STORING, characters
from collab.lib0 import write_var_string


def test_an_echo_acknowledges_what_it_reaches_to() -> None:
    author = Author(3)
    updates = author.type(5)
    acknowledged = STORING["collab"].acknowledged
    assert acknowledged(sync_update(updates[4]), b"", author.client) == 5
    assert acknowledged(sync_update(updates[4]), b"", author.client + 1) == 0
    assert acknowledged(b"\x01\x00", b"", author.client) == 0


def test_a_sync_status_acknowledges_one_more() -> None:
    address = write_var_string("document-1")
    acknowledged = STORING["hocuspocus"].acknowledged
    assert acknowledged(address + b"\x08\x01", address, 1) == -1
    assert acknowledged(address + sync_update(b"\x00\x00"), address, 1) == 0


def test_characters_are_counted_in_whatever_updates_make_them() -> None:
    author = Author(3)
    assert characters(author.type(7)) == 7
    assert characters([author.whole()]) == 7
    assert characters([]) == 0


@pytest.mark.slow
def test_a_killed_server_is_looked_into(tmp_path: Path) -> None:
    loss = writing.kill(STORING["collab"], tmp_path, seconds=0.5)
    assert loss.sent == 500
    assert loss.acknowledged > 0
    assert loss.lost_acknowledged == 0


def test_one_of_many_is_opened_beside_one_alone(tmp_path: Path) -> None:
    times = opening.compare(tmp_path, documents=1000)
    assert times.documents == 1000
    assert times.among_many_ms > 0
    assert times.alone_ms > 0


def test_goals_are_judged_for_what_was_measured(tmp_path: Path) -> None:
    figures = {
        "opening": {"documents": 100_000, "among_many_ms": 1.5, "alone_ms": 1.0},
        "writing": {"collab": 1000.0, "pycrdt-store": 100.0, "hocuspocus": 1001.0},
    }
    text = write(tmp_path, figures, {"rounds": 1})
    goals = json.loads((tmp_path / "storage.json").read_text())["goals"]
    assert [(goal["figure"], goal["met"]) for goal in goals] == [
        (1.5, False),
        (10.0, True),
        (1000 / 1001, False),
    ]
    assert "| durable updates/s ÷ pycrdt-store | 10 | 5 | yes |" in text
    assert (tmp_path / "storage.md").read_text() == text
