"""One long document: what its whole history takes on disk, and how long it takes to open."""

import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import anyio
from pycrdt import Doc, Text
from pycrdt.store import SQLiteYStore

from benchmarks.servers import SERVERS, run
from benchmarks.trace import Trace, Typist, replay
from collab.document import Document
from collab.storage.sqlite import SQLiteStore
from collab.store import Entry

_NAME: Final = "paper"
_OPENINGS: Final = 9
_PACE: Final = 1900.0
"""Edits a second: below what one connection may send, so that each comes by itself, as typed ones
do. Of what comes faster, the server reads and logs a hundred together: less history to keep."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What a store keeps of the typing, and how it opens.

    Attributes:
        edits: how many edits were typed.
        entries: how many steps its history has; 1 where there is only the newest state.
        file_bytes: its file.
        packed_bytes: the same after its own way to make it smaller, or None where there is none.
        open_ms: from cold (a new process' first look at the file) to the document.
        replay_ms: replaying the stored history entry by entry; None where there is none.
    """

    edits: int
    entries: int
    file_bytes: int
    packed_bytes: int | None
    open_ms: float
    replay_ms: float | None


def in_collab(trace: Trace, scratch: Path) -> Kept:
    """Types through the server, one update an edit, and compacts as an operator would."""
    file = scratch / "trace.db"
    with run(SERVERS["collab"], scratch) as running:
        done = replay(trace, f"ws://127.0.0.1:{running.port}/ws/{_NAME}", pace=_PACE)
        _copy(Path(f"/proc/{running.pid}/cwd").resolve() / "collab.db", file)
    before = file.stat().st_size
    subprocess.run(
        [Path(sys.executable).parent / "collab", "compact", "--store", f"sqlite:///{file}"],
        check=True,
        capture_output=True,
    )

    async def load() -> None:
        async with SQLiteStore(file, create=False) as store:
            Document.load(await store.load(_NAME))

    async def read() -> list[Entry]:
        async with SQLiteStore(file, create=False) as store:
            return [entry async for entry in store.entries(_NAME)]

    entries = anyio.run(read)
    return Kept(
        edits=done.edits,
        entries=len(entries),
        file_bytes=before,
        packed_bytes=file.stat().st_size,
        open_ms=_cold(lambda: anyio.run(load)),
        replay_ms=_milliseconds(lambda: _apply([entry.update for entry in entries])),
    )


def in_pycrdt_store(trace: Trace, scratch: Path) -> Kept:
    """Writes the same edits through SQLiteYStore, one update an edit."""
    file = scratch / "ystore.db"
    updates = typed(trace)

    class Store(SQLiteYStore):
        db_path = str(file)

    async def write() -> None:
        store = Store(_NAME)
        async with store:
            while store.db_initialized is None:
                await anyio.lowlevel.checkpoint()
            await store.db_initialized.wait()
            # What the file takes is the question here, not how long each of 260,000 syncs does.
            cursor = await store._db.cursor()
            await cursor.execute("PRAGMA synchronous = OFF")
            for update in updates:
                await store.write(update)

    async def load() -> None:
        doc: Doc[Text] = Doc()
        async with Store(_NAME) as store:
            await store.apply_updates(doc)

    anyio.run(write)
    with closing(sqlite3.connect(file)) as connection:
        rows = connection.execute("SELECT yupdate FROM yupdates ORDER BY timestamp").fetchall()
    return Kept(
        edits=len(updates),
        entries=len(rows),
        file_bytes=file.stat().st_size,
        packed_bytes=None,
        open_ms=_cold(lambda: anyio.run(load)),
        replay_ms=_milliseconds(lambda: _apply([update for (update,) in rows])),
    )


def typed(trace: Trace) -> list[bytes]:
    """One update for each edit."""
    typist = Typist()
    for edit in trace.edits:
        typist.type(edit)
    return typist.updates


def _copy(source: Path, target: Path) -> None:
    with closing(sqlite3.connect(source)) as origin, closing(sqlite3.connect(target)) as copy:
        origin.backup(copy)


def _apply(updates: list[bytes]) -> None:
    doc: Doc[Text] = Doc()
    for update in updates:
        doc.apply_update(update)


def _cold(open_document: Callable[[], object]) -> float:
    return statistics.median(_milliseconds(open_document) for _ in range(_OPENINGS))


def _milliseconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return (time.perf_counter() - begun) * 1000
