"""A process that writes through a CollabYStore for ever and prints the number of each write.

Usage: ``ystore_process.py PATH``. A number is printed when ``write`` has returned.
"""

import sys
from itertools import count

import anyio

from collab.storage.ystore import CollabYStore


class Here(CollabYStore):
    db_path = sys.argv[1]


async def main() -> None:
    async with Here("d", metadata_callback=lambda: b"somebody") as store:
        for number in count():
            await store.write(b"%d" % number)
            print(number, flush=True)


anyio.run(main)
