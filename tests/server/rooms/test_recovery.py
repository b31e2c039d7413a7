"""Recovery: an update that breaks the document ends its sender, and nothing else."""

from pathlib import Path

import anyio
import pycrdt
import pytest

from collab.access import ANYONE, Access
from collab.close import CloseCode
from collab.document import Document
from collab.errors import ServerBusy, StoreUnavailable
from collab.lib0 import write_var_bytes, write_var_string, write_var_uint
from collab.merging import merge
from collab.protocol import yjs
from collab.protocol.ysweet import Y_SWEET
from collab.server.bus.in_process import Exchange
from collab.server.rooms.farewell import Farewell
from collab.server.rooms.member import Member
from collab.server.settings import Settings
from collab.session import Session
from collab.storage.memory import MemoryStore
from collab.storage.sqlite import SQLiteStore
from collab.store import Append, NewEntry, Stored
from tests.core import poison
from tests.server.stores import SteeredStore
from tests.server.wire import Client, Wire, house

pytestmark = pytest.mark.anyio

SEVEN = poison.update_of(poison.in_root(4, write_var_string("seven")), client=7)
CHILD_OF_SEVEN = poison.update_of(b"\x04\x00\x07\x00" + write_var_string("x"), client=8)
"""It breaks a document that has ``SEVEN``."""


async def test_the_sender_is_closed_and_the_room_goes_on() -> None:
    store = MemoryStore()
    async with house(store) as server:
        room = await server.rooms.acquire("d")
        hostile, writer, reader = (Client(room, client_id=n).connect() for n in (91, 2, 3))
        hostile.say(yjs.update(poison.HELLO))
        hostile.say(yjs.update(poison.CHILD_OF_A_STRING))
        writer.type(" and on")
        await room.content.settle()
        assert hostile.wire.closed is not None
        assert hostile.wire.closed[0] == CloseCode.MALFORMED
        assert (writer.wire.closed, reader.wire.closed) == (None, None)
        reader.read()
        assert sorted(reader.text) == sorted("hello and on")
        joiner = Client(room, client_id=4)
        await joiner.sync()
        assert joiner.text == reader.text
        stored = [entry.update for entry in (await store.load("d")).entries]
        assert poison.CHILD_OF_A_STRING not in stored
        assert len(stored) == 2


async def test_everything_else_of_its_batch_is_applied_acknowledged_and_stored_once() -> None:
    store = SteeredStore()
    async with house(store, windows=True) as server:
        room = await server.rooms.acquire("d")
        hostile, one, two = (Client(room, client_id=n).connect() for n in (91, 2, 3))
        reader = Client(room, client_id=4, wire=Wire(work_seconds=0.01)).connect()
        hostile.say(yjs.update(poison.HELLO))
        await room.content.settle()
        before = sum(len(a.entries) for appends in store.appends for a in appends)
        one.type("a")
        hostile.say(yjs.update(poison.CHILD_OF_A_STRING))
        two.type("b")
        one.type("c")
        await room.content.settle()
        for client in (one, two, reader):
            client.read()
        assert one.acknowledged
        assert sorted(one.text) == sorted(two.text) == sorted(reader.text) == sorted("helloabc")
        assert hostile.wire.closed is not None
        assert {len(c.acknowledged) > 0 for c in (one, two)} == {True}
        after = sum(len(a.entries) for appends in store.appends for a in appends)
        assert after - before in (2, 3)


async def test_a_step_2_that_does_not_apply_ends_its_sender_alone() -> None:
    async with house(MemoryStore()) as server:
        room = await server.rooms.acquire("d")
        writer, hostile = (Client(room, client_id=n).connect() for n in (2, 3))
        writer.say(yjs.update(poison.HELLO))
        hostile.say(yjs.sync_step2(poison.CHILD_OF_A_STRING))
        update = writer.type("!")
        await room.content.settle()
        writer.read()
        assert hostile.wire.closed is not None
        assert update in writer.acknowledged


async def test_what_comes_during_the_recovery_is_done_after_it() -> None:
    store = SteeredStore()
    async with house(store) as server:
        room = await server.rooms.acquire("d")
        hostile, writer = (Client(room, client_id=n).connect() for n in (91, 2))
        hostile.say(yjs.update(poison.HELLO))
        await room.content.settle()
        store.hold_loads()
        hostile.say(yjs.update(poison.CHILD_OF_A_STRING))
        update = writer.type("meanwhile")
        writer.show()
        joiner = Client(room, client_id=3)
        room.join(joiner.seat)
        joiner.say(yjs.sync_step1(joiner.doc.get_state()))
        await anyio.wait_all_tasks_blocked()
        assert joiner.synced == 0
        store.let_load()
        await joiner.read_until(lambda: joiner.synced == 1 and "meanwhile" in joiner.text)
        await writer.read_until(lambda: update in writer.acknowledged)
        assert set(room.presence.states()) == {2}


async def test_what_fails_after_the_recovery_ends_its_sender_and_keeps_nobody_else_back() -> None:
    def fail() -> None:
        raise RuntimeError("a fault of ours")

    store = SteeredStore()
    async with house(store) as server:
        room = await server.rooms.acquire("d")
        hostile, unlucky, writer = (Client(room, client_id=n).connect() for n in (91, 2, 3))
        hostile.say(yjs.update(poison.HELLO))
        await room.content.settle()
        store.hold_loads()
        hostile.say(yjs.update(poison.CHILD_OF_A_STRING))
        assert room.content.defer(unlucky.seat, fail)
        update = writer.type("meanwhile")
        store.let_load()
        await writer.read_until(lambda: update in writer.acknowledged)
        assert unlucky.wire.closed is not None
        assert unlucky.wire.closed[0] == CloseCode.INTERNAL_ERROR
        assert writer.wire.reading
        await room.settle()


async def test_who_leaves_during_the_recovery_keeps_nobodys_turn() -> None:
    store = SteeredStore()
    async with house(store, Settings(syncs_in_flight=1)) as server:
        room = await server.rooms.acquire("d")
        hostile = Client(room, client_id=91).connect()
        hostile.say(yjs.update(poison.HELLO))
        await room.content.settle()
        store.hold_loads()
        hostile.say(yjs.update(poison.CHILD_OF_A_STRING))
        gone = Client(room, client_id=3)
        room.join(gone.seat)
        room.pause(gone.seat)
        gone.say(yjs.sync_step1(b"\x00"))
        gone.leave()
        store.let_load()
        joiner = Client(room, client_id=4)
        await joiner.sync()
        assert joiner.text == "hello"


@pytest.mark.parametrize("failure", [StoreUnavailable("disk on fire"), OSError("disk on fire")])
async def test_a_store_that_fails_delays_the_recovery_and_loses_nothing(
    caplog: pytest.LogCaptureFixture, failure: Exception
) -> None:
    store = SteeredStore()
    async with house(store) as server:
        room = await server.rooms.acquire("d")
        hostile, writer = (Client(room, client_id=n).connect() for n in (91, 2))
        hostile.say(yjs.update(poison.HELLO))
        await room.content.settle()
        store.load_failure = failure
        hostile.say(yjs.update(poison.CHILD_OF_A_STRING))
        writer.type("x")
        while "disk on fire" not in caplog.text:
            await anyio.lowlevel.checkpoint()
        store.load_failure = None
        await room.content.settle()
        joiner = Client(room, client_id=3)
        await joiner.sync()
        assert sorted(joiner.text) == sorted("hellox")


async def test_many_poisoners_one_after_the_other_leave_the_room_alive() -> None:
    async with house(MemoryStore()) as server:
        room = await server.rooms.acquire("d")
        writer = Client(room, client_id=2).connect()
        writer.say(yjs.update(poison.HELLO))
        for number in range(10):
            hostile = Client(room, client_id=100 + number).connect()
            hostile.say(yjs.update(poison.CHILD_OF_A_STRING))
            writer.type(str(number))
        await room.content.settle()
        joiner = Client(room, client_id=3)
        await joiner.sync()
        assert sorted(joiner.text) == sorted("hello0123456789")


@pytest.mark.parametrize("words", [["changes"], ["x" * 900_000] * 5])
async def test_what_another_instance_has_promised_outlasts_the_recovery(
    tmp_path: Path, words: list[str]
) -> None:
    exchange = Exchange()
    slow = SteeredStore(SQLiteStore(tmp_path / "collab.db"))
    async with (
        house(slow, bus=exchange.bus()) as one,
        house(SQLiteStore(tmp_path / "collab.db"), bus=exchange.bus()) as other,
    ):
        ann = Client(await one.rooms.acquire("d"), client_id=3).connect()
        room = await other.rooms.acquire("d")
        bob, hostile = (Client(room, client_id=n).connect() for n in (2, 91))
        hostile.say(yjs.update(poison.HELLO))
        await other.persister.settle()
        slow.hold_appends()
        for word in words:
            ann.type(word)
        length = sum(map(len, words)) + len("hello")
        await bob.read_until(lambda: len(bob.text) == length)
        hostile.say(yjs.update(poison.CHILD_OF_A_STRING))
        await hostile.wire.ended()
        await room.content.settle()
        slow.let_append()
        await one.persister.settle()
        joiner = Client(room, client_id=4)
        await joiner.sync()
        await joiner.read_until(lambda: joiner.text == bob.text)


class WrittenBesides(SteeredStore):
    """A store that another process writes to between two loads, and whose loads can be held.

    Attributes:
        written_at: how many loads are to come until ``HELLO`` is written to "d".
        held_at: how many until a load is held, with what it has read by then.
        held: set when it is.
        may_go_on: lets it go on.
    """

    def __init__(self) -> None:
        super().__init__()
        self.written_at = self.held_at = 0
        self.held, self.may_go_on = anyio.Event(), anyio.Event()

    async def load(self, document: str) -> Stored:
        self.written_at -= 1
        self.held_at -= 1
        holds = self.held_at == 0
        if self.written_at == 0:
            hello = NewEntry(update=poison.HELLO, time_ms=1)
            await self.kept.append([Append(document="d", entries=[hello])])
        stored = await super().load(document)
        if holds:
            self.held.set()
            await self.may_go_on.wait()
        return stored


async def test_what_breaks_the_rebuilt_document_has_it_rebuilt_once_more_and_not_twice() -> None:
    children_of_hello = [
        poison.update_of(b"\x04\x00\x01\x00" + write_var_string("x"), client=client)
        for client in (10, 11)
    ]
    store = WrittenBesides()
    async with house(store, windows=True) as server:
        room = await server.rooms.acquire("d")
        hostile, *others, writer = (Client(room, client_id=n).connect() for n in range(91, 95))
        Client(room, client_id=2, wire=Wire(work_seconds=0.01)).connect()
        hostile.say(yjs.update(SEVEN))
        await room.content.settle()
        store.written_at = 3  # Two loads try all three; the third is what the room goes on with.
        hostile.say(yjs.update(CHILD_OF_SEVEN))
        for other, child in zip(others, children_of_hello, strict=True):
            other.say(yjs.update(child))
        store.held_at = 9  # The last one, where the two broken ones are looked for at once.
        await store.held.wait()
        writer.type("!")
        await server.persister.settle()
        store.may_go_on.set()
        await room.content.settle()
        await anyio.wait_all_tasks_blocked()
        assert all(other.wire.closed is not None for other in others)
        joiner = Client(room, client_id=3)
        await joiner.sync()
        assert "!" in joiner.text


async def test_what_applied_until_others_wrote_more_is_found_to_be_at_fault_too() -> None:
    child_of_hello = poison.update_of(b"\x04\x00\x01\x00" + write_var_string("x"), client=10)
    store = WrittenBesides()
    async with house(store, windows=True) as server:
        room = await server.rooms.acquire("d")
        hostile, other, writer = (Client(room, client_id=n).connect() for n in (91, 92, 3))
        Client(room, client_id=2, wire=Wire(work_seconds=0.01)).connect()
        hostile.say(yjs.update(SEVEN))  # That takes its time: what follows gathers.
        other.say(yjs.update(child_of_hello))
        hostile.say(yjs.update(CHILD_OF_SEVEN))
        update = writer.type("!")
        store.written_at = 2  # The first load has all of them tried.
        room.content.flush()
        await writer.read_until(lambda: update in writer.acknowledged)
        assert other.wire.closed is not None
        assert hostile.wire.closed is not None
        assert writer.wire.closed is None


async def test_who_is_paused_meanwhile_is_owed_what_came_with_what_did_not_apply() -> None:
    store = SteeredStore()
    async with house(store, Settings(pending_max_bytes=1000), windows=True) as server:
        room = await server.rooms.acquire("d")
        writer, hostile = (Client(room, client_id=n).connect() for n in (1, 91))
        reader = Client(room, client_id=2, wire=Wire(work_seconds=0.01)).connect()
        writer.type("hello")  # That takes its time: what follows gathers.
        writer.type(" there")
        waiting = poison.in_root(4, write_var_string("x" * 2000))
        hostile.say(yjs.update(poison.update_of(waiting, client=91, clock=5)))
        store.hold_loads()
        room.content.flush()
        await anyio.wait_all_tasks_blocked()
        assert room.content.recovery.under_way
        room.pause(reader.seat)
        store.let_load()
        await room.content.settle()
        assert hostile.wire.closed is not None
        room.resume(reader.seat)
        reader.read()
        assert reader.text == "hello there"


async def test_what_another_instance_asks_meanwhile_is_answered_from_the_rebuilt_document() -> None:
    exchange = Exchange()
    store = SteeredStore()
    async with house(store, Settings(pending_max_bytes=1000), bus=exchange.bus()) as server:
        room = await server.rooms.acquire("d")
        writer, hostile = (Client(room, client_id=n).connect() for n in (1, 91))
        writer.type("hello")
        await room.content.settle()
        there = poison.update_of(poison.in_root(4, write_var_string("refused")), client=91)
        waiting = poison.in_root(4, write_var_string("x" * 2000))
        later = poison.update_of(waiting, client=91, clock=50)
        store.hold_loads()
        hostile.say(yjs.update(merge([there, later])))
        assert room.content.recovery.under_way
        async with house(MemoryStore(), bus=exchange.bus()) as asking:
            asker = Client(await asking.rooms.acquire("d"), client_id=3).connect()
            await anyio.wait_all_tasks_blocked()
            store.let_load()
            await asker.read_until(lambda: bool(asker.text))
            assert asker.text == "hello"


async def test_what_turns_out_to_be_durable_meanwhile_is_read_back() -> None:
    store = WrittenBesides()
    async with house(store, bus=Exchange().bus()) as server:
        room = await server.rooms.acquire("d")
        hostile = Client(room, client_id=91).connect()
        assert server.relays is not None
        server.relays.changed("d", poison.HELLO, "another", 1)
        store.held_at = 3  # The last load, once the culprit is found.
        hostile.say(yjs.update(poison.CHILD_OF_A_STRING))
        await store.held.wait()
        hello = NewEntry(update=poison.HELLO, time_ms=1)
        await store.kept.append([Append(document="d", entries=[hello])])
        server.relays.left("another")
        store.may_go_on.set()
        await room.content.settle()
        reader = Client(room, client_id=3).connect()
        await reader.read_until(lambda: reader.text == "hello")


async def test_a_question_about_a_change_that_is_refused_meanwhile_is_not_answered() -> None:
    store = SteeredStore()
    async with house(store, Settings(document_max_bytes=1000), windows=True) as server:
        room = await server.rooms.acquire("d")
        hostile, writer = (Client(room, client_id=n).connect() for n in (91, 1))
        asking = Client(room, client_id=3)
        asking.seat = Member(asking.wire, Session(ANYONE, Access.WRITE, Y_SWEET))
        asking.connect()
        Client(room, client_id=2, wire=Wire(work_seconds=0.01)).connect()
        hostile.say(yjs.update(poison.HELLO))  # That takes its time: what follows gathers.
        store.hold_loads()
        writer.type("x" * 2000)
        hostile.say(yjs.update(poison.CHILD_OF_A_STRING))
        room.content.flush()
        asking.wire.read()
        asking.type("too much")
        asking.say(write_var_uint(102) + write_var_bytes(b"\x01"))
        store.let_load()
        await room.content.settle()
        assert "too much" not in str(room.document.doc.get("text", type=pycrdt.Text))
        assert not [frame for frame in asking.wire.read() if frame[0] == 102]


async def test_what_came_meanwhile_is_durable_before_the_document_is_changed_in_the_store() -> None:
    store = SteeredStore()
    async with house(store) as server, anyio.create_task_group() as tasks:
        room = await server.rooms.acquire("d")
        hostile, writer = (Client(room, client_id=n).connect() for n in (91, 2))
        hostile.say(yjs.update(poison.HELLO))
        await room.content.settle()
        store.hold_loads()
        hostile.say(yjs.update(poison.CHILD_OF_A_STRING))
        update = writer.type("meanwhile")

        async def change() -> None:
            farewell = Farewell(CloseCode.RESTART, "", ServerBusy("changed"))
            async with server.rooms.without("d", farewell):
                stored = [entry.update async for entry in store.entries("d")]
                assert update in stored

        tasks.start_soon(change)
        await anyio.wait_all_tasks_blocked()
        store.let_load()
        await writer.wire.ended()


async def test_readers_are_sent_what_another_process_wrote_before_the_rebuild() -> None:
    store = WrittenBesides()
    async with house(store) as server:
        room = await server.rooms.acquire("d")
        hostile, reader, idle = (Client(room, client_id=n).connect() for n in (91, 2, 3))
        hostile.say(yjs.update(SEVEN))
        await room.content.settle()
        room.pause(idle.seat)
        store.written_at = 1
        hostile.say(yjs.update(CHILD_OF_SEVEN))
        await reader.read_until(lambda: sorted(reader.text) == sorted("sevenhello"))
        room.resume(idle.seat)
        await idle.read_until(lambda: sorted(idle.text) == sorted("sevenhello"))
        # No echo, which would tell who wrote it that it is durable.
        assert reader.acknowledged == [SEVEN]


async def both_write(one: Client, other: Client) -> None:
    """Has them write, and waits until the second one's change, and so both, are durable."""
    one.type("?")
    update = other.type("!")
    await other.read_until(lambda: update in other.acknowledged)


@pytest.mark.parametrize(
    ("words", "logged"), [(["x" * 100] * 100, True), (["x" * 3_000_000] * 3, False)]
)
async def test_what_others_pass_on_beyond_a_bound_is_not_kept_but_asked_for_afterwards(
    tmp_path: Path, words: list[str], logged: bool
) -> None:
    exchange = Exchange()
    path = tmp_path / "collab.db"
    ones, others = SteeredStore(SQLiteStore(path)), SteeredStore(SQLiteStore(path))
    small = Settings(uncommitted_max_bytes=1000, checkpoint_entries=1, checkpoint_seconds=1e-9)
    length = sum(map(len, words))
    async with (
        house(ones, bus=exchange.bus()) as one,
        house(others, small, bus=exchange.bus()) as other,
    ):
        ann = Client(await one.rooms.acquire("d"), client_id=3).connect()
        room = await other.rooms.acquire("d")
        bob, hostile = (Client(room, client_id=n).connect() for n in (2, 91))
        hostile.say(yjs.update(poison.HELLO))
        await bob.read_until(lambda: bob.text == "hello")
        await other.persister.settle()
        others.hold_loads()
        hostile.say(yjs.update(poison.CHILD_OF_A_STRING))
        if not logged:
            ones.hold_appends()
        typed = [ann.type(word) for word in words]
        if logged:
            await ann.read_until(lambda: typed[-1] in ann.acknowledged)
            await anyio.wait_all_tasks_blocked()
            assert 0 < other.persister.backlog.passed_on_bytes < 1200
        assert room.content.recovery.under_way
        others.let_load()
        await bob.read_until(lambda: bob.text.count("x") == length)
        ones.let_append()
        await one.persister.settle()
        update = bob.type("!")
        await bob.read_until(lambda: update in bob.acknowledged)
        assert other.persister.backlog.passed_on_bytes == 0
        await room.settle()
        # Once it has everything, it goes by what the others say of the log, and reads no more.
        with anyio.fail_after(20):
            while room.content.recovery.incomplete:
                await both_write(ann, bob)
    async with SQLiteStore(path, create=False) as stored:
        document = Document.load(await stored.load("d"))
        text = str(document.doc.get("text", type=pycrdt.Text))
        assert text.count("x") == length
        assert "!" in text
