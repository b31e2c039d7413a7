"""Long documents over a slow link: a stock client opens them at the first attempt."""

import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import anyio
import pytest

from tests.clients.driver import Driver
from tests.clients.kinds import HOCUSPOCUS, Y_WEBSOCKET, Kind
from tests.e2e.serving import serve, websockets
from tests.load.documents import digest, keep, write_alone, write_together
from tests.load.link import slow_link
from tests.load.peer import Author, Peer, connect, crowd, in_thread, latencies, pace, presence

pytestmark = [pytest.mark.alone, pytest.mark.anyio, pytest.mark.node, pytest.mark.slow]

SOAK = os.environ.get("COLLAB_SOAK") == "1"
MB = 1_000_000

DOCUMENT_BYTES = 60 * MB if SOAK else 6 * MB
LINK_BITS = 16 * MB if SOAK else 8 * MB
SYNC_SECONDS = DOCUMENT_BYTES * 8 / LINK_BITS
WITHIN_SECONDS = 5 * SYNC_SECONDS + 30
SHARE_LEAST = 0.7
"""What compression on the way leaves of it at least."""
BEGUN_BYTES = DOCUMENT_BYTES // 10

SILENCE_MOST_SECONDS = 3.0
"""Stock clients bear 30 s; in one piece the document would be silence for ``SYNC_SECONDS``."""
STALL_MOST_SECONDS = {"native": 2.0 if SOAK else 0.5, "asgi": 5.0}
"""Hypercorn compresses what it sends, on the loop."""
EVERY_SECONDS = 0.02

NEWCOMER = 4_000_001


@pytest.mark.timeout(4 * WITHIN_SECONDS)
@pytest.mark.parametrize("kind", [Y_WEBSOCKET[2], HOCUSPOCUS[2]], ids=str)
async def test_stock_clients_open_long_documents_over_a_slow_link_at_the_first_attempt(
    driver: Driver, store: Path, transport: str, kind: Kind
) -> None:
    documents = {"alone": write_alone(DOCUMENT_BYTES), "together": write_together(DOCUMENT_BYTES)}
    for name, doc in documents.items():
        await keep(store, name, doc)
    async with AsyncExitStack() as exits:
        server = exits.enter_context(serve(store, transport=transport))
        probe = await exits.enter_async_context(probing(f"{server.websockets}/elsewhere"))
        async with anyio.create_task_group() as openings:
            for name, doc in documents.items():
                openings.start_soon(open_slowly, driver, kind, server.port, name, digest(doc))
        assert max(await probe()) < STALL_MOST_SECONDS[transport]


async def open_slowly(driver: Driver, kind: Kind, port: int, name: str, text_digest: str) -> None:
    """Opens a document over a slow link while others edit it and come in."""
    async with AsyncExitStack() as exits:
        editor = driver.open(kind.base(port), name, family=kind.family, version=kind.version)
        await in_thread(editor.wait_synced, WITHIN_SECONDS)
        assert await in_thread(editor.digest) == text_digest
        link = await exits.enter_async_context(slow_link(port, LINK_BITS))
        reader = driver.open(kind.base(link), name, family=kind.family, version=kind.version)
        began = time.monotonic()

        await in_thread(reader.wait_received, BEGUN_BYTES)
        newcomer = await connect(f"{websockets(port)}/{name}")
        exits.callback(newcomer.cut)
        newcomer.say(presence(NEWCOMER, 1, '{"user":{}}'))
        await in_thread(editor.insert, 0, "typed meanwhile 😀 ")
        await in_thread(reader.wait_sees, NEWCOMER)
        assert (await in_thread(reader.traffic)).syncs == 0, "expected presence before the sync"
        await in_thread(editor.insert, 1000, "and this ")

        await in_thread(reader.wait_synced, WITHIN_SECONDS)
        took = time.monotonic() - began
        await in_thread(driver.wait_agreed, [reader, editor], WITHIN_SECONDS)
        traffic = await in_thread(reader.traffic)
        assert took > SYNC_SECONDS * SHARE_LEAST, "expected a slow link, got a fast one"
        assert (traffic.connects, traffic.closes, traffic.syncs) == (1, [], 1)
        assert traffic.longest_silence_ms < SILENCE_MOST_SECONDS * 1000
        assert await in_thread(reader.digest) == await in_thread(editor.digest) != text_digest


@asynccontextmanager
async def probing(url: str) -> AsyncIterator[Callable[[], Awaitable[list[float]]]]:
    """Has somebody write in another room; gives what ends that and tells how long each took."""
    async with crowd(url, 2) as (writer, reader), anyio.create_task_group() as tasks:
        author = Author(1)
        writing = anyio.CancelScope()
        tasks.start_soon(write_on, author, writer, writing)

        async def finish() -> list[float]:
            writing.cancel()
            await reader.until(lambda: reader.clocks.get(author.client) == author.clock)
            return latencies(reader.frames, [author], since=0.0)

        yield finish
        tasks.cancel_scope.cancel()


async def write_on(author: Author, writer: Peer, writing: anyio.CancelScope) -> None:
    with writing:
        async for _ in pace(EVERY_SECONDS, 1_000_000):
            author.write(writer, "x")
