"""A server in this process, on a real socket, with settings and a store of the test's own."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from hypercorn.config import Config

from collab.server.app import Collab
from collab.server.settings import Settings
from collab.server.transports.frontdoor import FrontDoor
from collab.store import Store


@asynccontextmanager
async def serve_here(
    store: Store, settings: Settings | None = None, *, transport: str = "native"
) -> AsyncIterator[str]:
    """Runs a server; gives where y-websocket clients connect."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=512)
    config = Config()
    async with Collab(store, settings=settings) as app:
        config.websocket_max_message_size = app.settings.message_max_bytes
        async with FrontDoor(
            app,
            app.running.handshakes,
            app.running.rooms.spawn,
            app.settings,
            config=config,
            listener=listener,
            native=transport == "native",
        ) as door:
            yield f"ws://127.0.0.1:{listener.getsockname()[1]}/ws"
            door.stop_accepting()
            await app.running.drain()
