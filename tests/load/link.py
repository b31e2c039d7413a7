"""A slow link: a TCP proxy that lets so much through a second, and keeps little in between."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

_CHUNK_BYTES = 8 * 1024
_BUFFER_BYTES = 32 * 1024
"""What the kernel may keep on each side; more would hide how slow the link is."""


class _Bucket:
    """Lets bytes through at a rate, and nothing at once."""

    def __init__(self, bytes_per_second: float) -> None:
        self._rate = bytes_per_second
        self._free_at = 0.0

    async def take(self, size: int) -> None:
        loop = asyncio.get_running_loop()
        self._free_at = max(self._free_at, loop.time()) + size / self._rate
        await asyncio.sleep(self._free_at - loop.time())


@asynccontextmanager
async def slow_link(port: int, bits_per_second: float) -> AsyncIterator[int]:
    """Opens a link to a local port; gives the port it listens on.

    The way down is slow; the way up is not.
    """
    ends: set[asyncio.Task[None]] = set()

    async def carry(near: asyncio.StreamReader, near_out: asyncio.StreamWriter) -> None:
        bucket = _Bucket(bits_per_second / 8)
        far_socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        far_socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
        far_socket.setblocking(False)
        await asyncio.get_running_loop().sock_connect(far_socket, ("127.0.0.1", port))
        far, far_out = await asyncio.open_connection(sock=far_socket, limit=_BUFFER_BYTES)
        near_out.transport.set_write_buffer_limits(_CHUNK_BYTES)
        async with asyncio.TaskGroup() as ways:
            ways.create_task(_pass(far, near_out, bucket))
            ways.create_task(_pass(near, far_out, None))

    def accept(near: asyncio.StreamReader, near_out: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(carry(near, near_out))
        ends.add(task)
        task.add_done_callback(ends.discard)

    listener = socket.create_server(("127.0.0.1", 0))
    # Sockets that are accepted have the buffers of the one that listens.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER_BYTES)
    server = await asyncio.start_server(accept, sock=listener, limit=_BUFFER_BYTES)
    try:
        yield listener.getsockname()[1]
    finally:
        server.close()
        for end in tuple(ends):
            end.cancel()
        await asyncio.gather(*ends, return_exceptions=True)


async def _pass(
    source: asyncio.StreamReader, target: asyncio.StreamWriter, bucket: _Bucket | None
) -> None:
    """Passes bytes on until either side ends; then so does the other."""
    try:
        with suppress(ConnectionError):
            while chunk := await source.read(_CHUNK_BYTES):
                if bucket is not None:
                    await bucket.take(len(chunk))
                target.write(chunk)
                await target.drain()
    finally:
        target.close()
