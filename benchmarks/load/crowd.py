"""A crowd of WebSocket clients in one process.

While the clock runs it does as little as it can: ``epoll``, ``read``, remember (time, chunk). What
the chunks hold is read afterwards. Several times cheaper than any WebSocket library, so that one
core of load can keep up with one core of server.
"""

import errno
import os
import select
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from typing import Final, Self

from benchmarks.load.dialect import EMPTY_UPDATE, Dialect, Kind, read_kind, step_1, step_2
from benchmarks.load.frames import CLOSE, PING, PONG, FrameReader, write_frame, write_upgrade

clock = time.perf_counter

_READ_BYTES: Final = 65536
_CONNECT_SECONDS: Final = 60.0


class LoadError(Exception):
    """The load could not be put on the server as meant."""


class Phase(Enum):
    """How far a client has come."""

    CONNECTING = 0
    UPGRADING = 1
    SYNCING = 2
    READY = 3


class Client:
    """One socket, in one document.

    Attributes:
        document: document name.
        client: Yjs client id.
        port: which server it connects to.
        synced_at: when the server's step 2 was here; 0 before.
        chunks: what has arrived and was not yet read, with the time of each.
        messages: what was read while synchronising, with the time of each.
    """

    def __init__(
        self, dialect: Dialect, document: str, client: int, port: int, opening: list[bytes]
    ) -> None:
        self.document: Final = document
        self.client: Final = client
        self.port: Final = port
        self.address: Final = dialect.address(document)
        self.path: Final = dialect.path(document)
        self.opening: Final = dialect.hello(document) + [self.address + body for body in opening]
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.phase = Phase.CONNECTING
        self.synced_at = 0.0
        self.answered = False
        self.unsent = b""
        self.chunks: list[tuple[float, bytes]] = []
        self.messages: list[tuple[float, bytes]] = []
        self.frames: Final = FrameReader()

    def frame(self, body: bytes) -> bytes:
        """Encodes a message about this client's document as a frame."""
        return write_frame(self.address + body)


class Crowd:
    """All clients of one run; leaving it cuts their connections.

    Args:
        port: where the server listens, or the first of several.
        dialect: what is spoken.

    Attributes:
        last_arrival: when something last came in.
    """

    def __init__(self, port: int, dialect: Dialect) -> None:
        self._port = port
        self._dialect = dialect
        self._epoll = select.epoll()
        self._made: list[Client] = []
        self._clients: dict[int, Client] = {}
        self.last_arrival = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        for client in self._made:
            client.socket.close()
        self._epoll.close()

    def client(
        self,
        document: str,
        client: int,
        seen: dict[int, int] | None = None,
        *extra: bytes,
        port: int | None = None,
    ) -> Client:
        """Makes a client that is not connected yet.

        Args:
            document: document name.
            client: Yjs client id.
            seen: its state vector.
            extra: messages it sends after its step 1.
            port: where another of several servers listens.
        """
        opening = [step_1(seen or {}), *extra]
        made = Client(self._dialect, document, client, port or self._port, opening)
        self._made.append(made)
        return made

    def connect(self, clients: Iterable[Client], at_once: int = 100) -> None:
        """Connects clients and synchronises them.

        Args:
            clients: any number.
            at_once: how many may be under way.

        Raises:
            LoadError: not all are synchronised in time.
        """
        waiting = list(reversed(list(clients)))
        under_way: set[int] = set()
        deadline = clock() + _CONNECT_SECONDS
        while waiting or under_way:
            while waiting and len(under_way) < at_once:
                client = waiting.pop()
                client.socket.setblocking(False)
                client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                failure = client.socket.connect_ex(("127.0.0.1", client.port))
                if failure not in (0, errno.EINPROGRESS):
                    raise LoadError(f"expected a connection, got {os.strerror(failure)}")
                fd = client.socket.fileno()
                self._clients[fd] = client
                self._epoll.register(fd, select.EPOLLOUT)
                under_way.add(fd)
            for fd, event in self._epoll.poll(1.0):
                self._advance(self._clients[fd], fd, event)
                if self._clients[fd].phase is Phase.READY:
                    under_way.discard(fd)
            if clock() > deadline:
                raise LoadError(f"expected all synchronised, got {len(under_way)} that are not")

    def _advance(self, client: Client, fd: int, event: int) -> None:
        if client.phase is Phase.CONNECTING:
            failure = client.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if failure:
                raise LoadError(f"expected a connection, got {os.strerror(failure)}")
            self._epoll.modify(fd, select.EPOLLIN)
            client.phase = Phase.UPGRADING
            self.send(client, write_upgrade(client.path, client.port))
            return
        if event & select.EPOLLOUT:
            self._flush(client, fd)
        if not event & ~select.EPOLLOUT:
            return
        self._receive(client, fd)
        if client.phase is Phase.UPGRADING:
            self._upgrade(client)
        if client.phase is Phase.SYNCING:
            self._synchronise(client)

    def _upgrade(self, client: Client) -> None:
        answer = b"".join(chunk for _, chunk in client.chunks)
        head, end, rest = answer.partition(b"\r\n\r\n")
        if not end:
            return
        if not head.startswith(b"HTTP/1.1 101 ") or b"sec-websocket-extensions" in head.lower():
            raise LoadError(f"expected a bare upgrade of {client.path}, got {head.decode()!r}")
        client.chunks = [(clock(), rest)] if rest else []
        client.phase = Phase.SYNCING
        self.send(client, b"".join(map(write_frame, client.opening)))

    def _synchronise(self, client: Client) -> None:
        for at, message in self.read(client):
            client.messages.append((at, message))
            kind, _ = read_kind(message, client.address)
            if kind is Kind.STEP_1:
                self.send(client, client.frame(step_2(EMPTY_UPDATE)))
                client.answered = True
            elif kind is Kind.STEP_2 and not client.synced_at:
                client.synced_at = at
        if client.synced_at and client.answered:
            client.phase = Phase.READY

    def send(self, client: Client, frame: bytes) -> None:
        """Sends bytes, at once if the socket takes them and else as soon as it does."""
        if client.unsent:
            client.unsent += frame
            return
        fd = client.socket.fileno()
        try:
            sent = os.write(fd, frame)
        except BlockingIOError:
            sent = 0
        if sent < len(frame):
            client.unsent = frame[sent:]
            self._epoll.modify(fd, select.EPOLLIN | select.EPOLLOUT)

    def _flush(self, client: Client, fd: int) -> None:
        if client.unsent:
            client.unsent = client.unsent[os.write(fd, client.unsent) :]
        if not client.unsent:
            self._epoll.modify(fd, select.EPOLLIN)

    def _receive(self, client: Client, fd: int) -> None:
        try:
            chunk = os.read(fd, _READ_BYTES)
        except BlockingIOError:
            return
        if not chunk:
            raise LoadError(f"expected the server to stay, got the end of {client.path}")
        self.last_arrival = clock()
        client.chunks.append((self.last_arrival, chunk))

    def listen(self, seconds: float) -> bool:
        """Takes in what arrives; reads none of it.

        Args:
            seconds: how long to wait where nothing is there.

        Returns:
            Whether anything happened.
        """
        events = self._epoll.poll(max(0.0, seconds))
        clients, read, now = self._clients, os.read, clock
        for fd, event in events:
            if event == select.EPOLLIN:
                chunk = read(fd, _READ_BYTES)
                if chunk:
                    clients[fd].chunks.append((now(), chunk))
                    continue
                raise LoadError(f"expected the server to stay, got the end of {clients[fd].path}")
            if event & select.EPOLLOUT:
                self._flush(clients[fd], fd)
            if event & ~select.EPOLLOUT:
                self._receive(clients[fd], fd)
        if events:
            self.last_arrival = now()
        return bool(events)

    def settle(self, busy: Callable[[], bool], quiet: float = 0.5, deadline: float = 60.0) -> None:
        """Takes in what arrives until nothing does any more, or until the deadline.

        Args:
            busy: whether the server still works on something; asked after each quiet time.
            quiet: seconds of silence that end it.
            deadline: seconds.
        """
        end = clock() + deadline
        while clock() < end:
            if not self.listen(quiet) and not busy():
                return

    def read(self, client: Client) -> Iterator[tuple[float, bytes]]:
        """Reads what a client took in, and answers pings.

        Returns:
            (time of arrival, message) for each message.
        """
        chunks, client.chunks = client.chunks, []
        for at, chunk in chunks:
            for opcode, message in client.frames.feed(chunk):
                if opcode == PING:
                    self.send(client, write_frame(message, PONG))
                elif opcode == CLOSE:
                    raise LoadError(f"expected the server to stay, got a close with {message!r}")
                else:
                    yield at, message

    def close(self, clients: Iterable[Client]) -> None:
        """Cuts connections without a goodbye."""
        for client in clients:
            fd = client.socket.fileno()
            self._epoll.unregister(fd)
            del self._clients[fd]
            client.socket.close()
