"""Proxies: which one the environment names for a server, and a way through it.

The variables are those that httpx reads, which carries the fallback: HTTP_PROXY, HTTPS_PROXY,
ALL_PROXY and NO_PROXY, in capitals or not.
"""

import base64
from urllib.request import getproxies, proxy_bypass

import anyio
import httptools
import httpx
from anyio.abc import ByteStream
from websockets.uri import WebSocketURI

from collab.errors import ConnectionEnded, WebSocketsBlocked

_PORTS = {"http": 80, "https": 443}
_ANSWER_BYTES = 64 * 1024


def find_proxy(uri: WebSocketURI) -> httpx.Proxy | None:
    """The proxy that a WebSocket goes through; None for none.

    Raises:
        WebSocketsBlocked: it is none that WebSockets can go through.
    """
    if proxy_bypass(f"{uri.host}:{uri.port}"):
        return None
    named = getproxies()
    address = named.get("https" if uri.secure else "http") or named.get("all")
    if not address:
        return None
    try:
        proxy = httpx.Proxy(address if "://" in address else f"http://{address}")
    except (ValueError, httpx.InvalidURL) as error:
        raise WebSocketsBlocked(None, f"expected the address of a proxy: {error}") from None
    if proxy.url.scheme not in _PORTS:
        raise WebSocketsBlocked(None, f"expected an HTTP proxy, got {_name(proxy)}")
    return proxy


async def open_tunnel(proxy: httpx.Proxy, uri: WebSocketURI) -> ByteStream:
    """Connects to a server through a proxy.

    Source: https://www.rfc-editor.org/rfc/rfc9110#name-connect.

    Raises:
        WebSocketsBlocked: the proxy answered, and does not let us through.
        ConnectionEnded: it did not answer.
    """
    url = proxy.url
    port = url.port or _PORTS[url.scheme]
    stream: ByteStream
    try:
        if url.scheme == "https":
            stream = await anyio.connect_tcp(
                url.host, port, tls_hostname=url.host, tls_standard_compatible=False
            )
        else:
            stream = await anyio.connect_tcp(url.host, port)
    except OSError as error:
        raise ConnectionEnded(
            None, f"no connection to the proxy {_name(proxy)}: {error}"
        ) from error
    try:
        await stream.send(_ask(proxy, uri))
        status = await _read_status(stream)
        if not 200 <= status < 300:
            raise WebSocketsBlocked(None, f"HTTP status {status} of the proxy {_name(proxy)}")
    except (anyio.EndOfStream, anyio.BrokenResourceError, httptools.HttpParserError) as error:
        await anyio.aclose_forcefully(stream)
        why = f"no answer of the proxy {_name(proxy)}: {error!r}"
        raise WebSocketsBlocked(None, why) from error
    except BaseException:
        await anyio.aclose_forcefully(stream)
        raise
    return stream


def _ask(proxy: httpx.Proxy, uri: WebSocketURI) -> bytes:
    host = f"[{uri.host}]" if ":" in uri.host else uri.host
    lines = [f"CONNECT {host}:{uri.port} HTTP/1.1", f"Host: {host}:{uri.port}"]
    if proxy.auth is not None:
        known = base64.b64encode(":".join(proxy.auth).encode()).decode()
        lines.append(f"Proxy-Authorization: Basic {known}")
    return "\r\n".join([*lines, "", ""]).encode()


class _Head:
    """What is read of an answer.

    Attributes:
        complete: whether it has ended; nothing follows before we say something.
    """

    def __init__(self) -> None:
        self.complete = False

    def on_headers_complete(self) -> None:
        self.complete = True


async def _read_status(stream: ByteStream) -> int:
    head = _Head()
    parser = httptools.HttpResponseParser(head)
    answer_bytes = 0
    while not head.complete:
        piece = await stream.receive()
        answer_bytes += len(piece)
        if answer_bytes > _ANSWER_BYTES:
            raise anyio.EndOfStream
        parser.feed_data(piece)
    return int(parser.get_status_code())


def _name(proxy: httpx.Proxy) -> str:
    """What a proxy is called, without what it is shown."""
    return f"{proxy.url.scheme}://{proxy.url.netloc.decode()}"
