"""The README's example, as a host app would run it."""

import subprocess
from pathlib import Path

import httpx

from tests.docs.pages import ROOT, blocks
from tests.docs.running import edit, run
from tests.e2e.serving import COLLAB


def test_a_route_of_the_host_edits_what_an_editor_has_open(tmp_path: Path) -> None:
    (example,) = blocks(ROOT / "README.md", "python")
    with run(example, tmp_path) as address:
        with edit(f"{address}/collab/ws/notes") as editor:
            answer = httpx.post(f"{address}/append/notes", params={"line": "tea 🍵"})
            assert answer.status_code == 200
            assert editor.sees("tea 🍵\n")
        export = [COLLAB, "export", "notes", "--store", "sqlite:///collab.db"]
        assert subprocess.check_output(export, cwd=tmp_path).decode() == "tea 🍵\n"


def test_the_example_is_short() -> None:
    (example,) = blocks(ROOT / "README.md", "python")
    assert len([line for line in example.splitlines() if line]) <= 16
