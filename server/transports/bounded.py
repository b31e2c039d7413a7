"""Bounded: what a client sends before it is known, within less than messages may have."""

import asyncio

from collab.close import CloseCode
from collab.server.limits.strangers import Strangers
from collab.server.peers.peer import Peer
from collab.server.transports.frames import Frames
from collab.server.transports.native import NativeConnection

_FIN = 0x80
_CONTROL = 0x08
_MASKED = 0x80
_LENGTH = 0x7F
_LENGTH_BYTES = {126: 2, 127: 8}
_MASK_BYTES = 4


class Bounded(asyncio.Protocol):
    """Stands before picows until a client is known, and reads along how long messages are.

    picows has one bound on frames for as long as a connection lasts, that of messages, and keeps a
    frame until all of it is there: any stranger could have it keep as much. Frames are those of
    RFC 6455, section 5.2; what is none is left to picows to refuse.

    Args:
        protocol: where everything goes on to; it has the transport already.
        peer: tells whether the client is known.
        max_bytes: longest message of a stranger, its fragments together.
        strangers: bounds what has come of messages of all strangers.
    """

    def __init__(self, protocol: Frames, peer: Peer, max_bytes: int, strangers: Strangers) -> None:
        self._protocol = protocol
        self._peer = peer
        self._max_bytes = max_bytes
        self._strangers = strangers
        self._head = b""
        self._payload_left = 0
        self._message_bytes = 0
        self._refused = False

    def data_received(self, data: bytes) -> None:
        """Passes it on, unless it is of a message that is too long."""
        if not self._refused and not self._peer.known:
            self._read_along(data)
        if self._refused:  # Thrown away, until the client has read why.
            return
        self._protocol.data_received(data)
        if self._peer.known:
            self._strangers.keep(self, 0)
            self._protocol.transport.underlying_transport.set_protocol(self._protocol)

    def eof_received(self) -> bool:
        """As picows has it."""
        return bool(self._protocol.eof_received())

    def pause_writing(self) -> None:
        """Likewise."""
        self._protocol.pause_writing()

    def resume_writing(self) -> None:
        """Likewise."""
        self._protocol.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        """Likewise; nothing is kept any more."""
        self._strangers.keep(self, 0)
        self._protocol.connection_lost(exc)

    def send_away(self) -> None:
        """See ``collab.server.limits.strangers.Stranger``: what picows keeps ends with it."""
        self._refuse("too much waits for tokens")
        self._protocol.transport.underlying_transport.abort()

    def _refuse(self, reason: str) -> None:
        self._refused = True
        connection: NativeConnection | None = self._protocol.listener
        if connection is not None:  # Otherwise picows has refused the handshake.
            connection.close(CloseCode.TRY_AGAIN_LATER, reason)

    def _read_along(self, data: bytes) -> None:
        """Follows where frames begin and end; refuses a message as soon as its length is known."""
        position = 0
        while position < len(data):
            missing = _missing(self._head)
            if missing:
                self._head += data[position : position + missing]
                position += missing
                if _missing(self._head):
                    continue
                self._begin_frame()
                if self._message_bytes > self._max_bytes:
                    self._strangers.keep(self, 0)
                    self._refuse("expected a token before so long a message")
                    return
            else:
                step = min(self._payload_left, len(data) - position)
                self._payload_left -= step
                position += step
            if not self._payload_left:
                self._end_frame()
        self._strangers.keep(self, max(0, self._message_bytes - self._payload_left))

    def _begin_frame(self) -> None:
        self._payload_left = self._head[1] & _LENGTH
        size = _LENGTH_BYTES.get(self._payload_left)
        if size is not None:
            self._payload_left = int.from_bytes(self._head[2 : 2 + size], "big")
        if not self._head[0] & _CONTROL:
            self._message_bytes += self._payload_left

    def _end_frame(self) -> None:
        if self._head[0] & _FIN and not self._head[0] & _CONTROL:
            self._message_bytes = 0
        self._head = b""


def _missing(head: bytes) -> int:
    """How much more of a frame's head must come, as far as what is there tells."""
    if len(head) < 2:
        return 2 - len(head)
    mask = _MASK_BYTES if head[1] & _MASKED else 0
    return 2 + _LENGTH_BYTES.get(head[1] & _LENGTH, 0) + mask - len(head)
