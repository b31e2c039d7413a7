"""Rooms and Room: single-flight loads, one frame a flush, presence, unloading."""

import anyio
import pycrdt
import pytest

from collab.access import Access, Identity
from collab.close import CloseCode
from collab.errors import DocumentDeleted, InvalidName, NotRunning, ServerBusy, StoreUnavailable
from collab.protocol import yjs
from collab.server.rooms.farewell import Farewell
from collab.server.rooms.long_messages import LONG_BYTES
from collab.server.rooms.room import Room
from collab.server.settings import Settings
from collab.session import READ_ONLY
from collab.storage.memory import MemoryStore
from tests.server.stores import SteeredStore
from tests.server.wire import Client, House, Wire, house, presence_in, updates_in

pytestmark = pytest.mark.anyio


class TestLoading:
    async def test_who_asks_at_once_waits_for_one_load(self) -> None:
        store = SteeredStore()
        async with house(store) as server, anyio.create_task_group() as tasks:
            store.hold_loads()
            rooms: list[object] = []

            async def acquire() -> None:
                rooms.append(await server.rooms.acquire("d"))

            for _ in range(20):
                tasks.start_soon(acquire)
            await anyio.wait_all_tasks_blocked()
            assert rooms == []
            store.let_load()
            await anyio.wait_all_tasks_blocked()
            while len(rooms) < 20:
                await anyio.lowlevel.checkpoint()
            assert len(set(rooms)) == 1
            assert store.loads == ["d"]

    async def test_the_first_one_giving_up_does_not_end_the_load_for_the_others(self) -> None:
        store = SteeredStore()
        async with house(store) as server, anyio.create_task_group() as tasks:
            store.hold_loads()
            got = anyio.Event()
            impatient = anyio.CancelScope()

            async def give_up() -> None:
                with impatient:
                    await server.rooms.acquire("d")

            async def wait() -> None:
                await server.rooms.acquire("d")
                got.set()

            tasks.start_soon(give_up)
            await anyio.wait_all_tasks_blocked()
            tasks.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            impatient.cancel()
            await anyio.wait_all_tasks_blocked()
            store.let_load()
            await got.wait()
            assert store.loads == ["d"]

    async def test_a_load_that_fails_is_told_to_all_and_tried_again_by_the_next(self) -> None:
        store = SteeredStore()
        async with house(store) as server, anyio.create_task_group() as tasks:
            store.hold_loads()
            store.load_failure = StoreUnavailable("disk on fire")
            told: list[str] = []

            async def acquire() -> None:
                with pytest.raises(StoreUnavailable) as caught:
                    await server.rooms.acquire("d")
                told.append(str(caught.value))

            tasks.start_soon(acquire)
            tasks.start_soon(acquire)
            await anyio.wait_all_tasks_blocked()
            store.let_load()
            while len(told) < 2:
                await anyio.lowlevel.checkpoint()
            assert told == ["disk on fire"] * 2
            store.load_failure = None
            assert (await server.rooms.acquire("d")).name == "d"

    async def test_what_cannot_be_a_name_is_refused_without_a_load(self) -> None:
        store = SteeredStore()
        async with house(store) as server:
            with pytest.raises(InvalidName):
                await server.rooms.acquire("a\nb")
            assert store.loads == []

    async def test_who_still_waits_when_the_server_closes_is_turned_away(self) -> None:
        store = SteeredStore()
        async with house(store) as server, anyio.create_task_group() as tasks:
            store.hold_loads()
            refused = anyio.Event()

            async def acquire() -> None:
                with pytest.raises(NotRunning):
                    await server.rooms.acquire("d")
                refused.set()

            tasks.start_soon(acquire)
            await anyio.wait_all_tasks_blocked()
            await server.rooms.close()
            store.let_load()
            await refused.wait()
            with pytest.raises(NotRunning):
                await server.rooms.acquire("other")


class TestReaders:
    async def test_are_told_off_for_deletions_of_their_own_and_not_for_those_of_others(
        self,
    ) -> None:
        async with house(MemoryStore()) as server:
            room = await server.rooms.acquire("d")
            writer = Client(room, client_id=1).connect()
            writer.type("kept and gone")
            text = writer.doc.get("text", type=pycrdt.Text)
            before = writer.doc.get_state()
            del text[4:]
            made = writer.doc.get_update(before)
            writer.say(yjs.update(made))
            del text[0:1]
            of_its_own = writer.doc.get_update(before)

            reader = Client(room, client_id=2, identity=Identity(access=Access.READ)).connect()
            reader.wire.read()
            reader.say(yjs.sync_step2(made))
            assert reader.wire.read() == []
            reader.say(yjs.sync_step2(of_its_own))
            assert reader.wire.read() == [yjs.permission_denied(READ_ONLY)]
            assert str(room.document.doc.get("text", type=pycrdt.Text)) == "kept"


class TestFlushing:
    async def test_the_first_update_into_a_quiet_room_goes_out_at_once(self) -> None:
        async with house(MemoryStore()) as server:
            room = await server.rooms.acquire("d")
            writer = Client(room, client_id=1).connect()
            reader = Client(room, client_id=2).connect()
            update = writer.type("a")
            assert updates_in(reader.wire.frames) == [update]

    async def test_many_updates_in_a_window_are_one_frame(self) -> None:
        async with house(MemoryStore(), windows=True) as server:
            room = await server.rooms.acquire("d")
            writer = Client(room, client_id=1).connect()
            reader = Client(room, client_id=2, wire=Wire(work_seconds=0.005)).connect()
            writer.type("a")
            assert len(updates_in(reader.read())) == 1
            for _ in range(20):
                writer.type("b")
            assert reader.wire.frames == []
            await reader.wire.until(lambda: bool(reader.wire.frames))
            assert len(updates_in(reader.read())) == 1
            assert reader.text == "a" + "b" * 20

    async def test_a_flush_of_nothing_does_not_end_the_gathering(self) -> None:
        async with house(MemoryStore(), windows=True) as server:
            room = await server.rooms.acquire("d")
            writer = Client(room, client_id=1).connect()
            reader = Client(room, client_id=2, wire=Wire(work_seconds=0.005)).connect()
            writer.type("a")
            await room.content.settle()
            writer.type("b")
            reader.read()
            writer.type("c")
            writer.type("d")
            assert updates_in(reader.wire.frames) == []
            await reader.read_until(lambda: reader.text == "abcd")

    async def test_updates_of_several_writers_in_a_window_are_one_frame_and_an_entry_each(
        self,
    ) -> None:
        store = SteeredStore()
        async with house(store, windows=True) as server:
            room = await server.rooms.acquire("d")
            one, two = (Client(room, client_id=n).connect() for n in (1, 2))
            reader = Client(room, client_id=3, wire=Wire(work_seconds=0.005)).connect()
            one.type("a")
            reader.read()
            for _ in range(5):
                one.type("b")
                two.type("c")
            await reader.wire.until(lambda: bool(reader.wire.frames))
            assert len(updates_in(reader.read())) == 1
            await room.content.settle()
            stored = [len(append.entries) for appends in store.appends for append in appends]
            assert sum(stored) == 3

    async def test_an_update_that_came_too_early_is_passed_on_and_stored(self) -> None:
        store = MemoryStore()
        async with house(store) as server:
            room = await server.rooms.acquire("d")
            author = Client(room, client_id=1)
            reader = Client(room, client_id=2).connect()
            author.room.join(author.seat)
            first, second = author.type("a"), author.type("b")
            assert updates_in(reader.wire.frames) == [first, second]
            await room.content.settle()
            assert [entry.update for entry in (await store.load("d")).entries] == [first, second]


class TestPresence:
    async def test_who_joins_is_told_who_is_here_and_asked_what_it_has(self) -> None:
        async with house(MemoryStore()) as server:
            room = await server.rooms.acquire("d")
            Client(room, client_id=7).connect().show('{"name":"Ann"}')
            late = Client(room, client_id=8)
            room.join(late.seat)
            assert late.wire.frames[0] == yjs.sync_step1(room.document.state_vector)
            (told,) = presence_in(late.wire.frames)
            assert b'{"name":"Ann"}' in told

    async def test_presence_comes_back_to_its_own_client(self) -> None:
        async with house(MemoryStore()) as server:
            room = await server.rooms.acquire("d")
            client = Client(room, client_id=7).connect()
            client.show()
            assert len(presence_in(client.wire.frames)) == 1

    async def test_who_leaves_is_gone_for_the_others_at_once(self) -> None:
        async with house(MemoryStore()) as server:
            room = await server.rooms.acquire("d")
            reader = Client(room, client_id=8).connect()
            client = Client(room, client_id=7).connect()
            client.show()
            reader.read()
            client.leave()
            (told,) = presence_in(reader.wire.frames)
            assert told.endswith(b"\x04null")
            assert room.presence.encode() is None

    async def test_a_query_is_answered_also_when_nobody_is_here(self) -> None:
        async with house(MemoryStore()) as server:
            room = await server.rooms.acquire("d")
            client = Client(room, client_id=7).connect()
            client.say(b"\x03")
            assert presence_in(client.wire.frames) == [b"\x00"]

    async def test_a_removal_is_not_missed_by_a_reader_that_is_full(self) -> None:
        async with house(MemoryStore()) as server:
            room = await server.rooms.acquire("d")
            reader = Client(room, client_id=8).connect()
            client = Client(room, client_id=7).connect()
            client.show()
            reader.read()
            room.pause(reader.seat)
            client.show("null")
            room.resume(reader.seat)
            assert any(told.endswith(b"\x04null") for told in presence_in(reader.wire.frames))


class TestUnloading:
    async def test_a_room_nobody_holds_is_unloaded(self) -> None:
        store = SteeredStore()
        async with house(store, Settings(unload_seconds=0.01)) as server:
            room = await server.rooms.acquire("d")
            Client(room, client_id=1).connect().type("a")
            server.rooms.release(room)
            while server.rooms.find("d") is not None:
                await anyio.lowlevel.checkpoint()
            assert len((await store.load("d")).entries) == 1

    async def test_it_stays_until_its_last_commit(self) -> None:
        store = SteeredStore()
        async with house(store, Settings(unload_seconds=0.01)) as server:
            room = await server.rooms.acquire("d")
            client = Client(room, client_id=1).connect()
            store.hold_appends()
            client.type("a")
            server.rooms.release(room)
            unloaded = anyio.Event()
            server.timers.call_later(0.05, unloaded.set)
            await unloaded.wait()
            assert server.rooms.find("d") is room
            store.let_append()
            while server.rooms.find("d") is not None:
                await anyio.lowlevel.checkpoint()

    async def test_it_stays_for_who_came_back_meanwhile(self) -> None:
        store = SteeredStore()
        async with house(store, Settings(unload_seconds=0.01)) as server:
            room = await server.rooms.acquire("d")
            client = Client(room, client_id=1).connect()
            store.hold_appends()
            client.type("a")
            server.rooms.release(room)
            due = anyio.Event()
            server.timers.call_later(0.05, due.set)
            await due.wait()
            assert await server.rooms.acquire("d") is room
            store.let_append()
            await room.content.settle()
            await anyio.wait_all_tasks_blocked()
            assert server.rooms.find("d") is room

    async def test_a_room_whose_only_guest_gave_up_during_the_load_is_unloaded(self) -> None:
        store = SteeredStore()
        async with house(store, Settings(unload_seconds=0.01)) as server:
            store.hold_loads()
            with anyio.move_on_after(0.01):
                await server.rooms.acquire("d")
            due = anyio.Event()
            server.timers.call_later(0.05, due.set)
            await due.wait()
            store.let_load()
            while not server.rooms.loaded:
                await anyio.lowlevel.checkpoint()
            while server.rooms.loaded:
                await anyio.lowlevel.checkpoint()


class TestSettling:
    async def test_it_waits_until_every_change_is_durable(self) -> None:
        store = SteeredStore()
        async with house(store) as server:
            room = await server.rooms.acquire("d")
            client = Client(room, client_id=1).connect()
            store.hold_appends()
            client.type("a")
            with anyio.move_on_after(0.05) as patience:
                await room.content.settle()
            assert patience.cancelled_caught
            store.let_append()
            await room.content.settle()
            assert len(store.appends) == 1

    async def test_it_ends_where_the_document_is_deleted_after_the_room_has_ended(self) -> None:
        store = SteeredStore()
        async with house(store) as server, anyio.create_task_group() as tasks:
            room = await server.rooms.acquire("d")
            store.hold_appends()
            Client(room, client_id=1).connect().type("a")
            await store.append_began.wait()
            tasks.start_soon(room.content.settle)
            await anyio.wait_all_tasks_blocked()
            room.reopen()  # Another instance has deleted it, and says so before the store does.
            store.failure = DocumentDeleted("d")
            store.let_append()


class TestLongMessages:
    async def test_what_was_sent_before_a_member_left_is_taken_in(self) -> None:
        store = MemoryStore()
        async with house(store) as server:
            room = await server.rooms.acquire("d")
            client = Client(room, client_id=1).connect()
            client.type("x" * LONG_BYTES)
            client.type("y")
            client.leave()
            await room.settle()
            assert len((await store.load("d")).entries) == 2

    async def test_a_paste_is_passed_on_in_few_pieces_however_long_it_is(self) -> None:
        async with house(MemoryStore(), Settings(part_bytes=1000)) as server:
            room = await server.rooms.acquire("d")
            ann, bob = (Client(room, client_id=each).connect() for each in (1, 2))
            ann.type("x" * 10 * LONG_BYTES)
            await room.settle()
            passed_on = updates_in(bob.read())
            assert 10 <= len(passed_on) <= 16
            assert bob.text == ann.text

    async def test_what_was_sent_by_who_is_sent_away_is_not(self) -> None:
        store = MemoryStore()
        async with house(store) as server:
            room = await server.rooms.acquire("d")
            client = Client(room, client_id=1).connect()
            client.type("x" * LONG_BYTES)
            client.type("y")
            room.expel(client.seat, CloseCode.UNAUTHENTICATED, "the token was revoked")
            await room.settle()
            assert (await store.load("d")).seq == 0

    async def test_what_follows_one_that_breaks_the_protocol_is_not_taken_in(self) -> None:
        store = MemoryStore()
        async with house(store) as server:
            room = await server.rooms.acquire("d")
            client = Client(room, client_id=1).connect()
            client.type("x" * LONG_BYTES)
            client.say(b"\x00\x07")
            client.type("y")
            await room.settle()
            assert client.wire.closed is not None
            assert len((await store.load("d")).entries) == 1

    async def test_a_room_is_not_unloaded_before_they_are_taken_in(self) -> None:
        store = SteeredStore()
        async with house(store, Settings(unload_seconds=1e-6)) as server:
            room = await server.rooms.acquire("d")
            client = Client(room, client_id=1).connect()
            client.type("x" * LONG_BYTES)
            client.leave()
            server.rooms.release(room)
            while server.rooms.find("d") is not None:
                await anyio.lowlevel.checkpoint()
            assert len(store.appends) == 1

    async def test_a_server_that_stops_takes_them_in(self) -> None:
        store = MemoryStore()
        async with house(store) as server:
            room = await server.rooms.acquire("d")
            Client(room, client_id=1).connect().type("x" * LONG_BYTES)
            await server.rooms.close()
            assert (await store.load("d")).seq == 1


class TestEnded:
    """A room that has ended with changes on their way to the store."""

    @staticmethod
    async def end(server: House, room: Room) -> None:
        """Ends it as a deletion does that is given up while the store does not answer."""
        error = ServerBusy("deleted")
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as tasks:

                async def delete() -> None:
                    async with server.rooms.without("d", Farewell(CloseCode.NOT_FOUND, "", error)):
                        raise AssertionError("expected a store that does not answer")

                tasks.start_soon(delete)
                await anyio.wait_all_tasks_blocked()
                scope.cancel()
        assert room.ended

    async def test_the_next_one_has_what_was_on_its_way(self) -> None:
        store = SteeredStore()
        async with house(store) as server, anyio.create_task_group() as tasks:
            room = await server.rooms.acquire("d")
            writer = Client(room, client_id=1).connect()
            store.hold_appends()
            writer.type("hello")
            await self.end(server, room)
            texts: list[str] = []

            async def open_anew() -> None:
                reader = Client(await server.rooms.acquire("d"), client_id=2).connect()
                texts.append(reader.text)

            tasks.start_soon(open_anew)
            await anyio.wait_all_tasks_blocked()
            assert texts == []
            store.let_append()
            await server.rooms.acquire("d")
            await anyio.wait_all_tasks_blocked()
            assert texts == ["hello"]

    async def test_what_had_gathered_is_on_its_way_too(self) -> None:
        store = SteeredStore()
        async with house(store, windows=True) as server:
            room = await server.rooms.acquire("d")
            Client(room, client_id=2, wire=Wire(work_seconds=0.01)).connect()
            writer = Client(room, client_id=1).connect()
            writer.type("hello")  # That takes its time: what follows gathers.
            writer.type(" there")
            room.reopen()
            reader = Client(await server.rooms.acquire("d"), client_id=3).connect()
            assert reader.text == "hello there"

    async def test_a_server_that_stops_waits_for_it(self) -> None:
        store = SteeredStore()
        async with house(store) as server, anyio.create_task_group() as tasks:
            room = await server.rooms.acquire("d")
            writer = Client(room, client_id=1).connect()
            store.hold_appends()
            writer.type("hello")
            await self.end(server, room)
            assert server.rooms.find("d") is None
            closed = anyio.Event()

            async def close() -> None:
                await server.rooms.close()
                closed.set()

            tasks.start_soon(close)
            await anyio.wait_all_tasks_blocked()
            assert not closed.is_set()
            store.let_append()
            await closed.wait()
            assert len(store.appends) == 1
