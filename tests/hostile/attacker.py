"""An attacker: a socket below every library, which sends what it likes."""

import socket
import struct
import time
from types import TracebackType

_KEY = "dGhlIHNhbXBsZSBub25jZQ=="
BINARY = 2
PING = 9
NO_CODE = 1005
PROTOCOL_ERROR = 1002
DEADLINE_SECONDS = 60.0


class Attacker:
    """One connection to a server.

    Args:
        port: the server's.
        path: the WebSocket path to shake hands at; None does not.
        extensions: WebSocket extensions to offer.
    """

    def __init__(self, port: int, path: str | None, *, extensions: str = "") -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_SECONDS)
        self._received = b""
        if path is not None:
            offer = f"Sec-WebSocket-Extensions: {extensions}\r\n" if extensions else ""
            self.send(
                f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
                f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                f"Sec-WebSocket-Key: {_KEY}\r\n{offer}\r\n".encode()
            )
            head = self._read_head()
            assert b" 101 " in head, head

    def __enter__(self) -> "Attacker":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.socket.close()

    def send(self, sent: bytes) -> bool:
        """Sends bytes; tells whether the server was still there."""
        try:
            self.socket.sendall(sent)
        except OSError:
            return False
        return True

    def send_frames(self, *messages: bytes) -> bool:
        """Sends messages."""
        return all(self.send(frame(message)) for message in messages)

    def close_code(self) -> int | None:
        """Reads until the server closes; its close code, or None where the socket just ended."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        try:
            while time.monotonic() < deadline:
                head = self._read(2)
                length = head[1] & 0x7F
                if length == 126:
                    (length,) = struct.unpack(">H", self._read(2))
                elif length == 127:
                    (length,) = struct.unpack(">Q", self._read(8))
                payload = self._read(length)
                if head[0] & 0x0F == 8:
                    return int.from_bytes(payload[:2], "big") if payload else NO_CODE
        except (EOFError, ConnectionError):
            return None
        raise AssertionError("expected the server to close the connection, got more of it")

    def until_answered(self) -> None:
        """Reads until something comes."""
        assert self.socket.recv(65536)

    def until_cut(self) -> None:
        """Reads until the connection ends, however it does."""
        try:
            while self.socket.recv(65536):
                pass
        except ConnectionError:
            pass

    def _read_head(self) -> bytes:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self._read(1)
        return head

    def _read(self, size: int) -> bytes:
        while len(self._received) < size:
            received = self.socket.recv(65536)
            if not received:
                raise EOFError
            self._received += received
        taken, self._received = self._received[:size], self._received[size:]
        return taken


def frame(payload: bytes, opcode: int = BINARY, *, fin: bool = True, packed: bool = False) -> bytes:
    """A WebSocket frame of a client, masked with zeros, which change nothing.

    Args:
        payload: what it brings.
        opcode: its kind.
        fin: whether it ends a message.
        packed: whether it says that it is compressed.
    """
    head = bytes([opcode | fin << 7 | packed << 6])
    size = len(payload)
    if size < 126:
        head += bytes([0x80 | size])
    elif size < 1 << 16:
        head += b"\xfe" + struct.pack(">H", size)
    else:
        head += b"\xff" + struct.pack(">Q", size)
    return head + bytes(4) + payload
