"""Tokens: names who a request speaks for by the JSON Web Token it brings."""

from contextlib import AbstractAsyncContextManager
from dataclasses import replace

import jwt
from starlette.requests import HTTPConnection

from collab.access import Identity
from collab.errors import Unauthenticated
from collab.server.auth.bearer import find_token
from collab.server.auth.claims import read_claims
from collab.server.auth.keys import Key, Keys

_MAX_CHARACTERS = 8192
"""Longest token that is looked at; those of identity providers have one or two thousand."""

_COMPLAINTS: tuple[tuple[type[jwt.PyJWTError], str], ...] = (
    (jwt.ExpiredSignatureError, "expected a token that is still valid, got one that has expired"),
    (jwt.ImmatureSignatureError, "expected a token that is valid already, got one for later"),
    (jwt.InvalidAudienceError, "expected a token for this server, got one for another audience"),
    (jwt.InvalidIssuerError, "expected a token of a trusted issuer, got one of another"),
    (jwt.InvalidSignatureError, "expected a token with a valid signature, got another one"),
)


class Tokens(AbstractAsyncContextManager["Tokens"]):
    """Authenticates by JSON Web Tokens: give it to ``Collab`` as ``authenticate``.

    A token must be signed with a trusted key, by that key's own algorithm, and name its subject and
    its end. What it may do stands in its claims; see ``collab.server.auth.claims.read_claims``.
    ``Collab`` enters it.

    Args:
        keys: the keys that are trusted.
        audience: who a token must be for (``aud``); None takes only tokens that name nobody.
        issuer: who must have made a token (``iss``); None takes any.
        leeway_seconds: how far clocks may be apart when ``exp`` and ``nbf`` are checked.
    """

    def __init__(
        self,
        keys: Keys,
        *,
        audience: str | None = None,
        issuer: str | None = None,
        leeway_seconds: float = 10.0,
    ) -> None:
        self._keys = keys
        self._audience = audience
        self._issuer = issuer
        self._leeway_seconds = leeway_seconds

    async def __aenter__(self) -> "Tokens":
        """Makes its keys ready."""
        await self._keys.__aenter__()
        return self

    async def __aexit__(self, *exception: object) -> bool | None:
        """Lets its keys go."""
        return await self._keys.__aexit__(*exception)

    async def __call__(self, connection: HTTPConnection) -> Identity | None:
        """Names the identity behind a request; None where it brings no token.

        Raises:
            Unauthenticated: the token is not valid.
            KeysUnavailable: there are no keys to check it with.
        """
        token = find_token(connection)
        return None if token is None else await self.verify(token)

    async def verify(self, token: str) -> Identity:
        """Names the identity that a token stands for.

        Raises:
            Unauthenticated: the token is not valid.
            KeysUnavailable: there are no keys to check it with.
        """
        if len(token) > _MAX_CHARACTERS:
            raise Unauthenticated(
                f"expected a token of at most {_MAX_CHARACTERS} characters, got {len(token)}"
            )
        try:
            header = jwt.get_unverified_header(token)
        except (jwt.PyJWTError, ValueError, RecursionError):
            raise Unauthenticated("expected a JSON Web Token, got something else") from None
        key = await self._keys.find(header.get("kid"))
        if key is None or header.get("alg") != key.algorithm:
            raise Unauthenticated("expected a token signed with a trusted key, got another one")
        identity = read_claims(self._decode(token, key))
        assert identity.expires_at is not None
        return replace(identity, expires_at=identity.expires_at + self._leeway_seconds)

    def _decode(self, token: str, key: Key) -> dict[str, object]:
        try:
            return jwt.decode(
                token,
                key.material,
                algorithms=[key.algorithm],
                audience=self._audience,
                issuer=self._issuer,
                leeway=self._leeway_seconds,
                options={"require": ["exp", "sub"]},
            )
        except (jwt.PyJWTError, ValueError, OverflowError, RecursionError) as error:
            # Without the cause: what a library says of a token may quote it.
            raise Unauthenticated(_complaint(error)) from None


def _complaint(error: Exception) -> str:
    for kind, complaint in _COMPLAINTS:
        if isinstance(error, kind):
            return complaint
    if isinstance(error, jwt.MissingRequiredClaimError):
        return f"expected a token with the claim {error.claim}, got one without"
    return "expected a JSON Web Token, got something else"
