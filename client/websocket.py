"""WebSocketWire: a WebSocket on whatever event loop there is.

The protocol is that of the ``websockets`` library, which does no input or output; the stream is
anyio's.
"""

import ssl
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import anyio
from anyio.abc import ByteStream
from anyio.streams.tls import TLSStream
from websockets.client import ClientProtocol
from websockets.exceptions import InvalidHandshake, InvalidStatus
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import State
from websockets.uri import WebSocketURI, parse_uri

from collab.client.proxy import find_proxy, open_tunnel
from collab.client.server_address import ServerAddress
from collab.close import CloseCode
from collab.errors import ConnectionEnded, WebSocketsBlocked

_CONNECT_SECONDS = 10.0
_GOODBYE_SECONDS = 1.0
_READ_BYTES = 64 * 1024
_MAX_MESSAGE_BYTES = 512 * 1024 * 1024
"""More than any document that a server takes, and a bound."""
_LATER = frozenset({429, 503})
"""HTTP statuses of a server that has a WebSocket for us, but not now."""
_LOST = (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError, OSError)
"""What a stream raises that ended; where TLS is to be agreed on, too."""


class WebSocketWire:
    """An open WebSocket; see ``collab.client.wire.Wire``."""

    def __init__(self, stream: ByteStream, protocol: ClientProtocol) -> None:
        self._stream = stream
        self._protocol = protocol
        self._writing = anyio.Lock()
        self._received: deque[bytes] = deque()
        self._fragments: list[bytes] = []

    async def shake_hands(self) -> None:
        """Makes a WebSocket of the connection.

        Raises:
            WebSocketsBlocked: somebody answered, and not with a WebSocket.
            ConnectionEnded: the server has no WebSocket for us now.
        """
        self._protocol.send_request(self._protocol.connect())
        await self._write()
        while self._protocol.state is State.CONNECTING:
            await self._read()
            refusal = self._protocol.handshake_exc
            if isinstance(refusal, InvalidStatus) and refusal.response.status_code in _LATER:
                raise ConnectionEnded(CloseCode.TRY_AGAIN_LATER, str(refusal))
            if isinstance(refusal, (InvalidHandshake, EOFError)):
                raise WebSocketsBlocked(None, str(refusal) or "no answer to the handshake")
            if refusal is not None:
                raise WebSocketsBlocked(None, repr(refusal))

    async def send(self, frames: Sequence[bytes]) -> None:
        """See ``Wire.send``."""
        for frame in frames:
            if self._protocol.state is not State.OPEN:
                raise self._ended()
            self._protocol.send_binary(frame)
            await self._write()  # One by one: what is received is answered in between.

    async def receive(self) -> bytes:
        """See ``Wire.receive``."""
        while not self._received:
            if self._protocol.state is State.CLOSED:
                raise self._ended()
            await self._read()
        return self._received.popleft()

    async def close(self) -> None:
        """Says goodbye, to a server that listens."""
        if self._protocol.state is State.OPEN:
            self._protocol.send_close(CloseCode.NORMAL)
            await self._write()

    async def _read(self) -> None:
        try:
            self._protocol.receive_data(await self._stream.receive(_READ_BYTES))
        except _LOST:
            self._protocol.receive_eof()
        for event in self._protocol.events_received():
            if isinstance(event, Response):
                continue
            assert isinstance(event, Frame)
            if event.opcode in (Opcode.BINARY, Opcode.TEXT, Opcode.CONT):
                self._fragments.append(bytes(event.data))
                if event.fin:
                    self._received.append(b"".join(self._fragments))
                    self._fragments.clear()
        # Pongs, and answers to a close. Who writes already sends them too, when it can: a server
        # that takes nothing before it is read from is read from meanwhile.
        if not self._writing.locked():
            await self._write()

    async def _write(self) -> None:
        async with self._writing:
            while pieces := self._protocol.data_to_send():
                for piece in pieces:
                    try:
                        # An empty piece ends our half; the whole connection is about to end then.
                        if piece:
                            await self._stream.send(piece)
                    except _LOST:
                        return  # What the server said before it left is still to be read.

    def _ended(self) -> ConnectionEnded:
        said = self._protocol.close_rcvd
        if said is None:
            return ConnectionEnded(None, "the connection was lost")
        return ConnectionEnded(int(said.code), said.reason)


@asynccontextmanager
async def open_websocket(
    server: ServerAddress, tls: ssl.SSLContext | None
) -> AsyncIterator[WebSocketWire]:
    """Connects to a server; leaving the context ends the connection.

    Args:
        server: which one.
        tls: how its certificate is checked; None for as usual.

    Raises:
        WebSocketsBlocked: somebody answered, and not with a WebSocket.
        ConnectionEnded: nobody answered.
    """
    uri = parse_uri(server.websocket)
    stream: ByteStream | None = None
    wire: WebSocketWire | None = None
    try:
        try:
            with anyio.fail_after(_CONNECT_SECONDS):
                stream = await _connect(uri, tls)
                wire = WebSocketWire(stream, ClientProtocol(uri, max_size=_MAX_MESSAGE_BYTES))
                await wire.shake_hands()
        except TimeoutError:
            if wire is not None:
                raise WebSocketsBlocked(None, "no answer to the handshake in time") from None
            raise ConnectionEnded(None, "no connection in time") from None
        except _LOST as error:
            raise ConnectionEnded(None, str(error) or "the connection was cut") from error
        yield wire
    finally:
        if stream is not None:
            with anyio.move_on_after(_GOODBYE_SECONDS, shield=True):
                if wire is not None:
                    await wire.close()
                await stream.aclose()
            await anyio.aclose_forcefully(stream)


async def _connect(uri: WebSocketURI, tls: ssl.SSLContext | None) -> ByteStream:
    proxy = find_proxy(uri)
    stream: ByteStream
    if proxy is None:
        stream = await anyio.connect_tcp(uri.host, uri.port)
    else:
        stream = await open_tunnel(proxy, uri)
    if not uri.secure:
        return stream
    try:
        return await TLSStream.wrap(
            stream, hostname=uri.host, ssl_context=tls, standard_compatible=False
        )
    except BaseException:
        await anyio.aclose_forcefully(stream)
        raise
