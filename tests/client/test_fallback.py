"""FallbackWire: a session over requests that fail."""

import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import anyio
import pytest
from anyio.abc import SocketAttribute, SocketStream

from collab.client.fallback import open_fallback
from collab.client.server_address import ServerAddress, read_address
from collab.errors import ConnectionEnded
from tests.client.writing import WITHIN_SECONDS

pytestmark = pytest.mark.anyio

_OPENED = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
    b'event: open\nid: s.0\ndata: {"session": "s", "resumed": true}\n\n'
)


@asynccontextmanager
async def serving(
    answer: Callable[[SocketStream], Awaitable[None]],
) -> AsyncIterator[ServerAddress]:
    """Has ``answer`` answer every connection; gives the address."""
    async with (
        await anyio.create_tcp_listener(local_host="127.0.0.1") as listener,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(listener.serve, answer)
        yield read_address(f"http://127.0.0.1:{listener.extra(SocketAttribute.local_port)}")
        tasks.cancel_scope.cancel()


async def test_a_session_whose_streams_all_end_at_once_is_given_up() -> None:
    asked: list[bytes] = []

    async def answer(stream: SocketStream) -> None:
        async with stream:
            asked.append(await stream.receive())
            await stream.send(_OPENED)

    async with serving(answer) as server:
        with anyio.fail_after(WITHIN_SECONDS):
            async with open_fallback(server, None) as wire:
                with pytest.raises(ConnectionEnded, match="the stream ended"):
                    await wire.receive()
    assert sum(request.startswith(b"GET") for request in asked) < 10


async def test_a_stream_that_waits_for_its_reader_is_left_without_remains() -> None:
    async def answer(stream: SocketStream) -> None:
        async with stream:
            asked = await stream.receive()
            if asked.startswith(b"GET"):
                await stream.send(_OPENED + b"event: frame\nid: s.1\ndata: AA==\n\n" * 1000)
                with suppress(anyio.EndOfStream, anyio.BrokenResourceError):
                    await stream.receive()

    async with serving(answer) as server:
        with anyio.fail_after(WITHIN_SECONDS):
            async with open_fallback(server, None) as wire:
                assert await wire.receive() == b"\0"
                await anyio.wait_all_tasks_blocked()
    gc.collect()  # A generator that is not closed warns as it is collected, which fails the test.
