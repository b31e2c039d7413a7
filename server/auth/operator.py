"""Operator: whoever runs the server, known by a secret of this run and not by the application."""

from contextlib import AbstractAsyncContextManager, AsyncExitStack

from starlette.requests import HTTPConnection

from collab.access import Access, Identity
from collab.server.auth.guard import Authenticate
from collab.server.auth.secret import Secret

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
    return _BesideOperator(authenticate, secret)


class _BesideOperator(AbstractAsyncContextManager["_BesideOperator"]):
    """Knows the operator, and asks the application about everyone else."""

    def __init__(self, others: Authenticate, secret: str) -> None:
        self._others = others
        self._expected = Secret(secret)
        self._exits = AsyncExitStack()

    async def __aenter__(self) -> "_BesideOperator":
        if isinstance(self._others, AbstractAsyncContextManager):
            await self._exits.enter_async_context(self._others)
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self._exits.aclose()

    async def __call__(self, connection: HTTPConnection) -> Identity | None:
        credentials = connection.headers.get("authorization", "")
        brings_token = credentials.lower().startswith(_SCHEME)
        if connection.scope["type"] == "http" and brings_token:
            shown = Secret(credentials[len(_SCHEME) :])
            if shown == self._expected:
                return OPERATOR
        return await self._others(connection)
