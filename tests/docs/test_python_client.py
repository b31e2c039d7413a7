"""The scripts on the page about the Python client, against a real server."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.docs.pages import DOCS, blocks
from tests.e2e.serving import export, serve

_SECONDS = 60


def test_the_scripts_write_into_the_document_and_wait_for_what_others_write(
    tmp_path: Path,
) -> None:
    scripts = blocks(DOCS / "how-to" / "python-client.md", "python")
    store = tmp_path / "collab.db"
    with serve(store) as server:

        def run(script: str) -> str:
            placed = script.replace("http://127.0.0.1:8000", server.url)
            done = subprocess.run(
                [sys.executable, "-c", placed], capture_output=True, text=True, timeout=_SECONDS
            )
            assert done.stderr == ""
            return done.stdout

        first, listening, second, watching = scripts
        assert run(first) == "Hello from Python\n\n"
        assert run(second) == "Hello from Python\nHello from a script\n\n"
        with ThreadPoolExecutor() as beside:
            watched = [beside.submit(run, script) for script in (listening, watching)]
            run(second.replace("Hello from a script", "stop"))
            assert [each.result() for each in watched] == ["stopped\n", "stopped\n"]
    assert export(store, "notes").split("\n")[:3] == [
        "Hello from Python",
        "Hello from a script",
        "stop",
    ]
