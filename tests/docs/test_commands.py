"""The commands on the documentation's pages and what they print, beside a running server."""

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pycrdt
import pytest

from collab.storage.sqlite import SQLiteStore
from collab.store import Append, NewEntry
from tests.docs.pages import DOCS, blocks, commands
from tests.docs.running import edit
from tests.e2e.serving import COLLAB, serve
from tests.needs import find_program


def shopping() -> "pycrdt.Doc[pycrdt.Text]":
    """What the tutorial has its reader type."""
    doc: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc(client_id=1)
    doc["content"] = pycrdt.Text("# Shopping\n\n- tea\n- bread\n")
    return doc


def plan() -> "pycrdt.Doc[pycrdt.Text]":
    """A text as Quill writes it."""
    doc: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc(client_id=1)
    text = doc.get("quill", type=pycrdt.Text)
    text.insert(0, "Plan")
    text.insert(4, "\n", {"header": 1})
    text.insert(5, "Buy ", {"header": None})
    text.insert(9, "tea", {"bold": True})
    text.insert(12, " today\n", {"bold": None})
    return doc


def board() -> "pycrdt.Doc[Any]":
    """A document of an application's own, without any text."""
    doc: pycrdt.Doc[Any] = pycrdt.Doc(client_id=1)
    doc["cards"] = pycrdt.Array(["Docs", "Tests"])
    doc["columns"] = pycrdt.Map({"first": "Doing"})
    return doc


DOCUMENTS: dict[str, dict[str, Callable[[], "pycrdt.Doc[Any]"]]] = {
    "tutorial.md": {"notes": shopping},
    "how-to/exports.md": {"notes": shopping, "team/plan": plan, "board": board},
    "how-to/backups.md": {"notes": shopping},
    "how-to/history.md": {"notes": shopping},
    "how-to/move-in.md": {},
    "how-to/delete-and-copy.md": {"notes": shopping},
    "how-to/authenticate.md": {},
    "how-to/seed.md": {},
    "how-to/production.md": {"notes": shopping},
}


def run(line: str, folder: Path, url: str = "") -> str:
    """Types a line into a shell; gives what it prints on either stream."""
    path = f"{Path(COLLAB).parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        ["bash", "-c", re.sub(r"http://(127\.0\.0\.1|localhost):8000", url, line)],
        cwd=folder,
        env={**os.environ, "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=30,
        check=False,
    ).stdout.decode()


@pytest.mark.parametrize("page", DOCUMENTS)
def test_commands_print_what_the_page_says(tmp_path: Path, page: str) -> None:
    found = commands(DOCS / page)
    assert found
    for tool in ("curl", "sqlite3"):
        if any(tool in command.line for command in found):
            find_program(tool)
    with serve(tmp_path / "collab.db") as server:
        for name, write in DOCUMENTS[page].items():
            with edit(f"{server.websockets}/{name}", doc=write()) as editor:
                editor.send()
        for code in blocks(DOCS / page, "python"):
            (tmp_path / "example.py").write_text(code)
        for command in found:
            output = run(command.line, tmp_path, server.url)
            assert command.prints(output), f"{command.line} prints {output!r}"


def test_a_broken_document_is_found_and_mended_as_the_page_says(tmp_path: Path) -> None:
    page = DOCS / "how-to" / "broken-document.md"
    met: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc(client_id=1)
    met["content"] = pycrdt.Text("We met.\n")

    async def write() -> None:
        async with SQLiteStore(tmp_path / "collab.db") as store:
            for name, updates in {
                "minutes": [met.get_update(), b"\xff" * 20],
                "notes": [shopping().get_update()],
            }.items():
                entries = [NewEntry(update=update, time_ms=1, author="ada") for update in updates]
                await store.append([Append(document=name, entries=entries)])

    anyio.run(write)
    find_program("sqlite3")
    for command in commands(page):
        output = run(command.line, tmp_path)
        assert command.prints(output), f"{command.line} prints {output!r}"
