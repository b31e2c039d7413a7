"""A listener: accepts connections on one socket, for as long as there are files to open."""

import asyncio
import errno
import logging
import socket
import ssl
import time
from collections.abc import Callable

import aiofastnet
from aiofastnet.selector_transport import (  # type: ignore[import-not-found]  # not typed
    SelectorSocketTransport,
)

from collab.server.metrics import Metrics
from collab.server.open_files import most_connections

logger = logging.getLogger("collab")

_AT_ONCE = 64
"""How many connections are accepted before the others are looked after again."""
_RETRY_SECONDS = 0.1
_SAY_SECONDS = 60.0
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Listener:
    """Hands accepted connections to protocols, on transports of aiofastnet.

    picows passes headers on in a buffer that it soon writes over: aiofastnet's transports copy what
    they cannot send at once, uvloop's own would send what is there later. aiofastnet's own server
    takes a task for each connection, and does nothing but fail once no file can be opened.

    Args:
        listening: a bound socket, which need not listen yet.
        make_protocol: makes what a connection talks to.
        backlog: how many may wait to be accepted.
        metrics: counts who is turned away.
        tls: how to encrypt; None does not.
        handshake_seconds: how long TLS handshakes may take.
    """

    def __init__(
        self,
        listening: socket.socket,
        make_protocol: Callable[[], asyncio.Protocol],
        *,
        backlog: int,
        metrics: Metrics,
        tls: ssl.SSLContext | None,
        handshake_seconds: float,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._listening = listening
        self._make_protocol = make_protocol
        self._backlog = backlog
        self._metrics = metrics
        self._tls = tls
        self._handshake_seconds = handshake_seconds
        self._handshakes: set[asyncio.Task[None]] = set()
        self._retry: asyncio.TimerHandle | None = None
        self._most = most_connections()
        self._said_at = -_SAY_SECONDS
        self._closed = False

    def start(self) -> None:
        """Accepts connections from here on.

        Raises:
            OSError: another process has come to listen on the address.
        """
        self._listening.setblocking(False)
        self._listening.listen(self._backlog)
        self._listen()

    def close(self) -> None:
        """Accepts no more; connections that are open go on, TLS handshakes under way do not."""
        if self._closed:
            return
        self._closed = True
        if self._retry is not None:
            self._retry.cancel()
        self._loop.remove_reader(self._listening.fileno())
        self._listening.close()
        for handshake in self._handshakes:
            handshake.cancel()

    def _listen(self) -> None:
        self._retry = None
        self._loop.add_reader(self._listening.fileno(), self._accept)

    def _accept(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                guest, _ = self._listening.accept()
            except (BlockingIOError, InterruptedError):
                return
            except ConnectionAbortedError:
                continue
            except OSError as error:
                if error.errno not in _EXHAUSTED:
                    raise
                self._turn_away(error.strerror or str(error))
                # They wait in the kernel: it would say so again at once, and for ever.
                self._loop.remove_reader(self._listening.fileno())
                self._retry = self._loop.call_later(_RETRY_SECONDS, self._listen)
                return
            if guest.fileno() >= self._most:
                # A commit or the bus may need to open a file, and nobody else's text waits for it.
                guest.close()
                self._turn_away("nearly as many files are open as the process may have")
                continue
            guest.setblocking(False)
            if self._tls is None:
                SelectorSocketTransport(self._loop, guest, self._make_protocol())
            else:
                task = self._loop.create_task(self._shake_hands(guest, self._tls))
                self._handshakes.add(task)
                task.add_done_callback(self._handshakes.discard)

    async def _shake_hands(self, guest: socket.socket, tls: ssl.SSLContext) -> None:
        try:
            await aiofastnet.connect_accepted_socket(
                self._loop,
                self._make_protocol,
                guest,
                ssl=tls,
                ssl_handshake_timeout=self._handshake_seconds,
            )
        except OSError as error:  # Strangers may send anything.
            logger.debug("a TLS handshake failed: %s", error)

    def _turn_away(self, reason: str) -> None:
        self._metrics.count_limit("open_files")
        if time.monotonic() - self._said_at >= _SAY_SECONDS:
            self._said_at = time.monotonic()
            logger.error(
                "connections are turned away: %s; raise its limit (ulimit -n, LimitNOFILE)", reason
            )
