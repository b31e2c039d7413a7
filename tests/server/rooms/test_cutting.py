"""Cutting: a long document is made anew beside the event loop when something cuts pairs of it."""

from collections.abc import Callable, Iterable
from pathlib import Path

import anyio
import pytest

from collab.document import Document
from collab.errors import PoisonedUpdate, ServerBusy
from collab.lib0 import write_var_string, write_var_uint
from collab.merging import merge
from collab.protocol import yjs
from collab.server.rooms.long_messages import LONG_BYTES
from collab.server.rooms.room import Room
from collab.server.settings import Settings
from collab.storage.memory import MemoryStore
from collab.storage.sqlite import SQLiteStore
from collab.store import Append, NewEntry
from tests.core import poison
from tests.server.rooms.conftest import MakeBus, over_each_bus
from tests.server.stores import SteeredStore
from tests.server.wire import DEADLINE_SECONDS, Client, House, Wire, house

pytestmark = pytest.mark.anyio

PAIRS = 20_000
SMILES = poison.update_of(poison.in_root(4, write_var_string("😀" * PAIRS)), client=1)
assert len(SMILES) > LONG_BYTES


def cutting(pairs: Iterable[int]) -> bytes:
    """The update of somebody who deletes the second half of some of them."""
    ranges = [write_var_uint(2 * pair + 1) + b"\x01" for pair in pairs]
    return poison.update_of(deletions=b"\x01\x01" + write_var_uint(len(ranges)) + b"".join(ranges))


def whole_in(document: Document) -> int:
    """How many of them are whole."""
    return document.encode().count("😀".encode())


async def opened(server: House) -> Room:
    """A room with all of them, durable."""
    room = await server.rooms.acquire("d")
    Client(room, client_id=1).connect().say(yjs.update(SMILES))
    await room.settle()
    assert whole_in(room.document) == PAIRS
    return room


async def stored_equally(room: Room, store: MemoryStore | SteeredStore) -> bool:
    await room.settle()
    return Document.load(await store.load("d")).encode() == room.document.encode()


async def test_writers_of_one_window_may_cut_however_many_together() -> None:
    store = SteeredStore()
    cuts = [cutting(range(first, PAIRS, 3)) for first in range(3)]
    settings = Settings(window_max_seconds=DEADLINE_SECONDS)
    async with house(store, settings, windows=True) as server:
        # A flush that costs so much is followed by a window of more than a second.
        slow = Wire(work_seconds=0.05)
        reader = Client(await server.rooms.acquire("d"), client_id=5, wire=slow).connect()
        room = await opened(server)
        writers = [Client(room, client_id=n).connect() for n in (2, 3, 4)]
        before = len((await store.load("d")).entries)
        writers[0].type("a window opens")
        room.content.flush()
        for writer, cut in zip(writers, cuts, strict=True):
            writer.say(yjs.update(cut))
        assert not room.content.recovery.under_way
        room.content.flush()
        assert room.content.recovery.under_way
        await room.settle()
        assert whole_in(room.document) == 0
        assert [client.wire.closed for client in (*writers, reader)] == [None] * 4
        for writer, cut in zip(writers, cuts, strict=True):
            await writer.read_until(lambda writer=writer, cut=cut: cut in writer.acknowledged)
        assert len((await store.load("d")).entries) == before + 4
        assert await stored_equally(room, store)


async def test_what_comes_meanwhile_is_taken_in_after_it() -> None:
    store = MemoryStore()
    async with house(store) as server:
        room = await opened(server)
        writer, other = (Client(room, client_id=n).connect() for n in (2, 3))
        writer.say(yjs.update(cutting([7])))
        assert room.content.recovery.under_way
        assert whole_in(room.document) == PAIRS
        update = other.type("meanwhile")
        joiner = Client(room, client_id=4)
        await joiner.sync()
        assert "meanwhile" in joiner.text
        assert joiner.text.count("😀") == PAIRS - 1
        await other.read_until(lambda: update in other.acknowledged)
        assert await stored_equally(room, store)


@pytest.mark.parametrize("frame", [yjs.update, yjs.sync_step2], ids=["update", "step 2"])
async def test_a_long_message_is_taken_in_a_part_at_a_time(frame: Callable[[bytes], bytes]) -> None:
    store = MemoryStore()
    async with house(store, Settings(part_bytes=32 * 1024)) as server:
        room = await opened(server)
        writer = Client(room, client_id=2).connect()
        writer.say(frame(cutting(range(PAIRS))))
        await room.settle()
        assert writer.wire.closed is None
        assert whole_in(room.document) == 0
        assert await stored_equally(room, store)


async def test_what_cuts_pairs_and_does_not_apply_cuts_none() -> None:
    store = MemoryStore()
    async with house(store) as server:
        room = await opened(server)
        hostile = Client(room, client_id=91).connect()
        hostile.say(yjs.update(merge([cutting([7, 8]), poison.CHILD_OF_A_STRING])))
        await hostile.wire.ended()
        await room.settle()
        assert whole_in(room.document) == PAIRS
        assert await stored_equally(room, store)


async def test_what_a_program_changes_is_taken_in_where_it_gives_up_meanwhile() -> None:
    store = MemoryStore()
    async with house(store) as server:
        room = await opened(server)
        cut = cutting([7, 8])
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(room.programs.take_in, cut, [NewEntry(update=cut, time_ms=1)])
                while not room.content.recovery.under_way:
                    await anyio.lowlevel.checkpoint()
                scope.cancel()
        assert whole_in(room.document) == PAIRS
        await room.settle()
        assert whole_in(room.document) == PAIRS - 2
        assert await stored_equally(room, store)


async def test_a_program_is_told_that_what_cuts_pairs_does_not_apply() -> None:
    store = MemoryStore()
    async with house(store) as server:
        room = await opened(server)
        bad = merge([cutting([7, 8]), poison.CHILD_OF_A_STRING])
        with pytest.raises(PoisonedUpdate):
            await room.programs.take_in(bad, [NewEntry(update=bad, time_ms=1)])
        assert await room.programs.revise(lambda _: cutting([9]), None)
        assert whole_in(room.document) == PAIRS - 1
        assert await stored_equally(room, store)


@over_each_bus
async def test_another_instance_takes_in_however_many_were_cut(
    tmp_path: Path, make_bus: MakeBus
) -> None:
    path = tmp_path / "collab.db"
    async with (
        house(SQLiteStore(path), bus=make_bus()) as one,
        house(SQLiteStore(path), bus=make_bus()) as other,
    ):
        room, others = await opened(one), await other.rooms.acquire("d")
        reader = Client(others, client_id=9)
        await reader.sync()
        writers = [Client(room, client_id=n).connect() for n in (2, 3, 4)]
        for first, writer in enumerate(writers):
            writer.say(yjs.update(cutting(range(first, PAIRS, 3))))
        writers[0].type("done")
        await reader.read_until(lambda: "done" in reader.text)
        await room.settle()
        await others.settle()
        assert (whole_in(room.document), whole_in(others.document)) == (0, 0)
        assert others.document.encode() == room.document.encode()
        async with SQLiteStore(path, create=False) as store:
            entries = [entry.update async for entry in store.entries("d")]
            assert len(entries) == 5
            assert Document.load(await store.load("d")).encode() == room.document.encode()


async def test_what_another_process_wrote_is_read_back_once() -> None:
    store = MemoryStore()
    async with house(store) as server:
        room = await opened(server)
        reader = Client(room, client_id=9).connect()
        entry = NewEntry(update=cutting(range(PAIRS)), time_ms=1)
        await store.append([Append(document="d", entries=[entry])])
        room.remote.read_back()
        await reader.read_until(lambda: entry.update in reader.acknowledged)
        assert reader.acknowledged.count(entry.update) == 1
        assert whole_in(room.document) == 0
        assert await stored_equally(room, store)


async def test_what_a_program_brings_does_not_outlive_the_room_that_it_waits_in() -> None:
    store = MemoryStore()
    async with house(store) as server, anyio.create_task_group() as tasks:
        room = await opened(server)
        before = (await store.load("d")).entries
        entry = NewEntry(update=cutting([7]), time_ms=1)

        async def bring() -> None:
            with pytest.raises(ServerBusy):
                await room.programs.take_in(entry.update, [entry])

        tasks.start_soon(bring)
        while not room.content.recovery.under_way:
            await anyio.lowlevel.checkpoint()
        room.reopen()
        while room.content.recovery.under_way:
            await anyio.lowlevel.checkpoint()
        await server.persister.settle()
        assert (await store.load("d")).entries == before
