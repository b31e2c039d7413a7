"""ServerAddress: where a server is, and what lies there."""

from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit

from collab.access import check_name
from collab.errors import InvalidQuery

_SCHEMES = {"http": "http", "https": "https", "ws": "http", "wss": "https"}


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """Where a server is mounted.

    Attributes:
        base: ``http://HOST/PREFIX`` or ``https://...``, without a slash at the end.
        author: what who writes there is called, by its own account; empty for nothing.
    """

    base: str
    author: str = ""

    @property
    def websocket(self) -> str:
        """Where it speaks the Hocuspocus dialect."""
        return f"ws{self.base.removeprefix('http')}/hocuspocus{self._introduction}"

    @property
    def fallback(self) -> str:
        """Where it speaks the same without WebSockets."""
        return f"{self.base}/sse{self._introduction}"

    def events(self, document: str) -> str:
        """Where it tells what happens in a document."""
        return f"{self.base}/api/docs/{quote(document, safe='')}/events"

    @property
    def _introduction(self) -> str:
        return f"?name={quote(self.author, safe='')}" if self.author else ""


def read_document_address(url: str, mount: str = "") -> tuple[ServerAddress, str]:
    """Reads where a document is.

    Args:
        url: ``http://HOST/DOCUMENT``; slashes in the name may stand as they are.
        mount: where on its host the server is mounted, where that is not at the root.

    Returns:
        The server, and the document's name.

    Raises:
        InvalidQuery: it is something else.
        InvalidName: what it names cannot be a document.
    """
    parts = urlsplit(url)
    path = f"/{mount.strip('/')}/" if mount.strip("/") else "/"
    name = unquote(parts.path.removeprefix(path), errors="surrogateescape")
    if not parts.path.startswith(path) or not name:
        raise InvalidQuery(f"expected http://HOST{path}DOCUMENT, got {url!r}")
    return read_address(parts._replace(path=path).geturl()), check_name(name)


def read_address(url: str) -> ServerAddress:
    """Reads where a server is.

    Args:
        url: ``http://HOST/PREFIX``, or the same with ``https``, ``ws`` or ``wss``.

    Raises:
        InvalidQuery: it is something else.
    """
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises where it is no number
    except ValueError as error:
        raise InvalidQuery(f"expected the address of a server, got {url!r}: {error}") from None
    scheme = _SCHEMES.get(parts.scheme.lower())
    if scheme is None or not parts.hostname or parts.query or parts.fragment:
        raise InvalidQuery(f"expected http(s)://HOST or ws(s)://HOST, got {url!r}")
    return ServerAddress(f"{scheme}://{parts.netloc}{parts.path.rstrip('/')}")
