"""Siblings: requests of a session that another worker has, passed on to it."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import httpx
import pytest
from hypercorn.config import Config
from starlette.types import ASGIApp, Receive, Scope, Send

from collab.protocol import yjs
from collab.protocol.fallback import POST_HEADER, SESSION_HEADER, join_frames
from collab.server.app import Collab
from collab.server.bus.in_process import Exchange
from collab.server.cli.listening import listen_beside
from collab.server.settings import Settings
from collab.server.siblings import Siblings, with_addresses
from collab.server.transports.frontdoor import FrontDoor
from collab.storage.memory import MemoryStore
from tests.core import poison
from tests.server.fallback import DEADLINE_SECONDS, FallbackClient
from tests.server.hosts import STREAM_WRITERS, listen
from tests.server.transports.fallback.serving import APPLIED, http_to
from tests.server.transports.websockets.raw import Raw

pytestmark = [pytest.mark.anyio, STREAM_WRITERS, pytest.mark.usefixtures("collected")]


class Answered:
    """An ASGI app around another one.

    Attributes:
        all: set whenever a request is over, however it ended.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.all = anyio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._app(scope, receive, send)
        finally:
            self.all.set()


class Pair:
    """Two workers.

    Attributes:
        port: where one of them, which has no session, is asked.
        http: asks it.
        home: asks the other one.
        answered: tells when the first one is done with a request.
    """

    def __init__(
        self, port: int, http: httpx.AsyncClient, home: httpx.AsyncClient, answered: Answered
    ) -> None:
        self.port = port
        self.http = http
        self.home = home
        self.answered = answered


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@contextlib.asynccontextmanager
async def pair(folder: Path, settings: Settings | None = None) -> AsyncIterator[Pair]:
    exchange = Exchange()
    buses = exchange.bus(), exchange.bus()
    # What one of them stores is nothing to the other here.
    asked, home = (Collab(MemoryStore(), bus=bus, settings=settings) for bus in buses)
    answered = Answered(Siblings(asked, folder, 1, buses[0].instance))
    address = folder / f"2.{buses[1].instance}"
    uds = httpx.AsyncHTTPTransport(uds=str(address))

    def door(app: Collab, around: ASGIApp, listener: socket.socket) -> FrontDoor:
        handshakes, spawn = app.running.handshakes, app.running.rooms.spawn
        return FrontDoor(
            around,
            handshakes,
            spawn,
            app.settings,
            config=Config(),
            listener=listener,
            native=False,
        )

    with listen() as listener, listen_beside(address) as side:
        port = listener.getsockname()[1]
        async with (
            asked,
            home,
            door(home, with_addresses(home), side),
            door(asked, answered, listener),
            http_to(port) as http,
            httpx.AsyncClient(transport=uds, base_url="http://worker") as direct,
        ):
            yield Pair(port, http, direct, answered)


async def test_a_post_that_breaks_off_is_not_taken_for_a_whole_one(tmp_path: Path) -> None:
    async with pair(tmp_path) as workers, FallbackClient(workers.home) as client:
        frames = [yjs.sync_step1(b"\x00"), yjs.update(poison.HELLO)]
        first = join_frames(frames[:1])
        raw = await Raw.open(workers.port)
        raw.write(
            f"POST /sse/room HTTP/1.1\r\nHost: 127.0.0.1\r\n{SESSION_HEADER}: {client.session}\r\n"
            f"{POST_HEADER}: 1\r\nTransfer-Encoding: chunked\r\n\r\n{len(first):x}\r\n".encode(),
            first + b"\r\n",
        )
        await raw.close()
        with anyio.fail_after(DEADLINE_SECONDS):
            await workers.answered.all.wait()
        await client.say(*frames)
        await client.until(APPLIED)
        await client.end()


async def test_a_session_that_begins_with_a_sibling_counts_for_its_clients_address(
    tmp_path: Path,
) -> None:
    settings = Settings(address_connections=1)
    async with (
        pair(tmp_path, settings) as workers,
        FallbackClient(workers.home) as client,
    ):
        # A session of that worker which is not there any more.
        headers = {"Last-Event-ID": f"{client.session}x.0"}
        polls = [
            await workers.http.get("/sse/room", params={"poll": "1"}, headers=headers)
            for _ in range(2)
        ]
        assert [answer.status_code for answer in polls] == [200, 429]
        await client.end()


async def test_a_stream_whose_worker_ends_breaks_off_and_is_no_failure_of_ours(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def end(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n:\n\n\r\n")
        writer.close()

    async with (
        pair(tmp_path) as workers,
        await asyncio.start_unix_server(end, tmp_path / "3.ending"),
    ):
        headers = {"Last-Event-ID": "ending:x.0"}
        async with workers.http.stream("GET", "/sse/room", headers=headers) as answer:
            pieces = answer.aiter_raw()
            assert await anext(pieces) == b":\n\n"
            with pytest.raises(httpx.RemoteProtocolError):
                await anext(pieces)
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
