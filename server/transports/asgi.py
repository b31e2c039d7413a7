"""The ASGI transport: WebSockets through whatever server runs the app, on asyncio and on trio."""

import logging
import time
from collections import deque
from urllib.parse import unquote

import anyio
from starlette.requests import HTTPConnection
from starlette.types import Receive, Scope, Send

from collab.access import Identity, check_name
from collab.close import CloseCode
from collab.errors import (
    AccessDenied,
    CollabError,
    InvalidName,
    NotRunning,
    StoreError,
    Unauthenticated,
)
from collab.server.auth import Authenticate, identify
from collab.server.connection import GOODBYE_SECONDS, RESUME_SHARE
from collab.server.http.status import status_of
from collab.server.member import Member
from collab.server.room import Room
from collab.server.rooms import Rooms
from collab.server.settings import Settings
from collab.session import Session

logger = logging.getLogger("collab")

_RISE = 1.01
"""How fast the known cost of a frame follows frames that take longer."""


class _SendCost:
    """What sending a frame costs here, learnt from those sent.

    Attributes:
        seconds: the least that was seen of late: waits for readers and for other work only add.
    """

    def __init__(self) -> None:
        self.seconds = 0.0

    def learn(self, took: float) -> None:
        """Takes one more sending into account."""
        self.seconds = min(took, self.seconds * _RISE) if self.seconds else took


class ASGIConnection:
    """A WebSocket of an ASGI server; see ``collab.server.connection.Connection``."""

    __slots__ = (
        "_closing",
        "_cost",
        "_ended",
        "_paused",
        "_queue",
        "_queued_bytes",
        "_readable",
        "_room",
        "_seat",
        "_send",
        "_settings",
        "_wake",
        "heard",
        "told",
    )

    def __init__(self, send: Send, settings: Settings, cost: _SendCost) -> None:
        self._send = send
        self._cost = cost
        self._settings = settings
        self._queue: deque[bytes] = deque()
        self._queued_bytes = 0
        self._wake = anyio.Event()
        self._readable: anyio.Event | None = None
        self._closing: tuple[CloseCode, str] | None = None
        self._ended = anyio.CancelScope()
        self._paused = False
        self._room: Room | None = None
        self._seat: Member | None = None
        self.heard = True
        self.told = True

    @property
    def queued_bytes(self) -> int:
        """What waits to be sent, in bytes."""
        return self._queued_bytes

    @property
    def send_seconds(self) -> float:
        """What a frame costs once it is queued."""
        return self._cost.seconds

    def send(self, frame: bytes) -> None:
        """Queues a frame."""
        if self._closing is not None:
            return
        self.told = True
        self._queue.append(frame)
        self._queued_bytes += len(frame)
        self._wake.set()
        if self._queued_bytes > self._settings.outbox_max_bytes and not self._paused:
            self._paused = True
            if self._room is not None and self._seat is not None:
                self._room.pause(self._seat)

    def close(self, code: CloseCode, reason: str = "") -> None:
        """Ends the connection after what is queued."""
        if self._closing is None:
            self._closing = (code, reason)
            self._ended.deadline = anyio.current_time() + GOODBYE_SECONDS
            self._wake.set()

    def abort(self) -> None:
        """Ends the connection at once."""
        self._ended.cancel()

    def pause_reading(self) -> None:
        """Takes no more frames until ``resume_reading``."""
        if self._readable is None:
            self._readable = anyio.Event()

    def resume_reading(self) -> None:
        """Takes frames again."""
        if self._readable is not None:
            self._readable.set()
            self._readable = None

    def probe(self) -> bool:
        """ASGI has no pings."""
        return False

    async def serve(self, room: Room, seat: Member, receive: Receive) -> None:
        """Carries frames both ways until the peer or ``close`` ends it."""
        self._room, self._seat = room, seat
        with self._ended:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._write)
                room.join(seat)
                try:
                    await self._read(room, seat, receive)
                finally:
                    room.leave(seat)
                tasks.cancel_scope.cancel()

    async def _read(self, room: Room, seat: Member, receive: Receive) -> None:
        while True:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                return
            self.heard = True
            frame = message.get("bytes")
            if self._closing is not None:
                continue
            if frame is None:
                self.close(CloseCode.MALFORMED, "expected binary messages, got text")
            elif len(frame) > self._settings.message_max_bytes:
                self.close(CloseCode.TOO_LARGE, "a message is too large")
            else:
                room.receive(seat, bytes(frame))
            if self._readable is not None:
                await self._readable.wait()

    async def _write(self) -> None:
        while True:
            while self._queue:
                frame = self._queue.popleft()
                started = time.perf_counter()
                try:
                    await self._send({"type": "websocket.send", "bytes": frame})
                except OSError:  # What some servers raise once the peer has gone.
                    self._ended.cancel()
                    return
                self._cost.learn(time.perf_counter() - started)
                self._queued_bytes -= len(frame)
                low = self._settings.outbox_max_bytes // RESUME_SHARE
                if self._paused and self._queued_bytes <= low:
                    self._paused = False
                    if self._room is not None and self._seat is not None:
                        self._room.resume(self._seat)
            if self._closing is not None:
                code, reason = self._closing
                await self._send({"type": "websocket.close", "code": int(code), "reason": reason})
                self._ended.cancel()
                return
            await self._wake.wait()
            self._wake = anyio.Event()


class WebSockets:
    """The ASGI endpoint of the y-websocket dialect; the path parameter ``document`` names it."""

    def __init__(self, rooms: Rooms, authenticate: Authenticate | None, settings: Settings) -> None:
        self._rooms = rooms
        self._authenticate = authenticate
        self._settings = settings
        self._cost = _SendCost()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one WebSocket from its handshake to its end."""
        await receive()  # websocket.connect
        name = unquote(scope["path_params"]["document"])
        try:
            check_name(name)
            identity = await identify(self._authenticate, HTTPConnection(scope), name)
        except (InvalidName, Unauthenticated, AccessDenied) as error:
            await _refuse(scope, send, error)
            return
        await send({"type": "websocket.accept"})
        await self._serve(name, identity, receive, send)

    async def _serve(self, name: str, identity: Identity, receive: Receive, send: Send) -> None:
        connection = ASGIConnection(send, self._settings, self._cost)
        try:
            room = await self._rooms.acquire(name)
        except (StoreError, NotRunning) as error:
            logger.warning("cannot open %r: %s", name, error)
            code = int(CloseCode.TRY_AGAIN_LATER)
            await send({"type": "websocket.close", "code": code, "reason": "cannot open it now"})
            return
        try:
            seat = Member(connection, Session(identity, identity.access_to(name)))
            await connection.serve(room, seat, receive)
        finally:
            self._rooms.release(room)


async def _refuse(scope: Scope, send: Send, error: CollabError) -> None:
    """Answers the handshake with the HTTP status that says why, where the server can."""
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": int(CloseCode.POLICY)})
        return
    await send(
        {
            "type": "websocket.http.response.start",
            "status": int(status_of(error)),
            "headers": [(b"content-type", b"text/plain; charset=utf-8")],
        }
    )
    await send({"type": "websocket.http.response.body", "body": str(error).encode()})
