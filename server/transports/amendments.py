"""Amendments: what Hypercorn is made to do otherwise, where it has no settings for it."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any, cast

from hypercorn import protocol
from hypercorn.asyncio import tcp_server
from hypercorn.asyncio.task_group import TaskGroup
from hypercorn.config import Config
from hypercorn.protocol import h11, ws_stream
from hypercorn.protocol.events import StreamClosed
from hypercorn.typing import (
    AppWrapper,
    ASGIReceiveEvent,
    ASGISendEvent,
    Scope,
)
from wsproto.extensions import PerMessageDeflate

from collab.server.transports.http2 import HTTP2

_Send = Callable[[ASGISendEvent | None], Awaitable[None]]


def amend_hypercorn() -> None:
    """Has the amendments hold, for all of this process; doing it twice changes nothing."""
    ws_stream.PerMessageDeflate = _NoCompression  # type: ignore[attr-defined]  # not exported
    h11.WSStream = _WebSocket  # type: ignore[attr-defined]  # not exported
    protocol.H2Protocol = HTTP2  # type: ignore[attr-defined]  # not exported
    tcp_server.TaskGroup = _TaskGroup  # type: ignore[attr-defined]  # not exported


class _NoCompression(PerMessageDeflate):
    """The compression that Hypercorn would agree to with every client, declined.

    It unpacks on the event loop, a thousand times what came: half a megabyte held everybody up for
    seconds. It also costs 150 kB a connection.
    """

    def accept(self, offer: str) -> None:
        """Says no, whatever a client offers."""


class _WebSocket(ws_stream.WSStream):
    """Hypercorn's WebSocket over HTTP/1.1, which is over where Hypercorn itself refuses it.

    A handshake without a key, and a frame that comes before the answer, it answers with 400 and
    then forgets: the connection would stay for as long as the client likes, and the app would not
    hear that the client is gone.
    """

    async def _send_error_response(self, status_code: int) -> None:
        await super()._send_error_response(status_code)
        await self.send(StreamClosed(stream_id=self.stream_id))


class _TaskGroup(TaskGroup):
    """Hypercorn's tasks of a connection, where nobody waits to tell an app what it need not hear.

    Some pieces of a body wait for the app, and the connection with them. Where the app answers
    without reading them, as it does whom it refuses, Hypercorn would wait for ever, and for the app
    itself to be told that the request is over: connections stay that clients have left long ago.
    """

    async def spawn_app(
        self, app: AppWrapper, config: Config, scope: Scope, send: _Send
    ) -> Callable[[ASGIReceiveEvent], Awaitable[None]]:
        """Runs an app for one request; returns what tells it of its events."""
        events = _Events(config.max_app_queue_size)

        async def served(scope: Scope, _: Any, send: Any, *spawns: Any) -> None:
            try:
                await app(scope, events.get, send, *spawns)
            finally:
                events.end()

        await super().spawn_app(cast(AppWrapper, served), config, scope, send)
        return events.put


class _Events:
    """What an app is told of a request, with room for so many events and for the last."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._events: deque[ASGIReceiveEvent] = deque()
        self._changed = asyncio.Event()
        self._ended = False

    def end(self) -> None:
        """Takes no more."""
        self._ended = True
        self._changed.set()

    async def put(self, event: ASGIReceiveEvent) -> None:
        """Waits for room, where more is to come after this event."""
        if event["type"] in ("http.disconnect", "websocket.disconnect"):
            self._events.append(event)
            self.end()
            return
        await self._until(lambda: self._ended or len(self._events) < self._most)
        if not self._ended:
            self._events.append(event)
            self._changed.set()

    async def get(self) -> ASGIReceiveEvent:
        """Waits for the next event."""
        await self._until(lambda: bool(self._events))
        event = self._events.popleft()
        self._changed.set()
        return event

    async def _until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            self._changed.clear()
            await self._changed.wait()
