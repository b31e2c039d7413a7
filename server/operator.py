"""Operator: whoever runs the server, known by a secret of this run and not by the application."""

import secrets

from starlette.requests import HTTPConnection

from collab.access import Access, Identity
from collab.server.auth import Authenticate

OPERATOR = Identity(name="operator", access=Access.ADMIN)
"""Who a command speaks for that knows the server's secret."""

_SCHEME = "bearer "


def admit_operator(authenticate: Authenticate | None, secret: str) -> Authenticate | None:
    """Returns an ``authenticate`` that knows the operator beside those the application knows.

    Args:
        authenticate: the application's callable; None lets anyone do anything, the operator too.
        secret: ASCII; a request that shows it as its bearer token speaks for the operator.
            WebSockets cannot: commands use REST.
    """
    if authenticate is None:
        return None
    expected = secret.encode()
    others = authenticate

    async def known(connection: HTTPConnection) -> Identity | None:
        credentials = connection.headers.get("authorization", "")
        if connection.scope["type"] == "http" and credentials.lower().startswith(_SCHEME):
            shown = credentials[len(_SCHEME) :].encode()
            if secrets.compare_digest(shown, expected):
                return OPERATOR
        return await others(connection)

    return known
