"""Programs: what REST and the embedding app read and change while a document is rebuilt."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pycrdt
import pytest

from collab.document import Document
from collab.errors import ServerBusy
from collab.lib0 import write_var_string
from collab.merging import merge
from collab.protocol import yjs
from collab.server.app import Collab
from collab.server.rooms.room import Room
from collab.server.settings import Settings
from collab.store import NewEntry
from tests.core import poison
from tests.server.asking import requests_to
from tests.server.stores import SteeredStore
from tests.server.wire import DEADLINE_SECONDS, Client

pytestmark = pytest.mark.anyio

PATH = "/api/docs/d/content?root=text"
TEXT = {"Content-Type": "text/plain"}
WAITING = poison.in_root(4, write_var_string("x" * 2000))
BREAKING = merge(
    [
        poison.update_of(poison.in_root(4, write_var_string("refused")), client=91),
        poison.update_of(WAITING, client=91, clock=50),
    ]
)
"""A document that takes it has some of it before it is found to be too much."""


@asynccontextmanager
async def broken(
    store: SteeredStore, rebuild_seconds: float = DEADLINE_SECONDS
) -> AsyncIterator[tuple[Collab, Room]]:
    """A document that says "hello", and is rebuilt once the store lets it load."""
    settings = Settings(pending_max_bytes=1000, rebuild_seconds=rebuild_seconds)
    async with Collab(store, settings=settings) as collab:
        room = await collab.running.rooms.acquire("d")
        hostile = Client(room, client_id=91).connect()
        hostile.say(yjs.update(poison.HELLO))
        await room.settle()
        store.hold_loads()
        hostile.say(yjs.update(BREAKING))
        room.content.flush()
        assert "refused" in text_of(room.document)
        try:
            with anyio.fail_after(DEADLINE_SECONDS):
                yield collab, room
        finally:
            store.let_load()


def text_of(document: Document) -> str:
    return str(document.doc.get("text", type=pycrdt.Text))


@pytest.mark.parametrize("path", ["/api/docs/d/content?format=text", "/y-sweet/d/d/as-update"])
async def test_who_reads_it_gets_the_rebuilt_document(path: str) -> None:
    store = SteeredStore()
    async with (
        broken(store) as (collab, _),
        requests_to(collab) as client,
        anyio.create_task_group() as tasks,
    ):

        async def ask() -> None:
            answer = await client.get(path)
            assert answer.status_code == 200
            assert b"hello" in answer.content
            assert b"refused" not in answer.content

        tasks.start_soon(ask)
        await anyio.wait_all_tasks_blocked()
        store.let_load()


async def test_a_text_is_compared_with_the_rebuilt_document() -> None:
    store = SteeredStore()
    async with broken(store) as (collab, room), requests_to(collab) as client:
        async with anyio.create_task_group() as tasks:

            async def put() -> None:
                answer = await client.put(PATH, content="hello there", headers=TEXT)
                assert answer.is_success

            tasks.start_soon(put)
            await anyio.wait_all_tasks_blocked()
            store.let_load()
        assert text_of(room.document) == "hello there"
        stored = Document.load(await store.load("d"))
        assert stored.pending_bytes == 0


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/docs/d/content"),
        ("GET", "/y-sweet/d/d/as-update"),
        ("POST", "/api/docs/d/updates"),
    ],
)
async def test_whoever_waits_long_is_told_to_come_back(method: str, path: str) -> None:
    store = SteeredStore()
    async with broken(store, rebuild_seconds=0.01) as (collab, room), requests_to(collab) as client:
        content = poison.HELLO if method == "POST" else b"else"
        answer = await client.request(method, path, content=content, headers=TEXT)
        assert answer.status_code == 503
        assert "being rebuilt" in answer.json()["error"]
        store.let_load()
        await room.settle()
        assert text_of(room.document) == "hello"


async def test_who_opens_it_live_is_told_so_too() -> None:
    async with broken(SteeredStore(), rebuild_seconds=0.01) as (collab, _):
        with pytest.raises(ServerBusy, match="being rebuilt"):
            async with collab.document("d"):
                pass


async def test_what_programs_bring_meanwhile_is_taken_in_by_the_rebuilt_document() -> None:
    store = SteeredStore()
    update = poison.update_of(poison.in_root(4, write_var_string("!")), client=5)
    async with broken(store) as (_, room):
        async with anyio.create_task_group() as tasks:
            entry = NewEntry(update=update, time_ms=1)
            tasks.start_soon(room.programs.take_in, update, [entry])
            await anyio.wait_all_tasks_blocked()
            store.let_load()
        assert sorted(text_of(room.document)) == sorted("hello!")
        assert update in [entry.update async for entry in store.entries("d")]


async def test_who_reads_it_waits_for_no_commit_of_what_came_meanwhile() -> None:
    store = SteeredStore()
    async with broken(store) as (_, room):
        Client(room, client_id=5).connect().type("!")
        store.hold_appends()
        try:
            async with anyio.create_task_group() as tasks:

                async def read() -> None:
                    document = await room.programs.read()
                    assert sorted(text_of(document)) == sorted("hello!")
                    assert not room.content.durable

                tasks.start_soon(read)
                await anyio.wait_all_tasks_blocked()
                store.let_load()
        finally:
            store.let_append()
