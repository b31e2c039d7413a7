"""Opening one document of many, beside opening it from a file of its own."""

import random
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import anyio

from benchmarks.load.authors import Author
from collab.document import Document
from collab.storage.sqlite import SQLiteStore
from collab.store import Append, NewEntry

DOCUMENTS: Final = 100_000
_AT_ONCE: Final = 1000
_ENTRIES: Final = 20
_OPENINGS: Final = 1000
_NEEDLE: Final = "document-50000"


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """How long one document takes to open, medians in milliseconds.

    Attributes:
        documents: how many the large file has.
        among_many_ms: from the large file, another document each time.
        alone_ms: from a file that has no other.
    """

    documents: int
    among_many_ms: float
    alone_ms: float


def compare(scratch: Path, documents: int = DOCUMENTS) -> Opening:
    """Fills a file with many documents and opens some, in alternation with the one alone."""
    return anyio.run(_compare, scratch, documents)


async def _compare(scratch: Path, documents: int) -> Opening:
    author = Author(1)
    state = b"".join(author.type(500)) and author.whole()
    entries = [NewEntry(update=update, time_ms=1) for update in author.type(_ENTRIES)]
    draw = random.Random(5)
    async with (
        SQLiteStore(scratch / "many.db", synchronous="NORMAL") as many,
        SQLiteStore(scratch / "alone.db") as alone,
    ):
        for first in range(0, documents, _AT_ONCE):
            names = [f"document-{number}" for number in range(first, first + _AT_ONCE)]
            await _fill(many, names, state, entries)
        await _fill(alone, [_NEEDLE], state, entries)
        among_many, by_itself = [], []
        for _ in range(_OPENINGS):
            name = f"document-{draw.randrange(documents)}"
            among_many.append(await _open(many, name))
            by_itself.append(await _open(alone, _NEEDLE))
    return Opening(
        documents=documents,
        among_many_ms=statistics.median(among_many),
        alone_ms=statistics.median(by_itself),
    )


async def _fill(
    store: SQLiteStore, names: list[str], state: bytes, entries: list[NewEntry]
) -> None:
    first = NewEntry(update=state, time_ms=1)
    await store.append([Append(document=name, entries=[first], checkpoint=state) for name in names])
    await store.append([Append(document=name, entries=entries) for name in names])


async def _open(store: SQLiteStore, name: str) -> float:
    begun = time.perf_counter()
    Document.load(await store.load(name))
    return (time.perf_counter() - begun) * 1000
