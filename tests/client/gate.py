"""A gate on the way to a server: cuts connections, and blocks what some networks block."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_CHUNK_BYTES = 64 * 1024
_BAD_GATEWAY = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_FORBIDDEN = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Gate:
    """A TCP proxy in threads of its own, with one port for as long as it lasts.

    Attributes:
        port: where it listens.
        shut: whether it cuts every connection at once.
        blocks_websockets: whether it answers their handshakes with 403.
        lacks_server: whether it answers everything with 502, as proxies do whose server is down.
        holds_back_streams: whether it shows nothing of an event stream.
        allowance: how many bytes go up, what follows waits until everything is cut; None for all.
        asked: first lines of the requests that came.
    """

    def __init__(self, target: int) -> None:
        self.shut = False
        self.blocks_websockets = False
        self.lacks_server = False
        self.holds_back_streams = False
        self.allowance: int | None = None
        self.asked: list[str] = []
        self._target = target
        self._is_cut = threading.Event()
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]

    @property
    def url(self) -> str:
        """Where the server seems to be."""
        return f"http://127.0.0.1:{self.port}"

    def cut(self) -> None:
        """Cuts what is connected, and whatever comes until ``mend``."""
        self.shut = True
        self._is_cut.set()
        for end in tuple(self._open):
            _end(end)

    def mend(self) -> None:
        """Lets connections through again."""
        self.shut = False
        self._is_cut.clear()

    def accept(self) -> None:
        """Serves connections until the gate is closed."""
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            if self.shut:
                near.close()
                continue
            try:
                far = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                near.close()
                continue
            self._open |= {near, far}
            threading.Thread(target=self._carry_up, args=(near, far)).start()
            threading.Thread(target=self._carry_down, args=(far, near)).start()

    def close(self) -> None:
        """Ends everything."""
        _end(self._listener)
        self.cut()

    def _carry_up(self, near: socket.socket, far: socket.socket) -> None:
        with suppress(OSError):
            while piece := near.recv(_CHUNK_BYTES):
                if piece.startswith((b"GET ", b"POST ", b"DELETE ")):
                    line = piece.partition(b"\r\n")[0].decode()
                    self.asked.append(line)
                    if self.lacks_server:
                        near.sendall(_BAD_GATEWAY)
                        break
                    if self.blocks_websockets and "/hocuspocus" in line:
                        near.sendall(_FORBIDDEN)
                        break
                    is_stream = line.startswith("GET /sse") and "poll" not in line
                    if self.holds_back_streams and is_stream:
                        continue
                if self.allowance is not None:
                    self.allowance -= len(piece)
                    if self.allowance < 0:
                        self._is_cut.wait()
                        break
                far.sendall(piece)
        self._forget(near, far)

    def _carry_down(self, far: socket.socket, near: socket.socket) -> None:
        with suppress(OSError):
            while piece := far.recv(_CHUNK_BYTES):
                near.sendall(piece)
        self._forget(near, far)

    def _forget(self, *ends: socket.socket) -> None:
        for end in ends:
            _end(end)
            self._open.discard(end)


def _end(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()


@contextmanager
def gate_to(port: int) -> Iterator[Gate]:
    """Puts a gate before a local port."""
    gate = Gate(port)
    accepting = threading.Thread(target=gate.accept)
    accepting.start()
    try:
        yield gate
    finally:
        gate.close()
        accepting.join()
