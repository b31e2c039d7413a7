"""Two and three instances over one store: what one takes in, the others show."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pycrdt
import pytest

from collab.access import Access, Identity
from collab.archive import Retention, Terms
from collab.close import CloseCode
from collab.document import Document
from collab.happenings import Changed
from collab.server.bus.link import LONGEST_BYTES
from collab.server.rooms.promises import Left
from collab.server.settings import Settings
from collab.storage.memory import MemoryStore
from collab.storage.sqlite import SQLiteStore
from collab.store import Append, Entry, NewEntry
from tests.core.writing import typed
from tests.server.rooms.conftest import MakeBus, over_each_bus
from tests.server.stores import SteeredStore
from tests.server.wire import Client, House, house
from tests.storage.damage import execute

pytestmark = pytest.mark.anyio


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "collab.db"


@asynccontextmanager
async def pair(store: Path, make_bus: MakeBus) -> AsyncIterator[tuple[House, House]]:
    async with (
        house(SQLiteStore(store), bus=make_bus()) as one,
        house(SQLiteStore(store), bus=make_bus()) as other,
    ):
        yield one, other


async def come(server: House, client_id: int, user: str | None = None) -> Client:
    room = await server.rooms.acquire("d")
    identity = Identity(id=user, access=Access.WRITE) if user else Identity()
    return Client(room, client_id=client_id, identity=identity).connect()


def text_of(document: Document) -> str:
    doc: pycrdt.Doc[Any] = pycrdt.Doc()
    doc.apply_update(document.encode())
    return str(doc.get("text", type=pycrdt.Text))


async def entries(store: Path) -> list[bytes]:
    async with SQLiteStore(store, create=False) as opened:
        return [entry.update async for entry in opened.entries("d")]


@over_each_bus
async def test_what_is_typed_on_one_instance_is_seen_on_the_other(
    store: Path, make_bus: MakeBus
) -> None:
    async with pair(store, make_bus) as (one, other):
        ann, bob = await come(one, 1), await come(other, 2)
        ann.type("hello ")
        await bob.read_until(lambda: bob.text == "hello ")
        bob.type("world")
        await ann.read_until(lambda: ann.text == "hello world")
        await one.persister.settle()
        await other.persister.settle()
        assert len(await entries(store)) == 2


@over_each_bus
async def test_a_paste_of_many_megabytes_is_seen_on_the_other_and_what_is_typed_around_it(
    store: Path, make_bus: MakeBus
) -> None:
    async with pair(store, make_bus) as (one, other):
        ann, bob = await come(one, 1), await come(other, 2)
        ann.type("before ")
        await bob.read_until(lambda: bob.text == "before ")
        ann.type("p" * (LONGEST_BYTES + 1))
        ann.type(" after")
        await bob.read_until(lambda: len(bob.text) == len(ann.text))
        bob.type(" answered")
        await ann.read_until(lambda: ann.text.endswith(" answered"))
        assert bob.text == ann.text


@over_each_bus
async def test_a_document_opened_later_has_what_is_not_committed_yet(
    tmp_path: Path, make_bus: MakeBus
) -> None:
    store = SteeredStore(SQLiteStore(tmp_path / "collab.db"))
    async with (
        house(store, bus=make_bus()) as one,
        house(SQLiteStore(tmp_path / "collab.db"), bus=make_bus()) as other,
    ):
        ann = await come(one, 1)
        store.hold_appends()
        ann.type("hello")
        bob = await come(other, 2)
        await bob.read_until(lambda: bob.text == "hello")
        async with SQLiteStore(tmp_path / "collab.db") as opened:
            assert (await opened.load("d")).seq == 0
        store.let_append()


@over_each_bus
async def test_a_document_that_another_instance_began_is_left_alone_once_it_is_made_anew(
    store: Path, make_bus: MakeBus
) -> None:
    async with pair(store, make_bus) as (one, other):
        ann, bob = await come(one, 1), await come(other, 2)
        room = other.rooms.find("d")
        assert room is not None
        ann.type("old")
        while room.content.epoch is None:
            await one.persister.settle()
            ann.type(".")  # It brings along what of those before it is durable.
            await bob.read_until(lambda: bob.text == ann.text)
        await one.persister.settle()
        async with SQLiteStore(store) as elsewhere:
            await elsewhere.delete("d", time_ms=1)
            await elsewhere.erase("d")
            await elsewhere.readmit("d")
            doc: pycrdt.Doc[Any] = pycrdt.Doc()
            doc["text"] = pycrdt.Text("new")
            entry = NewEntry(update=doc.get_update(), time_ms=1)
            await elsewhere.append([Append(document="d", entries=[entry])])
            bob.type("late")
            await bob.wire.until(lambda: bob.wire.closed is not None)
            assert bob.wire.closed == (CloseCode.NOT_FOUND, "the document was deleted")
            assert text_of(Document.load(await elsewhere.load("d"))) == "new"


@over_each_bus
async def test_writers_on_three_instances_converge(store: Path, make_bus: MakeBus) -> None:
    async with (
        pair(store, make_bus) as (one, two),
        house(SQLiteStore(store), bus=make_bus()) as three,
    ):
        clients = [await come(server, n) for n, server in enumerate((one, two, three), 1)]
        for word in range(10):
            for client in clients:
                client.type(f"{client.client_id}{word} ")
        for client in clients:
            await client.read_until(lambda client=client: len(client.text) == 90)  # type: ignore[misc]  # a closure in a loop
        assert len({client.text for client in clients}) == 1


@over_each_bus
async def test_a_new_document_opened_on_both_at_once_becomes_one(
    store: Path, make_bus: MakeBus
) -> None:
    async with pair(store, make_bus) as (one, other):
        clients: list[Client] = []

        async def begin(server: House, client_id: int) -> None:
            client = await come(server, client_id)
            client.type(str(client_id))
            clients.append(client)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(begin, one, 1)
            tasks.start_soon(begin, other, 2)
        for client in clients:
            await client.read_until(lambda client=client: len(client.text) == 2)  # type: ignore[misc]  # a closure in a loop
        assert clients[0].text == clients[1].text


@over_each_bus
async def test_presence_is_seen_on_the_other_and_goes_with_its_client(
    store: Path, make_bus: MakeBus
) -> None:
    async with pair(store, make_bus) as (one, other):
        ann, bob = await come(one, 1), await come(other, 2)
        ann.show('{"name":"ann"}')
        await bob.read_until(lambda: bob.room.presence.states() == {1: {"name": "ann"}})
        ann.leave()
        await bob.read_until(lambda: bob.room.presence.states() == {})


@over_each_bus
async def test_who_opens_a_document_sees_who_is_there_on_the_other(
    store: Path, make_bus: MakeBus
) -> None:
    async with pair(store, make_bus) as (one, other):
        ann = await come(one, 1)
        ann.show('{"name":"ann"}')
        bob = await come(other, 2)
        await bob.read_until(lambda: bob.room.presence.states() == {1: {"name": "ann"}})


@over_each_bus
async def test_a_client_that_moves_is_not_taken_for_gone(store: Path, make_bus: MakeBus) -> None:
    async with pair(store, make_bus) as (one, other):
        user = "ann"
        before, bob = await come(one, 1, user), await come(other, 2, "bob")
        eve = await come(one, 3, "eve")
        before.show('{"at":1}')
        await bob.read_until(lambda: 1 in bob.room.presence.states())
        after = Client(bob.room, client_id=1, identity=before.seat.session.identity).connect()
        after.show('{"at":"clock 0, which is taken already"}')
        after.show('{"at":2}')
        await eve.read_until(lambda: '"at":2' in str(eve.presence[-1:]))
        before.leave()
        bob.show()
        await eve.read_until(lambda: 2 in eve.room.presence.states())
        assert 1 in eve.room.presence.states()
        assert 1 in bob.room.presence.states()


@over_each_bus
async def test_presence_of_an_instance_that_leaves_goes_with_it(
    store: Path, make_bus: MakeBus
) -> None:
    async with house(SQLiteStore(store), bus=make_bus()) as one:
        ann = await come(one, 1)
        async with house(SQLiteStore(store), bus=make_bus()) as other:
            bob = await come(other, 2)
            bob.show()
            await ann.read_until(lambda: 2 in ann.room.presence.states())
        await ann.read_until(lambda: ann.room.presence.states() == {})


@over_each_bus
async def test_what_the_other_has_logged_is_read_back_in_seq_and_told_to_who_follows(
    store: Path, make_bus: MakeBus
) -> None:
    async with pair(store, make_bus) as (one, other):
        ann, bob = await come(one, 1), await come(other, 2)
        with (
            one.rooms.feeds.follow("d", lambda happening: isinstance(happening, Changed)) as ones,
            other.rooms.feeds.follow(
                "d", lambda happening: isinstance(happening, Changed)
            ) as others,
        ):
            ann.type("a")
            await bob.read_until(lambda: bob.text == "a")
            await one.persister.settle()
            bob.type("b")
            await ann.read_until(lambda: ann.text == "ab")
            for feed, seq in ((ones, 2), (others, 1)):
                heard = await anext(feed)
                assert isinstance(heard, Changed)
                assert heard.entry.seq == seq
        assert (ann.room.content.seq, bob.room.content.seq) == (2, 2)


async def test_what_is_written_past_the_bus_is_read_with_the_next_commit(tmp_path: Path) -> None:
    async with house(SQLiteStore(tmp_path / "collab.db")) as server:
        ann = await come(server, 1)
        ann.type("a")
        await server.persister.settle()
        doc: pycrdt.Doc[Any] = pycrdt.Doc(client_id=9)
        doc["text"] = pycrdt.Text("elsewhere")
        async with SQLiteStore(tmp_path / "collab.db") as opened:
            entry = NewEntry(update=doc.get_update(), time_ms=0)
            await opened.append([Append(document="d", entries=[entry])])
        ann.type("b")
        await ann.read_until(lambda: "elsewhere" in ann.text)


class BrokenOnce(SteeredStore):
    """A store whose log fails the first time that it is read, with what nobody foresaw."""

    broke = False

    def entries(self, document: str, after_seq: int = 0) -> AsyncIterator[Entry]:
        if not self.broke:
            self.broke = True
            raise OSError("disk on fire")
        return super().entries(document, after_seq)


async def test_a_log_that_cannot_be_read_now_is_read_later(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = BrokenOnce()
    async with house(store) as server:
        ann = await come(server, 1)
        doc: pycrdt.Doc[Any] = pycrdt.Doc(client_id=9)
        doc["text"] = pycrdt.Text("elsewhere")
        entry = NewEntry(update=doc.get_update(), time_ms=0)
        await store.append([Append(document="d", entries=[entry])])
        ann.room.remote.read_back()
        await ann.read_until(lambda: ann.text == "elsewhere")
        assert "disk on fire" in caplog.text


class SlowLog(SteeredStore):
    """A store whose log is read once it may be.

    Attributes:
        reads: how often that was begun.
    """

    def __init__(self) -> None:
        super().__init__()
        self.reads = 0
        self.began, self.may_read = anyio.Event(), anyio.Event()

    async def entries(self, document: str, after_seq: int = 0) -> AsyncIterator[Entry]:
        self.reads += 1
        self.began.set()
        await self.may_read.wait()
        async for entry in super().entries(document, after_seq):
            yield entry


async def test_a_log_that_takes_long_to_be_read_is_not_read_twice_at_once() -> None:
    store = SlowLog()
    async with house(store) as server:
        ann = await come(server, 1)
        ann.type("a")
        await server.persister.settle()
        ann.room.remote.read_back()
        await store.began.wait()
        (update,) = typed("b", client_id=9, root="text")
        entry = NewEntry(update=update, time_ms=0)
        await store.append([Append(document="d", entries=[entry])])
        ann.room.remote.read_back()
        passed = anyio.Event()
        server.timers.call_later(1.5, passed.set)  # It is looked every second.
        await passed.wait()
        assert store.reads == 1
        store.may_read.set()
        await ann.read_until(lambda: sorted(ann.text) == ["a", "b"])
        while store.reads == 1:
            await anyio.lowlevel.checkpoint()


@pytest.mark.parametrize("later", [True, False], ids=["more follows", "nothing follows"])
async def test_what_was_written_and_dropped_from_the_log_before_it_was_read_is_shown(
    later: bool,
) -> None:
    store = MemoryStore()
    async with house(store) as server:
        ann = await come(server, 1)
        ann.type("a")
        await server.persister.settle()
        updates = typed(*"bcd", client_id=9, root="text")
        entries = [NewEntry(update=update, time_ms=0) for update in updates]
        await store.append([Append(document="d", entries=entries[:2])])
        terms = Terms(now_ms=2**45, history=Retention(0), quiet_ms=0)
        while (await store.compact("d", terms)).more:
            pass
        assert (await store.base("d")).seq == 3
        if later:
            await store.append([Append(document="d", entries=entries[2:])])
        ann.room.remote.read_back()
        await ann.read_until(lambda: sorted(ann.text) == sorted("abcd" if later else "abc"))
        assert ann.room.content.seq == (4 if later else 3)
        ann.type("e")
        await server.persister.settle()
        assert ann.room.content.seq == (5 if later else 4)


async def test_what_is_missing_of_what_others_wrote_does_not_hide_what_follows(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "collab.db"
    async with house(SQLiteStore(path)) as server, SQLiteStore(path) as others:
        ann = await come(server, 1)
        ann.type("a")
        await server.persister.settle()
        for client_id, letter in enumerate("bcd", 9):
            (update,) = typed(letter, client_id=client_id, root="text")
            entry = NewEntry(update=update, time_ms=0)
            await others.append([Append(document="d", entries=[entry])])
        execute(path, "DELETE FROM updates WHERE seq = ?", 3)
        ann.room.remote.read_back()
        await ann.read_until(lambda: sorted(ann.text) == sorted("abd"))
        assert ann.room.content.seq == 4
        assert caplog.text.count("reading what others wrote") == 1
        ann.type("e")
        await server.persister.settle()
        assert ann.room.content.seq == 5


@over_each_bus
async def test_what_an_instance_does_not_commit_any_more_is_logged_by_another_one_once(
    tmp_path: Path, make_bus: MakeBus
) -> None:
    path = tmp_path / "collab.db"
    held = SteeredStore(SQLiteStore(path))
    async with house(held, bus=make_bus()) as one:
        ann = await come(one, 1)
        held.hold_appends()
        async with pair(path, make_bus) as (two, three):
            bob, eve = await come(two, 2), await come(three, 3)
            ann.type("hello")
            await bob.read_until(lambda: bob.text == "hello")
            await eve.read_until(lambda: eve.text == "hello")
            for survivor, server in ((bob, two), (eve, three)):
                await survivor.room.remote.secure(Left([ann.doc.get_update()], whole=False))
                await server.persister.settle()
            assert len(await entries(path)) == 1
        held.let_append()


async def test_a_checkpoint_that_waits_while_others_write_does_not_hide_what_they_wrote(
    tmp_path: Path,
) -> None:
    store = SteeredStore(SQLiteStore(tmp_path / "collab.db"))
    async with house(store, Settings(checkpoint_entries=1, checkpoint_seconds=1e-9)) as server:
        ann = await come(server, 1)
        ann.type("a")
        await server.persister.settle()
        doc: pycrdt.Doc[Any] = pycrdt.Doc(client_id=9)
        doc["text"] = pycrdt.Text("elsewhere")
        entry = NewEntry(update=doc.get_update(), time_ms=0)
        store.hold_appends()
        ann.type("b")
        await store.append_began.wait()
        for letter in "cd":
            ann.type(letter)
            ann.room.content.flush()
        await store.kept.append([Append(document="d", entries=[entry])])
        ann.room.remote.read_back()
        await ann.read_until(lambda: "elsewhere" in ann.text)
        store.let_append()
        await server.persister.settle()
        stored = await store.load("d")
    assert stored.seq == 5
    assert text_of(Document.load(stored)) == ann.text


@over_each_bus
async def test_a_checkpoint_waits_for_what_another_instance_has_yet_to_log(
    tmp_path: Path, make_bus: MakeBus
) -> None:
    held = SteeredStore(SQLiteStore(tmp_path / "collab.db"))
    store = SteeredStore(SQLiteStore(tmp_path / "collab.db"))
    async with (
        house(held, bus=make_bus()) as one,
        house(
            store, Settings(checkpoint_entries=1, checkpoint_seconds=1e-9), bus=make_bus()
        ) as other,
    ):
        ann, bob = await come(one, 1), await come(other, 2)
        for letter in "bc":
            bob.type(letter)
            bob.room.content.flush()
        await other.persister.settle()
        held.hold_appends()
        ann.type("a")
        await bob.read_until(lambda: "a" in bob.text)
        for letter in "def":
            bob.type(letter)
            bob.room.content.flush()
        await other.persister.settle()
        stored = await store.load("d")
        assert (stored.seq, stored.checkpoint_seq) == (5, 2)
        assert "a" not in text_of(Document.load(stored))
        held.let_append()
        await bob.room.programs.saved()
        bob.type("g")
        bob.room.content.flush()
        await other.persister.settle()
        stored = await store.load("d")
        assert (stored.seq, stored.checkpoint_seq) == (7, 7)
        assert text_of(Document.load(stored)) == bob.text
