"""The ASGI transport beside what real hosts show: a peer that goes at the wrong moment."""

import anyio
import pytest
from starlette.types import Message

from collab.close import CloseCode
from collab.server.app import Collab
from collab.storage.memory import MemoryStore
from tests.server.wire import DEADLINE_SECONDS

pytestmark = pytest.mark.anyio


async def test_a_peer_that_goes_while_it_is_closed_is_no_failure_of_ours() -> None:
    closing = anyio.Event()
    accepted = anyio.Event()

    async def receive() -> Message:
        if accepted.is_set():
            await anyio.sleep_forever()
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        if message["type"] == "websocket.accept":
            accepted.set()
        elif message["type"] == "websocket.close":
            closing.set()
            raise OSError("uvicorn raises one once the peer has gone")

    scope = {
        "type": "websocket",
        "path": "/ws/d",
        "query_string": b"",
        "headers": [],
        "client": ("127.0.0.1", 1),
        "subprotocols": [],
    }
    async with Collab(MemoryStore()) as collab, anyio.create_task_group() as tasks:
        tasks.start_soon(collab, scope, receive, send)
        with anyio.fail_after(DEADLINE_SECONDS):
            while not (rooms := collab.running.rooms.loaded) or not rooms[0].members:
                await anyio.lowlevel.checkpoint()
            rooms[0].close_all(CloseCode.RESTART, "the server restarts")
            await closing.wait()
