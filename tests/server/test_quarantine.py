"""Refused updates: only the sender hears of it, and the bytes are kept for whoever looks."""

import time
from collections.abc import Callable, Sequence

import anyio
import pytest

from collab.access import Access, Identity
from collab.close import CloseCode
from collab.errors import StoreUnavailable
from collab.protocol import yjs
from collab.quarantine import IN_A_DOCUMENT, Outcome, Refused
from collab.server.metrics import Metrics
from collab.server.rooms.feeds import Feeds
from collab.server.rooms.persister import Persister
from collab.server.rooms.rooms import Rooms
from collab.server.settings import Settings
from collab.server.tasks import spawner
from collab.server.timers import make_timers
from collab.storage.memory import MemoryStore
from collab.store import Store
from tests.core import poison
from tests.server.stores import SteeredStore
from tests.server.wire import Client, House, house

pytestmark = pytest.mark.anyio

MALLORY = Identity(id="mallory")


class Watched(SteeredStore):
    """A store that tells when something was quarantined, or fails at it."""

    def __init__(self, kept: Store | None = None) -> None:
        super().__init__(kept)
        self.calls = 0
        self.quarantine_failure: Exception | None = None
        self._changed = anyio.Event()

    async def quarantine(self, document: str, refused: Sequence[Refused]) -> Outcome:
        self.calls += 1
        try:
            if self.quarantine_failure is not None:
                raise self.quarantine_failure
            return await super().quarantine(document, refused)
        finally:
            self._changed.set()
            self._changed = anyio.Event()

    async def until(self, calls: int) -> None:
        while self.calls < calls:
            await self._changed.wait()


async def populated(server: House) -> tuple[Client, Client]:
    """A document that somebody has open with ``HELLO`` in it, and somebody who means ill."""
    room = await server.rooms.acquire("d")
    writer = Client(room, client_id=2).connect()
    writer.say(yjs.update(poison.HELLO))
    await room.content.settle()
    return writer, Client(room, client_id=3, identity=MALLORY).connect()


POISON = {**poison.UNDECODABLE, "a child of a string": poison.CHILD_OF_A_STRING}


@pytest.mark.parametrize("encode", [yjs.update, yjs.sync_step2], ids=["update", "step 2"])
@pytest.mark.parametrize("bad", POISON.values(), ids=POISON)
async def test_a_refused_update_is_kept_with_who_when_and_why(
    bad: bytes, encode: Callable[[bytes], bytes]
) -> None:
    store = Watched()
    before_ms = time.time_ns() // 1_000_000
    async with house(store) as server:
        writer, mallory = await populated(server)
        mallory.say(encode(bad))
        await store.until(1)
        (kept,) = await store.quarantined("d")
        assert (kept.update, kept.author, kept.seq) == (bad, "mallory", None)
        assert before_ms <= kept.time_ms <= time.time_ns() // 1_000_000
        assert kept.reason.startswith("expected")
        assert mallory.wire.closed is not None
        assert mallory.wire.closed[0] == CloseCode.MALFORMED
        update = writer.type(" on")
        await writer.read_until(lambda: update in writer.acknowledged)
        assert writer.wire.closed is None
        assert bad not in [entry.update async for entry in store.entries("d")]


async def test_of_readers_nothing_is_kept() -> None:
    store = Watched()
    async with house(store) as server:
        writer, mallory = await populated(server)
        reader = Client(writer.room, client_id=4, identity=Identity(access=Access.READ)).connect()
        reader.say(yjs.update(b"\xff" * 40))
        assert reader.wire.closed is not None
        mallory.say(yjs.update(b"\xff" * 41))
        await store.until(1)
        assert [len(kept.update) for kept in await store.quarantined("d")] == [41]


async def test_a_flood_is_written_in_a_few_goes_and_within_the_bounds(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = Watched()
    async with house(store) as server:
        writer, _ = await populated(server)
        count = IN_A_DOCUMENT.updates * 3
        for number in range(count):
            client = Client(writer.room, client_id=100 + number, identity=MALLORY).connect()
            client.say(yjs.update(b"\xff" * 40))
            client.leave()
        await server.rooms.close()
        assert store.calls == 1
        assert len(await store.quarantined("d")) == IN_A_DOCUMENT.updates
        assert f"refused {count - IN_A_DOCUMENT.updates} more updates" in caplog.text
        assert len([r for r in caplog.records if "refused" in r.message]) == 2


async def test_what_had_to_go_for_it_is_said(caplog: pytest.LogCaptureFixture) -> None:
    store = Watched()
    async with house(store) as server:
        _, mallory = await populated(server)
        full = [Refused(update=b"x", time_ms=0, author=None, reason="old")] * IN_A_DOCUMENT.updates
        await store.quarantine("d", full)
        mallory.say(yjs.update(b"\xff" * 40))
        await server.rooms.close()
        assert len((await store.quarantined("d"))[-1].update) == 40
        assert "the quarantine is full: 1 updates had to go" in caplog.text


async def test_a_quarantine_that_fails_delays_nobody(caplog: pytest.LogCaptureFixture) -> None:
    store = Watched()
    store.quarantine_failure = StoreUnavailable("disk full")
    async with house(store) as server:
        writer, mallory = await populated(server)
        mallory.say(yjs.update(poison.CHILD_OF_A_STRING))
        await store.until(1)
        update = writer.type(" on")
        await writer.read_until(lambda: update in writer.acknowledged)
        await server.rooms.close()
        assert "setting aside refused updates of 'd': disk full" in caplog.text
        assert server.persister.failure is None


async def test_what_is_refused_in_the_last_moment_is_kept_at_shutdown() -> None:
    store = MemoryStore()
    async with store, anyio.create_task_group() as tasks:
        timers = make_timers()
        settings = Settings()
        metrics = Metrics()
        persister = Persister(store, settings, timers, metrics)
        rooms = Rooms(store, persister, timers, settings, spawner(tasks), metrics, Feeds(settings))
        tasks.start_soon(timers.run)
        tasks.start_soon(persister.run)
        with anyio.fail_after(30):
            room = await rooms.acquire("d")
            for number in range(2):
                client = Client(room, client_id=3 + number, identity=MALLORY).connect()
                client.say(yjs.update(b"\xff" * (40 + number)))
                await anyio.wait_all_tasks_blocked()
            await rooms.close()
        assert len(await store.quarantined("d")) == 2
        tasks.cancel_scope.cancel()
