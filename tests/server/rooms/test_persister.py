"""The persister: one commit for many rooms, and a store that fails loses nothing."""

import logging
from pathlib import Path

import anyio
import pycrdt
import pytest

from collab.document import Document
from collab.errors import DocumentDeleted, StoreUnavailable
from collab.server.rooms.persister import Write
from collab.server.rooms.room import Room
from collab.server.settings import Settings
from collab.storage.memory import MemoryStore
from collab.storage.sqlite import SQLiteStore
from collab.store import Append, NewEntry
from tests.core.writing import typed
from tests.server.stores import SteeredStore
from tests.server.wire import Client, House, house, updates_in
from tests.storage.damage import execute

pytestmark = pytest.mark.anyio


class Listener:
    """An owner of writes; knows what it was told."""

    def __init__(self) -> None:
        self.seq = 0
        self.epoch: str | None = None
        self.epochs: list[str] = []
        self.overtaken_by: range | None = None
        self.heard: list[Write] = []
        self.refusals: list[str] = []
        self.slow = anyio.Event()
        self.changed = anyio.Event()

    def overtaken(self, own: range) -> None:
        self.overtaken_by = own

    def began(self, epoch: str) -> None:
        self.epochs.append(epoch)

    def committed(self, write: Write, seq: int) -> None:
        self.seq = seq
        self.heard.append(write)
        self.changed.set()
        self.changed = anyio.Event()

    def set_back(self, seq: int) -> None:
        self.seq = seq

    def commit_is_slow(self) -> None:
        self.slow.set()

    def refused(self, error: DocumentDeleted) -> None:
        self.refusals.append(error.document)
        self.changed.set()
        self.changed = anyio.Event()

    async def until(self, count: int) -> None:
        while len(self.heard) < count:
            await self.changed.wait()


def write(owner: Listener, document: str, update: bytes, checkpoint: bytes | None = None) -> Write:
    return Write(owner, document, [NewEntry(update=update, time_ms=0)], checkpoint)


def stored(store: SteeredStore) -> list[tuple[str, bytes]]:
    return [
        (append.document, entry.update)
        for appends in store.appends
        for append in appends
        for entry in append.entries
    ]


async def alarmed(server: House, store: SteeredStore, logged: pytest.LogCaptureFixture) -> None:
    """Waits until the persister has found that the store fails."""
    while server.persister.failure is None:
        await anyio.lowlevel.checkpoint()
    assert "the store fails" in logged.text


class TestGroupCommit:
    async def test_what_gathers_during_a_commit_goes_into_the_next_one(self) -> None:
        store = SteeredStore()
        async with house(store) as server:
            owner = Listener()
            store.hold_appends()
            server.persister.submit(write(owner, "first", b"0"))
            await store.append_began.wait()
            for number in range(30):
                server.persister.submit(write(owner, f"room {number % 10}", b"%d" % number))
            assert owner.heard == []
            store.let_append()
            await owner.until(31)
            assert [len(appends) for appends in store.appends] == [1, 10]

    async def test_owners_hear_in_the_order_of_submission(self) -> None:
        store = SteeredStore()
        async with house(store) as server:
            owner = Listener()
            writes = [write(owner, "d", b"%d" % number) for number in range(10)]
            for each in writes:
                server.persister.submit(each)
            await owner.until(10)
            assert owner.heard == writes
            assert [update for _, update in stored(store)] == [b"%d" % n for n in range(10)]
            assert owner.seq == 10

    async def test_who_knows_of_no_life_of_a_document_hears_of_the_one_that_it_is_in(self) -> None:
        store = SteeredStore()
        async with house(store) as server:
            owner, other = Listener(), Listener()
            for each in (owner, owner, other):
                server.persister.submit(write(each, "d", b"1"))
            await server.persister.settle()
            epoch = (await store.load("d")).epoch
            other.epoch = epoch
            server.persister.submit(write(other, "d", b"2"))
            await server.persister.settle()
            assert set(owner.epochs) == {epoch}
            assert other.epochs == [epoch]

    async def test_settle_waits_until_nothing_is_uncommitted(self) -> None:
        store = SteeredStore()
        async with house(store) as server:
            owner = Listener()
            for number in range(5):
                server.persister.submit(write(owner, "d", b"%d" % number))
            await server.persister.settle()
            assert len(owner.heard) == 5
            assert server.persister.backlog.uncommitted_bytes == 0
            await server.persister.settle()

    async def test_an_owner_that_fails_does_not_keep_the_others_waiting(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        class Broken(Listener):
            def committed(self, write: Write, seq: int) -> None:
                raise RuntimeError("broken owner")

        async with house(SteeredStore()) as server:
            owner = Listener()
            server.persister.submit(write(Broken(), "a", b"1"))
            server.persister.submit(write(owner, "b", b"2"))
            await owner.until(1)
            assert "broken owner" in caplog.text


class TestRest:
    """What the persister does soon after a commit that took a while."""

    @staticmethod
    async def commit_slowly(server: House, store: SteeredStore, owner: Listener) -> None:
        """Commits something, in a few milliseconds: what comes next would wait for twenty."""
        store.hold_appends()
        server.persister.submit(write(owner, "d", b"slow"))
        held = anyio.Event()
        server.timers.call_later(0.005, held.set)
        await held.wait()
        store.let_append()
        await owner.until(len(owner.heard) + 1)

    @staticmethod
    async def turn() -> None:
        """Lets everybody do what can be done at once."""
        for _ in range(20):
            await anyio.lowlevel.checkpoint()

    async def test_what_comes_soon_after_a_commit_waits_for_more(self) -> None:
        store = SteeredStore()
        async with house(store) as server:
            for _ in range(100):
                owner = Listener()
                await self.commit_slowly(server, store, owner)
                store.appends.clear()
                server.persister.submit(write(owner, "d", b"1"))
                await self.turn()
                server.persister.submit(write(owner, "d", b"2"))
                await owner.until(3)
                if len(store.appends) == 1:
                    return
        pytest.fail("expected one commit of both, got one of each a hundred times")

    async def test_it_does_not_where_somebody_waits_for_it(self) -> None:
        store = SteeredStore()
        async with house(store) as server:
            owner = Listener()
            await self.commit_slowly(server, store, owner)
            server.persister.submit(write(owner, "d", b"1"))
            server.persister.hasten()  # Before it has begun to rest.
            await self.turn()
            assert len(owner.heard) == 2
            await self.commit_slowly(server, store, owner)
            server.persister.submit(write(owner, "d", b"2"))
            await self.turn()
            server.persister.hasten()
            await self.turn()
            assert len(owner.heard) == 4

    async def test_programs_need_not_wait_for_it(self) -> None:
        store = SteeredStore()
        async with house(store) as server:
            await self.commit_slowly(server, store, Listener())
            room = await server.rooms.acquire("notes")
            before = len(store.appends)
            for number in range(50):
                # With a rest of twenty milliseconds each, it would take a second.
                await self.commit_slowly(server, store, Listener())
                saved = anyio.Event()

                async def save(text: str = str(number), saved: anyio.Event = saved) -> None:
                    doc = pycrdt.Doc[pycrdt.Text]()
                    doc.get("content", type=pycrdt.Text).insert(0, text)
                    await room.programs.take_in(
                        doc.get_update(), [NewEntry(update=doc.get_update(), time_ms=0)]
                    )
                    saved.set()

                room.spawn(save)
                await self.turn()
                assert saved.is_set()
            assert len(store.appends) == before + 100
            server.rooms.release(room)


class TestFailingStore:
    async def test_changes_are_kept_withheld_and_stored_once_when_it_works_again(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        store = SteeredStore()
        async with house(store) as server:
            owner = Listener()
            store.failure = StoreUnavailable("disk full")
            server.persister.submit(write(owner, "a", b"1"))
            server.persister.submit(write(owner, "b", b"2"))
            await alarmed(server, store, caplog)
            server.persister.submit(write(owner, "a", b"3"))
            assert server.persister.failure == "disk full"
            assert (owner.heard, store.appends) == ([], [])
            store.failure = None
            await owner.until(3)
            assert stored(store) == [("a", b"1"), ("b", b"2"), ("a", b"3")]
            assert server.persister.failure is None
            assert "works again" in caplog.text

    async def test_a_fault_nobody_foresaw_loses_nothing_either(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        store = SteeredStore()
        async with house(store) as server:
            owner = Listener()
            store.failure = ZeroDivisionError()
            server.persister.submit(write(owner, "a", b"1"))
            await alarmed(server, store, caplog)
            assert server.persister.failure == "ZeroDivisionError"
            assert any(record.exc_info for record in caplog.records)
            store.failure = None
            await owner.until(1)

    async def test_nobody_is_told_that_a_change_is_saved_before_it_is(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        store = SteeredStore()
        async with house(store, Settings(slow_commit_seconds=0.01)) as server:
            room = await server.rooms.acquire("d")
            writer = Client(room, client_id=1).connect()
            reader = Client(room, client_id=2).connect()
            store.failure = StoreUnavailable("disk full")
            update = writer.type("a")
            await alarmed(server, store, caplog)
            assert updates_in(reader.read()) == [update]
            assert updates_in(writer.read()) == []
            store.failure = None
            await writer.read_until(lambda: writer.acknowledged == [update])
            assert stored(store) == [("d", update)]

    async def test_writers_are_not_read_from_while_too_much_waits(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        store = SteeredStore()
        async with house(store, Settings(uncommitted_max_bytes=300)) as server:
            room = await server.rooms.acquire("d")
            writer = Client(room, client_id=1).connect()
            reader = Client(room, client_id=2).connect()
            store.failure = StoreUnavailable("disk full")
            writer.type("x" * 400)
            await alarmed(server, store, caplog)
            assert server.persister.backlog.full
            writer.type("y")
            assert not writer.wire.reading
            assert reader.wire.reading
            store.failure = None
            await writer.wire.until(lambda: writer.wire.reading)
            await room.content.settle()
            assert not server.persister.backlog.full
            kept = Document.load(await store.load("d")).doc.get("text", type=pycrdt.Text)
            assert str(kept) == writer.text

    async def test_one_complaint_for_one_outage(self, caplog: pytest.LogCaptureFixture) -> None:
        store = SteeredStore()
        async with house(store) as server:
            owner = Listener()
            store.failure = StoreUnavailable("disk full")
            server.persister.submit(write(owner, "a", b"1"))
            await alarmed(server, store, caplog)
            tried_again = anyio.Event()
            server.timers.call_later(0.25, tried_again.set)
            await tried_again.wait()
            assert len([r for r in caplog.records if r.levelno == logging.ERROR]) == 1
            store.failure = None
            await owner.until(1)


async def test_a_writer_that_reads_again_while_the_store_is_full_is_read_from_in_the_end() -> None:
    store = SteeredStore()
    async with house(store, Settings(uncommitted_max_bytes=1)) as server:
        room = await server.rooms.acquire("a")
        writer, other = Client(room, client_id=1).connect(), Client(room, client_id=2).connect()
        room.pause(writer.seat)
        writer.type("held back, since it does not read")
        assert not writer.wire.reading
        await room.programs.saved()
        store.hold_appends()
        other.type("held back by nobody")
        assert server.persister.backlog.full
        room.resume(writer.seat)
        assert not writer.wire.reading
        store.let_append()
        await writer.wire.until(lambda: writer.wire.reading)


class TestSlowStore:
    async def test_owners_are_told_when_a_commit_is_slow_queued_ones_too(self) -> None:
        store = SteeredStore()
        async with house(store, Settings(slow_commit_seconds=0.01)) as server:
            first, second = Listener(), Listener()
            store.hold_appends()
            server.persister.submit(write(first, "a", b"1"))
            await store.append_began.wait()
            server.persister.submit(write(second, "b", b"2"))
            await first.slow.wait()
            await second.slow.wait()
            store.let_append()
            await second.until(1)


class TestStoreThatForgets:
    async def test_what_a_store_has_lost_that_is_open_is_stored_anew(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        path = tmp_path / "collab.db"
        first = typed("begun ", root="text")
        async with SQLiteStore(path) as store:
            entries = [NewEntry(update=update, time_ms=1) for update in first]
            await store.append([Append(document="d", entries=entries)])
        async with house(SQLiteStore(path)) as server:
            client = Client(await server.rooms.acquire("d"), client_id=1).connect()
            for word in ("kept? ", "lost ", "lost "):
                client.type(word)
                await server.persister.settle()
            # As a standby does that was behind when it took over.
            execute(path, "DELETE FROM updates WHERE seq > ?", len(first) + 1)
            execute(path, "UPDATE documents SET seq = ?", len(first) + 1)
            for word in ("new ", "newer"):
                client.type(word)
                await server.persister.settle()
            assert "the store has lost entries 3 to 4 of 'd'" in caplog.text
            async with SQLiteStore(path) as store:
                stored = Document.load(await store.load("d"))
                assert (await store.load("d")).seq == 5
            assert str(stored.doc.get("text", type=pycrdt.Text)) == client.text


class TestCheckpoints:
    @staticmethod
    async def type_on(room: Room) -> Client:
        """Makes forty changes, an entry each."""
        writer = Client(room, client_id=1).connect()
        for number in range(40):
            writer.type(f"{number},")
            await room.content.settle()
        return writer

    async def test_a_checkpoint_stands_for_what_came_before_it_and_no_more(self) -> None:
        store = SteeredStore()
        async with house(store) as server:
            owner = Listener()
            store.hold_appends()
            server.persister.submit(write(Listener(), "other", b"0"))
            await store.append_began.wait()
            server.persister.submit(write(owner, "d", b"1", checkpoint=b"whole of 1"))
            server.persister.submit(write(owner, "d", b"2"))
            store.let_append()
            await owner.until(2)
            opened = await store.load("d")
            assert (opened.checkpoint, opened.checkpoint_seq) == (b"whole of 1", 1)
            assert [entry.update for entry in opened.entries] == [b"2"]

    async def test_one_that_cannot_be_written_keeps_nobodys_changes_from_being_durable(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        path = tmp_path / "collab.db"
        async with house(SQLiteStore(path)) as server:
            execute(
                path,
                "CREATE TRIGGER damaged BEFORE INSERT ON checkpoints"
                " BEGIN SELECT RAISE(ABORT, 'no place for a checkpoint'); END",
            )
            owner, neighbour = Listener(), Listener()
            server.persister.submit(write(owner, "d", b"1", checkpoint=b"whole"))
            server.persister.submit(write(neighbour, "e", b"2"))
            await owner.until(1)
            await neighbour.until(1)
            server.persister.submit(write(owner, "d", b"3"))
            await owner.until(2)
            assert "no place for a checkpoint" in caplog.text
        async with SQLiteStore(path) as store:
            opened = await store.load("d")
            assert opened.checkpoint is None
            assert [entry.update for entry in opened.entries] == [b"1", b"3"]
            assert (await store.load("e")).seq == 1

    async def test_a_room_writes_one_after_so_many_entries(self) -> None:
        store = MemoryStore()
        async with house(store, Settings(checkpoint_entries=10, checkpoint_seconds=1e-9)) as server:
            room = await server.rooms.acquire("d")
            writer = await self.type_on(room)
            opened = await store.load("d")
            assert opened.seq == 40
            assert len(opened.entries) <= 11
            reopened = Document.load(opened).doc.get("text", type=pycrdt.Text)
            assert str(reopened) == writer.text

    async def test_a_room_that_is_typed_in_all_the_time_writes_one_a_while(self) -> None:
        store = MemoryStore()
        often = Settings(checkpoint_entries=10, checkpoint_seconds=3600.0)
        async with house(store, often) as server:
            room = await server.rooms.acquire("d")
            await self.type_on(room)
            opened = await store.load("d")
            assert (opened.checkpoint_seq, opened.seq) == (11, 40)
            room.content.checkpoint()
            await room.content.settle()
            assert (await store.load("d")).checkpoint_seq == 40

    async def test_a_room_that_missed_anothers_entries_writes_none(self) -> None:
        """Another process writes to the same store: its entries are in no checkpoint of ours."""
        store = MemoryStore()
        async with house(store, Settings(checkpoint_entries=3, checkpoint_seconds=1e-9)) as server:
            room = await server.rooms.acquire("d")
            writer = Client(room, client_id=1).connect()
            writer.type("ours")
            await room.content.settle()
            elsewhere: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc(client_id=2)
            elsewhere["text"] = pycrdt.Text("theirs")
            await store.append(
                [
                    Append(
                        document="d",
                        entries=[NewEntry(update=elsewhere.get_update(), time_ms=0)],
                    )
                ]
            )
            for _ in range(12):
                writer.type(".")
                await room.content.settle()
            text = str(Document.load(await store.load("d")).doc.get("text", type=pycrdt.Text))
            assert "theirs" in text
            assert text.count(".") == 12

    async def test_a_full_room_waits_only_for_its_own_bound(self) -> None:
        store = SteeredStore()
        async with house(store, Settings(uncommitted_max_bytes=10)) as server:
            called: list[str] = []

            def call() -> None:
                called.append("space")

            owner = Listener()
            store.hold_appends()
            server.persister.submit(write(owner, "d", b"x" * 20))
            assert server.persister.backlog.full
            for _ in range(3):
                server.persister.backlog.when_space(call)
            store.let_append()
            await owner.until(1)
            await server.persister.settle()
            assert called == ["space"]
