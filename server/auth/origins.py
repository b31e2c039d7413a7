"""Origins: which web pages may use the server from a browser."""

import logging
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from collab.errors import HostRefused, OriginRefused, SettingsError
from collab.server.headers import header

logger = logging.getLogger("collab")

ANY_ORIGIN = "*"
_NO_ORIGIN = "null"
"""What browsers send for pages without an origin, such as files."""

_PORTS = {"http": 80, "https": 443}
_HARMLESS = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing: there CORS keeps the answer from a page that may not have it."""
_MAX_TOLD = 100
"""Refused origins and hosts that are logged, once each."""


class Origins:
    """Tells the pages that may use the server from others.

    A browser lets every page open a WebSocket to every server, and post forms to it, with the
    cookies it has for that server and from inside a firewall; it only says where the page is from.
    So pages from elsewhere are refused, unless they are listed. Clients that are no browsers send
    no origin, and are let pass.

    Args:
        allowed: origins beside the server's own, such as ``https://example.org``; ``*`` for all,
            ``null`` for pages without one.
        local_only: whether only names of this machine are answered, and those of the origins. A
            page may have its own name lead to this machine, and would then count as the server's
            own: nothing else stops it where nobody is authenticated.

    Attributes:
        allowed: the same, without doubles.

    Raises:
        SettingsError: one of them is no origin, or they are one text and no list.
    """

    def __init__(self, allowed: Iterable[str] = (), *, local_only: bool = False) -> None:
        if isinstance(allowed, str):  # Its characters would be read as origins.
            raise SettingsError(
                f"expected a list of origins such as [{allowed!r}], got {allowed!r}"
            )
        self.allowed = tuple(dict.fromkeys(map(_check_origin, allowed)))
        self._hosts = {urlsplit(origin).hostname for origin in self.allowed}
        self._local_only = local_only and ANY_ORIGIN not in self.allowed
        self._told: set[str] = set()

    def check(self, connection: HTTPConnection) -> None:
        """Refuses a request of a page from elsewhere.

        Args:
            connection: the request or the WebSocket handshake.

        Raises:
            OriginRefused: it is one.
            HostRefused: see ``check_host``.
        """
        self.check_host(connection)
        origin = header(connection.scope, b"origin")
        if origin is None or ANY_ORIGIN in self.allowed or origin.lower() in self.allowed:
            return
        if _is_same(origin, header(connection.scope, b"host") or ""):
            return
        self._tell(f"a page from {origin!r}")
        raise OriginRefused(origin)

    def check_host(self, connection: HTTPConnection) -> None:
        """Refuses a request for a name that is not this machine's, where only these are answered.

        Raises:
            HostRefused: it is one.
        """
        if not self._local_only:
            return
        host = header(connection.scope, b"host") or ""
        name = _host_name(host)
        if name is None or not (name in self._hosts or _is_local(name)):
            self._tell(f"a request for the host {host!r}")
            raise HostRefused(host)

    def _tell(self, refused: str) -> None:
        if refused not in self._told and len(self._told) < _MAX_TOLD:
            self._told.add(refused)
            lists = "allow_origins (--allow-origin) lists those that may"
            logger.warning("refused %s: %s", refused, lists)


class OriginCheck:
    """ASGI middleware: refuses wrong hosts, and pages from elsewhere that could change something.

    WebSockets are checked at their handshake, which not every transport brings through here.
    """

    def __init__(self, app: ASGIApp, origins: Origins) -> None:
        self._app = app
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one ASGI scope.

        Raises:
            OriginRefused: it is such a request.
            HostRefused: it is for another host.
        """
        if scope["type"] == "http":
            connection = HTTPConnection(scope)
            if scope["method"] in _HARMLESS:
                self._origins.check_host(connection)
            else:
                self._origins.check(connection)
        await self._app(scope, receive, send)


@lru_cache(maxsize=64)
def _host_name(host: str) -> str | None:
    """The name or address in a Host header; None where it is none."""
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


@lru_cache(maxsize=64)
def _is_local(name: str) -> bool:
    """Whether a name can only mean this machine: no page can have an address for its name."""
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


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
