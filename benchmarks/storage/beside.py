"""How much typing notices of compaction: the same load on the same file, with it and without."""

from dataclasses import replace
from pathlib import Path
from typing import Final

import anyio

from benchmarks.load.window import Outcome
from benchmarks.servers import SERVERS, Server
from benchmarks.trial import measure
from collab.storage.sqlite import SQLiteStore
from collab.store import Append, NewEntry

WORKLOAD: Final = "all-write"
_DOCUMENTS: Final = 200
_NEVER: Final = "1000000"
_AT_ONCE: Final = "0.05"


def quiet_and_compacting(
    updates: list[bytes], seconds: float, scratch: Path
) -> tuple[Outcome, Outcome]:
    """Measures typing while nothing is compacted, and while logs from long ago are.

    Args:
        updates: what each of the old documents holds.
        seconds: how long it is typed.
        scratch: for the servers' files.
    """
    quiet = measure(_server(updates, _NEVER), WORKLOAD, seconds, scratch)
    return quiet, measure(_server(updates, _AT_ONCE), WORKLOAD, seconds, scratch)


def _server(updates: list[bytes], rest_seconds: str) -> Server:
    def command(directory: Path) -> list[str]:
        anyio.run(_fill, directory / "collab.db", updates)
        return [*SERVERS["collab"].command(directory), "--compaction-seconds", rest_seconds]

    return replace(SERVERS["collab"], command=command)


async def _fill(file: Path, updates: list[bytes]) -> None:
    entries = [NewEntry(update=update, time_ms=0) for update in updates]
    async with SQLiteStore(file, synchronous="NORMAL") as store:
        for number in range(_DOCUMENTS):
            await store.append([Append(document=f"old-{number}", entries=entries)])
