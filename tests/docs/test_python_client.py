"""The script on the page about the Python client, against a real server."""

import subprocess
import sys
from pathlib import Path

from tests.docs.pages import DOCS, blocks
from tests.e2e.serving import export, serve

_SECONDS = 60


def test_the_script_writes_into_the_document(tmp_path: Path) -> None:
    (script,) = blocks(DOCS / "how-to" / "python-client.md", "python")
    store = tmp_path / "collab.db"
    with serve(store) as server:
        script = script.replace("http://127.0.0.1:8000", server.url)
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, timeout=_SECONDS
        )
    assert (done.stderr, done.stdout) == ("", "Hello from Python\n\n")
    assert export(store, "notes").rstrip("\n") == "Hello from Python"
