"""A bad network: everything takes its time, connections are cut, WebSockets are refused."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

_CHUNK_BYTES = 64 * 1024
_CHUNKS_UNDER_WAY = 256
_REFUSAL = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

_Pair = tuple[asyncio.StreamWriter, asyncio.StreamWriter]


class BadNetwork:
    """What lies between clients and a local port, until it heals.

    Attributes:
        connections: how many came through.
        cuts: how many of them were cut.
        refusals: how many WebSockets were refused.
    """

    def __init__(
        self, port: int, chance: random.Random, *, delay_seconds: float, cuts_a_minute: float
    ) -> None:
        """Carries nobody yet; see ``link``.

        Args:
            port: the server's.
            chance: decides who is cut when, and who is refused.
            delay_seconds: how long everything takes, each way.
            cuts_a_minute: how often a connection is cut in a minute, on average.
        """
        self.connections = 0
        self.cuts = 0
        self.refusals = 0
        self._port = port
        self._chance = chance
        self._delay_seconds = delay_seconds
        self._cuts_a_second = cuts_a_minute / 60
        self._healed = asyncio.Event()
        self._pairs: set[_Pair] = set()

    def heal(self) -> None:
        """From now on nobody is cut or delayed."""
        self._delay_seconds = 0.0
        self._healed.set()

    def break_down(self) -> None:
        """Cuts everybody at once."""
        for pair in tuple(self._pairs):
            self._cut(pair)

    @asynccontextmanager
    async def link(self, *, refused: float) -> AsyncIterator[int]:
        """Opens a way through it; gives the port it listens on.

        Args:
            refused: share of WebSockets that are refused; 1 refuses them for good, anything less
                until the network heals.
        """
        carried: set[asyncio.Task[None]] = set()

        def accept(near: asyncio.StreamReader, near_out: asyncio.StreamWriter) -> None:
            task = asyncio.create_task(self._admit(near, near_out, refused))
            carried.add(task)
            task.add_done_callback(carried.discard)

        server = await asyncio.start_server(accept, "127.0.0.1", 0, limit=_CHUNK_BYTES)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            for task in tuple(carried):
                task.cancel()
            await asyncio.gather(*carried, return_exceptions=True)

    async def _admit(
        self, near: asyncio.StreamReader, near_out: asyncio.StreamWriter, refused: float
    ) -> None:
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                head = await near.readuntil(b"\r\n\r\n")
                if b"upgrade: websocket" in head.lower() and self._refuses(refused):
                    self.refusals += 1
                    await asyncio.sleep(self._delay_seconds)
                    near_out.write(_REFUSAL)
                    await near_out.drain()
                    return
                await self._carry(head, near, near_out)
        finally:
            near_out.close()

    def _refuses(self, share: float) -> bool:
        return share == 1 or (not self._healed.is_set() and self._chance.random() < share)

    async def _carry(
        self, head: bytes, near: asyncio.StreamReader, near_out: asyncio.StreamWriter
    ) -> None:
        far, far_out = await asyncio.open_connection("127.0.0.1", self._port, limit=_CHUNK_BYTES)
        self.connections += 1
        pair = near_out, far_out
        self._pairs.add(pair)
        fate = asyncio.create_task(self._befall(pair))
        try:
            async with asyncio.TaskGroup() as ways:
                ways.create_task(self._pass(near, far_out, head))
                ways.create_task(self._pass(far, near_out, b""))
        finally:
            fate.cancel()
            self._pairs.discard(pair)
            far_out.close()

    async def _befall(self, pair: _Pair) -> None:
        """Cuts a connection in its time, unless the network heals before."""
        lifetime_seconds = self._chance.expovariate(self._cuts_a_second)
        try:
            await asyncio.wait_for(self._healed.wait(), lifetime_seconds)
        except TimeoutError:
            self._cut(pair)

    def _cut(self, pair: _Pair) -> None:
        """Resets both sides; what is under way is lost."""
        self.cuts += 1
        self._pairs.discard(pair)
        for end in pair:
            end.transport.abort()

    async def _pass(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, head: bytes
    ) -> None:
        """Passes bytes on in their time until the source ends; then so does the target."""
        loop = asyncio.get_running_loop()
        under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_CHUNKS_UNDER_WAY)

        async def arrive() -> None:
            while True:
                due, chunk = await under_way.get()
                await asyncio.sleep(due - loop.time())
                if not chunk:
                    return
                target.write(chunk)
                await target.drain()

        arrival = asyncio.create_task(arrive())
        try:
            with suppress(ConnectionError):
                chunk = head or await source.read(_CHUNK_BYTES)
                while chunk and not arrival.done():
                    await under_way.put((loop.time() + self._delay_seconds, chunk))
                    chunk = await source.read(_CHUNK_BYTES)
                await under_way.put((loop.time() + self._delay_seconds, b""))
                await arrival
        finally:
            arrival.cancel()
            await asyncio.gather(arrival, return_exceptions=True)
            target.close()
