"""A process that appends to a store for ever: three entries to ``a`` and one to its own document.

Usage: ``writing_process.py ADDRESS OWN_DOCUMENT``. After each append a line with both seqs.
"""

import sys

import anyio

from collab.errors import StoreUnavailable
from collab.storage.address import open_store
from collab.store import Append, NewEntry


async def main(address: str, own: str) -> None:
    async with open_store(address) as store:
        while True:
            entry = NewEntry(update=own.encode() * 50, time_ms=1, author=own)
            appends = [
                Append(document="a", entries=[entry] * 3),
                Append(document=own, entries=[entry]),
            ]
            try:
                appended = await store.append(appends)
            except StoreUnavailable:
                continue  # The others had the lock all the time, as nobody here ever rests.
            print(*(seq for seq, _ in appended), flush=True)


anyio.run(main, sys.argv[1], sys.argv[2])
