"""Origins: which web pages may use the server from a browser."""

import logging
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from collab.errors import OriginRefused, SettingsError

logger = logging.getLogger("collab")

ANY_ORIGIN = "*"
_NO_ORIGIN = "null"
"""What browsers send for pages without an origin, such as files."""

_PORTS = {"http": 80, "https": 443}
_HARMLESS = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing: there CORS keeps the answer from a page that may not have it."""
_MAX_TOLD = 100
"""Refused origins that are logged, once each."""


class Origins:
    """Tells the pages that may use the server from others.

    A browser lets every page open a WebSocket to every server, and post forms to it, with the
    cookies it has for that server and from inside a firewall; it only says where the page is from.
    So pages from elsewhere are refused, unless they are listed. Clients that are no browsers send
    no origin, and are let pass.

    Args:
        allowed: origins beside the server's own, such as ``https://example.org``; ``*`` for all,
            ``null`` for pages without one.

    Attributes:
        allowed: the same, without doubles.

    Raises:
        SettingsError: one of them is no origin.
    """

    def __init__(self, allowed: Iterable[str] = ()) -> None:
        self.allowed = tuple(dict.fromkeys(map(_check_origin, allowed)))
        self._told: set[str] = set()

    def check(self, connection: HTTPConnection) -> None:
        """Refuses a request of a page from elsewhere.

        Args:
            connection: the request or the WebSocket handshake.

        Raises:
            OriginRefused: it is one.
        """
        origin = connection.headers.get("origin")
        if origin is None or ANY_ORIGIN in self.allowed or origin.lower() in self.allowed:
            return
        if _is_same(origin, connection.headers.get("host", "")):
            return
        if origin not in self._told and len(self._told) < _MAX_TOLD:
            self._told.add(origin)
            logger.warning("refused a page from %r: --allow-origin lists those that may", origin)
        raise OriginRefused(origin)


class OriginCheck:
    """ASGI middleware: refuses requests of pages from elsewhere that could change something.

    WebSockets are checked at their handshake, which not every transport brings through here.
    """

    def __init__(self, app: ASGIApp, origins: Origins) -> None:
        self._app = app
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one ASGI scope.

        Raises:
            OriginRefused: it is such a request.
        """
        if scope["type"] == "http" and scope["method"] not in _HARMLESS:
            self._origins.check(HTTPConnection(scope))
        await self._app(scope, receive, send)


def _check_origin(text: str) -> str:
    """Returns an origin as browsers write it."""
    origin = text.lower()
    if origin in (ANY_ORIGIN, _NO_ORIGIN):
        return origin
    try:
        parts = urlsplit(origin)
        whole = (
            parts.hostname and "@" not in origin and origin == f"{parts.scheme}://{parts.netloc}"
        )
        port = parts.port
    except ValueError:
        whole, port = False, None
    if not whole:
        raise SettingsError(f"expected an origin such as https://example.org, got {text!r}")
    if port is not None and port == _PORTS.get(parts.scheme):
        return origin.rpartition(":")[0]
    return origin


def _is_same(origin: str, host: str) -> bool:
    """Whether a page comes from the host that it asks.

    The scheme is left out: behind a proxy that takes care of TLS, the server does not know its own.
    """
    try:
        page = urlsplit(origin)
        asked = urlsplit(f"{page.scheme}://{host}")
        default = _PORTS.get(page.scheme)
        here = (asked.hostname, asked.port or default)
        return page.hostname is not None and (page.hostname, page.port or default) == here
    except ValueError:
        return False
