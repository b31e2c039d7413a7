"""Crowds that join a long document: what it costs, who waits, who is sent away."""

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from itertools import takewhile
from pathlib import Path

import anyio
import pytest

from benchmarks.measure import ProcessTree, percentile
from collab.close import CloseCode
from collab.server.settings import Settings
from collab.storage.memory import MemoryStore
from collab.store import Append
from tests.clients.driver import Driver
from tests.e2e.serving import serve
from tests.load.documents import digest, keep, write_together
from tests.load.peer import (
    STEP_2,
    UPDATE,
    Author,
    Peer,
    connect,
    crowd,
    in_thread,
    latencies,
    pace,
    read,
)
from tests.load.serving import serve_here

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

MB = 1_000_000

JOINERS = 200
DOCUMENT_BYTES = 5 * MB
GROWTH_MOST_BYTES = JOINERS * DOCUMENT_BYTES // 4
WRITERS = 5
STOCK_CLIENTS = 5
EVERY_SECONDS = 0.1
P99_MOST_SECONDS = {"native": 3.0, "asgi": 5.0}
"""Half of it is this side's: a gigabyte is read in a second or so, in two on a busy machine."""


@pytest.mark.alone
@pytest.mark.timeout(180)
async def test_a_crowd_that_joins_at_once_gets_it_all_in_little_memory_and_writers_go_on(
    store: Path, transport: str
) -> None:
    doc = write_together(DOCUMENT_BYTES)
    await keep(store, "long", doc)
    async with AsyncExitStack() as exits:
        server = exits.enter_context(serve(store, transport=transport))
        url = f"{server.websockets}/long"
        writers = await exits.enter_async_context(crowd(url, WRITERS))
        joiners = await exits.enter_async_context(crowd(url, JOINERS, asks=False))
        authors = [Author(1_000_000 + number) for number in range(WRITERS)]
        memory = ProcessTree(server.process.pid)
        before = memory.resident_bytes()
        memory.forget_peak()
        began = time.monotonic()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(write_on, authors, writers)
            for joiner in joiners:
                joiner.ask()
            for joiner in joiners:
                await joiner.until_synced()
            tasks.cancel_scope.cancel()
        growth = memory.peak_bytes() - before

        written = {author.client: author.clock for author in authors}
        for peer in (*writers, *joiners):
            await peer.until(partial(knows, peer, written), what="every change")
        p99 = percentile(
            sorted(each for peer in writers for each in latencies(peer.frames, authors, began)),
            0.99,
        )
        assert growth < GROWTH_MOST_BYTES
        assert p99 < P99_MOST_SECONDS[transport]
        for one in distinct(joiners):
            whole = read(one.frames)
            assert digest(whole) == digest(doc)
        everything = joiners[0].clocks
        assert all(joiner.clocks == everything for joiner in joiners)
        assert all(joiner.steps_2 == 1 for joiner in joiners)


async def write_on(authors: list[Author], writers: list[Peer]) -> None:
    async for beat in pace(EVERY_SECONDS, 1_000_000):
        for author, writer in zip(authors, writers, strict=True):
            author.write(writer, f"line {beat}")


def knows(peer: Peer, written: dict[int, int]) -> bool:
    """Whether a peer was told of all that was written: clocks by client."""
    return written.items() <= peer.clocks.items()


def distinct(peers: list[Peer]) -> list[Peer]:
    """One peer of all that were brought up to date with the same frames."""

    def is_part(frame: bytes) -> bool:
        return frame[:2] == UPDATE

    return list({tuple(takewhile(is_part, documents_in(peer))): peer for peer in peers}.values())


class House:
    """A document where as many sync as may, without reading on, and as many wait as may.

    Attributes:
        base: where documents are.
        syncing: those who sync.
        waiting: those who wait, in order.
        digest: of the document's text.
    """

    def __init__(
        self, base: str, syncing: list[Peer], waiting: list[Peer], text_digest: str
    ) -> None:
        self.base = base
        self.syncing = syncing
        self.waiting = waiting
        self.digest = text_digest

    @property
    def url(self) -> str:
        return f"{self.base}/long"


FULL = Settings(
    syncs_in_flight=4, syncs_waiting=10, outbox_max_bytes=128 * 1024, part_bytes=32 * 1024
)
HELD_BYTES = 8 * MB
"""More than the outbox and the kernel's buffers take: who does not read on is not through."""
RECEIVE_BUFFER_BYTES = 64 * 1024


@asynccontextmanager
async def full_house(transport: str) -> AsyncIterator[House]:
    """Runs a server and fills it."""
    doc = write_together(HELD_BYTES)
    store = MemoryStore()
    async with AsyncExitStack() as exits:
        base = await exits.enter_async_context(serve_here(store, FULL, transport=transport))
        await store.append([Append(document="long", entries=[], checkpoint=doc.get_update())])
        house = House(base, [], [], digest(doc))
        for peers, size in ((house.syncing, 4), (house.waiting, 10)):
            for _ in range(size):
                peers.append(await connect(house.url, receive_buffer_bytes=RECEIVE_BUFFER_BYTES))
                exits.callback(peers[-1].cut)
        for peer in house.syncing:
            peer.ask()
            await peer.until(partial(documents_in, peer), what="a part")
            peer.stop_reading()
        for peer in house.waiting:
            peer.ask()
            await peer.until_heard()
        yield house


async def test_so_many_sync_at_once_so_many_wait_in_order_and_the_rest_is_sent_away(
    transport: str,
) -> None:
    async with full_house(transport) as house:
        late = await connect(house.url)
        late.ask()
        await late.until(lambda: late.closed is not None, what="an end")
        assert late.closed == CloseCode.TRY_AGAIN_LATER
        assert [len(documents_in(peer)) for peer in house.waiting] == [0] * len(house.waiting)
        assert [peer.steps_2 for peer in house.syncing] == [0] * len(house.syncing)

        house.syncing[0].read_on()
        for peer in (house.syncing[0], *house.waiting):
            await peer.until_synced()
        began = [first_part_at(peer) for peer in house.waiting]
        assert began == sorted(began)
        for peer in house.syncing:
            peer.read_on()
            await peer.until_synced()
        assert digest(read(house.waiting[0].frames)) == house.digest
        for one in distinct([*house.syncing, *house.waiting]):
            assert documents_in(one) == documents_in(house.waiting[0])


@pytest.mark.node
async def test_stock_clients_that_are_sent_away_come_back_until_they_are_served(
    driver: Driver,
) -> None:
    async with full_house("native") as house:
        clients = [await in_thread(driver.open, house.base, "long") for _ in range(STOCK_CLIENTS)]
        for client in clients:
            await in_thread(client.wait_closed, CloseCode.TRY_AGAIN_LATER)
            assert (await in_thread(client.traffic)).updates == 0
        for peer in house.syncing:
            peer.read_on()
        for client in clients:
            await in_thread(client.wait_synced)
            assert await in_thread(client.digest) == house.digest
            traffic = await in_thread(client.traffic)
            assert set(traffic.closes) == {CloseCode.TRY_AGAIN_LATER}
            assert traffic.connects == len(traffic.closes) + 1


def documents_in(peer: Peer) -> list[bytes]:
    """The frames that brought it up to date, and those after."""
    return [frame for _, frame in peer.frames if frame[:2] in (UPDATE, STEP_2)]


def first_part_at(peer: Peer) -> float:
    """When the first of them came."""
    return next(at for at, frame in peer.frames if frame[:2] in (UPDATE, STEP_2))
