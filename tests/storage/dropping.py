"""A store whose old entries are dropped while somebody reads it."""

from collections.abc import AsyncIterator
from pathlib import Path

from collab.archive import Base, Retention, Terms
from collab.storage.sqlite import SQLiteStore
from collab.store import Append, Entry, NewEntry

_HOUR_MS = 3_600_000


class DroppingStore(SQLiteStore):
    """Has another process's retention run right after it has told where a history begins.

    Attributes:
        drops: how many times that still happens.
        keep_ms: entries of the last so many milliseconds stay then.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._file = path
        self.drops = 0
        self.keep_ms = 0

    async def __aenter__(self) -> "DroppingStore":
        await super().__aenter__()
        return self

    async def base(self, document: str) -> Base:
        base = await super().base(document)
        if self.drops:
            self.drops -= 1
            async with SQLiteStore(self._file) as other:
                await drop(other, document, keep_ms=self.keep_ms)
        return base


async def keep(store: SQLiteStore, *updates: bytes, checkpoint: bytes | None = None) -> None:
    """Appends to the document ``d``: a second apart, the first one a second after the epoch."""
    seq = (await store.load("d")).seq
    entries = [
        NewEntry(update=update, time_ms=number * 1000, author="ada")
        for number, update in enumerate(updates, seq + 1)
    ]
    await store.append([Append(document="d", entries=entries, checkpoint=checkpoint)])


async def drop(store: SQLiteStore, document: str, *, keep_ms: int = 0) -> None:
    """Drops the entries that are older than the newest one by more than a time."""
    summaries = await store.documents(prefix=document)
    now_ms = max(summary.updated_ms for summary in summaries)
    terms = Terms(now_ms=now_ms, history=Retention(keep_ms), quiet_ms=0)
    while (await store.compact(document, terms)).more:
        pass


async def collect(entries: AsyncIterator[Entry]) -> list[Entry]:
    """Reads to the end."""
    return [entry async for entry in entries]
