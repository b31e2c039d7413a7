"""pycrdt-websocket with a SQLiteYStore for each room, as it comes, on a free port that it prints.

Usage: ``python -m benchmarks.storage.pycrdt_server FILE``
"""

import socket
import sys
from collections.abc import Awaitable, Callable

import anyio
from hypercorn.asyncio import serve
from hypercorn.config import Config
from pycrdt.store import SQLiteYStore
from pycrdt.websocket import ASGIServer, WebsocketServer, YRoom


class _Store(SQLiteYStore):
    db_path = sys.argv[-1]


class _Server(WebsocketServer):
    async def get_room(self, name: str) -> YRoom:
        """Gives a room that is stored; the documents of a benchmark begin empty."""
        if name not in self.rooms:
            self.rooms[name] = YRoom(ystore=_Store(name))
        room = self.rooms[name]
        await self.start_room(room)
        return room


async def main() -> None:
    """Serves until it is ended."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    port = listener.getsockname()[1]
    config = Config()
    config.bind = [f"fd://{listener.detach()}"]
    config.loglevel = "ERROR"
    config.websocket_ping_interval = None
    store = _Store("first")
    async with store:  # Two that made the file at once would fail.
        while store.db_initialized is None:
            await anyio.lowlevel.checkpoint()
        await store.db_initialized.wait()
    async with _Server(auto_clean_rooms=False) as server:
        print(f"pycrdt: listening on http://127.0.0.1:{port}", flush=True)
        app: Callable[..., Awaitable[None]] = ASGIServer(server)
        await serve(app, config, shutdown_trigger=anyio.Event().wait)


if __name__ == "__main__":
    anyio.run(main)
