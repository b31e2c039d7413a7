"""A process that appends to two documents and compacts them all the while, for ever.

Usage: ``compacting_process.py ADDRESS``. ``kept`` keeps its history, ``dropped`` does not.
After each append a line with the seq of both.
"""

import sys
import time

import anyio

from collab.archive import Retention, Terms
from collab.lib0 import write_var_uint
from collab.storage.address import open_store
from collab.store import Append, NewEntry, Store

_NAMES = ("kept", "dropped")


async def main(address: str) -> None:
    async with open_store(address) as store, anyio.create_task_group() as tasks:
        await append(store)
        await store.retain("dropped", Retention(0))
        tasks.start_soon(compact, store)
        while True:
            await append(store)


async def append(store: Store) -> None:
    stored = await store.load("kept")
    entries = [
        NewEntry(update=typed(stored.seq + number), time_ms=time.time_ns() // 1_000_000)
        for number in range(300)
    ]
    appended = await store.append([Append(document=name, entries=entries) for name in _NAMES])
    print(*(seq for seq, _ in appended), flush=True)


async def compact(store: Store) -> None:
    while True:
        for name in _NAMES:
            await store.compact(name, Terms(now_ms=time.time_ns() // 1_000_000, quiet_ms=0))
        await store.reclaim(spare=False)


def typed(number: int) -> bytes:
    """What entry ``number`` holds, counted from 0: a letter after the one before, as typing gives.

    One struct of client 7: ContentString with a parent or an origin, and no deletions (the format
    is that of Yjs, ``src/utils/encoding.js``).
    """
    before = b"\x84\x07" + write_var_uint(number - 1) if number else b"\x04\x01\x04text"
    letter = bytes([1, 97 + number % 26])
    return b"\x01\x01\x07" + write_var_uint(number) + before + letter + b"\x00"


if __name__ == "__main__":
    anyio.run(main, sys.argv[1])
