"""Delivery: when writers get their echo, what slow readers get, how joins go out in parts."""

import anyio
import pycrdt
import pytest

from collab import state_vector
from collab.access import Identity
from collab.close import CloseCode
from collab.lib0 import write_var_string
from collab.protocol import yjs
from collab.protocol.messages import EMPTY_UPDATE, SyncStep2, Update
from collab.server.rooms.admission import Admission
from collab.server.rooms.room import Room
from collab.server.settings import Settings
from collab.storage.memory import MemoryStore
from collab.store import Append, NewEntry
from tests.core import poison
from tests.server.stores import SteeredStore
from tests.server.wire import Client, House, Wire, house, presence_in, steps_2_in, updates_in

pytestmark = pytest.mark.anyio

SLOW = Settings(slow_commit_seconds=0.01)


class TestEchoes:
    async def test_a_writer_gets_its_echo_after_the_commit_and_not_before(self) -> None:
        store = SteeredStore()
        async with house(store) as server:
            room = await server.rooms.acquire("d")
            writer = Client(room, client_id=1).connect()
            reader = Client(room, client_id=2).connect()
            store.hold_appends()
            update = writer.type("a")
            await store.append_began.wait()
            assert updates_in(reader.wire.frames) == [update]
            assert writer.wire.frames == []
            store.let_append()
            await writer.read_until(lambda: writer.acknowledged == [update])
            assert len(store.appends) == 1

    async def test_the_echo_of_a_step_2_waits_too_also_when_it_brings_nothing_new(self) -> None:
        store = SteeredStore()
        async with house(store) as server:
            room = await server.rooms.acquire("d")
            writer = Client(room, client_id=1).connect()
            store.hold_appends()
            update = writer.type("a")
            again = Client(room, client_id=2).connect()
            again.say(yjs.sync_step2(update))
            await store.append_began.wait()
            assert updates_in(again.wire.frames) == []
            store.let_append()
            await again.read_until(lambda: again.acknowledged == [update])

    async def test_the_echo_of_what_is_stored_already_comes_at_once(self) -> None:
        async with house(MemoryStore()) as server:
            room = await server.rooms.acquire("d")
            writer = Client(room, client_id=1).connect()
            update = writer.type("a")
            await room.content.settle()
            again = Client(room, client_id=2).connect()
            again.say(yjs.sync_step2(update))
            assert updates_in(again.wire.frames) == [update]

    async def test_on_a_slow_store_people_see_each_other_at_once_and_their_echo_when_durable(
        self,
    ) -> None:
        store = SteeredStore()
        async with house(store, SLOW) as server:
            room = await server.rooms.acquire("d")
            one = Client(room, client_id=1).connect()
            two = Client(room, client_id=2).connect()
            store.hold_appends()
            first = one.type("a")
            await two.read_until(lambda: two.text == "a")
            second = two.type("b")
            await one.read_until(lambda: one.text.count("b") == 1)
            third = one.type("c")
            await two.read_until(lambda: two.text.count("c") == 1)
            assert one.acknowledged == [second]
            assert two.acknowledged == [first, third]
            store.let_append()
            await one.read_until(lambda: one.acknowledged == [second, first, third])
            await two.read_until(lambda: two.acknowledged == [first, third, second])
            assert one.text == two.text

    async def test_writers_of_one_batch_get_the_others_part_when_the_commit_turns_slow(
        self,
    ) -> None:
        store = SteeredStore()
        async with house(store, SLOW, windows=True) as server:
            room = await server.rooms.acquire("d")
            one, two = (Client(room, client_id=n).connect() for n in (1, 2))
            reader = Client(room, client_id=3, wire=Wire(work_seconds=0.005)).connect()
            one.type("-")
            await room.content.settle()
            for client in (one, two, reader):
                client.read()
            one.acknowledged.clear()
            store.hold_appends()
            one.type("a")
            two.type("b")
            await reader.read_until(lambda: sorted(reader.text) == ["-", "a", "b"])
            await one.read_until(lambda: "b" in one.text)
            await two.read_until(lambda: "a" in two.text)
            store.let_append()
            await room.content.settle()
            one.read()
            two.read()
            assert one.text == two.text == reader.text

    async def test_a_sessions_frames_keep_their_order(self) -> None:
        store = SteeredStore()
        async with house(store) as server:
            room = await server.rooms.acquire("d")
            writer = Client(room, client_id=1).connect()
            store.hold_appends()
            updates = [writer.type(word) for word in "abcde"]
            store.let_append()
            await writer.read_until(lambda: len(writer.acknowledged) == 5)
            assert writer.acknowledged == updates

    async def test_what_a_writer_that_left_wrote_is_stored_and_passed_on(self) -> None:
        store = SteeredStore()
        async with house(store) as server:
            room = await server.rooms.acquire("d")
            writer = Client(room, client_id=1).connect()
            reader = Client(room, client_id=2).connect()
            store.hold_appends()
            update = writer.type("a")
            writer.leave()
            store.let_append()
            await room.content.settle()
            reader.read()
            assert reader.text == "a"
            assert [entry.update for entry in (await store.load("d")).entries] == [update]

    async def test_the_author_is_stored(self) -> None:
        store = MemoryStore()
        async with house(store) as server:
            room = await server.rooms.acquire("d")
            Client(room, client_id=1, identity=Identity(id="ann")).connect().type("a")
            Client(room, client_id=2).connect().type("b")
            await room.content.settle()
            assert [entry.author for entry in (await store.load("d")).entries] == ["ann", None]


class TestSlowReaders:
    async def test_a_full_reader_gets_nothing_and_then_one_diff(self) -> None:
        async with house(MemoryStore()) as server:
            room = await server.rooms.acquire("d")
            writer = Client(room, client_id=1).connect()
            reader = Client(room, client_id=2).connect()
            writer.type("before ")
            reader.read()
            room.pause(reader.seat)
            for _ in range(50):
                writer.type("meanwhile ")
            assert reader.wire.frames == []
            room.resume(reader.seat)
            assert len(steps_2_in(reader.wire.frames)) == 1
            assert updates_in(reader.wire.frames) == []
            reader.read()
            assert reader.text == writer.text
            after = writer.type("after")
            assert updates_in(reader.wire.frames) == [after]

    async def test_what_a_full_reader_is_owed_holds_deletions_too(self) -> None:
        async with house(MemoryStore()) as server:
            room = await server.rooms.acquire("d")
            writer = Client(room, client_id=1).connect()
            reader = Client(room, client_id=2).connect()
            writer.type("abc")
            reader.read()
            room.pause(reader.seat)
            before = writer.doc.get_state()
            del writer.doc.get("text", type=pycrdt.Text)[0:2]
            writer.say(yjs.update(writer.doc.get_update(before)))
            room.resume(reader.seat)
            reader.read()
            assert reader.text == "c"

    async def test_a_full_readers_own_changes_are_acknowledged_when_it_drains(self) -> None:
        store = SteeredStore()
        async with house(store) as server:
            room = await server.rooms.acquire("d")
            one = Client(room, client_id=1).connect()
            other = Client(room, client_id=2).connect()
            store.hold_appends()
            first = one.type("a")
            room.pause(one.seat)
            second = one.type("b")
            other.type("c")
            store.let_append()
            await room.content.settle()
            assert one.wire.frames == []
            room.resume(one.seat)
            one.read()
            assert one.acknowledged == [first, second]
            assert sorted(one.text) == ["a", "b", "c"]

    async def test_a_writer_that_fills_up_before_its_commit_still_gets_the_others_part(
        self,
    ) -> None:
        store = SteeredStore()
        async with house(store, windows=True) as server:
            room = await server.rooms.acquire("d")
            one, two = (Client(room, client_id=n).connect() for n in (1, 2))
            slow = Client(room, client_id=3, wire=Wire(work_seconds=0.005)).connect()
            one.type("-")
            await room.content.settle()
            store.hold_appends()
            one.type("a")
            two.type("b")
            await slow.read_until(lambda: "b" in slow.text)
            room.pause(one.seat)
            store.let_append()
            await room.content.settle()
            room.resume(one.seat)
            one.read()
            assert one.text == slow.text

    async def test_the_others_notice_nothing(self) -> None:
        async with house(MemoryStore()) as server:
            room = await server.rooms.acquire("d")
            writer = Client(room, client_id=1).connect()
            slow = Client(room, client_id=2, wire=Wire(capacity_bytes=64)).connect()
            quick = Client(room, client_id=3).connect()
            writer.type("x")
            updates = [writer.type("y") for _ in range(10)]
            assert updates_in(quick.wire.frames)[1:] == updates
            assert 0 < len(updates_in(slow.wire.frames)) < 6

    async def test_presence_is_spared_and_made_up_for(self) -> None:
        async with house(MemoryStore()) as server:
            room = await server.rooms.acquire("d")
            client = Client(room, client_id=1).connect()
            slow = Client(room, client_id=2).connect()
            room.pause(slow.seat)
            client.show('{"at":1}')
            client.show('{"at":2}')
            assert slow.wire.frames == []
            room.resume(slow.seat)
            (told,) = presence_in(slow.wire.frames)
            assert b'{"at":2}' in told


async def large(server: House, size: int, authors: int = 4) -> Room:
    """A room whose document holds so many bytes of text."""
    room = await server.rooms.acquire("large")
    for author in range(authors):
        doc: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc(client_id=100 + author)
        doc["text"] = pycrdt.Text(chr(97 + author) * (size // authors))
        room.handle(Client(room, client_id=author).seat, Update(doc.get_update()))
    await room.content.settle()
    return room


PARTS = Settings(part_bytes=1000)


class TestFirstSync:
    async def test_a_short_document_comes_as_one_step_2(self) -> None:
        async with house(MemoryStore()) as server:
            room = await server.rooms.acquire("d")
            Client(room, client_id=1).connect().type("a")
            joiner = Client(room, client_id=2)
            frames = await joiner.sync()
            assert len(steps_2_in(frames)) == 1
            assert joiner.text == "a"

    async def test_an_empty_document_is_synced_too(self) -> None:
        async with house(MemoryStore()) as server:
            joiner = Client(await server.rooms.acquire("d"), client_id=2)
            assert steps_2_in(await joiner.sync()) == [EMPTY_UPDATE]

    async def test_a_long_one_comes_in_parts_step_2_last(self) -> None:
        async with house(MemoryStore(), PARTS) as server:
            room = await large(server, 40_000)
            joiner = Client(room, client_id=2)
            frames = await joiner.sync()
            kinds = [
                type(message)
                for message in map(yjs.decode, frames)
                if isinstance(message, (Update, SyncStep2))
            ]
            assert len(kinds) > 20
            assert set(kinds[:-1]) == {Update}
            assert kinds[-1] is SyncStep2
            assert max(map(len, frames)) < 1100
            assert len(joiner.text) == 40_000

    async def test_parts_wait_for_the_reader_and_presence_goes_between_them(self) -> None:
        async with house(MemoryStore(), PARTS) as server:
            room = await large(server, 40_000)
            somebody = Client(room, client_id=3)
            await somebody.sync()
            joiner = Client(room, client_id=2, wire=Wire(capacity_bytes=3000))
            room.join(joiner.seat)
            joiner.say(yjs.sync_step1(joiner.doc.get_state()))
            kinds = ""
            while not joiner.synced:
                await joiner.wire.until(lambda: joiner.seat.paused or joiner.seat.live)
                assert sum(map(len, joiner.wire.frames)) < 5000
                frames = joiner.read_once()
                kinds += "p" * len(presence_in(frames)) + "u" * len(updates_in(frames))
                somebody.show()
            assert "upu" in kinds.replace("uu", "u").replace("pp", "p")
            assert len(joiner.text) == 40_000

    async def test_what_others_type_meanwhile_is_there_at_the_end(self) -> None:
        async with house(MemoryStore(), PARTS) as server:
            room = await large(server, 40_000)
            writer = Client(room, client_id=3)
            await writer.sync()
            joiner = Client(room, client_id=2, wire=Wire(capacity_bytes=3000))
            room.join(joiner.seat)
            joiner.say(yjs.sync_step1(joiner.doc.get_state()))
            while not joiner.synced:
                writer.type("typed ")
                await joiner.wire.until(lambda: joiner.seat.paused or joiner.seat.live)
                joiner.read_once()
            writer.type("after")
            await joiner.read_until(lambda: joiner.text.endswith("after"))
            assert joiner.text == writer.text

    async def test_who_comes_back_gets_only_what_it_lacks(self) -> None:
        async with house(MemoryStore(), PARTS) as server:
            room = await large(server, 40_000)
            client = Client(room, client_id=2)
            await client.sync()
            client.leave()
            room.handle(client.seat, Update(Client(room, client_id=3).type("news")))
            back = Client(room, client_id=2, doc=client.doc)
            frames = await back.sync()
            assert sum(map(len, frames)) < 500
            assert "news" in back.text

    async def test_a_crowd_that_comes_back_gets_what_it_lacks_by_now(self) -> None:
        async with house(MemoryStore(), PARTS) as server:
            room = await large(server, 4_000)
            client = Client(room, client_id=2)
            await client.sync()
            had = client.doc.get_update()
            writer = Client(room, client_id=3)
            await writer.sync()
            asked = []
            for number in range(6):
                if number % 2 == 0:
                    writer.type(f"news {number} ")
                back = Client(room, client_id=4 + number)
                back.doc.apply_update(had)
                asked.append(back.doc.get_state())
                await back.sync()
                assert back.text == writer.text
                back.leave()
            assert len(set(asked)) == 1

    async def test_a_second_joiner_gets_the_whole_document_too(self) -> None:
        async with house(MemoryStore(), PARTS) as server:
            room = await large(server, 40_000)
            for client_id in (2, 3, 4):
                joiner = Client(room, client_id=client_id)
                await joiner.sync()
                assert len(joiner.text) == 40_000

    async def test_a_reader_that_asks_twice_is_told_twice(self) -> None:
        async with house(MemoryStore()) as server:
            client = Client(await server.rooms.acquire("d"), client_id=2).connect()
            client.say(yjs.sync_step1(b"\x00"))
            assert len(steps_2_in(client.wire.frames)) == 1

    @pytest.mark.parametrize("known", [b"", b"\x05", b"\xff" * 9, b"\x02\x01\x05\x01\x06"])
    async def test_what_is_no_state_vector_closes_only_who_sent_it(self, known: bytes) -> None:
        async with house(MemoryStore()) as server:
            room = await server.rooms.acquire("d")
            reader = Client(room, client_id=1).connect()
            hostile = Client(room, client_id=2)
            room.join(hostile.seat)
            hostile.say(yjs.sync_step1(known))
            assert hostile.wire.closed is not None
            assert hostile.wire.closed[0] == CloseCode.MALFORMED
            assert reader.wire.closed is None

    async def test_a_state_vector_beyond_ours_is_answered(self) -> None:
        async with house(MemoryStore()) as server:
            room = await server.rooms.acquire("d")
            client = Client(room, client_id=2)
            room.join(client.seat)
            client.say(yjs.sync_step1(state_vector.encode({5: 1000, 2**53 - 1: 2**53 - 1})))
            assert client.wire.closed is None or client.wire.closed[0] == CloseCode.MALFORMED
            assert Client(room, client_id=3).connect().synced == 1


def ask(*clients: Client) -> None:
    """Has them join and ask for the document, in order."""
    for client in clients:
        client.room.join(client.seat)
        client.say(yjs.sync_step1(client.doc.get_state()))


class TestAdmission:
    async def test_beyond_the_bound_joins_wait_in_order(self) -> None:
        async with house(MemoryStore(), Settings(part_bytes=1000, syncs_in_flight=2)) as server:
            room = await large(server, 40_000)
            slow = [Client(room, client_id=n, wire=Wire(capacity_bytes=3000)) for n in (1, 2)]
            waiting = [Client(room, client_id=n) for n in (3, 4)]
            ask(*slow, *waiting)
            for client in slow:
                await client.wire.until(lambda client=client: client.seat.paused)  # type: ignore[misc]
            assert all(len(client.wire.frames) == 1 for client in waiting)
            slow[0].read()
            for client in waiting:
                await client.read_until(lambda client=client: client.synced == 1)  # type: ignore[misc]
                assert len(client.text) == 40_000

    async def test_who_leaves_gives_its_turn_to_the_next(self) -> None:
        async with house(MemoryStore(), Settings(part_bytes=1000, syncs_in_flight=1)) as server:
            room = await large(server, 40_000)
            slow = Client(room, client_id=1, wire=Wire(capacity_bytes=3000))
            queued, last = (Client(room, client_id=n) for n in (2, 3))
            ask(slow, queued, last)
            await slow.wire.until(lambda: slow.seat.paused)
            queued.leave()
            slow.leave()
            await last.read_until(lambda: last.synced == 1)

    async def test_who_waits_has_no_turn_because_its_connection_has_drained(self) -> None:
        async with house(MemoryStore(), Settings(syncs_in_flight=1)) as server:
            room = await server.rooms.acquire("d")
            slow, queued = (Client(room, client_id=n) for n in (1, 2))
            room.pause(slow.seat)
            ask(slow, queued)
            room.pause(queued.seat)
            room.resume(queued.seat)
            assert not queued.seat.synced
            slow.leave()
            assert queued.seat.synced

    async def test_too_many_are_told_to_try_again_later(self) -> None:
        settings = Settings(part_bytes=1000, syncs_in_flight=1, syncs_waiting=1)
        async with house(MemoryStore(), settings) as server:
            room = await large(server, 40_000)
            clients = [Client(room, client_id=n, wire=Wire(capacity_bytes=3000)) for n in range(3)]
            ask(*clients)
            assert [client.wire.closed and client.wire.closed[0] for client in clients] == [
                None,
                None,
                CloseCode.TRY_AGAIN_LATER,
            ]

    def test_a_start_that_leaves_at_once_lets_everyone_through(self) -> None:
        admission = Admission(1, 10)
        started: list[int] = []

        def start(who: int) -> None:
            started.append(who)
            admission.leave(who)

        for who in range(5):
            admission.enter(who, lambda who=who: start(who))  # type: ignore[misc]
        assert started == [0, 1, 2, 3, 4]


async def test_garbage_closes_only_who_sent_it() -> None:
    async with house(MemoryStore()) as server:
        room = await server.rooms.acquire("d")
        writer, reader = (Client(room, client_id=n).connect() for n in (1, 2))
        garbage = [b"", b"\xff", b"\x07\x00", *map(yjs.update, poison.UNDECODABLE.values())]
        garbage += map(yjs.update, poison.UNKEEPABLE.values())
        for frame in garbage:
            hostile = Client(room, client_id=3).connect()
            hostile.say(frame)
            await hostile.wire.ended()
            assert hostile.wire.closed is not None, frame[:50]
            assert hostile.wire.closed[0] == CloseCode.MALFORMED
            assert len(hostile.wire.closed[1].encode()) <= 123
            hostile.leave()
        writer.type("still here")
        reader.read()
        assert reader.text == "still here"
        assert Client(room, client_id=4).connect().text == "still here"
        await anyio.lowlevel.checkpoint()


async def test_parts_tell_no_writer_that_its_own_changes_are_durable_before_they_are() -> None:
    store = SteeredStore()
    async with house(store, Settings(syncs_in_flight=1, part_bytes=128)) as server:
        long = poison.update_of(poison.in_root(4, write_var_string("x" * 2000)), client=1)
        await store.append([Append(document="d", entries=[NewEntry(update=long, time_ms=1)])])
        room = await server.rooms.acquire("d")
        slow, early = Client(room, client_id=2), Client(room, client_id=3)
        room.join(slow.seat)
        room.pause(slow.seat)
        slow.say(yjs.sync_step1(slow.doc.get_state()))
        room.join(early.seat)
        early.say(yjs.sync_step1(early.doc.get_state()))
        store.hold_appends()
        early.type("own")
        slow.leave()
        await early.read_until(lambda: early.synced == 1)
        assert sorted(early.text) == sorted("x" * 2000 + "own")
        assert not any(b"own" in update for update in early.acknowledged)
        store.let_append()
        await early.read_until(lambda: any(b"own" in update for update in early.acknowledged))
