import json
import os
import pty
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio
import pycrdt
import pytest
from click.testing import CliRunner, Result

from collab.server.cli.main import main
from collab.storage.address import open_store
from collab.store import Append, NewEntry
from tests.fixtures import shown, written
from tests.storage import damage


def entries(*updates: bytes) -> list[NewEntry]:
    return [NewEntry(update=update, time_ms=1_700_000_000_000) for update in updates]


async def _fill(address: str, documents: dict[str, list[bytes]]) -> None:
    async with open_store(address) as store:
        for name, updates in documents.items():
            await store.append([Append(document=name, entries=entries(*updates))])


@pytest.fixture
def address(tmp_path: Path) -> str:
    """A store with a document of each binding, and one in many changes."""
    doc = pycrdt.Doc[Any]()
    updates: list[bytes] = []
    subscription = doc.observe(lambda event: updates.append(event.update))
    text = doc.get("content", type=pycrdt.Text)
    for word in ("many ", "small ", "changes 😀"):
        text += word
    doc.unobserve(subscription)
    address = f"sqlite:///{tmp_path}/collab.db"
    documents = {name: [written(name)] for name in ("codemirror", "tiptap", "plain")}
    anyio.run(_fill, address, {**documents, "notes/日": updates})
    return address


def collab(*arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(main, arguments, env=environment)


def test_export_writes_what_the_editor_shows_to_the_byte(address: str) -> None:
    result = collab("export", "codemirror", "--store", address)
    assert result.exit_code == 0
    assert result.stdout_bytes == shown("codemirror")["text"].encode()


def test_export_replays_the_log(address: str) -> None:
    result = collab("export", "notes/日", COLLAB_STORE=address)
    assert result.stdout_bytes == "many small changes 😀".encode()


def test_export_writes_what_applies_and_says_what_does_not(address: str) -> None:
    anyio.run(_fill, address, {"notes/日": [b"\xff\xff"]})
    result = collab("export", "notes/日", "--store", address)
    assert result.exit_code == 0
    assert result.stdout_bytes == "many small changes 😀".encode()
    assert "exported without entries that do not apply (1)" in result.stderr


def test_export_says_what_of_a_damaged_document_it_lacks(tmp_path: Path) -> None:
    path = tmp_path / "collab.db"
    damage.make(path)
    damage.execute(path, "DELETE FROM updates WHERE seq BETWEEN 1250 AND 1259")
    damage.flip(path, "checkpoints", "1", at=20)
    result = collab("export", "d", "--store", f"sqlite:///{path}")
    assert result.exit_code == 0
    assert result.stdout.startswith("1 2 3 ")
    assert "'d' is exported from its log: expected a state of 'd' that can be" in result.stderr
    assert "'d' is exported from its log: expected entries 1250..1259 of 'd'" in result.stderr


def test_export_starts_from_the_checkpoint(tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path}/collab.db"
    before, after = pycrdt.Doc[Any](), pycrdt.Doc[Any]()
    before["content"] = pycrdt.Text("before ")
    after.apply_update(before.get_update())
    text = after.get("content", type=pycrdt.Text)
    text += "after"

    async def write() -> None:
        async with open_store(address) as store:
            whole = Append(
                document="d", entries=entries(b"\x00\x00"), checkpoint=before.get_update()
            )
            await store.append([whole])
            rest = entries(after.get_update(before.get_state()))
            await store.append([Append(document="d", entries=rest)])

    anyio.run(write)
    assert collab("export", "d", "--store", address).stdout == "before after"


@pytest.mark.parametrize(
    ("form", "beginning"),
    [
        ("html", "<h2>Plan &lt;b&gt;"),
        ("markdown", "## Plan \\<b\\>"),
        ("json", '{\n  "default": {'),
    ],
)
def test_export_writes_each_format(address: str, form: str, beginning: str) -> None:
    result = collab("export", "tiptap", "--format", form, "--store", address)
    assert result.exit_code == 0
    assert result.stdout.startswith(beginning)


def test_export_writes_one_root(address: str) -> None:
    result = collab("export", "plain", "--format", "json", "--root", "items", "--store", address)
    assert json.loads(result.stdout) == shown("plain")["items"]


def test_an_exported_update_makes_the_same_document(address: str, tmp_path: Path) -> None:
    output = tmp_path / "state.bin"
    result = collab(
        "export", "notes/日", "--format", "update", "-o", str(output), "--store", address
    )
    assert result.exit_code == 0
    doc = pycrdt.Doc[Any]()
    doc.apply_update(output.read_bytes())
    assert str(doc.get("content", type=pycrdt.Text)) == "many small changes 😀"


def test_a_file_is_replaced_whole_and_keeps_its_rights(address: str, tmp_path: Path) -> None:
    output = tmp_path / "out" / "notes.md"
    output.parent.mkdir()
    output.write_text("what was there before")
    output.chmod(0o640)
    link = tmp_path / "link.md"
    link.symlink_to(output)
    with output.open() as reader:
        result = collab("export", "codemirror", "-o", str(link), "--store", address)
        assert reader.read() == "what was there before"
    assert (result.exit_code, result.output) == (0, "")
    assert link.is_symlink()
    assert output.read_bytes() == shown("codemirror")["text"].encode()
    assert stat.S_IMODE(output.stat().st_mode) == 0o640
    assert [path.name for path in output.parent.iterdir()] == ["notes.md"]


def test_a_failed_export_leaves_the_file_alone(address: str, tmp_path: Path) -> None:
    output = tmp_path / "out" / "notes.md"
    output.parent.mkdir()
    output.write_text("what was there before")
    result = collab("export", "nobody", "-o", str(output), "--store", address)
    assert result.exit_code == 1
    assert output.read_text() == "what was there before"
    assert [path.name for path in output.parent.iterdir()] == ["notes.md"]


def test_a_file_that_cannot_be_written_is_one_clear_line(address: str, tmp_path: Path) -> None:
    output = tmp_path / "missing" / "notes.md"
    result = collab("export", "codemirror", "-o", str(output), "--store", address)
    assert result.exit_code == 1
    assert result.stderr == f"collab: expected to write {output}, got: No such file or directory\n"


def test_a_missing_document_is_one_clear_line(address: str) -> None:
    result = collab("export", "nobody", "--store", address)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "collab: no document named 'nobody'\n"
    assert "nobody" not in collab("list", "--store", address).stdout


def test_an_unknown_root_is_one_clear_line(address: str) -> None:
    result = collab("export", "codemirror", "--root", "body", "--store", address)
    assert (result.exit_code, result.stdout) == (1, "")
    expected = "collab: expected one of the document's roots (codemirror), got 'body'\n"
    assert result.stderr == expected


@pytest.mark.parametrize("command", [("export", "d"), ("list",)])
def test_a_missing_store_is_one_clear_line_and_nothing_is_made(
    command: tuple[str, ...], tmp_path: Path
) -> None:
    result = collab(*command, "--store", f"sqlite:///{tmp_path}/none.db")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == f"collab: no store at {tmp_path}/none.db\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [("export",), ("export", "d", "--format", "pdf"), ("export", "d", "--what"), ("list", "d")],
)
def test_a_mistake_in_usage_exits_with_2(arguments: tuple[str, ...]) -> None:
    result = collab(*arguments)
    assert result.exit_code == 2
    assert "Usage: " in result.stderr


def test_a_name_that_cannot_be_one_is_refused(address: str) -> None:
    result = collab("export", "a\nb", "--store", address)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "without control characters, got 'a\\nb'\n" in result.stderr


def test_binary_to_a_terminal_is_refused(address: str) -> None:
    command = [sys.executable, "-c", "from collab.server.cli.main import main; main()"]
    theirs, ours = pty.openpty()
    try:
        process = subprocess.run(
            [*command, "export", "codemirror", "--format", "update", "--store", address],
            stdout=ours,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )
    finally:
        os.close(ours)
        os.close(theirs)
    assert process.returncode == 2
    assert b"got a terminal" in process.stderr


def test_export_works_beside_one_who_writes(address: str) -> None:
    doc = pycrdt.Doc[Any]()
    doc["content"] = pycrdt.Text("written while open")
    command = [sys.executable, "-c", "from collab.server.cli.main import main; main()"]

    async def export_while_open() -> bytes:
        async with open_store(address) as store:
            append = Append(document="live", entries=entries(doc.get_update()))
            await store.append([append])
            process = await anyio.run_process([*command, "export", "live", "--store", address])
            await store.append([append])
            return process.stdout

    assert anyio.run(export_while_open) == b"written while open"
