"""Several servers over one store, as processes, and a crowd that edits on all of them."""

from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import anyio.to_thread
import httpx

from tests.durability.editor import Crowd
from tests.e2e.serving import Server, serve
from tests.valkey import wait_until

ROOM = "several"


class Group:
    """Servers over one store, each with its way to the bus.

    Args:
        store: file of the store, or its address.
    """

    def __init__(self, store: Path | str) -> None:
        self.store = store
        self._exits = ExitStack()

    async def start(self, *buses: str, under: Sequence[str] = ()) -> Sequence[Server]:
        """Starts a server for each address of the bus, run by a command."""
        return [
            await anyio.to_thread.run_sync(
                self._exits.enter_context,
                serve(self.store, options=("--bus", bus), under=under),
            )
            for bus in buses
        ]

    async def stop(self) -> None:
        """Ends those that still run, in good order."""
        await anyio.to_thread.run_sync(self._exits.close)


@asynccontextmanager
async def group(store: Path | str) -> AsyncIterator[Group]:
    """Servers that are ended with the context."""
    servers = Group(store)
    try:
        yield servers
    finally:
        await servers.stop()


def rooms(servers: Sequence[Server], name: str = ROOM) -> list[str]:
    """Where a document is on each server."""
    return [f"{server.websockets}/{name}" for server in servers]


async def ready(server: Server, status: str) -> None:
    """Waits until a server says that it is as it should be."""

    def is_ready() -> bool:
        return bool(httpx.get(f"{server.url}/readyz").json()["status"] == status)

    await anyio.to_thread.run_sync(wait_until, is_ready)


async def type_more(crowd: Crowd, words: int = 20) -> None:
    """Has everyone type, and waits for so many more acknowledgements."""
    enough = crowd.acknowledgements + words
    crowd.type()
    await crowd.until(lambda: crowd.acknowledgements >= enough, "acks")
