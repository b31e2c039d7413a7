"""Opening a document of which not all applies: the rest is served, and nothing deleted."""

import logging
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pycrdt
import pytest
from anyio import to_thread

from collab.close import CloseCode
from collab.protocol import yjs
from collab.server.rooms.opening import Opened, open_document
from collab.server.settings import Settings
from collab.storage.memory import MemoryStore
from collab.storage.sqlite import SQLiteStore
from collab.store import Append, NewEntry, Store
from tests.core import poison
from tests.server.wire import Client, House, house
from tests.storage.damage import WORDS, execute, flip, make
from tests.storage.damage import typed as typed_words
from tests.storage.dropping import DroppingStore
from tests.storage.dropping import keep as dated

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
    async with house(store, Settings(checkpoint_entries=10, checkpoint_seconds=1e-9)) as server:
        client = await opened(server)
        assert client.text == "".join(words)
        await anyio.wait_all_tasks_blocked()
        assert (
            "'d' is opened from its log: expected an update that applies" in complaints(caplog)[0]
        )
        client.type("!")
        await client.room.content.settle()
        healed = await store.load("d")
        assert (healed.checkpoint_seq, len(healed.entries)) == (1501, 0)
        again = await open_document(store, "d")
        assert again.broken == ()
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
        await client.room.content.settle()
        assert (await store.load("d")).seq == 3


class TestDamagedFiles:
    """Files in which what was packed is damaged."""

    async def shown(self, path: Path) -> tuple[str, Opened]:
        store = SQLiteStore(path, create=False)
        async with house(store) as server:
            client = await opened(server)
            return client.text, await open_document(store, "d")

    @pytest.mark.parametrize("base", [False, True])
    async def test_a_checkpoint_that_cannot_be_read_is_replaced_by_the_log(
        self, tmp_path: Path, base: bool
    ) -> None:
        path = tmp_path / "collab.db"
        await to_thread.run_sync(partial(make, path, base=base))
        flip(path, "checkpoints", "1", at=20)
        text, found = await self.shown(path)
        assert text == "".join(WORDS)
        assert len(found.broken) == 1
        assert (found.stored.checkpoint_seq > 0) is base
        assert found.stored.epoch

    async def test_of_a_log_with_a_broken_block_the_rest_is_served(self, tmp_path: Path) -> None:
        path = tmp_path / "collab.db"
        await to_thread.run_sync(make, path)
        flip(path, "checkpoints", "1", at=20)
        ((last,),) = execute(path, "SELECT min(last_seq) FROM blocks")
        flip(path, "blocks", f"last_seq = {last}", at=30)
        text, found = await self.shown(path)
        assert text == ""
        assert len(found.broken) == 2
        for update in typed_words(*WORDS)[:last]:
            found.document.apply(update)
        assert str(found.document.doc.get("text", type=pycrdt.Text)) == "".join(WORDS)

    async def test_of_a_lost_base_and_checkpoint_what_follows_is_kept(self, tmp_path: Path) -> None:
        path = tmp_path / "collab.db"
        await to_thread.run_sync(partial(make, path, base=True))
        flip(path, "checkpoints", "1", at=20)
        flip(path, "bases", "1", at=30)
        text, found = await self.shown(path)
        assert text == ""
        assert found.document.pending_bytes > 0
        assert len(found.broken) == 2


@pytest.mark.parametrize("keep_ms", [0, 10_000], ids=["all are dropped", "some are dropped"])
async def test_what_another_process_drops_while_the_log_is_read_is_not_missing(
    tmp_path: Path, keep_ms: int
) -> None:
    path = tmp_path / "collab.db"
    words = [f"{number} " for number in range(30)]
    async with DroppingStore(path) as store:
        await dated(store, *typed(*words), checkpoint=b"\0\0")
        flip(path, "checkpoints", "true", at=0)
        store.drops, store.keep_ms = 1, keep_ms
        document = (await open_document(store, "d")).document
        assert not document.pending_bytes
        assert str(document.doc.get("text", type=pycrdt.Text)) == "".join(words)
