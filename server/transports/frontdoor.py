"""The front door: one port for everything. WebSockets go to picows, all else to Hypercorn."""

import asyncio
import logging
import socket
import ssl
from functools import partial
from http import HTTPStatus
from typing import Any, cast
from urllib.parse import unquote

from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.asyncio.tcp_server import TCPServer
from hypercorn.config import Config
from hypercorn.typing import LifespanState
from picows import (
    WSAutoPingStrategy,
    WSUpgradeRequest,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
)
from starlette.types import ASGIApp

from collab.errors import AddressUnavailable, CollabError, HeadTooLarge
from collab.server.auth.bearer import choose_subprotocol
from collab.server.connection import GOODBYE_SECONDS
from collab.server.endpoints import Endpoint, Handshakes, find_endpoint
from collab.server.http.precautions import PRECAUTIONS
from collab.server.http.status import status_of
from collab.server.peers.peer import Peer
from collab.server.settings import Settings
from collab.server.tasks import Spawn
from collab.server.transports.amendments import amend_hypercorn
from collab.server.transports.bounded import Bounded
from collab.server.transports.cork import CAN_CORK, cork
from collab.server.transports.frames import Frames
from collab.server.transports.heads import HEAD_END, Handshake, read_handshake
from collab.server.transports.http2 import Context
from collab.server.transports.listener import Listener
from collab.server.transports.native import NativeConnection

_READ_BUFFER_BYTES = 2048
"""What picows reads into, for each connection; it grows with longer messages."""
_CLOSE_SECONDS = 2.0
"""How long HTTP requests under way may take when the server stops."""


class _PicowsLog(logging.LoggerAdapter[logging.Logger]):
    """What picows logs, without what is no failure of ours: clients that break RFC 6455.

    They are told so by the close code; as errors, any stranger could fill the log with them.
    """

    def error(self, msg: object, *args: object, **options: Any) -> None:
        """Logs an error, or a client's for whoever looks closely."""
        is_clients = str(msg).startswith("WS parser error")
        self.log(logging.DEBUG if is_clients else logging.ERROR, msg, *args, **options)


# picows makes a logger for each connection, unless what it is given is none itself.
_picows_logger = _PicowsLog(logging.getLogger("picows.server"))
_picows_logger.setLevel(logging.WARNING)


class FrontDoor:
    """Listens on one socket. An async context manager; leaving it ends what is open.

    Args:
        app: the ASGI app for everything that is no WebSocket of ours.
        handshakes: decides on WebSockets.
        spawn: runs what a handshake waits for.
        settings: the server's settings.
        config: Hypercorn's configuration.
        listener: a bound socket, which need not listen yet.
        native: whether WebSockets go to picows; otherwise they too go to Hypercorn and the app.
        tls: how to encrypt; None does not.
    """

    def __init__(
        self,
        app: ASGIApp,
        handshakes: Handshakes,
        spawn: Spawn,
        settings: Settings,
        *,
        config: Config,
        listener: socket.socket,
        native: bool,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.handshakes = handshakes
        self.spawn = spawn
        self.settings = settings
        self.native = native
        is_tcp = listener.family in (socket.AF_INET, socket.AF_INET6)
        if is_tcp:
            # Connections inherit it. Otherwise a body waits until the client has acknowledged the
            # head, 40 ms: aiofastnet and asyncio see to it only where the socket was made with the
            # number of its protocol.
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # Asked of each connection it would cost a microsecond.
        self.corks = CAN_CORK and is_tcp
        self._app = ASGIWrapper(app)  # type: ignore[arg-type]  # the same protocol, typed apart
        self._config = config
        self._listener = listener
        self._tls = tls
        self._context = Context(settings.blocked_seconds)
        self._requests: set[asyncio.Task[None]] = set()
        self._listens: Listener | asyncio.Server | None = None

    async def __aenter__(self) -> "FrontDoor":
        """Accepts connections from here on.

        Raises:
            AddressUnavailable: another process has come to listen on the address.
        """
        amend_hypercorn()
        try:
            self._listens = await self._listen()
        except OSError as error:
            raise AddressUnavailable(
                f"expected an address that is free still, got: {error.strerror or error}"
            ) from error
        return self

    async def _listen(self) -> Listener | asyncio.Server:
        patience = self.settings.handshake_seconds
        if self.native:
            listener = Listener(
                self._listener,
                self._receive_guest,
                backlog=self._config.backlog,
                metrics=self.handshakes.metrics,
                tls=self._tls,
                handshake_seconds=patience,
            )
            listener.start()
            return listener
        return await self.loop.create_server(
            self._receive_guest,
            sock=self._listener,
            ssl=self._tls,
            ssl_handshake_timeout=None if self._tls is None else patience,
            backlog=self._config.backlog,
        )

    def _receive_guest(self) -> "_Guest":
        return _Guest(self)

    def stop_accepting(self) -> None:
        """Takes no more connections; those that are open go on."""
        if self._listens is not None:
            self._listens.close()

    async def finish(self) -> None:
        """Waits for HTTP requests under way, for a moment; none begin on connections there are."""
        await self._context.terminated.set()
        if self._requests:
            await asyncio.wait(self._requests, timeout=_CLOSE_SECONDS)

    async def __aexit__(self, *exception: object) -> None:
        """Takes no more connections and ends HTTP requests, those under way after a moment."""
        self.stop_accepting()
        await self.finish()
        for request in self._requests:
            request.cancel()
        await asyncio.gather(*self._requests, return_exceptions=True)

    def serve_http(self, transport: asyncio.Transport, received: bytes) -> None:
        """Hands a connection over to Hypercorn, with what came on it so far."""
        loop = self.loop
        reader = asyncio.StreamReader(loop=loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        writer = _Writer(transport, protocol, reader, loop, self.settings.blocked_seconds)
        reader.feed_data(received)
        task = loop.create_task(self._serve_http(reader, writer))
        self._requests.add(task)
        task.add_done_callback(self._requests.discard)

    async def _serve_http(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        state = LifespanState()
        try:
            await TCPServer(
                self._app, self.loop, self._config, self._context, state, reader, writer
            )
        finally:
            writer.close()


class _Writer(asyncio.StreamWriter):
    """A writer that waits for no client that takes nothing, and that is collected in peace.

    Hypercorn would hold an answer for as long as its client keeps the socket: after
    ``blocked_seconds`` without a byte, and a little later because a WebSocket is first closed with
    a reason, the connection is cut. When asyncio's own writer is collected it looks at its
    transport, in whatever thread the garbage collector runs, and aiofastnet's transports refuse
    that.
    """

    def __init__(
        self,
        transport: asyncio.Transport,
        protocol: asyncio.StreamReaderProtocol,
        reader: asyncio.StreamReader,
        loop: asyncio.AbstractEventLoop,
        blocked_seconds: float,
    ) -> None:
        super().__init__(transport, protocol, reader, loop)
        self._blocked_seconds = blocked_seconds + GOODBYE_SECONDS

    async def drain(self) -> None:
        """Waits until there is room, for as long as something is taken now and then."""
        transport = cast(asyncio.Transport, self.transport)
        while True:
            before = transport.get_write_buffer_size()
            try:
                async with asyncio.timeout(self._blocked_seconds):
                    await super().drain()
                    return
            except TimeoutError:
                if transport.get_write_buffer_size() >= before:
                    transport.abort()
                    raise ConnectionAbortedError("the client takes nothing") from None

    def __del__(self) -> None:
        """See the class: ``_serve_http`` has closed it."""


class _Accepted(WSUpgradeResponse):
    """The answer to a handshake; picows adds to its headers the proof that the key was read.

    Args:
        subprotocol: what is spoken; None where the client offered nothing.
    """

    __slots__ = ()

    def __init__(self, subprotocol: str | None) -> None:
        self.status = HTTPStatus.SWITCHING_PROTOCOLS
        # picows needs no more of them than of a dictionary.
        self.headers = {"Upgrade": "websocket", "Connection": "Upgrade"}  # type: ignore[assignment]
        if subprotocol:
            self.headers["Sec-WebSocket-Protocol"] = subprotocol

    def to_bytes(self) -> bytearray:
        """Writes it."""
        fields = "".join([f"{name}: {value}\r\n" for name, value in self.headers.items()])
        return bytearray(f"HTTP/1.1 101 Switching Protocols\r\n{fields}\r\n", "latin-1")


class _Guest(asyncio.Protocol):
    """A connection until it is known what it wants."""

    def __init__(self, door: FrontDoor) -> None:
        self._door = door
        self._received = b""
        self._transport: asyncio.Transport | None = None
        self._patience: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's does not derive from it
        self._patience = self._door.loop.call_later(
            self._door.settings.handshake_seconds, self._transport.abort
        )

    def connection_lost(self, exc: Exception | None) -> None:
        if self._patience is not None:
            self._patience.cancel()
        self._transport = None

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        self._received += data
        # Hypercorn has a bound of its own for heads that are longer.
        most = self._door.settings.handshake_max_bytes
        end = self._received.find(HEAD_END)
        if end < 0 and len(self._received) < most:
            return
        if self._patience is not None:
            self._patience.cancel()
        handshake = read_handshake(self._received) if self._door.native else None
        found = find_endpoint(handshake.scope["path"]) if handshake is not None else None
        if handshake is None or found is None:
            self._door.serve_http(self._transport, self._received)
            return
        if end > most:  # It came all at once.
            self._refuse(HeadTooLarge(most))
            return
        self._received = b""
        scope = handshake.scope
        scope["scheme"] = "wss" if self._transport.get_extra_info("ssl_object") else "ws"
        scope["client"] = (self._transport.get_extra_info("peername") or ("", 0))[:2]
        scope["server"] = (self._transport.get_extra_info("sockname") or ("", 0))[:2]
        endpoint, name = found[0], unquote(found[1])
        handshakes = self._door.handshakes
        if not handshakes.instant(endpoint):
            self._transport.pause_reading()
            self._door.spawn(partial(self._ask, endpoint, name, handshake))
            return
        try:
            self._admit(handshakes.admit_anyone(endpoint, name, scope), handshake)
        except CollabError as error:
            self._refuse(error)

    async def _ask(self, endpoint: Endpoint, name: str, handshake: Handshake) -> None:
        try:
            peer = await self._door.handshakes.ask(endpoint, name, handshake.scope)
        except CollabError as error:
            self._refuse(error)
        except BaseException:
            if self._transport is not None:
                self._transport.abort()
            raise
        else:
            if self._transport is not None:
                self._transport.resume_reading()
                self._admit(peer, handshake)

    def _admit(self, peer: Peer, handshake: Handshake) -> None:
        """Lets picows do the handshake and all that follows."""
        door, transport = self._door, self._transport
        assert transport is not None

        def listen(request: WSUpgradeRequest) -> WSUpgradeResponseWithListener:
            return WSUpgradeResponseWithListener(
                _Accepted(choose_subprotocol(handshake.scope)),
                NativeConnection(peer, door.settings, door.handshakes.metrics, corks=door.corks),
            )

        protocol = Frames(
            None,  # host and port: for clients
            None,  # path: for clients
            False,  # is a client
            listen,
            _picows_logger,
            True,  # disconnect where our code raises
            None,  # handshake timeout: the head is here
            False,  # pings of its own: the heartbeat does that
            20,
            20,
            WSAutoPingStrategy.PING_WHEN_IDLE,
            False,  # answers to pings: they count like messages, so the connection gives them
            door.settings.message_max_bytes,
            None,
            _READ_BUFFER_BYTES,
        )
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        if door.corks:  # The answer and what a room begins with leave together.
            cork(transport, on=True)
        if peer.known:
            protocol.data_received(handshake.head + handshake.rest)
        else:
            protocol.data_received(handshake.head)
            most = min(door.settings.unauthenticated_max_bytes, door.settings.message_max_bytes)
            bounded = Bounded(protocol, peer, most, door.handshakes.strangers)
            transport.set_protocol(bounded)
            bounded.data_received(handshake.rest)
        if door.corks:
            cork(transport, on=False)

    def _refuse(self, error: CollabError) -> None:
        if self._transport is None:
            return
        status = HTTPStatus(status_of(error))
        self._door.handshakes.metrics.count_refusal(status)
        body = str(error).encode()
        headers = {
            "Content-Type": "text/plain; charset=utf-8",
            "Content-Length": len(body),
            "Connection": "close",
            **PRECAUTIONS,
        }
        lines = (f"{name}: {value}\r\n" for name, value in headers.items())
        head = f"HTTP/1.1 {status.value} {status.phrase}\r\n{''.join(lines)}\r\n"
        self._transport.write(head.encode() + body)
        self._transport.close()
