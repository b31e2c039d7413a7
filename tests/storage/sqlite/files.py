"""Stores in files, and what is in them."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

from collab.store import Append, Entry, NewEntry


def adding(document: str, *updates: bytes) -> Append:
    return Append(
        document=document, entries=[NewEntry(update=update, time_ms=1) for update in updates]
    )


async def collect(entries: AsyncIterator[Entry]) -> list[Entry]:
    return [entry async for entry in entries]


def names_in(directory: Path) -> list[str]:
    return [path.name for path in directory.iterdir()]


def query(path: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


def connect(path: Path) -> "closing[sqlite3.Connection]":
    return closing(sqlite3.connect(path, isolation_level=None))
