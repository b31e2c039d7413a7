"""WebSockets byte by byte."""

import asyncio
import base64
import contextlib
import os
import ssl
import struct

from tests.server.transports.websockets.serving import (
    DEADLINE_SECONDS,
)


class Raw:
    """A TCP connection that speaks WebSocket byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, port: int, tls: ssl.SSLContext | None = None) -> "Raw":
        name = "localhost" if tls else None
        streams = await asyncio.open_connection("127.0.0.1", port, ssl=tls, server_hostname=name)
        return cls(*streams)

    def write(self, *chunks: bytes) -> None:
        self.writer.write(b"".join(chunks))

    async def read_head(self) -> bytes:
        async with asyncio.timeout(DEADLINE_SECONDS):
            return await self.reader.readuntil(b"\r\n\r\n")

    async def read_frame(self) -> tuple[int, bytes]:
        """Opcode and payload of the next frame."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            first, size = await self.reader.readexactly(2)
            if size == 126:
                (size,) = struct.unpack("!H", await self.reader.readexactly(2))
            return first & 0x0F, await self.reader.readexactly(size)

    async def close(self) -> None:
        self.writer.close()
        # The server was first, or still had something to say.
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await self.writer.wait_closed()


def handshake(path: str = "/ws/room") -> bytes:
    key = base64.b64encode(os.urandom(16)).decode()
    return (
        f"GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
    ).encode()


def masked(payload: bytes, opcode: int = 2, fin: bool = True) -> bytes:
    mask = os.urandom(4)
    body = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
    assert len(payload) < 126
    return bytes((0x80 * fin | opcode, 0x80 | len(payload))) + mask + body
