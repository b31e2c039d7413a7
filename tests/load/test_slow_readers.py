"""A reader that stops reading: what it costs the server and the others, and how it comes back."""

import os
import random
import string
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import anyio
import httpx
import pycrdt
import pytest

from benchmarks.measure import ProcessTree, percentile
from collab.close import CloseCode
from collab.server.settings import Settings
from collab.storage.memory import MemoryStore
from tests.e2e.serving import serve
from tests.load.peer import (
    GONE,
    Author,
    Peer,
    connect,
    crowd,
    in_thread,
    latencies,
    pace,
    presence,
    read,
)
from tests.load.serving import serve_here
from tests.valkey import wait_until

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

SOAK = os.environ.get("COLLAB_SOAK") == "1"
MIB = 1024 * 1024

WRITERS = 20
READERS = 5
EVERY_SECONDS = 0.05
BLOCKED_SECONDS = 20.0 if SOAK else 5.0
LINE_CHARACTERS = 7_000
STUCK_MOST_BYTES = 6 * MIB
"""The outbox, and what the kernel's buffers of a connection take on this side and on that."""
RECEIVE_BUFFER_BYTES = 64 * 1024
FILLING_TIMES = 100
FILLING_CHARACTERS = 100_000
WARM_UP_SECONDS = 2.0

GROWTH_MOST_BYTES = 3 * MIB
P99_MOST_TIMES = 3
P99_NOISE_SECONDS = 0.02


class Stage:
    """Writers and readers in one document."""

    def __init__(self, writers: Sequence[Peer], readers: Sequence[Peer]) -> None:
        self._writers = writers
        self._readers = readers
        self.authors = [Author(1000 + number) for number in range(len(writers))]
        self._chance = random.Random(3)

    async def write(self, seconds: float) -> float:
        """Has everyone write and waits until the readers have it all; returns their p99."""
        began = time.monotonic()
        heard = [len(reader.frames) for reader in self._readers]
        async for _ in pace(EVERY_SECONDS, int(seconds / EVERY_SECONDS)):
            for author, writer in zip(self.authors, self._writers, strict=True):
                author.write(writer, self._make_line())
        for reader in self._readers:
            await reader.until(partial(self.is_known_to, reader), what="every change")
        took = [
            each
            for reader, start in zip(self._readers, heard, strict=True)
            for each in latencies(reader.frames[start:], self.authors, began)
        ]
        return percentile(sorted(took), 0.99)

    def is_known_to(self, reader: Peer) -> bool:
        """Whether a reader was told of everything that was written."""
        return all(reader.clocks.get(author.client) == author.clock for author in self.authors)

    def check_is_read(self, reader: Peer) -> None:
        """Checks that a reader has everyone's line as it was written."""
        doc = read(reader.frames)
        assert {
            author.root: str(doc.get(author.root, type=pycrdt.Text)) for author in self.authors
        } == {author.root: author.line for author in self.authors}

    def _make_line(self) -> str:
        letters = "".join(self._chance.choices(string.ascii_letters, k=LINE_CHARACTERS // 100))
        return letters * 100


@pytest.mark.alone
@pytest.mark.timeout(300)
async def test_a_reader_that_stops_reading_costs_one_diff_and_nobody_else_notices(
    store: Path, transport: str
) -> None:
    async with AsyncExitStack() as exits:
        server = exits.enter_context(serve(store, transport=transport))
        url = f"{server.websockets}/crowd"
        writers = await exits.enter_async_context(crowd(url, WRITERS, keeps=False))
        readers = await exits.enter_async_context(crowd(url, READERS))
        slow = await connect(url, receive_buffer_bytes=RECEIVE_BUFFER_BYTES)
        exits.callback(slow.cut)
        slow.ask()
        await slow.until_synced()
        stage = Stage(writers, readers)
        memory = ProcessTree(server.process.pid)
        await stage.write(WARM_UP_SECONDS)

        memory.forget_peak()
        p99_before = await stage.write(BLOCKED_SECONDS)
        peak_before = memory.peak_bytes()
        await slow.until(partial(stage.is_known_to, slow), what="every change")
        heard, steps_2 = slow.bytes_heard, slow.steps_2
        broadcast = readers[0].bytes_heard

        slow.stop_reading()
        memory.forget_peak()
        p99_meanwhile = await stage.write(BLOCKED_SECONDS)
        growth = memory.peak_bytes() - peak_before
        broadcast = readers[0].bytes_heard - broadcast
        assert slow.bytes_heard - heard < MIB

        slow.read_on()
        await slow.until(partial(stage.is_known_to, slow), what="every change")
        caught_up = slow.bytes_heard - heard
        assert broadcast > 2 * (STUCK_MOST_BYTES)
        assert growth < GROWTH_MOST_BYTES
        assert p99_meanwhile < P99_MOST_TIMES * p99_before + P99_NOISE_SECONDS
        assert slow.steps_2 == steps_2 + 1
        assert caught_up < STUCK_MOST_BYTES
        for reader in (slow, *readers):
            stage.check_is_read(reader)

        await stage.write(EVERY_SECONDS)
        await slow.until(partial(stage.is_known_to, slow), what="what was written after")
        assert slow.steps_2 == steps_2 + 1


PATIENCE = Settings(blocked_seconds=0.5, heartbeat_seconds=0.8, dead_seconds=60)
READER = 7


async def block(reader: Peer, writer: Peer, author: Author) -> None:
    """Fills a reader's outbox, and goes on for as long as one lets it."""
    reader.stop_reading()
    for _ in range(FILLING_TIMES):
        author.write(writer, "x" * FILLING_CHARACTERS)
        await writer.until(lambda: writer.clocks.get(author.client) == author.clock)
    async for _ in pace(EVERY_SECONDS, 1_000_000):
        author.write(writer, "x")


def has_closed_one(base: str) -> bool:
    """Whether a server has told somebody to try again later."""
    page = httpx.get(f"{base.replace('ws:', 'http:').removesuffix('/ws')}/metrics").text
    return f'collab_connections_closed_total{{code="{CloseCode.TRY_AGAIN_LATER}"}} 1.0' in page


@pytest.mark.parametrize("reads_on", [True, False])
async def test_a_reader_that_is_blocked_too_long_is_closed_with_1013_and_else_cut(
    transport: str, reads_on: bool
) -> None:
    async with AsyncExitStack() as exits:
        base = await exits.enter_async_context(
            serve_here(MemoryStore(), PATIENCE, transport=transport)
        )
        (writer,) = await exits.enter_async_context(crowd(f"{base}/crowd", 1))
        slow = await connect(f"{base}/crowd", receive_buffer_bytes=RECEIVE_BUFFER_BYTES)
        exits.callback(slow.cut)
        slow.ask()
        slow.say(presence(READER, 1, "{}"))
        await slow.until_synced()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(block, slow, writer, Author(1))
            await in_thread(wait_until, partial(has_closed_one, base))
            if reads_on:
                # A word to a socket that was closed meanwhile would take the goodbye's place.
                slow.answers = False
                slow.read_on()
                await slow.until(lambda: slow.closed is not None, what="an end")
                assert slow.closed == CloseCode.TRY_AGAIN_LATER
            await writer.until(lambda: writer.present[READER][1] == GONE, what="its removal")
            tasks.cancel_scope.cancel()
