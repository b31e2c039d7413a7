"""Claims: what a token says of who carries it, and what they may do."""

import math
from collections.abc import Mapping
from typing import Any

from collab.access import Access, Grants, Identity
from collab.errors import InvalidGrant, InvalidName, Unauthenticated

_WORDS = {access.name.lower(): access for access in Access}
_LATEST = 253_402_300_800
"""The end of the year 9999, in seconds since 1970: no token is for longer."""


def read_claims(claims: Mapping[str, Any]) -> Identity:
    """Names the identity that a token's claims describe.

    ``sub`` is the id, ``name`` what people are shown, ``jti`` the token's id, ``iat`` when it
    was made, ``exp`` its end.
    ``collab`` says what may be done: ``{"docs": {"team/*": "write"}}`` maps patterns of document
    names to ``none``, ``read``, ``write`` or ``admin``; ``{"admin": true}`` allows everything. A
    token without it may do nothing.

    Args:
        claims: of a token whose signature and times were checked.

    Raises:
        Unauthenticated: a claim is not what it should be.
    """
    subject = _read(claims, "sub", str)
    if not subject:
        raise Unauthenticated("expected a token with a subject, got one without")
    permissions = _read(claims, "collab", dict) or {}
    documents = _read(permissions, "docs", dict) or {}
    admin = _read(permissions, "admin", bool)
    try:
        return Identity(
            id=subject,
            name=_read(claims, "name", str),
            access=Access.ADMIN if admin else Access.NONE,
            grants=None if admin else Grants({p: _read_access(w) for p, w in documents.items()}),
            token_id=_read(claims, "jti", str),
            issued_at=None if claims.get("iat") is None else _read_time(claims, "iat"),
            expires_at=_read_time(claims, "exp"),
        )
    except (InvalidGrant, InvalidName) as error:
        raise Unauthenticated(f"the token's claims make no sense: {error}") from error


def write_claims(
    *,
    user: str,
    name: str | None,
    documents: Mapping[str, Access],
    admin: bool,
    token_id: str,
    issued_at: int,
    expires_at: int,
) -> dict[str, Any]:
    """Writes the claims that ``read_claims`` reads.

    Args:
        user: the identity's id.
        name: what people are shown; None says nothing of it.
        documents: pattern of document names to access.
        admin: whether everything is allowed.
        token_id: by which the token can be revoked.
        issued_at: seconds since 1970.
        expires_at: the same.

    Raises:
        InvalidGrant: a pattern could never be a document's name.
        InvalidName: this can be nobody's id.
    """
    if not user:
        raise InvalidName("expected an id of somebody, got an empty one", user)
    Identity(id=user, name=name)  # Who reads the claims makes the same of them.
    permissions: dict[str, Any] = {}
    if documents:
        accesses = Grants(documents).accesses
        permissions["docs"] = {text: access.name.lower() for text, access in accesses.items()}
    if admin:
        permissions["admin"] = True
    claims: dict[str, Any] = {
        "sub": user,
        "iat": issued_at,
        "exp": expires_at,
        "jti": token_id,
    }
    return claims | ({"name": name} if name is not None else {}) | {"collab": permissions}


def _read(claims: Mapping[str, Any], name: str, kind: type) -> Any:
    """Reads a claim that may be missing."""
    value = claims.get(name)
    if value is not None and not isinstance(value, kind):
        raise Unauthenticated(
            f"expected the claim {name} of a token to be {kind.__name__}, "
            f"got {type(value).__name__}"
        )
    return value


def _read_time(claims: Mapping[str, Any], name: str) -> float:
    """Reads a time that is known to be a number; one that is far off is taken for a bad one."""
    try:
        seconds = float(claims[name])
    except OverflowError:
        seconds = math.inf
    if not abs(seconds) <= _LATEST:
        raise Unauthenticated(f"expected the claim {name} of a token before the year 10000")
    return seconds


def _read_access(word: object) -> Access:
    access = _WORDS.get(word) if isinstance(word, str) else None
    if access is None:
        raise InvalidGrant(f"expected an access of {', '.join(_WORDS)}, got {word!r:.40}")
    return access
