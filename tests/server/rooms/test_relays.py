"""Relays: what ties rooms to others does not outlive them, and does not pile up in them."""

import anyio
import pytest

from collab import relay
from collab.errors import StoreUnavailable
from collab.protocol import yjs
from collab.server.bus.in_process import Exchange, InProcessBus
from collab.storage.memory import MemoryStore
from tests.core import poison
from tests.server.stores import SteeredStore
from tests.server.wire import Client, house

pytestmark = pytest.mark.anyio


class SteeredBus(InProcessBus):
    """A bus that can fail, and that remembers.

    Attributes:
        fails: whether nothing can be subscribed to now.
        heard: the documents that it hears of.
        said: what was said over it.
    """

    def __init__(self, exchange: Exchange) -> None:
        super().__init__(exchange)
        self.fails = False
        self.heard: set[str] = set()
        self.said: list[relay.RelayMessage] = []

    async def subscribe(self, document: str) -> None:
        self.heard.add(document)
        await super().subscribe(document)
        if self.fails:
            raise StoreUnavailable("the bus fails")

    def unsubscribe(self, document: str) -> None:
        self.heard.discard(document)
        super().unsubscribe(document)

    def say(self, document: str, frame: bytes, *, to: str | None = None) -> None:
        self.said.append(relay.decode(frame))
        super().say(document, frame, to=to)


async def test_a_document_that_cannot_be_subscribed_to_is_heard_of_no_more() -> None:
    bus = SteeredBus(Exchange())
    bus.fails = True
    async with house(MemoryStore(), bus=bus) as server:
        with pytest.raises(StoreUnavailable):
            await server.rooms.acquire("d")
        assert bus.heard == set()
        bus.fails = False
        await server.rooms.acquire("d")
        assert bus.heard == {"d"}


async def test_questions_of_others_that_wait_for_a_rebuild_are_answered_once() -> None:
    exchange = Exchange()
    bus = SteeredBus(exchange)
    store = SteeredStore()
    async with house(store, bus=bus) as server, house(MemoryStore(), bus=exchange.bus()) as other:
        room = await server.rooms.acquire("d")
        hostile = Client(room, client_id=91).connect()
        hostile.say(yjs.update(poison.HELLO))
        await room.settle()
        store.hold_loads()
        hostile.say(yjs.update(poison.CHILD_OF_A_STRING))
        assert room.content.recovery.under_way
        asker = Client(await other.rooms.acquire("d"), client_id=3).connect()
        assert server.relays is not None
        assert other.relays is not None
        for _ in range(20):
            other.relays.missed("d")
            server.relays.missed("d")
            await anyio.wait_all_tasks_blocked()
        before = len(bus.said)
        store.let_load()
        await asker.read_until(lambda: asker.text == "hello")
        await anyio.wait_all_tasks_blocked()
        said = [type(message) for message in bus.said[before:]]
        assert said.count(relay.Answered) <= 3
        assert said.count(relay.Asked) == 1
