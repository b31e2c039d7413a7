"""Heads: what the first bytes on a connection say it wants."""

import httptools
from starlette.types import Scope

HEAD_END = b"\r\n\r\n"

_PICOWS_HEAD_BYTES = 16 * 1024 - len(b"\r\n\r\n")
_PICOWS_HEADERS = 128
"""Heads of more bytes or headers are cut by picows without a word."""


def read_handshake(received: bytes) -> Scope | None:
    """Reads a request head: the ASGI scope of a WebSocket handshake, or None for other requests."""
    head, end, _ = received.partition(HEAD_END)
    request = _RequestHead()
    parser = httptools.HttpRequestParser(request)
    try:
        parser.feed_data(head + end)  # What follows may be another request.
    except httptools.HttpParserUpgrade:
        pass
    except httptools.HttpParserError:
        return None  # Hypercorn answers it.
    headers = dict(request.headers)
    if not parser.should_upgrade() or headers.get(b"upgrade", b"").lower() != b"websocket":
        return None
    try:
        url = httptools.parse_url(request.url)
    except httptools.HttpParserError:  # Not even an address, as in CONNECT.
        return None
    return {
        "type": "websocket",
        "http_version": "1.1",
        "path": (url.path or b"/").decode("latin-1"),
        "raw_path": url.path or b"/",
        "query_string": url.query or b"",
        "root_path": "",
        "headers": request.headers,
    }


def shortened(received: bytes, handshake: Scope) -> bytes:
    """What was received, the head of its handshake short enough for picows.

    Of one that is longer, as much is left as WebSockets need.

    Args:
        received: the head, and what has come after it.
        handshake: the same, as it was read.
    """
    head, end, rest = received.partition(HEAD_END)
    if len(head) < _PICOWS_HEAD_BYTES and len(handshake["headers"]) <= _PICOWS_HEADERS:
        return received
    # Empty lines may come before a request (RFC 9112, section 2.2).
    method, *_, version = head.lstrip(b"\r\n").partition(b"\r\n")[0].split(b" ")
    lines = [b"%b / %b" % (method, version)]
    for name, value in handshake["headers"]:
        if name in (b"host", b"upgrade", b"connection") or name.startswith(b"sec-websocket-"):
            lines.append(b"%b: %b" % (name, value))
    return b"\r\n".join(lines) + end + rest


class _RequestHead:
    """What httptools reads of a request head."""

    def __init__(self) -> None:
        self.url = b""
        self.headers: list[tuple[bytes, bytes]] = []

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))
