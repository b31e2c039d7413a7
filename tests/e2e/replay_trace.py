"""Types a recorded history through a server and shows what came of it.

Usage: ``python -m tests.e2e.replay_trace TRACE.json.gz``. Traces are in the format of
https://github.com/josephg/editing-traces.
"""

import gzip
import json
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from collab.document import Document
from tests.clients.driver import Driver, drive
from tests.e2e.serving import Rows, count_rows, export, load, serve

ROOM = "history"
UNTHROTTLED = ("--connection-messages-per-second", "1000000")
"""A whole history is typed at once: at the default rate it would come in a few bursts."""
_WITHIN_SECONDS = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """What came of a history.

    Attributes:
        edits: how many there were.
        seconds: from the first edit to the echo of the last.
        expected: the text it ends with.
        exported: the text that ``collab export`` writes.
        rows: the document's rows after the server has ended.
        entries_loaded: log entries that opening it then reads.
        state_bytes: length of its whole state.
        fresh_bytes: what a fresh client receives until it is in sync, from the server restarted.
        fresh_text: what that client shows.
    """

    edits: int
    seconds: float
    expected: str
    exported: str
    rows: Rows
    entries_loaded: int
    state_bytes: int
    fresh_bytes: int
    fresh_text: str


def replay(driver: Driver, store: Path, trace: Path) -> Replay:
    """Types a history with a real client, ends the server, and opens the document again."""
    with serve(store, options=UNTHROTTLED) as server:
        typist = driver.open(server.websockets, ROOM)
        typist.wait_synced()
        began = time.monotonic()
        edits = typist.replay(trace, within=_WITHIN_SECONDS)
        seconds = time.monotonic() - began
        typist.destroy()
    stored = load(store, ROOM)
    rows = count_rows(store, ROOM)
    with serve(store) as server:
        fresh = driver.open(server.websockets, ROOM)
        fresh.wait_synced()
        facts = fresh.facts()
        fresh.destroy()
    return Replay(
        edits=edits,
        seconds=seconds,
        expected=json.loads(gzip.decompress(trace.read_bytes()))["endContent"],
        exported=export(store, ROOM),
        rows=rows,
        entries_loaded=len(stored.entries),
        state_bytes=len(Document.load(stored).encode()),
        fresh_bytes=facts.bytes_received,
        fresh_text=facts.text,
    )


def main(trace: Path) -> None:
    with tempfile.TemporaryDirectory() as folder, drive() as driver:
        replayed = asdict(replay(driver, Path(folder) / "collab.db", trace))
    exported, expected = replayed.pop("exported"), replayed.pop("expected")
    replayed["export_equals_end"] = exported == expected
    replayed["fresh_equals_end"] = replayed.pop("fresh_text") == expected
    for name, value in replayed.items():
        print(f"{name}: {value}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
