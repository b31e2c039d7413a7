"""CollabYStore as pycrdt-store's own tests try a YStore, and behind a real YRoom and Provider."""

import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from typing import cast

import anyio
import pycrdt
import pytest
from pycrdt.store import BaseYStore, YDocNotFound
from pycrdt.websocket import ASGIServer, WebsocketServer, YRoom
from starlette.types import ASGIApp
from websockets.asyncio.client import ClientConnection, connect

from collab.archive import Retention, Terms
from collab.document import Document
from collab.errors import DocumentDeleted, NotRunning, SettingsError, StoreError
from collab.storage.sqlite import SQLiteStore
from collab.storage.ystore import CollabYStore
from collab.store import Append, Entry, NewEntry
from tests.core import poison
from tests.core.writing import read, typed
from tests.server.hosts import under_uvicorn
from tests.storage.damage import execute

pytestmark = pytest.mark.anyio

PROCESS = Path(__file__).with_name("ystore_process.py")
DEADLINE_SECONDS = 20.0

Stores = Callable[..., CollabYStore]
Running = Callable[[BaseYStore], AbstractAsyncContextManager[BaseYStore]]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "collab.db"


@pytest.fixture
def make(path: Path) -> type[CollabYStore]:
    """The store, pointed at a file as users do it."""

    class Here(CollabYStore):
        db_path = str(path)

    return Here


@asynccontextmanager
async def as_context(store: BaseYStore) -> AsyncIterator[BaseYStore]:
    async with store:
        yield store


@asynccontextmanager
async def as_task(store: BaseYStore) -> AsyncIterator[BaseYStore]:
    """Starts and stops it, the way rooms do."""
    async with anyio.create_task_group() as tasks:
        await tasks.start(store.start)
        yield store
        await store.stop()


@pytest.fixture(params=[as_context, as_task])
def running(request: pytest.FixtureRequest) -> Running:
    return cast("Running", request.param)


async def entries(path: Path, name: str) -> list[Entry]:
    async with SQLiteStore(path, create=False) as store:
        return [entry async for entry in store.entries(name)]


class TestYStore:
    async def test_what_was_written_is_read_in_order_with_metadata_and_time(
        self, make: Stores, running: Running
    ) -> None:
        numbers = iter(range(100))

        async def count() -> bytes:
            return str(next(numbers)).encode()

        began = time.time()
        async with running(make("d", metadata_callback=count)) as store:
            for update in (b"foo", b"bar", b"baz"):
                await store.write(update)
            found = [item async for item in store.read()]
        assert [item[:2] for item in found] == [(b"foo", b"0"), (b"bar", b"1"), (b"baz", b"2")]
        assert all(began - 0.001 <= when <= time.time() for _, _, when in found)

    async def test_another_of_its_name_finds_it(self, make: Stores, running: Running) -> None:
        for update in (b"foo", b"bar"):
            async with running(make("d")) as store:
                await store.write(update)
        async with running(make("d")) as store:
            assert [update async for update, _, _ in store.read()] == [b"foo", b"bar"]

    async def test_the_same_may_be_entered_again(self, make: Stores) -> None:
        store = make("d")
        for count in (1, 2):
            async with store:
                await store.write(b"x")
                assert len([item async for item in store.read()]) == count

    async def test_an_unknown_document_is_not_found(self, make: Stores, running: Running) -> None:
        async with running(make("nobody")) as store:
            with pytest.raises(YDocNotFound):
                await anext(aiter(store.read()))
            with pytest.raises(YDocNotFound):
                await store.apply_updates(pycrdt.Doc())

    async def test_it_starts_once(self, make: Stores) -> None:
        async with make("d") as store:
            with pytest.raises(RuntimeError, match="already running"):
                await store.start()
            await store.write(b"x")

    async def test_it_is_used_between_start_and_stop(self, make: Stores, running: Running) -> None:
        store = make("d")
        with pytest.raises(NotRunning):
            await store.write(b"x")
        async with running(store):
            await store.write(b"x")
        with pytest.raises(NotRunning, match="expected a YStore that is started"):
            await store.write(b"y")
        with pytest.raises(NotRunning):
            store.read()

    async def test_a_doc_goes_in_and_comes_out(self, make: Stores, running: Running) -> None:
        doc: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc()
        doc["content"] = pycrdt.Text("hello 😀")
        async with running(make("d")) as store:
            await store.encode_state_as_update(doc)
            other: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc()
            await store.apply_updates(other)
        assert str(other.get("content", type=pycrdt.Text)) == "hello 😀"

    async def test_reading_may_be_left_at_any_time(self, make: Stores, running: Running) -> None:
        async with running(make("d")) as store:
            for _ in range(3):
                await store.write(b"x" * 10)
            async for update, _, _ in store.read():
                assert update == b"x" * 10
                break
            await store.write(b"y")


class TestFile:
    async def test_metadata_is_the_author_in_collab_s_eyes(self, make: Stores, path: Path) -> None:
        async with make("d", metadata_callback=lambda: b"ada") as store:
            await store.write(b"x")
        async with make("d") as store:
            await store.write(b"y")
        found = [(entry.update, entry.author) for entry in await entries(path, "d")]
        assert found == [(b"x", "ada"), (b"y", None)]

    async def test_many_share_it_and_each_keeps_its_order(self, make: Stores, path: Path) -> None:
        async def write(name: str) -> None:
            async with make(name) as store, anyio.create_task_group() as tasks:
                for number in range(30):
                    tasks.start_soon(store.write, b"%d" % number)

        async with anyio.create_task_group() as tasks:
            for number in range(10):
                tasks.start_soon(write, f"document {number}")
        for number in range(10):
            written = [entry.update for entry in await entries(path, f"document {number}")]
            assert sorted(written, key=int) == [b"%d" % number for number in range(30)]

    async def test_it_is_closed_with_the_last_that_uses_it(self, make: Stores, path: Path) -> None:
        log = path.with_name(path.name + "-wal")
        async with make("one") as one:
            async with make("two") as two:
                await two.write(b"x")
            await one.write(b"x")
            assert log.exists()
        assert not log.exists()

    async def test_opening_reads_a_checkpoint_and_what_came_after_it(
        self, make: Stores, path: Path
    ) -> None:
        words = [f"{number} " for number in range(250)]
        async with make("d") as store:
            for update in typed(*words):
                await store.write(update)
            doc: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc()
            await store.apply_updates(doc)
        assert str(doc.get("content", type=pycrdt.Text)) == "".join(words)
        async with SQLiteStore(path) as opened:
            stored = await opened.load("d")
            assert (stored.seq, stored.checkpoint_seq) == (250, 200)
            assert Document.load(stored).state_vector == doc.get_state()
        assert read([entry.update for entry in await entries(path, "d")]) == "".join(words)

    async def test_a_character_that_was_cut_in_two_comes_out_as_clients_show_it(
        self, make: Stores
    ) -> None:
        async with make("d") as store:
            for update in (poison.PAIR, poison.HALF_OF_IT_REPLACED):
                await store.write(update)
            doc: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc()
            await store.apply_updates(doc)
        assert str(doc.get("t", type=pycrdt.Text)) == "a\ufffd\ufffdb"

    async def test_short_sessions_come_to_a_checkpoint_too(self, make: Stores, path: Path) -> None:
        updates = typed(*[f"{number} " for number in range(120)])
        for first in range(0, 120, 30):
            async with make("d") as store:
                if first:
                    await store.apply_updates(pycrdt.Doc())
                for update in updates[first : first + 30]:
                    await store.write(update)
        async with SQLiteStore(path) as opened:
            assert (await opened.load("d")).checkpoint_seq == 100

    async def test_a_checkpoint_that_fails_takes_nothing_from_a_write(
        self, make: type[CollabYStore], path: Path
    ) -> None:
        make.checkpoint_interval = 2
        async with make("d") as store:
            execute(
                path,
                "CREATE TRIGGER refuse BEFORE INSERT ON checkpoints"
                " BEGIN SELECT RAISE(ABORT, 'no checkpoint here'); END",
            )
            for update in typed("a", "b", "c", "d"):
                await store.write(update)
        assert read([entry.update for entry in await entries(path, "d")]) == "abcd"

    async def test_where_old_entries_were_dropped_their_state_comes_first(
        self, make: Stores, path: Path
    ) -> None:
        updates = typed(*[f"{number} " for number in range(300)])
        async with SQLiteStore(path) as opened:
            for number, update in enumerate(updates):
                entry = NewEntry(update=update, time_ms=number * 1000)
                await opened.append([Append(document="d", entries=[entry])])
            terms = Terms(now_ms=10**9, history=Retention(0))
            while (await opened.compact("d", terms)).more:
                pass
            assert (await opened.base("d")).seq > 0
        async with make("d") as store:
            found = [update async for update, _, _ in store.read()]
        assert 1 <= len(found) < 300
        assert read(found) == read(updates)

    async def test_a_deleted_document_is_not_found_and_not_brought_back(
        self, make: Stores, path: Path
    ) -> None:
        async with make("d") as store:
            await store.write(b"x")
            async with SQLiteStore(path) as opened:
                await opened.delete("d", time_ms=1)
            with pytest.raises(YDocNotFound):
                await store.apply_updates(pycrdt.Doc())
            with pytest.raises(DocumentDeleted):
                await store.write(b"y")

    async def test_a_file_that_is_no_store_is_said_to_be_none(
        self, make: Stores, path: Path
    ) -> None:
        await anyio.Path(path).write_text("no store")
        store = make("d")
        with pytest.raises(StoreError):
            await store.start()
        with anyio.fail_after(DEADLINE_SECONDS):
            await store.started.wait()
        with pytest.raises(StoreError, match="expected a collab store"):
            await store.apply_updates(pycrdt.Doc())

    async def test_memory_is_no_file(self) -> None:
        class InMemory(CollabYStore):
            db_path = ":memory:"

        with pytest.raises(SettingsError, match="expected db_path to name a file"):
            await InMemory("d").start()


class TestDurability:
    async def test_a_write_that_was_begun_is_stored_when_its_room_is_cancelled(
        self, make: Stores, path: Path
    ) -> None:
        async with anyio.create_task_group() as tasks:
            store = make("d")
            await tasks.start(store.start)
            for number in range(5):
                tasks.start_soon(store.write, b"%d" % number)
            await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()
        assert sorted(entry.update for entry in await entries(path, "d")) == [
            b"%d" % number for number in range(5)
        ]

    @pytest.mark.parametrize("after", [1, 7, 40, 150])
    async def test_what_write_returned_for_survives_a_sigkill(self, path: Path, after: int) -> None:
        command = [sys.executable, str(PROCESS), str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: ASYNC220 - nothing else runs
            assert process.stdout is not None
            written = [int(process.stdout.readline()) for _ in range(after)][-1]
            process.kill()
        found = [entry.update for entry in await entries(path, "d")]
        assert found[: written + 1] == [b"%d" % number for number in range(written + 1)]


class WebSocketChannel:
    """A WebSocket as pycrdt's providers want it."""

    def __init__(self, socket: ClientConnection, path: str) -> None:
        self._socket = socket
        self.path = path

    def __aiter__(self) -> "WebSocketChannel":
        return self

    async def __anext__(self) -> bytes:
        return await self.recv()

    async def send(self, message: bytes) -> None:
        await self._socket.send(message)

    async def recv(self) -> bytes:
        message = await self._socket.recv()
        assert isinstance(message, bytes)
        return message


class KeptServer(WebsocketServer):
    """A pycrdt-websocket server whose rooms are kept in a YStore and filled from it."""

    def __init__(self, make: Stores) -> None:
        super().__init__(auto_clean_rooms=False)
        self._make = make

    async def get_room(self, name: str) -> YRoom:
        if name not in self.rooms:
            store = self._make(name)
            room = self.rooms[name] = YRoom(ready=False, ystore=store)
            await self.start_room(room)
            await store.started.wait()
            with suppress(YDocNotFound):
                await store.apply_updates(room.ydoc)
            room.ready = True
        return self.rooms[name]


@asynccontextmanager
async def served(make: Stores) -> AsyncIterator[int]:
    """A real server of pycrdt-websocket's rooms; gives the port."""
    server = KeptServer(make)
    app = cast("ASGIApp", ASGIServer(server))
    async with server, under_uvicorn(app) as port:
        yield port


@asynccontextmanager
async def provided(port: int, name: str) -> AsyncIterator["pycrdt.Doc[pycrdt.Text]"]:
    """A Doc that a real Provider keeps in step with a room."""
    doc: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc()
    address = f"ws://127.0.0.1:{port}/{name}"
    # Of a peer that is busy with its end no goodbye is waited for.
    async with connect(address, compression=None, close_timeout=1) as socket:
        channel = WebSocketChannel(socket, name)
        provider = pycrdt.Provider(doc, channel)
        async with anyio.create_task_group() as tasks:
            await tasks.start(provider.start)
            with anyio.fail_after(DEADLINE_SECONDS):
                await provider.synced.wait()
            yield doc
            await provider.stop()


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_room_of_pycrdt_websocket_comes_back_after_a_restart(
    path: Path, anyio_backend_name: str
) -> None:
    wrote = anyio.Event()

    class Told(CollabYStore):
        db_path = str(path)

        async def write(self, data: bytes) -> None:
            await super().write(data)
            wrote.set()

    for expected in ("", "one ", "one two "):
        wrote = anyio.Event()
        async with served(Told) as port, provided(port, "notes") as doc:
            text = doc.get("content", type=pycrdt.Text)
            assert str(text) == expected
            text += "two " if expected else "one "
            with anyio.fail_after(DEADLINE_SECONDS):
                await wrote.wait()
    updates = [entry.update for entry in await entries(path, "/notes")]
    assert read(updates) == "one two two "
