"""A store that takes its time: people go on typing together, and are told the truth."""

import os
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import anyio
import pytest

from collab.storage.sqlite import SQLiteStore
from collab.store import Append
from tests.load.peer import UPDATE, Author, Peer, clocks_after, crowd, latencies, pace
from tests.load.serving import serve_here

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

APPEND_SECONDS = 5.0
WRITERS = 5
EVERY_SECONDS = 0.1
SEEN_MOST_SECONDS = 0.2


class SlowStore(SQLiteStore):
    """A store whose next append takes so long.

    Attributes:
        seconds: how long.
    """

    seconds = 0.0

    async def append(self, appends: Sequence[Append]) -> Sequence[int]:
        wait, self.seconds = self.seconds, 0.0
        await anyio.sleep(wait)
        return await super().append(appends)
