"""Passes: tokens that this server gives out itself, each for one document and for a while."""

import secrets
import time
from dataclasses import dataclass

from starlette.requests import HTTPConnection

from collab.access import Access, Identity
from collab.errors import Unauthenticated
from collab.server.auth.bearer import find_token
from collab.server.auth.guard import Guard, Permit
from collab.server.auth.secret import Secret

_MAX_PASSES = 100_000
"""How many are remembered, the newest: some 50 MB."""
_RANDOM_BYTES = 24


@dataclass(frozen=True, slots=True)
class _Pass:
    identity: Identity
    document: str
    expires_at: float


class Passes:
    """Gives out passes and lets in who brings one.

    A pass is known to the server that gave it out, as long as that runs; clients whose pass is no
    longer taken ask for another one. Who brings a token that is no pass is left to the guard.

    Args:
        guard: says what the bearer of a pass may do now.
    """

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._passes: dict[Secret, _Pass] = {}

    def issue(self, identity: Identity, document: str, expires_at: float) -> str:
        """Makes a pass.

        Args:
            identity: who its bearer is.
            document: name of the only document it is for.
            expires_at: when it is no longer taken, in seconds since 1970.
        """
        self._forget(time.time())
        token = secrets.token_urlsafe(_RANDOM_BYTES)
        self._passes[Secret(token)] = _Pass(identity, document, expires_at)
        return token

    async def admit(
        self, connection: HTTPConnection, document: str, access: Access = Access.READ
    ) -> Permit:
        """Finds out who a request speaks for, and that they may do what it is for.

        Args:
            connection: the request or the WebSocket handshake.
            document: the document it is about.
            access: what it needs.

        Raises:
            Unauthenticated: nobody is known by its credentials.
            AccessDenied: somebody is, who may not do that.
        """
        token = find_token(connection)
        found = self._passes.get(Secret(token)) if token is not None else None
        if found is not None and found.document == document and found.expires_at > time.time():
            return await self._guard.permit(found.identity, document, access)
        if token is not None and self._guard.open:
            # Where anyone may do anything, only passes for less are given out.
            raise Unauthenticated("expected a pass that is still good, got another token")
        return await self._guard.admit(connection, document, access)

    def _forget(self, now: float) -> None:
        """Forgets old passes whose time is over, and the oldest where there are too many."""
        while self._passes:
            oldest = next(iter(self._passes))
            if self._passes[oldest].expires_at > now and len(self._passes) < _MAX_PASSES:
                return
            del self._passes[oldest]
