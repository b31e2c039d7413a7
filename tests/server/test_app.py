"""Collab in other apps: mounted or alone, entered by the host or by the server."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import anyio
import httpx
import pycrdt
import pytest
from anyio.abc import TaskGroup
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import HTTPConnection
from starlette.routing import Mount
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from websockets.asyncio.client import connect

from collab.access import Identity
from collab.close import CloseCode
from collab.errors import InvalidName, NotRunning, SettingsError, WrongTask
from collab.protocol import yjs
from collab.protocol.messages import SyncStep2, Update
from collab.server.app import Collab
from collab.storage.memory import MemoryStore
from tests.core import poison
from tests.server.asking import requests_to
from tests.server.hosts import hypercorn, under_uvicorn

pytestmark = pytest.mark.anyio


Serve = Callable[[ASGIApp], AbstractAsyncContextManager[int]]


def host_of(collab: Collab, *, lifespan: bool) -> Starlette:
    """A Starlette app with collab under a prefix."""

    @asynccontextmanager
    async def entered(_: Starlette) -> AsyncIterator[None]:
        async with collab:
            yield

    return Starlette(routes=[Mount("/collab", collab)], lifespan=entered if lifespan else None)


def begin(
    app: Collab,
    tasks: TaskGroup,
    type_: str,
    path: str,
    accept: Callable[[], Awaitable[None]] = anyio.lowlevel.checkpoint,
) -> list[Message]:
    """Begins a request; returns where what is answered will be."""
    first = {"type": "websocket.connect"} if type_ == "websocket" else {"type": "http.request"}
    coming, sent = [first], list[Message]()

    async def receive() -> Message:
        if not coming:
            while not sent or sent[-1]["type"] != "websocket.close":
                await anyio.lowlevel.checkpoint()
            return {"type": "websocket.disconnect"}
        return coming.pop()

    async def send(message: Message) -> None:
        if message["type"] == "websocket.accept":
            await accept()
        sent.append(message)

    scope = {
        "type": type_,
        "method": "GET",
        "http_version": "1.1",
        "path": path,
        "query_string": b"",
        "headers": [],
        "client": ("127.0.0.1", 1),
        "subprotocols": [],
        "extensions": {"websocket.http.response": {}},
    }
    tasks.start_soon(app, scope, receive, send)
    return sent


async def read_text(port: int, path: str, expected: str) -> None:
    """Waits until a WebSocket client sees this text."""
    doc: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc()
    async with connect(f"ws://127.0.0.1:{port}{path}", compression=None) as socket:
        await socket.send(yjs.sync_step1(doc.get_state()))
        with anyio.fail_after(30):
            while str(doc.get("text", type=pycrdt.Text)) != expected:
                frame = await socket.recv()
                assert isinstance(frame, bytes)
                message = yjs.decode(frame)
                if isinstance(message, (SyncStep2, Update)):
                    doc.apply_update(message.update)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"history": "30d"}, "expected history like Retention.parse"),
        ({"settings": {"unload_seconds": 60}}, "expected settings like Settings"),
        ({"bus": "redis://127.0.0.1"}, "expected a bus, as open_bus"),
    ],
)
def test_what_only_the_command_takes_is_refused(given: dict[str, Any], expected: str) -> None:
    with pytest.raises(SettingsError, match=expected):
        Collab(MemoryStore(), **given)


class TestMounting:
    async def test_a_host_that_enters_it_serves_it_under_its_prefix(self) -> None:
        collab = Collab(MemoryStore())
        async with collab, requests_to(host_of(collab, lifespan=False), "/collab") as client:
            assert (await client.get("/healthz")).json() == {"status": "ok"}

    async def test_fastapi_serves_it_under_its_prefix(self) -> None:
        collab = Collab(MemoryStore())
        host = FastAPI()
        host.mount("/deep/down", collab)
        async with collab, requests_to(host, "/deep/down") as client:
            assert (await client.get("/api/docs")).status_code == 200

    @pytest.mark.parametrize("anyio_backend", ["asyncio"])
    @pytest.mark.parametrize("serve", [hypercorn, under_uvicorn])
    async def test_a_host_that_takes_the_prefix_off_the_path_alone_serves_it_too(
        self, serve: Serve
    ) -> None:
        collab = Collab(MemoryStore())

        async def as_litestar_does(scope: Scope, receive: Receive, send: Send) -> None:
            assert scope["type"] != "lifespan", "so servers are told that nobody waits for it"
            path = scope["path"].removeprefix("/collab").rstrip("/") + "/"
            await collab({**scope, "path": path}, receive, send)

        async with collab, serve(as_litestar_does) as port:
            async with collab.document("a/b") as document:
                text = document.doc.get("text", type=pycrdt.Text)
                text += "hello"
            await read_text(port, "/collab/ws/a%2Fb", "hello")
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
                assert (await client.get("/collab/api/docs/a%2Fb/content")).status_code == 200
                assert (await client.get("/collab/api/docs/a")).status_code == 404

    async def test_what_the_host_raises_while_it_is_entered_comes_out_as_it_is(self) -> None:
        async def fail() -> None:
            async with Collab(MemoryStore()):
                raise ZeroDivisionError

        async def ask_for_nothing() -> None:
            async with Collab(MemoryStore()) as collab, collab.document(""):
                pass

        with pytest.raises(ZeroDivisionError):
            await fail()
        with pytest.raises(InvalidName):
            await ask_for_nothing()

    async def test_a_host_that_is_cancelled_leaves_it(self) -> None:
        with anyio.move_on_after(0) as cancelled:
            async with Collab(MemoryStore()) as collab:
                await anyio.sleep_forever()
        assert cancelled.cancelled_caught
        with pytest.raises(NotRunning):
            _ = collab.running

    async def test_a_host_that_does_not_is_told_so(self) -> None:
        collab = Collab(MemoryStore())
        async with requests_to(host_of(collab, lifespan=False), "/collab") as client:
            with pytest.raises(NotRunning, match="async with collab"):
                await client.get("/healthz")

    async def test_a_host_that_serves_on_after_it_has_ended_answers_503(self) -> None:
        collab = Collab(MemoryStore())
        async with requests_to(host_of(collab, lifespan=False), "/collab") as client:
            async with collab:
                assert (await client.get("/api/docs")).status_code == 200
            answer = await client.get("/api/docs")
            assert answer.status_code == 503
            assert answer.json() == {"error": "expected a running app, got one that has ended"}
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            async with collab:
                assert (await client.get("/api/docs")).status_code == 200

    async def test_sockets_are_refused_after_it_has_ended(self) -> None:
        collab = Collab(MemoryStore())
        async with collab:
            pass
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "websocket.connect"}

        async def send(message: Message) -> None:
            sent.append(message)

        scope = {"type": "websocket", "path": "/ws/d", "headers": []}
        await collab(scope, receive, send)
        assert sent == [{"type": "websocket.close", "code": 1008}]

    async def test_entering_it_twice_is_refused(self) -> None:
        async with Collab(MemoryStore()) as collab:
            with pytest.raises(NotRunning, match="got one that is"):
                await collab.__aenter__()

    async def test_what_is_asked_of_it_after_it_has_ended_is_told_so(self) -> None:
        async with Collab(MemoryStore()) as collab:
            pass
        with pytest.raises(NotRunning, match="got one that has ended"):
            async with collab.document("d"):
                pass
        with pytest.raises(NotRunning, match="got one that has ended"):
            await collab.revoke(user="ana")

    @pytest.mark.parametrize(
        ("type_", "path"),
        [("websocket", "/ws/d"), ("http", "/sse/d"), ("http", "/api/docs/d/events")],
    )
    async def test_who_is_still_asked_for_when_it_ends_is_told_to_come_back(
        self, type_: str, path: str
    ) -> None:
        asked, answered = anyio.Event(), anyio.Event()

        async def authenticate(_: HTTPConnection) -> Identity:
            asked.set()
            await answered.wait()
            return Identity(id="ana")

        async with anyio.create_task_group() as tasks:
            async with Collab(MemoryStore(), authenticate=authenticate) as collab:
                sent = begin(collab, tasks, type_, path)
                await asked.wait()
            answered.set()
        assert [message.get("status") for message in sent] == [503, None]

    async def test_who_is_let_in_when_it_ends_is_told_to_come_back(self) -> None:
        accepting, accepted = anyio.Event(), anyio.Event()

        async def accept() -> None:
            accepting.set()
            await accepted.wait()

        async with anyio.create_task_group() as tasks:
            async with Collab(MemoryStore()) as collab:
                sent = begin(collab, tasks, "websocket", "/ws/d", accept)
                await accepting.wait()
            accepted.set()
        assert sent[-1] == {
            "type": "websocket.close",
            "code": CloseCode.RESTART,
            "reason": "the server restarts",
        }

    async def test_after_it_was_left_it_may_be_entered_again(self) -> None:
        collab = Collab(MemoryStore())
        for text in ("a", "aa"):
            async with collab, collab.document("d") as document:
                shared = document.doc.get("text", type=pycrdt.Text)
                shared += "a"
                assert str(shared) == text

    @pytest.mark.parametrize("anyio_backend", ["asyncio"])
    async def test_leaving_it_in_another_task_stores_everything_and_is_told_of(
        self, anyio_backend_name: str
    ) -> None:
        store = MemoryStore()
        collab = Collab(store)
        await asyncio.create_task(collab.__aenter__())
        async with collab.document("d") as document:
            document.doc["text"] = pycrdt.Text("x")
        with pytest.raises(WrongTask, match="the task that entered it, got another"):
            await asyncio.create_task(collab.__aexit__(None, None, None))
        async with store:
            assert (await store.load("d")).seq == 1
        async with collab, collab.document("d") as document:
            assert str(document.doc.get("text", type=pycrdt.Text)) == "x"

    @pytest.mark.parametrize("anyio_backend", ["asyncio"])
    @pytest.mark.parametrize("serve", [hypercorn, under_uvicorn])
    @pytest.mark.parametrize("alone", [True, False])
    async def test_servers_that_pass_lifespan_on_enter_it(
        self, serve: Serve, alone: bool, anyio_backend_name: str
    ) -> None:
        store = MemoryStore()
        collab = Collab(store)
        app: ASGIApp = collab if alone else host_of(collab, lifespan=True)
        prefix = "" if alone else "/collab"
        async with serve(app) as port:
            async with connect(f"ws://127.0.0.1:{port}{prefix}/ws/d", compression=None) as socket:
                await socket.send(yjs.update(poison.HELLO))
                with anyio.fail_after(30):
                    while await socket.recv() != yjs.update(poison.HELLO):
                        pass
            await read_text(port, f"{prefix}/ws/d", "hello")
        async with store:
            assert (await store.load("d")).seq == 1
