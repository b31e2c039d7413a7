"""How the clients of a server that stops are sent to others."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import pairwise
from pathlib import Path
from random import Random

import anyio
import httpx
import pytest
import trio.testing
from hypercorn.config import Config
from websockets.asyncio.client import ClientConnection, connect

from collab.close import CloseCode
from collab.lib0 import write_var_string
from collab.server.app import Collab
from collab.server.bus.in_process import Exchange
from collab.server.departure import send_away
from collab.server.limits.census import Census, Visit
from collab.server.metrics import Metrics
from collab.server.settings import Settings
from collab.server.transports.frontdoor import FrontDoor
from collab.storage.memory import MemoryStore
from tests.server.fallback import FallbackClient
from tests.server.hosts import listen
from tests.server.transports.fallback.serving import SHOWS_ITSELF, http_to, synced
from tests.server.wire import Wire

pytestmark = pytest.mark.anyio

DEADLINE_SECONDS = 30.0
OPENS_A_DOCUMENT = write_var_string("room") + b"\x02\x00" + write_var_string("")
TOLD = (CloseCode.RESTART, "the server restarts")


class Client(Wire):
    """A client that goes as soon as it is told to, unless it stays.

    Attributes:
        told_at: when it was told, in seconds since the clock began.
    """

    def __init__(self, census: Census, *, stays: bool = False) -> None:
        super().__init__()
        self.told_at: float | None = None
        self._stays = stays
        self._visit: Visit = census.visit({"type": "websocket"})
        self._visit.begin(self)

    def close(self, code: CloseCode, reason: str = "") -> None:
        super().close(code, reason)
        self.told_at = anyio.current_time()
        if not self._stays:
            self._visit.end()


def crowd(size: int) -> tuple[Census, list[Client]]:
    census = Census(Settings(), Metrics(), ())
    return census, [Client(census) for _ in range(size)]


@pytest.mark.parametrize(
    "anyio_backend", [("trio", {"clock": trio.testing.MockClock(autojump_threshold=0)})]
)
class TestOnAClockThatJumps:
    async def test_each_is_told_at_a_moment_of_its_own_and_no_moment_is_crowded(self) -> None:
        census, clients = crowd(2000)
        began = anyio.current_time()
        await send_away(census, 2.0, Random(1))
        moments = [client.told_at - began for client in clients if client.told_at is not None]
        assert all(client.closed == TOLD for client in clients)
        assert max(moments) < 2.1
        for tenth in range(10):
            told = sum(tenth / 5 <= moment < (tenth + 1) / 5 for moment in moments)
            assert 100 < told < 300
        assert any(one > other for one, other in pairwise(moments))  # Not in the order they came.

    async def test_few_are_told_in_less_time(self) -> None:
        census, _ = crowd(20)
        began = anyio.current_time()
        await send_away(census, 2.0, Random(1))
        assert anyio.current_time() - began <= 0.1

    async def test_without_others_all_are_told_at_once(self) -> None:
        census, clients = crowd(500)
        began = anyio.current_time()
        await send_away(census, 0.0, Random(1))
        assert {client.told_at for client in clients} == {began}

    async def test_who_does_not_go_is_not_waited_for_long(self) -> None:
        census, _ = crowd(1)
        began = anyio.current_time()
        staying = Client(census, stays=True)
        await send_away(census, 0.0, Random(1))
        assert staying.closed == TOLD
        assert 0.5 < anyio.current_time() - began < 2.0

    async def test_who_was_on_the_way_in_is_told_when_they_are_there(self) -> None:
        census, _ = crowd(0)
        visit = census.visit({"type": "websocket"})
        census.close()
        late = Wire()
        visit.begin(late)
        assert late.closed == TOLD


@asynccontextmanager
async def door(app: Collab, *, native: bool) -> AsyncIterator[int]:
    """The front door of an app that somebody else enters and leaves."""
    with listen() as listener:
        async with FrontDoor(
            app,
            app.running.handshakes,
            app.running.rooms.spawn,
            app.settings,
            config=Config(),
            listener=listener,
            native=native,
        ):
            yield listener.getsockname()[1]


async def until_told(client: ClientConnection) -> tuple[int, str]:
    async with asyncio.timeout(DEADLINE_SECONDS):
        await client.wait_closed()
    assert client.close_code is not None
    return client.close_code, client.close_reason or ""


async def status(client: httpx.AsyncClient, path: str) -> int:
    return (await client.get(path)).status_code


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("native", [True, False])
class TestWhateverClientsSpeak:
    @asynccontextmanager
    async def crowded(
        self, app: Collab, *, native: bool, polls: bool
    ) -> AsyncIterator[tuple[httpx.AsyncClient, "list[asyncio.Task[tuple[int, str]]]"]]:
        """An app with clients of every kind; how each of them is sent away.

        Args:
            app: the app, entered.
            native: what carries WebSockets.
            polls: whether one of them polls, and so comes again and again.
        """
        async with AsyncExitStack() as exits:
            enter = exits.enter_async_context
            port = await enter(door(app, native=native))
            http = await enter(http_to(port))
            fallbacks = [await enter(FallbackClient(http, poll=poll)) for poll in {False, polls}]
            sockets = [
                await enter(connect(f"ws://127.0.0.1:{port}/{path}"))
                for path in ("ws/room", "y-sweet/ws/room", "hocuspocus", "hocuspocus")
            ]
            await sockets[0].send(SHOWS_ITSELF)
            await sockets[2].send(OPENS_A_DOCUMENT)  # The other one has none.
            for fallback in fallbacks:
                await synced(fallback)
            told = [asyncio.create_task(until_told(socket)) for socket in sockets]
            told += [asyncio.create_task(fallback.until_closed()) for fallback in fallbacks]
            yield http, told

    async def test_they_are_told_and_nobody_else_is_let_in(self, native: bool) -> None:
        async with (
            Collab(MemoryStore()) as app,
            self.crowded(app, native=native, polls=True) as (http, told),
        ):
            assert await status(http, "/readyz") == 200
            await app.running.leave()
            assert await asyncio.gather(*told) == [TOLD] * 6
            assert await status(http, "/readyz") == 503
            assert await status(http, "/healthz") == 200
            assert await status(http, "/sse/room") == 503
            assert await status(http, "/api/docs/room/events") == 503

    async def test_an_app_that_is_left_tells_them_and_their_presence_goes(
        self, tmp_path: Path, native: bool
    ) -> None:
        store, exchange = f"sqlite:///{tmp_path}/collab.db", Exchange()
        async with (
            Collab(store, bus=exchange.bus()) as staying,
            door(staying, native=native) as port,
            connect(f"ws://127.0.0.1:{port}/ws/room") as watcher,
            AsyncExitStack() as leaving,
        ):
            app = await leaving.enter_async_context(Collab(store, bus=exchange.bus()))
            async with self.crowded(app, native=native, polls=False) as (_, told):
                async with asyncio.timeout(DEADLINE_SECONDS):
                    while await watcher.recv() != SHOWS_ITSELF:
                        pass
                await leaving.aclose()
                assert await asyncio.gather(*told) == [TOLD] * 5
                async with asyncio.timeout(DEADLINE_SECONDS):
                    while b"null" not in await watcher.recv(decode=False):
                        pass
