"""Heads: what the first bytes on a connection say it wants."""

from typing import NamedTuple

import httptools
from starlette.types import Scope

HEAD_END = b"\r\n\r\n"

_PICOWS_HEAD_BYTES = 16 * 1024 - len(HEAD_END)
_PICOWS_HEADERS = 128
"""Heads of more bytes or headers are cut by picows without a word."""
_FOR_PICOWS = frozenset(
    (
        b"content-length",
        b"sec-websocket-key",
        b"sec-websocket-version",
        b"transfer-encoding",
        b"upgrade",
    )
)
"""What picows decides by, next to the connection header."""


class Handshake(NamedTuple):
    """A WebSocket handshake.

    Attributes:
        scope: of ASGI, without what is known of the connection alone.
        head: the same as picows takes it.
        rest: what has come after it.
    """

    scope: Scope
    head: bytes
    rest: bytes


def read_handshake(received: bytes) -> Handshake | None:
    """Reads a request head; None for requests other than WebSocket handshakes."""
    head, end, rest = received.partition(HEAD_END)
    request = _RequestHead()
    parser = httptools.HttpRequestParser(request)
    try:
        parser.feed_data(head + end)  # What follows may be another request.
    except httptools.HttpParserUpgrade:
        pass
    except httptools.HttpParserError:
        return None  # Hypercorn answers it.
    headers = request.headers
    if not parser.should_upgrade() or dict(headers).get(b"upgrade", b"").lower() != b"websocket":
        return None
    try:
        url = httptools.parse_url(request.url)
    except httptools.HttpParserError:  # Not even an address, as in CONNECT.
        return None
    scope = {
        "type": "websocket",
        "http_version": "1.1",
        "path": (url.path or b"/").decode("latin-1"),
        "raw_path": url.path or b"/",
        "query_string": url.query or b"",
        "root_path": "",
        "headers": headers,
    }
    if not _suits_picows(head, headers):
        line = b"%b / HTTP/%b" % (parser.get_method(), parser.get_http_version().encode())
        fields = [b"%b: %b" % field for field in headers if field[0] in _FOR_PICOWS]
        head = b"\r\n".join([line, b"Connection: Upgrade", *fields])
    return Handshake(scope, head + end, rest)


def _suits_picows(head: bytes, headers: list[tuple[bytes, bytes]]) -> bool:
    """Whether picows takes a head as it is.

    It compares the whole of the connection header, where Firefox says ``keep-alive, Upgrade``.
    """
    if len(head) >= _PICOWS_HEAD_BYTES or len(headers) > _PICOWS_HEADERS:
        return False
    return [value for name, value in headers if name == b"connection"] == [b"Upgrade"]


class _RequestHead:
    """What httptools reads of a request head."""

    def __init__(self) -> None:
        self.url = b""
        self.headers: list[tuple[bytes, bytes]] = []

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))
