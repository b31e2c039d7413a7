"""Documents in real files, and what harms them: rows deleted, bits flipped."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import anyio
import pycrdt

from collab.archive import KEEP_ALL, Retention, Terms
from collab.storage.sqlite import SQLiteStore
from collab.store import Append, NewEntry

WORDS = [f"{number} " for number in range(1, 1301)]
"""Each is one entry of the document ``d``."""

PACKED = 1200
"""Entries that compaction has put into blocks, and where the checkpoint is."""

DAY_MS = 86_400_000


def typed(*words: str, client: int = 5) -> list[bytes]:
    doc: pycrdt.Doc[Any] = pycrdt.Doc(client_id=client)
    text = doc.get("text", type=pycrdt.Text)
    updates: list[bytes] = []
    subscription = doc.observe(lambda event: updates.append(event.update))
    for word in words:
        text += word
    doc.unobserve(subscription)
    return updates


async def append(store: SQLiteStore, updates: Sequence[bytes], *, first: int) -> None:
    entries = [
        NewEntry(update=update, time_ms=number * DAY_MS, author=f"author {number % 3}")
        for number, update in enumerate(updates, first)
    ]
    await store.append([Append(document="d", entries=entries)])


async def _compact(store: SQLiteStore, now_ms: int, retention: Retention) -> None:
    terms = Terms(now_ms=now_ms, history=retention, quiet_ms=0)
    while (await store.compact("d", terms)).more:
        pass


def make(path: Path, *, base: bool = False) -> None:
    """A document with blocks, a checkpoint and rows after it; with a base where asked for."""
    updates = typed(*WORDS)

    async def write() -> None:
        async with SQLiteStore(path) as store:
            await append(store, updates[:PACKED], first=1)
            keep = Retention(700 * DAY_MS) if base else KEEP_ALL
            await _compact(store, PACKED * DAY_MS, keep)
            await append(store, updates[PACKED:], first=PACKED + 1)

    anyio.run(write)


def execute(path: Path, statement: str, *values: object) -> list[Any]:
    with closing(sqlite3.connect(path)) as connection, connection:
        return connection.execute(statement, values).fetchall()


def flip(path: Path, table: str, where: str, at: int, bits: int = 0xFF) -> None:
    """Flips bits of a byte of a payload."""
    ((payload,),) = execute(path, f"SELECT payload FROM {table} WHERE {where}")
    flipped = bytearray(payload)
    flipped[at] ^= bits
    execute(path, f"UPDATE {table} SET payload = ? WHERE {where}", bytes(flipped))
