"""What other instances have passed on: acknowledgements wait until it is durable, however it is."""

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.lowlevel
import pycrdt
import pytest

from collab import relay
from collab.access import ANYONE, Access
from collab.document import Document
from collab.errors import StoreUnavailable
from collab.lib0 import write_var_bytes, write_var_string, write_var_uint
from collab.protocol import yjs
from collab.protocol.messages import EMPTY_STATE_VECTOR, EMPTY_UPDATE
from collab.protocol.ysweet import Y_SWEET
from collab.server.bus.in_process import Exchange, InProcessBus
from collab.server.rooms.backlog import Backlog
from collab.server.rooms.member import Member
from collab.server.rooms.promises import Promises
from collab.session import Session
from collab.storage.memory import MemoryStore
from collab.storage.sqlite import SQLiteStore
from collab.store import Entry
from tests.core import poison
from tests.server.rooms.conftest import MakeBus, over_each_bus
from tests.server.stores import SteeredStore
from tests.server.wire import DEADLINE_SECONDS, Client, House, Wire, house

pytestmark = pytest.mark.anyio


class CountingStore(SteeredStore):
    """A steered store that counts how often logs are read."""

    def __init__(self, path: Path) -> None:
        super().__init__(SQLiteStore(path))
        self.reads = 0

    def entries(self, document: str, after_seq: int = 0) -> AsyncIterator[Entry]:
        self.reads += 1
        return super().entries(document, after_seq)


@asynccontextmanager
async def pair(
    tmp_path: Path, make_bus: MakeBus
) -> AsyncIterator[tuple[CountingStore, House, CountingStore, House]]:
    """Two instances, each with its own way to one store."""
    stores = [CountingStore(tmp_path / "collab.db") for _ in range(2)]
    async with (
        house(stores[0], bus=make_bus()) as one,
        house(stores[1], bus=make_bus()) as other,
    ):
        yield stores[0], one, stores[1], other


async def come(server: House, client_id: int) -> Client:
    return Client(await server.rooms.acquire("d"), client_id=client_id).connect()


async def move(client: Client, server: House) -> Client:
    """Has a client leave, and come to another instance with what it has."""
    client.leave()
    room = await server.rooms.acquire("d")
    moved = Client(room, client_id=client.client_id, doc=client.doc).connect()
    # As y-websocket does it: the answer to the question it was asked.
    moved.say(yjs.sync_step2(client.doc.get_update()))
    return moved


def came_back(client: Client, word: bytes) -> bool:
    """Whether an update with a word reached a client: where it is its own, that acknowledges it."""
    return any(word in update for update in client.acknowledged)


async def entries(tmp_path: Path) -> int:
    async with SQLiteStore(tmp_path / "collab.db", create=False) as opened:
        return len([entry async for entry in opened.entries("d")])


@over_each_bus
async def test_who_comes_with_a_change_is_acknowledged_when_its_first_server_has_committed_it(
    tmp_path: Path, make_bus: MakeBus
) -> None:
    async with pair(tmp_path, make_bus) as (held, one, _, other):
        ann, bob = await come(one, 1), await come(other, 2)
        held.hold_appends()
        ann.type("hello")
        await bob.read_until(lambda: bob.text == "hello")
        moved = await move(ann, other)
        # What is asked for in vain until then has its answer in the end.
        bob.type(" there")
        await other.persister.settle()
        moved.read()
        bob.read()
        assert not came_back(moved, b"hello")
        assert not came_back(bob, b" there")
        held.let_append()
        await moved.read_until(lambda: came_back(moved, b"hello"))
        assert await entries(tmp_path) == 2
        await bob.read_until(lambda: came_back(bob, b" there"))


@over_each_bus
async def test_what_a_server_does_not_commit_any_more_is_logged_and_then_acknowledged(
    tmp_path: Path, make_bus: MakeBus
) -> None:
    async with pair(tmp_path, make_bus) as (held, one, _, other):
        ann, bob = await come(one, 1), await come(other, 2)
        held.hold_appends()
        ann.type("hello")
        await bob.read_until(lambda: bob.text == "hello")
        moved = await move(ann, other)
        assert one.relays is not None
        assert other.relays is not None
        other.relays.died(one.relays.instance, turn=0)
        assert not came_back(moved, b"hello")
        await moved.read_until(lambda: came_back(moved, b"hello"))
        assert await entries(tmp_path) == 1
        held.let_append()


@over_each_bus
async def test_who_is_cut_off_logs_what_others_may_not_have_committed_and_acknowledges_it(
    tmp_path: Path, make_bus: MakeBus
) -> None:
    async with pair(tmp_path, make_bus) as (held, one, _, other):
        ann, bob = await come(one, 1), await come(other, 2)
        held.hold_appends()
        ann.type("hello")
        await bob.read_until(lambda: bob.text == "hello")
        moved = await move(ann, other)
        assert other.relays is not None
        other.relays.cut_off()
        assert not came_back(moved, b"hello")
        await moved.read_until(lambda: came_back(moved, b"hello"))
        assert await entries(tmp_path) == 1
        held.let_append()


@over_each_bus
async def test_what_a_server_committed_before_it_died_is_found_in_the_store(
    tmp_path: Path, make_bus: MakeBus
) -> None:
    async with pair(tmp_path, make_bus) as (_, one, others, other):
        ann, bob = await come(one, 1), await come(other, 2)
        assert one.relays is not None
        assert other.relays is not None
        update = ann.type("hello")
        await one.persister.settle()
        # As it is heard from an instance that tells nothing any more.
        other.relays.changed("d", update, "dead", 1)
        bob.type(" there")
        await other.persister.settle()
        loads = len(others.loads)
        other.relays.unanswered("d", "dead")
        await bob.read_until(lambda: came_back(bob, b" there"))
        assert len(others.loads) == loads + 1
        assert await entries(tmp_path) == 2


@over_each_bus
async def test_what_a_server_that_leaves_could_not_commit_is_logged_and_then_acknowledged(
    tmp_path: Path, make_bus: MakeBus
) -> None:
    path = tmp_path / "collab.db"
    held = SteeredStore(SQLiteStore(path))
    async with house(SQLiteStore(path), bus=make_bus()) as other:
        bob = await come(other, 2)
        async with house(held, bus=make_bus()) as one:
            ann = await come(one, 1)
            held.hold_appends()
            ann.type("hello")
            await bob.read_until(lambda: bob.text == "hello")
            moved = await move(ann, other)
        await moved.read_until(lambda: came_back(moved, b"hello"))
        assert await entries(tmp_path) == 1


async def test_what_is_given_back_hides_nothing_that_is_waited_for(tmp_path: Path) -> None:
    async with pair(tmp_path, Exchange().bus) as (held, one, _, other):
        ann, bob = await come(one, 1), await come(other, 2)
        assert one.relays is not None
        assert other.relays is not None
        ann.type("hello")
        await one.persister.settle()
        await anyio.wait_all_tasks_blocked()
        held.hold_appends()
        # As it is where Ann's server was cut off, and hears that the other one lacks everything.
        one.relays.missed("d")
        lacking = relay.Answered(EMPTY_UPDATE, EMPTY_STATE_VECTOR, ())
        one.relays.heard("d", relay.encode(lacking), other.relays.instance)
        ann.type(" there")
        await bob.read_until(lambda: bob.text == "hello there")
        bob.type("!")
        await other.persister.settle()
        await anyio.wait_all_tasks_blocked()
        bob.read()
        assert not came_back(bob, b"!")
        held.let_append()
        await bob.read_until(lambda: came_back(bob, b"!"))


async def test_a_change_too_long_to_be_kept_is_logged_too_before_it_is_acknowledged() -> None:
    store = MemoryStore()
    async with house(store, bus=Exchange().bus()) as server:
        room = await server.rooms.acquire("d")
        bob = Client(room, client_id=2).connect()
        long: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc(client_id=1)
        text = long.get("text", type=pycrdt.Text)
        text += "x" * 5_000_000
        assert server.relays is not None
        server.relays.changed("d", long.get_update(), "another", 1)
        await bob.read_until(lambda: len(bob.text) == 5_000_000)
        bob.type("!")
        server.relays.died("another", turn=0)
        await bob.read_until(lambda: came_back(bob, b"!"))
        stored = Document.load(await store.load("d"))
        assert len(str(stored.doc.get("text", type=pycrdt.Text))) == 5_000_001


async def test_what_a_server_left_that_died_while_the_document_was_opened_is_logged() -> None:
    store = SteeredStore()
    async with house(store, bus=Exchange().bus()) as server, anyio.create_task_group() as tasks:
        store.hold_loads()
        tasks.start_soon(server.rooms.acquire, "d")
        await anyio.wait_all_tasks_blocked()
        assert server.relays is not None
        server.relays.changed("d", poison.HELLO, "another", 1)
        server.relays.died("another", turn=0)
        store.let_load()
        bob = await come(server, 2)
        bob.type("!")
        await bob.read_until(lambda: came_back(bob, b"!"))
        stored = Document.load(await store.load("d"))
        assert sorted(str(stored.doc.get("text", type=pycrdt.Text))) == sorted("hello!")


async def test_what_a_server_passes_on_while_it_is_looked_after_is_not_taken_for_logged() -> None:
    store = SteeredStore()
    async with house(store, bus=Exchange().bus()) as server:
        bob = await come(server, 2)
        assert server.relays is not None
        server.relays.changed("d", poison.HELLO, "another", 1)
        await bob.read_until(lambda: bob.text == "hello")
        store.hold_loads()
        loads = len(store.loads)
        server.relays.died("another", turn=0)
        while len(store.loads) == loads:
            await anyio.lowlevel.checkpoint()
        # It was cut off, and not dead; or this was under way.
        late = poison.update_of(poison.in_root(4, write_var_string("late")), client=7)
        server.relays.changed("d", late, "another", 2)
        bob.type("!")
        store.let_load()
        await bob.read_until(lambda: came_back(bob, b"!"))
        logged = Document.load(await store.load("d"))
        assert sorted(str(logged.doc.get("text", type=pycrdt.Text))) == sorted("hellolate!")


class QuestionedBus(InProcessBus):
    """A bus that counts what this instance wants to know of others."""

    questions = 0

    def want(self, document: str, instance: str, number: int) -> None:
        self.questions += 1
        super().want(document, instance, number)


async def test_others_are_asked_for_who_wants_to_know_right_after_their_change() -> None:
    bus = QuestionedBus(Exchange())
    async with house(MemoryStore(), windows=True, bus=bus) as server:
        room = await server.rooms.acquire("d")
        Client(room, client_id=3, wire=Wire(work_seconds=0.01)).connect()
        writer = Client(room, client_id=1)
        writer.seat = Member(writer.wire, Session(ANYONE, Access.WRITE, Y_SWEET))
        writer.connect()
        assert server.relays is not None
        writer.type("hello")  # That takes its time: what follows gathers.
        server.relays.changed("d", poison.HELLO, "another", 1)
        writer.say(write_var_uint(102) + write_var_bytes(b"\x01"))
        await room.content.settle()
        assert bus.questions == 1


@pytest.mark.parametrize("failure", [StoreUnavailable("gone"), OSError("gone")])
@over_each_bus
async def test_a_store_that_cannot_be_read_is_asked_again_before_anything_is_acknowledged(
    tmp_path: Path, make_bus: MakeBus, caplog: pytest.LogCaptureFixture, failure: Exception
) -> None:
    async with pair(tmp_path, make_bus) as (held, one, failing, other):
        ann, bob = await come(one, 1), await come(other, 2)
        held.hold_appends()
        ann.type("hello")
        await bob.read_until(lambda: bob.text == "hello")
        moved = await move(ann, other)
        assert one.relays is not None
        assert other.relays is not None
        failing.load_failure = failure
        other.relays.died(one.relays.instance, turn=0)
        with anyio.fail_after(DEADLINE_SECONDS):
            while "looking after what an instance left" not in caplog.text:
                await anyio.lowlevel.checkpoint()
        moved.read()
        assert not came_back(moved, b"hello")
        failing.load_failure = None
        await moved.read_until(lambda: came_back(moved, b"hello"))
        assert await entries(tmp_path) == 1
        held.let_append()


@over_each_bus
async def test_an_exchange_that_goes_well_reads_nothing_from_the_store(
    tmp_path: Path, make_bus: MakeBus
) -> None:
    async with pair(tmp_path, make_bus) as (ones, one, others, other):
        ann, bob = await come(one, 1), await come(other, 2)
        began = anyio.current_time()
        words = 0
        while anyio.current_time() < began + 2.5:  # Two looks would have come, and more.
            for writer, reader in ((ann, bob), (bob, ann)):
                before = len(writer.acknowledged)
                words += 1
                writer.type(f"{words} ")
                await reader.read_until(lambda: reader.text.endswith(f"{words} "))  # noqa: B023
                await writer.read_until(lambda: len(writer.acknowledged) > before)  # noqa: B023
        assert (ones.reads, others.reads) == (0, 0)
        assert words > 20
        # Both know where all of it is in the log, but for what was typed last.
        for client in (ann, bob):
            assert client.room.content.seq >= words - 1


class TestPlaces:
    """The order in which others' changes came, and what of them is durable."""

    def test_what_came_before_a_place_is_kept_when_each_instance_has_kept_its_own(self) -> None:
        promises = Promises(Backlog(math.inf))
        promises.add("one", 1, b"a", 0.0)
        promises.add("other", 1, b"b", 0.0)
        promises.add("one", 2, b"c", 0.0)
        assert promises.newest == 3
        promises.mark("one", 1)
        assert promises.kept(1)
        assert not promises.kept(2)
        promises.mark("one", 2)
        assert not promises.kept(3)
        promises.mark("other", 1)
        assert promises.kept(3)
        assert promises.newest == 0

    def test_a_mark_that_is_lost_is_made_good_by_the_next(self) -> None:
        promises = Promises(Backlog(math.inf))
        for number in (1, 2, 3):
            promises.add("one", number, b"a", 0.0)
        promises.mark("one", 3)
        assert promises.kept(3)

    def test_a_change_that_is_durable_before_it_comes_is_not_waited_for(self) -> None:
        promises = Promises(Backlog(math.inf))
        promises.mark("one", 4)
        promises.add("one", 4, b"a", 0.0)
        assert promises.newest == 0

    def test_an_instance_that_opened_the_document_anew_begins_anew(self) -> None:
        promises = Promises(Backlog(math.inf))
        promises.add("one", 9, b"a", 0.0)
        promises.mark("one", 9)
        promises.forget("one")
        promises.add("one", 1, b"b", 0.0)
        assert promises.wanted() == [("one", 1)]

    def test_an_instance_that_tells_no_marks_is_not_waited_for_but_looked_after(self) -> None:
        promises = Promises(Backlog(math.inf))
        promises.add("old", None, b"a", 0.0)
        assert promises.newest == 0
        assert promises.left("old", 59.0).updates == [b"a"]
        assert promises.left("old", 61.0).updates == []

    def test_a_change_without_a_number_hides_none_that_has_one(self) -> None:
        for numbers in ((1, None), (None, 1), (None, 1, None)):
            promises = Promises(Backlog(math.inf))
            for number in numbers:
                promises.add("one", number, b"a", 0.0)
            newest = promises.newest
            assert newest == numbers.index(1) + 1
            assert not promises.kept(newest)
            promises.mark("one", 1)
            assert promises.kept(newest)
            assert promises.newest == 0

    def test_what_was_seen_to_be_left_may_be_kept_without_what_came_since(self) -> None:
        promises = Promises(Backlog(math.inf))
        promises.add("one", 1, b"a", 0.0)
        left = promises.left("one", 0.0)
        promises.add("one", 2, b"b", 0.0)
        promises.keep("one", left.last)
        assert promises.kept(1)
        assert not promises.kept(2)
        promises.mark("one", 2)
        assert promises.newest == 0

    def test_what_is_too_much_to_keep_is_still_waited_for(self) -> None:
        promises = Promises(Backlog(math.inf))
        for number in range(1, 6):
            promises.add("one", number, bytes(1 << 20), 0.0)
        left = promises.left("one", 1e6)
        assert (len(left.updates), left.whole) == (4, True)
        assert not promises.kept(1)
        promises.mark("one", 1)
        assert not promises.left("one", 1e6).whole
