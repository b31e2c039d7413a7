"""Passes: tokens that this server gives out itself, each for one document and for a while."""

import base64
import hashlib
import hmac
import json
import time

from starlette.requests import HTTPConnection

from collab.access import Access, Identity
from collab.errors import Unauthenticated
from collab.server.auth.bearer import find_token
from collab.server.auth.guard import Guard, Permit

_PURPOSE = b"collab passes"
"""Keeps signatures of passes apart from whatever else is signed with the same secret."""


class Passes:
    """Gives out passes and lets in who brings one.

    A pass says what it is for and is signed, so that every server with the same secret takes it.
    Its bearer can read it: it says no more than who they are and what they may do with the one
    document. Who brings a token that is no pass is left to the guard.

    Args:
        guard: says what the bearer of a pass may do now.
        secret: what passes are signed with.
    """

    def __init__(self, guard: Guard, secret: str) -> None:
        self._guard = guard
        self._key = hmac.digest(secret.encode(), _PURPOSE, hashlib.sha256)

    def issue(self, identity: Identity, document: str, expires_at: float) -> str:
        """Makes a pass.

        Args:
            identity: who its bearer is; of its grants only what they come to here is kept.
            document: name of the only document it is for.
            expires_at: when it is no longer taken, in seconds since 1970.
        """
        said = {
            "document": document,
            "until": expires_at,
            "id": identity.id,
            "name": identity.name,
            "access": identity.access_to(document),
            "token_id": identity.token_id,
            "issued_at": identity.issued_at,
            "expires_at": identity.expires_at,
        }
        body = json.dumps(said, separators=(",", ":")).encode()
        return f"{_encode(body)}.{_encode(self._sign(body))}"

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
        bearer = self._bearer(token, document) if token is not None else None
        if bearer is not None:
            return await self._guard.admit_as(bearer, connection, document, access)
        if token is not None and self._guard.open:
            # Where anyone may do anything, only passes for less are given out.
            raise Unauthenticated("expected a pass that is still good, got another token")
        return await self._guard.admit(connection, document, access)

    def _bearer(self, token: str, document: str) -> Identity | None:
        """Who brings a token; None where it is no pass of ours that is good for this document."""
        written, _, signature = token.partition(".")
        try:
            body, signed = _decode(written), _decode(signature)
        except ValueError:
            return None
        if not hmac.compare_digest(signed, self._sign(body)):
            return None
        said = json.loads(body)
        if said["document"] != document or said["until"] <= time.time():
            return None
        access = Access(said["access"])
        return Identity(
            id=said["id"],
            name=said["name"],
            access=access,
            at_most=access,
            token_id=said["token_id"],
            issued_at=said["issued_at"],
            expires_at=said["expires_at"],
        )

    def _sign(self, body: bytes) -> bytes:
        return hmac.digest(self._key, body, hashlib.sha256)


def _encode(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
