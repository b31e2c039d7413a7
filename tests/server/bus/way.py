"""The way to a server, for tests: what the server is asked can be held back on it."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

_CHUNK_BYTES = 64 * 1024


class Way:
    """A TCP proxy that lets everything through, but for what it is to hold back.

    Args:
        target: port of the server.
        port: where it listens.

    Attributes:
        port: likewise.
        held: set while something is held back.
    """

    def __init__(self, target: int, port: int) -> None:
        self.port = port
        self.held = asyncio.Event()
        self._target = target
        self._word = b""
        self._free = asyncio.Event()
        self._open: set[asyncio.StreamWriter] = set()

    def hold(self, word: bytes) -> None:
        """Holds back the next packet that has a word, and all that follow it."""
        self._word = word
        self._free.clear()

    def let_go(self) -> None:
        """Lets through what is held back, and what comes."""
        self._word = b""
        self.held.clear()
        self._free.set()

    def cut(self) -> None:
        """Cuts what is connected."""
        self.let_go()
        for end in tuple(self._open):
            end.transport.abort()

    async def carry(self, near: asyncio.StreamReader, near_out: asyncio.StreamWriter) -> None:
        """Carries a connection to the server and back until it ends."""
        far, far_out = await asyncio.open_connection("127.0.0.1", self._target)
        ends = {near_out, far_out}
        self._open |= ends
        async with asyncio.TaskGroup() as ways:
            ways.create_task(self._pass(near, far_out, up=True))
            ways.create_task(self._pass(far, near_out, up=False))
        self._open -= ends

    async def _pass(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, *, up: bool
    ) -> None:
        with suppress(OSError):
            while piece := await source.read(_CHUNK_BYTES):
                if up and self._word and self._word in piece:
                    self.held.set()
                    await self._free.wait()
                target.write(piece)
                await target.drain()
        target.close()


@asynccontextmanager
async def way_to(port: int) -> AsyncIterator[Way]:
    """Opens a way to a local port."""
    listener = socket.create_server(("127.0.0.1", 0))
    way = Way(port, listener.getsockname()[1])
    carried: set[asyncio.Task[None]] = set()

    def accept(near: asyncio.StreamReader, near_out: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(way.carry(near, near_out))
        carried.add(task)
        task.add_done_callback(carried.discard)

    server = await asyncio.start_server(accept, sock=listener)
    try:
        yield way
    finally:
        server.close()
        way.cut()
        await asyncio.gather(*carried)
