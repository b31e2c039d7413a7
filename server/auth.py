"""Authentication: who a connection speaks for, asked before anything of it is accepted."""

from collections.abc import Awaitable, Callable

from starlette.requests import HTTPConnection

from collab.access import ANYONE, Access, Identity
from collab.errors import AccessDenied, Unauthenticated

Authenticate = Callable[[HTTPConnection], Awaitable[Identity | None]]
"""Names the identity a request speaks for, from its headers, cookies or query; None refuses it."""


_ALLOWS = {Access.READ: "read", Access.WRITE: "change", Access.ADMIN: "administer"}


async def identify(
    authenticate: Authenticate | None,
    connection: HTTPConnection,
    document: str | None = None,
    access: Access = Access.READ,
) -> Identity:
    """Names who a request speaks for; anyone may do anything where nothing is configured.

    Args:
        authenticate: the application's callable, or None.
        connection: the request or the WebSocket handshake.
        document: the document it is about, or None.
        access: what the request needs, on that document where it is about one.

    Raises:
        Unauthenticated: the callable knows nobody by these credentials.
        AccessDenied: somebody known may not do what is asked for.
    """
    if authenticate is None:
        return ANYONE
    identity = await authenticate(connection)
    if identity is None:
        raise Unauthenticated("expected valid credentials")
    granted = identity.access_to_all if document is None else identity.access_to(document)
    if granted < access:
        what = "this document" if document is not None else "documents"
        raise AccessDenied(f"you may not {_ALLOWS[access]} {what}", document or "")
    return identity
