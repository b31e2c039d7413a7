"""How sessions without WebSockets end."""

import asyncio

import httpx
import pytest

from collab.close import CloseCode
from collab.server.app import Collab
from collab.server.settings import Settings
from collab.storage.memory import MemoryStore
from tests.server.fallback import FallbackClient
from tests.server.hosts import STREAM_WRITERS, front_door
from tests.server.transports.fallback.serving import (
    IS_SHOWN,
    SHOWS_ITSELF,
    http_to,
    serving,
    synced,
)

pytestmark = [
    pytest.mark.anyio,
    STREAM_WRITERS,
    pytest.mark.usefixtures("collected"),
]


class TestEnds:
    async def test_presence_of_who_left_is_removed_at_once(
        self, http: httpx.AsyncClient, poll: bool
    ) -> None:
        async with FallbackClient(http) as watcher:
            await synced(watcher)
            async with FallbackClient(http, poll=poll) as client:
                await synced(client)
                await client.say(SHOWS_ITSELF)
                await watcher.until(IS_SHOWN)
                await client.end()
                while b"null" not in await watcher.frame():
                    pass
                assert (await client.post()).status_code == 410

    async def test_presence_of_who_vanished_is_removed_when_nobody_came_back(
        self, poll: bool
    ) -> None:
        async with serving(Settings(resume_seconds=0.05)) as http, FallbackClient(http) as watcher:
            await synced(watcher)
            async with FallbackClient(http) as client:
                await synced(client)
                await client.say(SHOWS_ITSELF)
                await watcher.until(IS_SHOWN)
            while b"null" not in await watcher.frame():
                pass
            client.poll = poll
            await client.connect()
            assert not client.resumed
            await client.cut()

    async def test_a_shutdown_is_told(self, poll: bool) -> None:
        app = Collab(MemoryStore())
        async with (
            front_door(app) as port,
            http_to(port) as http,
            FallbackClient(http, poll=poll) as client,
        ):
            await synced(client)
            client_closed = asyncio.create_task(client.until_closed())
            await app.running.drain()
            assert (await client_closed)[0] == CloseCode.RESTART
            with pytest.raises(httpx.HTTPStatusError) as caught:
                await FallbackClient(http).connect()
            assert caught.value.response.status_code == 503

    async def test_silence_ends_a_stream_and_an_empty_post_is_a_sign_of_life(self) -> None:
        settings = Settings(heartbeat_seconds=0.1, dead_seconds=2.0)
        async with (
            serving(settings) as http,
            FallbackClient(http) as silent,
            FallbackClient(http) as living,
        ):
            await synced(silent)
            await synced(living)
            closing = asyncio.create_task(silent.until_closed())
            while not closing.done():
                if await living.frame() == b"\x03":
                    await living.say()
            assert closing.result()[0] == CloseCode.TRY_AGAIN_LATER
            assert living.closed is None
