"""A proxy as companies have them: whoever wants out asks it for a tunnel."""

import base64
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_CHUNK_BYTES = 64 * 1024


class Proxy(ThreadingHTTPServer):
    """An HTTP proxy of tunnels, which knows every host name as this machine's.

    Attributes:
        asked: the hosts and ports that tunnels were asked for.
        expected: the credentials it wants, ``USER:PASSWORD``; None for none.
        refuses: how many tunnels it refuses before it gives one.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Tunnel)
        self.asked: list[str] = []
        self.expected: str | None = None
        self.refuses = 0

    def grants(self, credentials: str | None) -> HTTPStatus:
        """Decides on a tunnel."""
        if self.refuses > 0:
            self.refuses -= 1
            return HTTPStatus.FORBIDDEN
        if self.expected is not None:
            known = f"Basic {base64.b64encode(self.expected.encode()).decode()}"
            if credentials != known:
                return HTTPStatus.PROXY_AUTHENTICATION_REQUIRED
        return HTTPStatus.OK


class _Tunnel(BaseHTTPRequestHandler):
    server: Proxy

    def do_CONNECT(self) -> None:
        self.server.asked.append(self.path)
        status = self.server.grants(self.headers["Proxy-Authorization"])
        self.send_response(status)
        self.end_headers()
        self.close_connection = True
        if status is not HTTPStatus.OK:
            return
        with socket.create_connection(("127.0.0.1", int(self.path.rpartition(":")[2]))) as far:
            up = threading.Thread(target=_carry, args=(self.connection, far))
            up.start()
            _carry(far, self.connection)
            up.join()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's
        """Says nothing."""


def _carry(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(_CHUNK_BYTES):
            target.sendall(piece)
    for end in (source, target):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


@contextmanager
def proxy(tls: ssl.SSLContext | None = None) -> Iterator[Proxy]:
    """Runs a proxy.

    Args:
        tls: what it shows to those who ask; None for a proxy without TLS.
    """
    with Proxy() as running:
        if tls is not None:
            running.socket = tls.wrap_socket(running.socket, server_side=True)
        serving = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
        serving.start()
        try:
            yield running
        finally:
            running.shutdown()
            serving.join()
