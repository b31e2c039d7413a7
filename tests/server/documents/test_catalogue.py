"""Documents deleted, brought back and copied while clients type, come and go."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pycrdt
import pytest

from collab.close import CloseCode
from collab.document import Document
from collab.errors import (
    DocumentDeleted,
    DocumentExists,
    DocumentNotFound,
    ServerBusy,
    StoreUnavailable,
)
from collab.server.documents.admitting import admit_anyone
from collab.server.documents.catalogue import Catalogue
from collab.server.documents.erasing import Eraser
from collab.server.settings import Settings
from collab.storage.memory import MemoryStore
from collab.storage.sqlite import SQLiteStore
from collab.store import Append, NewEntry, Store
from collab.trash import Tombstone
from tests.core.writing import typed
from tests.server.stores import SteeredStore
from tests.server.wire import Client, House, house

pytestmark = pytest.mark.anyio

DAY_MS = 86_400_000


@asynccontextmanager
async def running(
    store: Store, settings: Settings | None = None
) -> AsyncIterator[tuple[House, Catalogue]]:
    async with house(store, settings) as server:
        yield server, Catalogue(store, server.rooms)


async def write(store: Store, name: str, word: str) -> None:
    async with store:
        await append(store, name, word)


async def append(store: Store, name: str, word: str) -> None:
    entry = NewEntry(update=typed(word, root="text")[0], time_ms=1)
    await store.append([Append(document=name, entries=[entry])])


async def make_anew(store: Store, name: str, word: str) -> None:
    """Erases a document and makes another one in its place."""
    await store.delete(name, time_ms=1)
    await store.erase(name)
    await store.readmit(name)
    await append(store, name, word)


async def text_of(store: Store, name: str) -> str:
    document = Document.load(await store.load(name))
    return str(document.doc.get("text", type=pycrdt.Text))


def closed_with(client: Client) -> CloseCode | None:
    return client.wire.closed and client.wire.closed[0]


class TestDelete:
    async def test_those_who_type_are_closed_and_what_was_taken_in_is_kept(self) -> None:
        store = MemoryStore()
        async with running(store) as (server, catalogue):
            room = await server.rooms.acquire("d")
            clients = [Client(room, client_id=number).connect() for number in (1, 2)]
            for client in clients:
                client.type(f"<{client.client_id}>")
            tombstone = await catalogue.delete("d", author="ada", admit=admit_anyone)
            assert (tombstone.document, tombstone.author) == ("d", "ada")
            for client in clients:
                assert client.wire.closed == (CloseCode.NOT_FOUND, "the document was deleted")
                client.type("late")
                client.leave()
                server.rooms.release(room)
            await server.persister.settle()
            assert server.rooms.find("d") is None
            with pytest.raises(DocumentDeleted):
                await server.rooms.acquire("d")
            await catalogue.undelete("d")
            assert sorted(await text_of(store, "d")) == sorted("<1><2>")

    async def test_it_waits_for_what_is_not_committed_and_not_for_those_who_type_on(self) -> None:
        store = SteeredStore()
        await write(store, "d", "before ")
        async with running(store) as (server, catalogue):
            client = Client(await server.rooms.acquire("d"), client_id=1)
            await client.sync()
            store.hold_appends()
            client.type("one ")
            await store.append_began.wait()

            async def delete() -> None:
                await catalogue.delete("d", author=None, admit=admit_anyone)

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(delete)
                await anyio.wait_all_tasks_blocked()
                client.type("two")  # In the commit after.
                client.room.content.flush()
                store.let_append()
                store.hold_appends()
                await store.append_began.wait()
                await anyio.wait_all_tasks_blocked()  # It waits for that commit now.
                client.type(" late")
                store.let_append()
            await catalogue.undelete("d")
            assert await text_of(store, "d") == "before one two"

    async def test_whoever_asks_for_it_meanwhile_waits_and_is_refused(self) -> None:
        store = SteeredStore()
        await write(store, "d", "text")
        refused: list[str] = []
        async with running(store) as (server, catalogue):
            store.hold_appends()

            async def delete() -> None:
                await catalogue.delete("d", author=None, admit=admit_anyone)

            async def join() -> None:
                assert server.rooms.acquire_loaded("d") is None
                try:
                    await server.rooms.acquire("d")
                except DocumentDeleted as error:
                    refused.append(error.document)

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(delete)
                await store.append_began.wait()
                tasks.start_soon(join)
                await anyio.wait_all_tasks_blocked()
                assert refused == []
                store.let_append()
            assert refused == ["d"]

    async def test_a_load_under_way_ends_in_nothing(self) -> None:
        store = SteeredStore()
        await write(store, "d", "text")
        async with running(store) as (server, catalogue):
            store.hold_loads()
            late: list[Client] = []

            async def join() -> None:
                late.append(Client(await server.rooms.acquire("d"), client_id=1).connect())

            async def delete() -> None:
                await catalogue.delete("d", author=None, admit=admit_anyone)

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(join)
                while not store.loads:
                    await anyio.lowlevel.checkpoint()
                tasks.start_soon(delete)
                await anyio.lowlevel.checkpoint()
                store.let_load()
            assert closed_with(late[0]) is CloseCode.NOT_FOUND
            with pytest.raises(DocumentDeleted):
                await server.rooms.acquire("d")

    async def test_an_unload_under_way_brings_nothing_back(self) -> None:
        store = SteeredStore()
        settings = Settings(unload_seconds=0.001, checkpoint_entries=1, checkpoint_seconds=1e-9)
        async with running(store, settings) as (server, catalogue):
            room = await server.rooms.acquire("d")
            client = Client(room, client_id=1).connect()
            for _ in range(3):
                client.type("x")
                room.content.flush()
            await room.programs.saved()
            store.hold_appends()
            client.type("y")
            await store.append_began.wait()
            client.leave()
            server.rooms.release(room)  # It will be unloaded, and waits for the commit.

            async def delete() -> None:
                await catalogue.delete("d", author=None, admit=admit_anyone)

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(delete)
                await anyio.lowlevel.checkpoint()
                store.let_append()
            await server.persister.settle()
            while server.rooms.loaded:
                await anyio.lowlevel.checkpoint()
            assert [summary.document for summary in await store.documents()] == []
            assert len(await store.tombstones()) == 1

    async def test_two_at_once_delete_it_once(self) -> None:
        store = MemoryStore()
        await write(store, "d", "text")
        tombstones = []
        async with running(store) as (server, catalogue):
            client = Client(await server.rooms.acquire("d"), client_id=1).connect()

            async def delete(author: str) -> None:
                tombstones.append(await catalogue.delete("d", author=author, admit=admit_anyone))

            async with anyio.create_task_group() as tasks:
                for author in ("ada", "bob"):
                    tasks.start_soon(delete, author)
            assert tombstones[0] == tombstones[1]
            assert closed_with(client) is CloseCode.NOT_FOUND

    async def test_a_store_that_fails_leaves_it_open_to_those_who_come_back(self) -> None:
        store = SteeredStore()
        await write(store, "d", "text")
        async with running(store) as (server, catalogue):
            client = Client(await server.rooms.acquire("d"), client_id=1).connect()
            store.failure = StoreUnavailable("expected a disk with space, got a full one")
            with pytest.raises(StoreUnavailable):
                await catalogue.delete("d", author=None, admit=admit_anyone)
            assert closed_with(client) is CloseCode.RESTART
            again = Client(await server.rooms.acquire("d"), client_id=1)
            await again.sync()
            assert again.text == "text"

    async def test_a_document_that_is_none_disturbs_nobody(self) -> None:
        async with running(MemoryStore()) as (server, catalogue):
            client = Client(await server.rooms.acquire("d"), client_id=1).connect()
            with pytest.raises(DocumentNotFound):
                await catalogue.delete("d", author=None, admit=admit_anyone)
            assert client.wire.closed is None
            client.type("x")
            await client.read_until(lambda: len(client.acknowledged) == 1)

    async def test_now_erases_what_is_open_and_what_is_in_the_trash(self) -> None:
        store = MemoryStore()
        await write(store, "d", "text")
        await write(store, "t", "text")
        async with running(store) as (_, catalogue):
            await catalogue.delete("t", author=None, admit=admit_anyone)
            for name in ("d", "t"):
                await catalogue.delete(name, author=None, admit=admit_anyone, now=True)
            assert await store.tombstones() == []
            for name in ("d", "t"):
                with pytest.raises(DocumentDeleted):
                    await catalogue.undelete(name)

    async def test_who_has_a_document_open_that_another_process_made_anew_leaves_that_one_alone(
        self, tmp_path: Path
    ) -> None:
        path = tmp_path / "collab.db"
        await write(SQLiteStore(path), "d", "old")
        async with running(SQLiteStore(path), Settings(checkpoint_entries=1)) as (server, _):
            client = Client(await server.rooms.acquire("d"), client_id=1).connect()
            async with SQLiteStore(path) as elsewhere:
                await make_anew(elsewhere, "d", "new")
                client.type("late")
                await server.persister.settle()
                assert client.wire.closed == (CloseCode.NOT_FOUND, "the document was deleted")
                assert client.acknowledged == []
                assert await text_of(elsewhere, "d") == "new"

    async def test_who_has_begun_a_document_that_another_process_made_anew_leaves_that_one_alone(
        self, tmp_path: Path
    ) -> None:
        path = tmp_path / "collab.db"
        async with running(SQLiteStore(path), Settings(checkpoint_entries=1)) as (server, _):
            client = Client(await server.rooms.acquire("d"), client_id=1).connect()
            client.type("old")
            await server.persister.settle()
            async with SQLiteStore(path) as elsewhere:
                await make_anew(elsewhere, "d", "new")
                client.type("late")
                await server.persister.settle()
                assert client.wire.closed == (CloseCode.NOT_FOUND, "the document was deleted")
                assert await text_of(elsewhere, "d") == "new"


class TestAnotherProcess:
    async def test_what_it_deleted_takes_no_changes_and_holds_up_no_others(self) -> None:
        store = SteeredStore()
        await write(store, "d", "text")
        async with running(store) as (server, _):
            client = Client(await server.rooms.acquire("d"), client_id=1).connect()
            other = Client(await server.rooms.acquire("other"), client_id=2).connect()
            store.hold_appends()
            blocker = Client(await server.rooms.acquire("blocker"), client_id=3).connect()
            blocker.type("x")
            await store.append_began.wait()
            client.type("lost")
            other.type("kept")  # The two are one commit now.
            await store.kept.delete("d", time_ms=1)
            store.let_append()
            await client.wire.until(lambda: client.wire.closed is not None)
            assert closed_with(client) is CloseCode.NOT_FOUND
            await other.read_until(lambda: len(other.acknowledged) == 1)
            assert client.acknowledged == []
            assert server.persister.backlog.uncommitted_bytes == 0
            assert await text_of(store, "other") == "kept"
            await server.persister.settle()
            assert server.persister.failure is None
            with pytest.raises(DocumentDeleted):
                await server.rooms.acquire("d")
            await store.kept.undelete("d")
            again = Client(await server.rooms.acquire("d"), client_id=4)
            await again.sync()
            assert again.text == "text"


class TestUndelete:
    async def test_whoever_comes_back_meanwhile_is_refused_or_finds_it_whole(self) -> None:
        store = MemoryStore()
        await write(store, "d", "text")
        outcomes: set[str] = set()
        async with running(store) as (server, catalogue):

            async def come_back(number: int) -> None:
                for _ in range(number):
                    await anyio.lowlevel.checkpoint()
                try:
                    room = await server.rooms.acquire("d")
                except DocumentDeleted:
                    outcomes.add("refused")
                    return
                client = Client(room, client_id=number)
                await client.sync()
                outcomes.add(client.text)
                client.leave()
                server.rooms.release(room)

            await catalogue.delete("d", author=None, admit=admit_anyone)
            async with anyio.create_task_group() as tasks:
                for number in range(1, 30):
                    tasks.start_soon(come_back, number)
                for _ in range(10):
                    await anyio.lowlevel.checkpoint()
                await catalogue.undelete("d")
            assert outcomes == {"refused", "text"}


class TestCreate:
    async def test_of_two_at_once_the_second_disturbs_nobody_who_has_opened_it(self) -> None:
        store = SteeredStore()
        refused: list[str] = []
        clients: list[Client] = []
        async with running(store) as (server, catalogue):
            store.hold_appends()

            async def create(word: str) -> None:
                try:
                    await catalogue.create(
                        "d", typed(word, root="text")[0], author=None, admit=admit_anyone
                    )
                except DocumentExists:
                    refused.append(word)

            async def join() -> None:
                clients.append(Client(await server.rooms.acquire("d"), client_id=9))
                await clients[0].sync()

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(create, "first")
                await store.append_began.wait()
                tasks.start_soon(join)
                await anyio.wait_all_tasks_blocked()
                tasks.start_soon(create, "second")
                await anyio.wait_all_tasks_blocked()
                store.let_append()
            assert refused == ["second"]
            assert clients[0].wire.closed is None
            assert clients[0].text == "first"


class TestDuplicate:
    @pytest.mark.parametrize("history", [True, False])
    async def test_a_copy_has_what_was_typed_so_far(self, history: bool) -> None:
        store = MemoryStore()
        async with running(store) as (server, catalogue):
            client = Client(await server.rooms.acquire("d"), client_id=1).connect()
            for word in ("one ", "two"):
                client.type(word)
                client.room.content.flush()
            await catalogue.duplicate(
                "d", "copy", history=history, author="ada", admit=admit_anyone
            )
            client.type(" three")
            client.room.content.flush()
            await client.room.programs.saved()
            entries = [entry async for entry in store.entries("copy")]
            assert await text_of(store, "copy") == "one two"
            assert len(entries) == (2 if history else 1)
            assert entries[-1].author == (None if history else "ada")
            assert await text_of(store, "d") == "one two three"

    async def test_whoever_waits_in_an_empty_document_finds_the_copy(self) -> None:
        store = MemoryStore()
        await write(store, "d", "text")
        async with running(store) as (server, catalogue):
            client = Client(await server.rooms.acquire("copy"), client_id=1).connect()
            await catalogue.duplicate("d", "copy", history=True, author=None, admit=admit_anyone)
            assert closed_with(client) is CloseCode.RESTART
            with pytest.raises(ServerBusy):
                await client.room.programs.saved()
            again = Client(await server.rooms.acquire("copy"), client_id=1)
            await again.sync()
            assert again.text == "text"

    @pytest.mark.parametrize("history", [True, False])
    async def test_it_replaces_nothing_and_disturbs_nobody(self, history: bool) -> None:
        store = MemoryStore()
        await write(store, "d", "text")
        await write(store, "taken", "other")
        async with running(store) as (server, catalogue):
            client = Client(await server.rooms.acquire("taken"), client_id=1).connect()
            with pytest.raises(DocumentExists):
                await catalogue.duplicate(
                    "d", "taken", history=history, author=None, admit=admit_anyone
                )
            with pytest.raises(DocumentNotFound):
                await catalogue.duplicate(
                    "unknown", "copy", history=history, author=None, admit=admit_anyone
                )
            assert client.wire.closed is None
            assert await text_of(store, "taken") == "other"
            await catalogue.delete("taken", author=None, admit=admit_anyone)
            with pytest.raises(DocumentDeleted):
                await catalogue.duplicate(
                    "d", "taken", history=history, author=None, admit=admit_anyone
                )


def tear(path: Path, filling: bytes) -> None:
    """Has the pages of a long payload go on at a page that is not there."""
    pages = bytearray(path.read_bytes())
    for begin in range(0, len(pages), 4096):
        if pages[begin + 4 : begin + 1004] in filling:
            pages[begin : begin + 4] = b"\xff" * 4
    path.write_bytes(pages)


class TestErasing:
    async def test_a_visit_erases_what_was_in_the_trash_for_long_enough(self) -> None:
        store = MemoryStore()
        async with store:
            for number in range(250):  # More than a page.
                await append(store, f"{number:03}", "text")
                await store.delete(f"{number:03}", time_ms=number * DAY_MS)
            eraser = Eraser(store, trash_seconds=30 * 86_400)
            now = 240 * 86_400.0
            assert await eraser.visit(now) == 211
            assert len(await store.tombstones()) == 39
            assert (await store.tombstones())[0].document == "211"
            assert await eraser.visit(now) == 0

    async def test_a_document_that_is_damaged_keeps_no_other_one_in_the_trash(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        path = tmp_path / "collab.db"
        filling = b"damaged " * 5000
        async with SQLiteStore(path) as store:
            for name, update in {"a": filling, "b": b"whole"}.items():
                entry = NewEntry(update=update, time_ms=1)
                await store.append([Append(document=name, entries=[entry])])
                await store.delete(name, time_ms=1)
        tear(path, filling)
        async with SQLiteStore(path) as store:
            assert await Eraser(store, trash_seconds=60).visit(1e6) == 1
            assert [left.document for left in await store.tombstones()] == ["a"]
        assert "cannot erase 'a': expected" in caplog.text

    async def test_the_first_visit_comes_with_the_server(self) -> None:
        store = MemoryStore()
        async with store:
            await append(store, "d", "text")
            await store.delete("d", time_ms=1)
            with anyio.fail_after(30):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(Eraser(store, trash_seconds=60).run)
                    while await store.tombstones():
                        await anyio.lowlevel.checkpoint()
                    tasks.cancel_scope.cancel()

    async def test_a_store_that_fails_unforeseen_is_visited_again(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        class Broken(SteeredStore):
            async def tombstones(
                self, prefix: str = "", after: str = "", limit: int = 1000
            ) -> Sequence[Tombstone]:
                if "a visit to the trash failed" in caplog.text:
                    return await super().tombstones(prefix, after, limit)
                raise OSError("no such device")

        store = Broken()
        async with store:
            await append(store.kept, "d", "text")
            await store.delete("d", time_ms=1)
            with anyio.fail_after(30):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(Eraser(store, trash_seconds=0.01).run)
                    while "a visit" not in caplog.text or await store.tombstones():
                        await anyio.lowlevel.checkpoint()
                    tasks.cancel_scope.cancel()
