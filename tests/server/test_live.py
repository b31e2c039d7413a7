"""Documents edited live, beside the clients that have them open."""

from contextlib import suppress

import anyio
import pycrdt
import pytest

from collab.access import Access, Identity
from collab.close import CloseCode
from collab.document import Document
from collab.errors import (
    AccessDenied,
    DocumentDeleted,
    InvalidName,
    NotRunning,
    NotSaved,
    ServerBusy,
    StoreUnavailable,
    WrongThread,
)
from collab.protocol import yjs
from collab.server.app import Collab
from collab.server.rooms.farewell import Farewell
from collab.server.rooms.long_messages import LONG_BYTES
from collab.server.settings import Settings
from collab.storage.memory import MemoryStore
from tests.server.stores import SteeredStore
from tests.server.wire import DEADLINE_SECONDS, Client, Wire

pytestmark = pytest.mark.anyio


class TestLiveDocuments:
    async def test_changes_are_stored_in_the_identitys_name(self) -> None:
        store = MemoryStore()
        async with Collab(store) as collab:
            async with collab.document("d", identity=Identity(id="robot")) as document:
                text = document.doc.get("text", type=pycrdt.Text)
                text += "beep"
            stored = await store.load("d")
            assert {entry.author for entry in stored.entries} == {"robot"}
            assert str(Document.load(stored).doc.get("text", type=pycrdt.Text)) == "beep"

    async def test_clients_see_changes_and_changes_of_clients_are_seen(self) -> None:
        async with Collab(MemoryStore()) as collab, collab.document("d") as document:
            room = await collab.running.rooms.acquire("d")
            client = Client(room, client_id=1).connect()
            text = document.doc.get("text", type=pycrdt.Text)
            text += "python "
            await client.read_until(lambda: client.text == "python ")
            changed = anyio.Event()
            text.observe(lambda _: changed.set())
            client.type("typed")
            with anyio.fail_after(DEADLINE_SECONDS):
                await changed.wait()
            assert str(text) == "python typed"
            await document.saved()
            collab.running.rooms.release(room)

    async def test_two_documents_of_one_name_edit_together(self) -> None:
        async with (
            Collab(MemoryStore()) as collab,
            collab.document("d") as one,
            collab.document("d") as two,
        ):
            for document in (one, two):
                text = document.doc.get("text", type=pycrdt.Text)
                text += "x"
            await one.saved()
            await two.saved()
            assert str(one.doc["text"]) == str(two.doc["text"]) == "xx"

    async def test_its_roots_may_be_of_any_type(self) -> None:
        async with Collab(MemoryStore()) as collab:
            async with collab.document("d") as document:
                text = document.doc.get("text", type=pycrdt.Text)
                counts = document.doc.get("counts", type=pycrdt.Map)
                text += "two words"
                counts["words"] = 2
            async with collab.document("d") as document:
                assert document.doc.get("counts", type=pycrdt.Map).to_py() == {"words": 2}

    async def test_a_reader_that_changes_is_denied_and_nothing_is_stored(self) -> None:
        store = MemoryStore()
        reader = Identity(id="r", access=Access.READ)
        async with Collab(store) as collab:
            with pytest.raises(AccessDenied, match="read-only"):
                async with collab.document("d", identity=reader) as document:
                    document.doc.get("text", type=pycrdt.Text).insert(0, "x")
            assert (await store.load("d")).seq == 0

    async def test_what_a_full_document_refuses_is_not_called_saved(self) -> None:
        store = MemoryStore()
        async with Collab(store, settings=Settings(document_max_bytes=200)) as collab:
            with suppress(NotSaved):  # Leaving it waits for the same.
                async with collab.document("d") as document:
                    text = document.doc.get("text", type=pycrdt.Text)
                    text += "x" * 300
                    await document.saved()
                    text += "y"
                    with pytest.raises(NotSaved, match="got a refusal"):
                        await document.saved()
            stored = Document.load(await store.load("d"))
            assert str(stored.doc.get("text", type=pycrdt.Text)) == "x" * 300

    async def test_who_may_nothing_does_not_even_get_it_to_read(self) -> None:
        nobody = Identity(id="n", access=Access.NONE)
        async with Collab(MemoryStore()) as collab:
            with pytest.raises(AccessDenied, match="may not read"):
                async with collab.document("d", identity=nobody):
                    pass

    async def test_it_is_whole_from_the_start_also_when_many_join(self) -> None:
        settings = Settings(syncs_in_flight=1, part_bytes=1000)
        async with Collab(MemoryStore(), settings=settings) as collab:
            async with collab.document("d") as document:
                document.doc["text"] = pycrdt.Text("x" * 20_000)
            room = await collab.running.rooms.acquire("d")
            slow = Client(room, client_id=1, wire=Wire(capacity_bytes=3000))
            room.join(slow.seat)
            slow.say(yjs.sync_step1(b"\x00"))
            await slow.wire.until(lambda: slow.seat.paused)
            opened = anyio.Event()

            async def open_it() -> None:
                async with collab.document("d") as document:
                    assert len(str(document.doc.get("text", type=pycrdt.Text))) == 20_000
                    opened.set()

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(open_it)
                await anyio.wait_all_tasks_blocked()
                slow.leave()
                with anyio.fail_after(30):
                    await opened.wait()
            collab.running.rooms.release(room)

    async def test_saved_waits_for_the_store(self) -> None:
        store = SteeredStore()
        async with Collab(store) as collab, collab.document("d") as document:
            store.hold_appends()
            document.doc["text"] = pycrdt.Text("x")
            with anyio.move_on_after(0.05) as patience:
                await document.saved()
            assert patience.cancelled_caught
            store.let_append()
            await document.saved()
            assert len(store.appends) == 1

    async def test_saved_returns_while_others_go_on_typing(self) -> None:
        store = SteeredStore()
        async with Collab(store) as collab, collab.document("d") as document:
            room = await collab.running.rooms.acquire("d")
            client = Client(room, client_id=1).connect()
            store.hold_appends()
            document.doc["text"] = pycrdt.Text("x")
            saved = anyio.Event()

            async def save() -> None:
                await document.saved()
                saved.set()

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(save)
                await store.append_began.wait()
                client.type("y")
                store.let_append()
                while not store.appends:
                    await anyio.lowlevel.checkpoint()
                store.hold_appends()
                with anyio.fail_after(30):
                    await saved.wait()
                store.let_append()
            collab.running.rooms.release(room)

    async def test_an_observer_that_raises_does_not_break_the_room(self) -> None:
        async with Collab(MemoryStore()) as collab, collab.document("d") as document:
            room = await collab.running.rooms.acquire("d")

            def fail(_: object) -> None:
                raise RuntimeError("broken observer")

            document.doc.get("text", type=pycrdt.Text).observe(fail)
            one, two = (Client(room, client_id=n).connect() for n in (1, 2))
            one.type("a")
            await two.read_until(lambda: two.text == "a")
            assert (one.wire.closed, two.wire.closed) == (None, None)
            collab.running.rooms.release(room)

    async def test_a_change_on_another_thread_raises_there_and_on_leaving_and_is_not_stored(
        self,
    ) -> None:
        store = MemoryStore()
        async with Collab(store) as collab:

            async def stray() -> None:
                async with collab.document("d") as document:
                    text = document.doc.get("text", type=pycrdt.Text)
                    text += "here"
                    with pytest.raises(ExceptionGroup) as failed:
                        await anyio.to_thread.run_sync(text.insert, 4, " there")
                    assert failed.group_contains(WrongThread)
                    with pytest.raises(ExceptionGroup) as failed:
                        text += " and here"  # After what the others will never have.
                    assert failed.group_contains(WrongThread)

            with pytest.raises(WrongThread, match=r"thread that opened it.*from_thread"):
                await stray()
            async with collab.document("d") as document:
                assert str(document.doc.get("text", type=pycrdt.Text)) == "here"

    async def test_another_thread_changes_it_by_way_of_the_event_loop(self) -> None:
        async with Collab(MemoryStore()) as collab:
            async with collab.document("d") as document:
                text = document.doc.get("text", type=pycrdt.Text)

                def change() -> None:
                    anyio.from_thread.run_sync(text.insert, 0, "there")

                await anyio.to_thread.run_sync(change)
            async with collab.document("d") as document:
                assert str(document.doc.get("text", type=pycrdt.Text)) == "there"

    async def test_a_name_that_cannot_be_is_refused(self) -> None:
        async with Collab(MemoryStore()) as collab:
            with pytest.raises(InvalidName):
                async with collab.document("a\nb"):
                    pass

    async def test_a_document_of_an_app_that_is_not_entered_is_refused(self) -> None:
        with pytest.raises(NotRunning):
            async with Collab(MemoryStore()).document("d"):
                pass

    async def test_what_was_changed_before_the_app_ends_is_stored(self) -> None:
        store = MemoryStore()
        async with Collab(store) as collab:
            room = await collab.running.rooms.acquire("d")
            Client(room, client_id=1).connect().type("last words")
        async with store:
            assert (await store.load("d")).seq == 1

    async def test_a_long_change_is_saved_before_it_is_left(self) -> None:
        store = MemoryStore()
        async with Collab(store) as collab:
            async with collab.document("d") as document:
                document.doc["text"] = pycrdt.Text("x" * LONG_BYTES)
            assert (await store.load("d")).seq > 0

    async def test_a_change_made_while_it_is_made_anew_is_not_called_saved(self) -> None:
        deleted = Farewell(CloseCode.NOT_FOUND, "the document was deleted", DocumentDeleted("d"))
        async with Collab(SteeredStore()) as collab, anyio.create_task_group() as tasks:
            kept_out, may_fail = anyio.Event(), anyio.Event()

            async def fail_to_delete() -> None:
                with suppress(StoreUnavailable):
                    async with collab.running.rooms.without("d", deleted):
                        kept_out.set()
                        await may_fail.wait()
                        raise StoreUnavailable("disk on fire")

            async def change() -> None:
                async with collab.document("d") as document:
                    tasks.start_soon(fail_to_delete)
                    await kept_out.wait()
                    document.doc["text"] = pycrdt.Text("x")

            with pytest.raises(ServerBusy, match="made anew"):
                await change()
            may_fail.set()

    async def test_messages_end_when_it_is_left_and_so_do_those_asked_for_afterwards(self) -> None:
        async with Collab(MemoryStore()) as collab:
            async with collab.document("d") as document:
                before = document.messages()
            with anyio.fail_after(DEADLINE_SECONDS):
                assert [message async for message in before] == []
                assert [message async for message in document.messages()] == []
            assert not collab.running.feeds.are_followed("d")

    async def test_messages_end_when_the_identity_is_revoked(self) -> None:
        async with Collab(MemoryStore()) as collab:

            async def hear() -> None:
                async with collab.document("d", identity=Identity(id="r")) as document:
                    messages = document.messages()
                    await collab.revoke(user="r")
                    with anyio.fail_after(DEADLINE_SECONDS):
                        assert [message async for message in messages] == []

            with pytest.raises(NotRunning, match="revoked"):
                await hear()

    async def test_what_others_change_is_told_and_what_is_changed_here_is_not(self) -> None:
        async with (
            Collab(MemoryStore()) as collab,
            collab.document("d") as one,
            collab.document("d") as other,
        ):
            changes = one.changes()
            own, others = (document.doc.get("text", type=pycrdt.Text) for document in (one, other))
            own += "own "
            await one.saved()
            with anyio.move_on_after(0):
                await anext(changes)
                pytest.fail("told of its own change")
            others += "others'"
            await other.saved()
            with anyio.fail_after(DEADLINE_SECONDS):
                await anext(changes)
            assert str(own) == "own others'"

    async def test_changes_while_nobody_waits_are_told_once(self) -> None:
        async with (
            Collab(MemoryStore()) as collab,
            collab.document("d") as one,
            collab.document("d") as other,
        ):
            changes = one.changes()
            text = other.doc.get("text", type=pycrdt.Text)
            for _ in range(3):
                text += "x"
                await other.saved()
            seen, steps = one.doc.get("text", type=pycrdt.Text), one.changes()
            with anyio.fail_after(DEADLINE_SECONDS):
                while str(seen) != "xxx":
                    await anext(steps)
                await anext(changes)
            with anyio.move_on_after(0):
                await anext(changes)
                pytest.fail("told twice")

    async def test_presence_of_others_is_told(self) -> None:
        async with Collab(MemoryStore()) as collab, collab.document("d") as document:
            changes = document.changes()
            room = await collab.running.rooms.acquire("d")
            Client(room, client_id=1).connect().show('{"user": "Ada"}')
            with anyio.fail_after(DEADLINE_SECONDS):
                while document.presence() != {1: {"user": "Ada"}}:
                    await anext(changes)
            collab.running.rooms.release(room)

    async def test_changes_end_when_it_is_left_or_the_app_ends(self) -> None:
        collab = Collab(MemoryStore())
        following = anyio.Event()

        async def follow() -> None:
            async with collab.document("d") as document:
                changes = document.changes()
                following.set()
                assert [change async for change in changes] == []

        async def follow_to_the_end() -> None:
            with pytest.raises(NotRunning, match="closed"):
                await follow()

        with anyio.fail_after(DEADLINE_SECONDS):
            async with anyio.create_task_group() as tasks, collab:
                async with collab.document("d") as document:
                    left = document.changes()
                assert [change async for change in left] == []
                tasks.start_soon(follow_to_the_end)
                await following.wait()
