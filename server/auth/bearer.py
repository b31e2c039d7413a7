"""Bearer: where a request or a handshake carries its token."""

from starlette.requests import HTTPConnection
from starlette.types import Scope

SUBPROTOCOL = "collab"
"""The WebSocket subprotocol that the server speaks where a client offers it."""
TOKEN_SUBPROTOCOL = "collab.token."
"""What a subprotocol begins with that is offered to bring a token; the token follows."""


def find_token(connection: HTTPConnection) -> str | None:
    """Finds the token a request or a handshake brings, or None.

    It is looked for in ``Authorization: Bearer``, then in ``?token=``, then among the WebSocket
    subprotocols offered, as ``collab.token.`` and the token. Who brings it as a subprotocol must
    offer ``collab`` as well: that one is chosen, so that the token is not sent back.

    Args:
        connection: the request or the handshake.
    """
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    queried = connection.query_params.get("token")
    if queried:
        return queried
    for offered in offered_subprotocols(connection.scope):
        token = offered.removeprefix(TOKEN_SUBPROTOCOL)
        if token and token != offered:
            return token
    return None


def choose_subprotocol(handshake: Scope) -> str | None:
    """Names the subprotocol to answer a handshake with; None where ``collab`` is not offered."""
    return SUBPROTOCOL if SUBPROTOCOL in offered_subprotocols(handshake) else None


def offered_subprotocols(handshake: Scope) -> list[str]:
    """The WebSocket subprotocols that a handshake offers, in order."""
    offered = [value for name, value in handshake["headers"] if name == b"sec-websocket-protocol"]
    if not offered:
        return []
    names = b",".join(offered).decode("latin-1").split(",")
    return [name.strip() for name in names if name.strip()]
