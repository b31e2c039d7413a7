import json
from pathlib import Path
from typing import Any

import anyio
import pycrdt
import pytest
from click.testing import CliRunner, Result

from collab.server.cli.main import main
from collab.storage.address import open_store
from collab.store import Append, NewEntry


def collab(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["inspect", *arguments])


def updates() -> list[bytes]:
    """Two clients' changes: a text of which some is deleted, and a map."""
    ada, ben = pycrdt.Doc[Any](client_id=1), pycrdt.Doc[Any](client_id=2)
    text = ada.get("content", type=pycrdt.Text)
    text += "hello world"
    first = ada.get_update()
    ben.apply_update(first)
    before = ben.get_state()
    del ben.get("content", type=pycrdt.Text)[:6]
    ben.get("meta", type=pycrdt.Map)["title"] = "Greeting"
    return [first, ben.get_update(before)]


async def _fill(address: str) -> None:
    entries = [NewEntry(update=update, time_ms=1) for update in updates()]
    async with open_store(address) as store:
        await store.append([Append(document="notes", entries=entries)])


@pytest.fixture
def address(tmp_path: Path) -> str:
    address = f"sqlite:///{tmp_path}/collab.db"
    anyio.run(_fill, address)
    return address


def test_a_document_is_shown_with_its_roots_and_clients(address: str) -> None:
    result = collab("notes", "--store", address)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0] == "changes  2"
    assert lines[2:7] == [
        "roots    content (text), meta (map)",
        "structs  3",
        "deleted  6",
        "waiting  0 B",
        "clients  2",
    ]
    assert [line.split() for line in lines[7:]] == [
        ["CLIENT", "CLOCK", "STRUCTS"],
        ["1", "11", "2"],
        ["2", "1", "1"],
    ]


def test_a_file_that_lacks_what_it_depends_on_is_shown_to_wait(tmp_path: Path) -> None:
    path = tmp_path / "part.update"
    doc = pycrdt.Doc[Any](client_id=1)
    text = doc.get("content", type=pycrdt.Text)
    text += "hello"
    before = doc.get_state()
    text += " world"
    path.write_bytes(doc.get_update(before))
    shown = json.loads(collab("--update", str(path), "--json").stdout)
    assert shown["waiting_bytes"] > 0
    assert shown["changes"] is None
    assert shown["shares"] == [{"client": 1, "clock": 11, "structs": 1}]


def test_names_that_others_chose_move_no_terminal(tmp_path: Path) -> None:
    path = tmp_path / "red.update"
    doc = pycrdt.Doc[Any](client_id=1)
    doc["\x1b[31mred"] = pycrdt.Text("hello")
    path.write_bytes(doc.get_update())
    assert r"roots    \x1b[31mred (text)" in collab("--update", str(path)).stdout


def test_what_is_not_there_or_no_update_is_refused(address: str, tmp_path: Path) -> None:
    result = collab("nothing", "--store", address)
    assert (result.exit_code, result.stderr) == (1, "collab: no document named 'nothing'\n")
    path = tmp_path / "noise"
    path.write_bytes(b"noise")
    result = collab("--update", str(path))
    assert result.exit_code == 1
    assert result.stderr.startswith("collab: expected an update that applies, got: ")
    assert collab().exit_code == 2
    assert collab("notes", "--update", str(path)).exit_code == 2
