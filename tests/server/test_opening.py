"""Opening a document of which not all applies: the rest is served, and nothing deleted."""

import logging
from typing import Any

import anyio
import pycrdt
import pytest

from collab.close import CloseCode
from collab.protocol import yjs
from collab.server.opening import open_document
from collab.server.settings import Settings
from collab.storage.memory import MemoryStore
from collab.store import Append, NewEntry, Store
from tests.core import poison
from tests.server.wire import Client, House, house

pytestmark = pytest.mark.anyio

NOISE = b"\xff" * 40


def typed(*words: str) -> list[bytes]:
    doc: pycrdt.Doc[Any] = pycrdt.Doc(client_id=6)
    text = doc.get("text", type=pycrdt.Text)
    updates: list[bytes] = []
    subscription = doc.observe(lambda event: updates.append(event.update))
    for word in words:
        text += word
    doc.unobserve(subscription)
    return updates


async def keep(store: Store, *updates: bytes, checkpoint: bytes | None = None) -> None:
    entries = [NewEntry(update=update, time_ms=5, author="ada") for update in updates]
    await store.append([Append(document="d", entries=entries, checkpoint=checkpoint)])


async def opened(server: House) -> Client:
    client = Client(await server.rooms.acquire("d"), client_id=9)
    await client.sync()
    return client


def complaints(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.parametrize("bad", [NOISE, poison.CHILD_OF_A_STRING], ids=["noise", "poison"])
async def test_the_rest_is_served_and_edited_and_the_entry_stays_in_the_log(bad: bytes) -> None:
    store = MemoryStore()
    first, second = typed("a", "b")
    async with house(store):
        await keep(store, poison.HELLO, first, bad, second)
    async with house(store) as server:
        client = await opened(server)
        assert "ab" in client.text
        assert "hello" in client.text
        update = client.type("!")
        await client.read_until(lambda: update in client.acknowledged)
        assert [entry.update async for entry in store.entries("d")][2:] == [bad, second, update]


async def test_the_entry_is_reported_once_and_set_aside_with_its_place(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = MemoryStore()
    first, second = typed("a", "b")
    async with house(store):
        await keep(store, first, NOISE, second)
    for _ in range(2):
        async with house(store) as server:
            await opened(server)
            await anyio.wait_all_tasks_blocked()
            assert server.persister.failure is None
            (kept,) = await store.quarantined("d")
            assert (kept.seq, kept.update, kept.author, kept.time_ms) == (2, NOISE, "ada", 5)
    (complaint,) = complaints(caplog)
    assert "'d' is open without entries that do not apply (1, the first is 2: expected" in complaint


async def test_a_checkpoint_that_does_not_apply_is_replaced_by_the_whole_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = MemoryStore()
    words = [f"{number} " for number in range(1500)]
    async with house(store):
        await keep(store, *typed(*words), checkpoint=NOISE)
    async with house(store, Settings(checkpoint_entries=10)) as server:
        client = await opened(server)
        assert client.text == "".join(words)
        await anyio.wait_all_tasks_blocked()
        assert "its checkpoint does not apply" in complaints(caplog)[0]
        client.type("!")
        await client.room.settle()
        healed = await store.load("d")
        assert (healed.checkpoint_seq, len(healed.entries)) == (1501, 0)
        again = await open_document(store, "d")
        assert again.checkpoint_error is None
        assert str(again.document.doc.get("text", type=pycrdt.Text)) == "".join(words) + "!"


async def test_a_room_with_such_an_entry_recovers_from_poison_all_the_same() -> None:
    store = MemoryStore()
    async with house(store):
        await keep(store, poison.HELLO, NOISE)
    async with house(store) as server:
        client = await opened(server)
        hostile = Client(client.room, client_id=91).connect()
        hostile.say(yjs.update(poison.CHILD_OF_A_STRING))
        update = client.type("!")
        await client.read_until(lambda: update in client.acknowledged)
        assert hostile.wire.closed is not None
        assert hostile.wire.closed[0] == CloseCode.MALFORMED
        joiner = await opened(server)
        assert joiner.text == "hello!"


async def test_all_that_is_stored_being_broken_opens_an_empty_document() -> None:
    store = MemoryStore()
    async with house(store):
        await keep(store, NOISE, NOISE, checkpoint=NOISE)
    async with house(store) as server:
        client = await opened(server)
        assert client.text == ""
        client.type("new")
        await client.room.settle()
        assert (await store.load("d")).seq == 3
