"""WebSocket frames (RFC 6455) as a client writes and reads them, without any extension."""

import base64
import os
from typing import Final

BINARY: Final = 0x2
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA

_KEY: Final = b"\x37\xfa\x21\x3d"
"""One masking key for all: real keys cost the server as much to undo, this one costs us less."""


def write_frame(payload: bytes, opcode: int = BINARY) -> bytes:
    """Encodes one whole, masked frame."""
    size = len(payload)
    if size < 126:
        head = bytes((0x80 | opcode, 0x80 | size))
    elif size < 65536:
        head = bytes((0x80 | opcode, 0x80 | 126)) + size.to_bytes(2)
    else:
        head = bytes((0x80 | opcode, 0x80 | 127)) + size.to_bytes(8)
    key = int.from_bytes((_KEY * (size // 4 + 1))[:size])
    return head + _KEY + (int.from_bytes(payload) ^ key).to_bytes(size)


def write_upgrade(path: str, port: int) -> bytes:
    """Encodes the request that opens a WebSocket; it offers no compression."""
    key = base64.b64encode(os.urandom(16)).decode()
    return (
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
        f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
    ).encode()


class FrameReader:
    """Cuts what a server sent into messages; chunks may end anywhere."""

    def __init__(self) -> None:
        self._head = b""  # the beginning of a frame whose head is not whole yet
        self._first = 0  # first byte of the frame whose payload is under way
        self._parts: list[bytes] = []
        self._missing = 0
        self._opcode = BINARY
        self._fragments: list[bytes] = []

    def feed(self, chunk: bytes) -> list[tuple[int, bytes]]:
        """Takes the next bytes; a long payload is copied once, when it is whole.

        Returns:
            The messages that are now whole, in order, as (opcode, payload).
        """
        size = len(chunk)
        if self._missing:
            if size < self._missing:
                self._parts.append(chunk)
                self._missing -= size
                return []
        elif self._head:
            chunk = self._head + chunk
        elif size > 1 and chunk[0] == 0x82 and size == chunk[1] + 2 < 128:
            return [(BINARY, chunk[2:])]  # by far the most frequent: one chunk, one small frame
        return self._cut(chunk)

    def _cut(self, buffer: bytes) -> list[tuple[int, bytes]]:
        messages: list[tuple[int, bytes]] = []
        position, total = 0, len(buffer)
        if self._missing:
            position = self._missing
            self._parts.append(buffer[:position])
            self._finish(self._first, b"".join(self._parts), messages)
            self._parts, self._missing = [], 0
        self._head = b""
        while position < total:
            size = buffer[position + 1] if position + 1 < total else 0
            start = position + 2
            if size > 125:
                start += 2 if size == 126 else 8
                size = int.from_bytes(buffer[position + 2 : start])
            if start > total:
                self._head = buffer[position:]
                break
            if start + size > total:
                self._first = buffer[position]
                self._parts = [buffer[start:]]
                self._missing = start + size - total
                break
            self._finish(buffer[position], buffer[start : start + size], messages)
            position = start + size
        return messages

    def _finish(self, first: int, payload: bytes, messages: list[tuple[int, bytes]]) -> None:
        opcode = first & 0x0F
        if opcode >= CLOSE or (first & 0x80 and opcode):
            messages.append((opcode, payload))
            return
        self._opcode = opcode or self._opcode
        self._fragments.append(payload)
        if first & 0x80:
            messages.append((self._opcode, b"".join(self._fragments)))
            self._fragments = []
