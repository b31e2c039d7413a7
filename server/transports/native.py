"""The native transport: WebSockets through picows, on asyncio, at a fraction of ASGI's cost."""

import asyncio
import time
from typing import Final

from picows import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport

from collab.close import CloseCode
from collab.server.connection import GOODBYE_SECONDS, RESUME_SHARE
from collab.server.limits.throttle import Throttle
from collab.server.metrics import Metrics
from collab.server.peers.peer import Peer
from collab.server.settings import Settings
from collab.server.transports.cork import cork

# An attribute of an enumeration costs ten times a global, and frames are many.
_BINARY: Final = WSMsgType.BINARY


class NativeConnection(WSListener):
    """A WebSocket of picows; see ``collab.server.connection.Connection``.

    What it is sent while several messages are read that came together leaves in one segment.

    Args:
        peer: who is at the other end.
        settings: bounds and times.
        metrics: count closes and limits.
        corks: whether its socket can be corked.
    """

    __slots__ = (
        "_corked",
        "_corks",
        "_ended",
        "_fragments",
        "_goodbye",
        "_held_back",
        "_metrics",
        "_peer",
        "_reads_on",
        "_rest",
        "_settings",
        "_throttle",
        "_transport",
        "heard",
        "send_seconds",
        "told",
    )

    def __init__(
        self, peer: Peer, settings: Settings, metrics: Metrics, *, corks: bool = False
    ) -> None:
        self.heard = True
        self.told = True
        self.send_seconds = 0.0
        self._peer = peer
        self._settings = settings
        self._metrics = metrics
        self._throttle = Throttle(settings, time.monotonic())
        self._rest: asyncio.TimerHandle | None = None
        self._transport: WSTransport | None = None
        self._fragments: bytearray | None = None
        self._goodbye: asyncio.TimerHandle | None = None
        self._held_back = False
        self._ended = False
        self._corks = corks
        self._corked = False
        self._reads_on = False

    # What rooms call.

    @property
    def queued_bytes(self) -> int:
        """What waits to be sent, in bytes."""
        if self._transport is None:
            return 0
        return int(self._transport.underlying_transport.get_write_buffer_size())

    def send(self, frame: bytes) -> None:
        """Queues a frame."""
        if self._transport is not None and self._goodbye is None:
            self.told = True
            if self._reads_on and not self._corked:
                self._corked = True
                cork(self._transport.underlying_transport, on=True)
            self._transport.send(_BINARY, frame)

    def close(self, code: CloseCode, reason: str = "") -> None:
        """Ends the connection after what is queued."""
        if self._transport is None or self._goodbye is not None:
            return
        self._metrics.count_close(code)
        # picows takes any code; its enumeration names the registered ones alone.
        self._transport.send_close(int(code), reason)  # type: ignore[arg-type]
        self._goodbye = asyncio.get_running_loop().call_later(GOODBYE_SECONDS, self.abort)
        # For the answer; what comes before it is not received.
        self.resume_reading()
        if self._rest is not None:
            self._rest.cancel()
            self._end_rest()

    def abort(self) -> None:
        """Ends the connection at once."""
        if self._transport is not None:
            self._transport.disconnect(graceful=False)

    def pause_reading(self) -> None:
        """Takes no more frames until ``resume_reading``."""
        if self._transport is None or self._ended or self._goodbye is not None:
            return
        if not self._held_back:
            self._held_back = True
            if self._rest is None:
                self._stop_reading(self._transport)

    def resume_reading(self) -> None:
        """Takes frames again, when it has rested long enough."""
        if self._transport is not None and self._held_back and not self._ended:
            self._held_back = False
            if self._rest is None:
                self._transport.underlying_transport.resume_reading()

    def probe(self) -> bool:
        """Sends a ping; its pong is a sign of life."""
        if self._transport is not None:
            self._transport.send_ping()
        return True

    # What picows calls.

    def on_ws_connected(self, transport: WSTransport) -> None:
        """The handshake is done."""
        self._transport = transport
        # picows keeps the handshake for as long as the connection lasts: two kilobytes of headers.
        del transport.request.headers, transport.response.headers
        most = self._settings.outbox_max_bytes
        transport.underlying_transport.set_write_buffer_limits(most, most // RESUME_SHARE)
        self._peer.opened(self)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        """A frame has come, perhaps a fragment of a message."""
        self.heard = True
        self._reads_on = self._corks and not frame.last_in_buffer
        self._count(frame.payload_size)
        kind = frame.msg_type
        if kind == _BINARY and frame.fin:
            self._receive(frame.get_payload_as_bytes())
        elif kind in (_BINARY, WSMsgType.CONTINUATION):
            self._gather(frame)
        elif kind == WSMsgType.PING:
            transport.send_pong(frame.get_payload_as_bytes())
        elif kind == WSMsgType.CLOSE:
            # A close may come without a code, which picows reads as 0; sent, that is malformed.
            code = frame.get_close_code()
            answer = WSCloseCode.OK if code == WSCloseCode.NO_INFO else code
            transport.send_close(answer, frame.get_close_message())
            transport.disconnect()
        elif kind == WSMsgType.TEXT:
            self.close(CloseCode.MALFORMED, "expected binary messages, got text")
        if self._corked and not self._reads_on:
            self._corked = False
            cork(transport.underlying_transport, on=False)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        """The socket has ended, however it did."""
        self._ended = True
        for timer in (self._goodbye, self._rest):
            if timer is not None:
                timer.cancel()
        self._peer.ended()

    def pause_writing(self) -> None:
        """The socket takes no more for now."""
        self._peer.pause()

    def resume_writing(self) -> None:
        """The socket has drained."""
        self._peer.resume()

    def _receive(self, frame: bytes) -> None:
        if self._goodbye is None:
            self._peer.receive(frame)

    def _count(self, size: int) -> None:
        """Counts a frame of whatever kind: pings and fragments cost as much as messages."""
        wait = self._throttle.take(size, time.monotonic())
        if wait and not self._ended and self._goodbye is None:
            self._rest_for(wait)

    def _rest_for(self, seconds: float) -> None:
        """Reads nothing for a while: the client is faster than it may be."""
        if self._rest is None:
            self._metrics.count_limit("connection_messages_per_second")
            if self._transport is not None and not self._held_back:
                self._stop_reading(self._transport)
        else:
            self._rest.cancel()
        self._rest = asyncio.get_running_loop().call_later(seconds, self._end_rest)

    def _stop_reading(self, transport: WSTransport) -> None:
        """Reads no more; over TLS once all is read that was taken from the socket.

        Stopped amid it, aiofastnet would come back to the rest only when more comes.
        """
        underlying = transport.underlying_transport
        if underlying.get_extra_info("ssl_object") is None:
            underlying.pause_reading()
        else:
            asyncio.get_running_loop().call_soon(self._stay_stopped, transport)

    def _stay_stopped(self, transport: WSTransport) -> None:
        if (self._held_back or self._rest is not None) and not self._ended:
            transport.underlying_transport.pause_reading()

    def _end_rest(self) -> None:
        self._rest = None
        if self._transport is not None and not self._held_back and not self._ended:
            self._transport.underlying_transport.resume_reading()

    def _gather(self, frame: WSFrame) -> None:
        """Puts a fragmented message together, within the bound on messages."""
        if (self._fragments is None) != (frame.msg_type == _BINARY):
            self._transport_violation()
            return
        if self._fragments is None:
            self._fragments = bytearray()
        self._fragments += frame.get_payload_as_memoryview()
        if len(self._fragments) > self._settings.message_max_bytes:
            self._fragments = None
            self.close(CloseCode.TOO_LARGE, "a message is too large")
        elif frame.fin:
            whole = bytes(self._fragments)
            self._fragments = None
            self._receive(whole)

    def _transport_violation(self) -> None:
        if self._transport is not None and self._goodbye is None:
            self._transport.send_close(WSCloseCode.PROTOCOL_ERROR, "a fragment out of place")
            self._goodbye = asyncio.get_running_loop().call_later(GOODBYE_SECONDS, self.abort)
