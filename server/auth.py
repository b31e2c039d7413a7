"""Authentication: who a connection speaks for, asked before anything of it is accepted."""

from collections.abc import Awaitable, Callable

from starlette.requests import HTTPConnection

from collab.access import ANYONE, Access, Identity
from collab.errors import AccessDenied, Unauthenticated

Authenticate = Callable[[HTTPConnection], Awaitable[Identity | None]]
"""Names the identity a request speaks for, from its headers, cookies or query; None refuses it."""


async def identify(
    authenticate: Authenticate | None, connection: HTTPConnection, document: str | None = None
) -> Identity:
    """Names who a request speaks for; anyone may do anything where nothing is configured.

    Args:
        authenticate: the application's callable, or None.
        connection: the request or the WebSocket handshake.
        document: the document it is about, or None.

    Raises:
        Unauthenticated: the callable knows nobody by these credentials.
        AccessDenied: somebody known may not even read.
    """
    if authenticate is None:
        return ANYONE
    identity = await authenticate(connection)
    if identity is None:
        raise Unauthenticated("expected valid credentials")
    if identity.access < Access.READ:
        raise AccessDenied("you may not read this document", document or "")
    return identity
