"""Pauses: a document that rests after a change gets a version, and not more than are kept."""

from collections.abc import Callable, Sequence

import anyio
import pytest

from collab.server.app import Collab
from collab.server.documents.admitting import admit_anyone
from collab.server.documents.naming import name_pause, name_version
from collab.server.settings import Settings
from collab.storage.memory import MemoryStore
from collab.store import Append, NewEntry
from collab.versions import Version
from tests.server.wire import Client

pytestmark = pytest.mark.anyio


class Shelf(MemoryStore):
    """A store that tells when versions are added."""

    def __init__(self) -> None:
        super().__init__()
        self.added: list[tuple[str, Version]] = []
        self._changed = anyio.Event()

    async def add_version(self, document: str, version: Version) -> None:
        await super().add_version(document, version)
        self.added.append((document, version))
        self._changed.set()
        self._changed = anyio.Event()

    async def until(self, condition: Callable[[], bool]) -> None:
        with anyio.fail_after(20):
            while not condition():
                await self._changed.wait()


async def append(store: MemoryStore, document: str = "d") -> None:
    entry = NewEntry(update=b"\0\0", time_ms=0)
    await store.append([Append(document=document, entries=[entry])])


async def test_a_document_that_rests_after_a_change_gets_a_version() -> None:
    store = Shelf()
    async with Collab(store, settings=Settings(version_pause_seconds=0.05)) as collab:
        for name in ("a", "b"):
            room = await collab.running.rooms.acquire(name)
            Client(room, client_id=1).connect().type("word")
            await room.programs.saved()
            collab.running.rooms.release(room)
        await store.until(lambda: len(store.added) == 2)
        assert {name for name, _ in store.added} == {"a", "b"}
        for _, version in store.added:
            assert (version.seq, version.automatic, version.author) == (1, True, None)
        room = await collab.running.rooms.acquire("a")
        Client(room, client_id=2).connect().type("more")
        await room.programs.saved()
        collab.running.rooms.release(room)
        await store.until(lambda: len(store.added) == 3)
        assert (store.added[2][0], store.added[2][1].seq) == ("a", 2)


async def test_where_one_cannot_be_named_for_unforeseen_reasons_the_others_are() -> None:
    class Broken(Shelf):
        async def versions(self, document: str) -> Sequence[Version]:
            if document == "a":
                raise OSError("no such device")
            return await super().versions(document)

    store = Broken()
    async with Collab(store, settings=Settings(version_pause_seconds=0.05)) as collab:
        for number, name in enumerate(("a", "b"), 1):
            room = await collab.running.rooms.acquire(name)
            Client(room, client_id=number).connect().type("word")
        await store.until(lambda: [name for name, _ in store.added] == ["b"])


async def test_what_has_a_version_already_gets_no_other() -> None:
    store = MemoryStore()
    async with store:
        await append(store)
        await name_version(store, "d", "by hand", None, admit_anyone)
        assert await name_pause(store, "d", 10, now_ms=0) is None
        await append(store)
        version = await name_pause(store, "d", 10, now_ms=0)
        assert version is not None
        assert (version.seq, version.name) == (2, "auto 1970-01-01T00:00:00.000Z")
        assert await name_pause(store, "d", 10, now_ms=0) is None


async def test_the_oldest_automatic_versions_make_room_and_others_stay() -> None:
    store = MemoryStore()
    async with store:
        await append(store)
        await name_version(store, "d", "by hand", "ada", admit_anyone)
        for now_ms in range(5):
            await append(store)
            assert await name_pause(store, "d", 2, now_ms) is not None
        kept = [(version.seq, version.automatic) for version in await store.versions("d")]
        assert kept == [(1, False), (5, True), (6, True)]
