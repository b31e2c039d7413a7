"""The ASGI transport: WebSockets through whatever server runs the app, on asyncio and on trio."""

import time
from collections import deque
from contextlib import suppress
from http import HTTPStatus
from urllib.parse import unquote

import anyio
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import Receive, Scope, Send

from collab.close import CloseCode
from collab.errors import CollabError
from collab.server.auth.bearer import choose_subprotocol
from collab.server.connection import GOODBYE_SECONDS, RESUME_SHARE
from collab.server.endpoints import ENDPOINTS, Endpoint, Handshakes
from collab.server.http.status import status_of
from collab.server.metrics import Metrics
from collab.server.peers.peer import Peer
from collab.server.settings import Settings
from collab.server.transports.intake import Intake

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
        "_intake",
        "_metrics",
        "_paused",
        "_peer",
        "_queue",
        "_queued_bytes",
        "_send",
        "_settings",
        "_wake",
        "heard",
        "told",
    )

    def __init__(
        self, peer: Peer, send: Send, settings: Settings, metrics: Metrics, cost: _SendCost
    ) -> None:
        self._peer = peer
        self._send = send
        self._cost = cost
        self._settings = settings
        self._metrics = metrics
        self._intake = Intake(settings, metrics)
        self._queue: deque[bytes] = deque()
        self._queued_bytes = 0
        self._wake = anyio.Event()
        self._closing: tuple[CloseCode, str] | None = None
        self._ended = anyio.CancelScope()
        self._paused = False
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
            self._peer.pause()

    def close(self, code: CloseCode, reason: str = "") -> None:
        """Ends the connection after what is queued."""
        if self._closing is None:
            self._metrics.count_close(code)
            self._closing = (code, reason)
            self._intake.end()
            self._ended.deadline = anyio.current_time() + GOODBYE_SECONDS
            self._wake.set()

    def abort(self) -> None:
        """Ends the connection at once."""
        self._ended.cancel()

    def pause_reading(self) -> None:
        """Takes no more frames until ``resume_reading``."""
        self._intake.pause()

    def resume_reading(self) -> None:
        """Takes frames again."""
        self._intake.resume()

    def probe(self) -> bool:
        """ASGI has no pings."""
        return False

    async def serve(self, receive: Receive) -> None:
        """Carries frames both ways until the peer or ``close`` ends it."""
        with self._ended:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._write)
                self._peer.opened(self)
                try:
                    await self._read(receive)
                finally:
                    self._peer.ended()
                tasks.cancel_scope.cancel()

    async def _read(self, receive: Receive) -> None:
        while True:
            await self._intake.opened()
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
                self._peer.receive(bytes(frame))
                self._intake.count(len(frame))

    async def _write(self) -> None:
        with suppress(OSError):  # What some servers raise once the peer has gone.
            await self._send_queued()
        self._ended.cancel()

    async def _send_queued(self) -> None:
        while True:
            while self._queue:
                frame = self._queue.popleft()
                started = time.perf_counter()
                await self._send({"type": "websocket.send", "bytes": frame})
                self._cost.learn(time.perf_counter() - started)
                self._queued_bytes -= len(frame)
                low = self._settings.outbox_max_bytes // RESUME_SHARE
                if self._paused and self._queued_bytes <= low:
                    self._paused = False
                    self._peer.resume()
            if self._closing is not None:
                code, reason = self._closing
                await self._send({"type": "websocket.close", "code": int(code), "reason": reason})
                return
            await self._wake.wait()
            self._wake = anyio.Event()


class WebSockets:
    """The ASGI app of one endpoint; the path parameter ``document`` names a document, if any."""

    def __init__(self, handshakes: Handshakes, endpoint: Endpoint, settings: Settings) -> None:
        self._handshakes = handshakes
        self._endpoint = endpoint
        self._settings = settings
        self._cost = _SendCost()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one WebSocket from its handshake to its end."""
        await receive()  # websocket.connect
        name = unquote(scope["path_params"].get("document", ""))
        try:
            peer = await self._handshakes.ask(self._endpoint, name, scope)
        except CollabError as error:
            self._handshakes.metrics.count_refusal(status_of(error))
            await refuse(scope, send, error)
            return
        subprotocol = choose_subprotocol(scope)
        await send({"type": "websocket.accept", "subprotocol": subprotocol})
        metrics = self._handshakes.metrics
        await ASGIConnection(peer, send, self._settings, metrics, self._cost).serve(receive)


def websocket_routes(handshakes: Handshakes, settings: Settings) -> list[BaseRoute]:
    """The routes of all endpoints, relative to where the app is mounted.

    A plain request there is told that it is none: as a rule a proxy on its way did not pass the
    upgrade on, and 404 would have people look for another path.
    """
    routes: list[BaseRoute] = []
    for endpoint in ENDPOINTS:
        path = f"{endpoint.path}{{document:path}}" if endpoint.names_document else endpoint.path
        routes.append(WebSocketRoute(path, WebSockets(handshakes, endpoint, settings)))
        routes.append(Route(path, _ask_for_websocket))
    return routes


async def _ask_for_websocket(request: Request) -> Response:
    # RFC 9110, 15.5.22: the answer names the protocol; HTTP/2 knows no such header.
    upgrades = request.scope["http_version"] in ("1.0", "1.1")
    return JSONResponse(
        {"error": "expected a WebSocket, got a plain request: do proxies pass the upgrade on?"},
        HTTPStatus.UPGRADE_REQUIRED,
        {"Upgrade": "websocket", "Connection": "Upgrade"} if upgrades else None,
    )


async def refuse(scope: Scope, send: Send, error: CollabError) -> None:
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
