"""Who somebody is and what they may do with a document."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum

from collab.errors import InvalidGrant, InvalidName
from collab.patterns import Pattern

MAX_NAME_BYTES = 512

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")

CLAIMED = "~"
"""What the author begins with where somebody gave a name and nobody vouches for it."""


class Access(IntEnum):
    """What may be done with one document; each level includes those below it."""

    NONE = 0
    READ = 1
    WRITE = 2
    ADMIN = 3
    """May also do what concerns everybody: delete documents, end others' sessions."""


class Grants:
    """Which documents may be used in which way: patterns of names, each with an access.

    Where several patterns match a name, the narrowest decides: the one with the most characters
    that stand for themselves, then the one with fewer ``**``, then with fewer ``*``; among those
    that are level in all of it, the least access. So the order they are written in never matters.
    A name that no pattern matches may not be used at all.

    Args:
        accesses: pattern to access; see ``collab.patterns.Pattern``.

    Raises:
        InvalidGrant: a pattern could never be a document's name.
    """

    __slots__ = ("_rules",)

    def __init__(self, accesses: Mapping[str, Access]) -> None:
        rules = [(Pattern(_check_pattern(text)), access) for text, access in accesses.items()]
        rules.sort(key=lambda rule: (rule[0].rank, -rule[1]), reverse=True)
        self._rules = tuple(rules)

    @property
    def accesses(self) -> dict[str, Access]:
        """Pattern to access, narrow ones first."""
        return {pattern.text: access for pattern, access in self._rules}

    def access_to(self, document: str) -> Access:
        """What may be done with a document.

        Args:
            document: document name.
        """
        for pattern, access in self._rules:
            if pattern.matches(document):
                return access
        return Access.NONE

    def prefixes(self) -> tuple[str, ...]:
        """What the names of all documents that may be read begin with, in order.

        None of them begins with another; so nothing is found twice by looking below each.
        """
        found: list[str] = []
        for prefix in sorted(p.prefix for p, access in self._rules if access >= Access.READ):
            if not found or not prefix.startswith(found[-1]):
                found.append(prefix)
        return tuple(found)

    def patterns(self, access: Access) -> tuple[str, ...]:
        """Patterns of the names of documents that may be used so, narrow ones first.

        A narrower pattern may allow less for some of these names.

        Args:
            access: the least that must be allowed.
        """
        return tuple(pattern.text for pattern, given in self._rules if given >= access)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Grants) and self.accesses == other.accesses

    def __hash__(self) -> int:
        return hash(frozenset(self._rules))

    def __repr__(self) -> str:
        return f"Grants({self.accesses!r})"


def _check_pattern(text: str) -> str:
    try:
        return check_name(text)
    except InvalidName as error:
        raise InvalidGrant(f"expected a pattern of document names: {error}") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who a connection speaks for.

    Attributes:
        id: stable id, stored as the author of changes; None for somebody nobody vouches for.
        name: what people are shown; None where unknown. Without an id it is a claim, and marked as
            one in ``author``.
        access: what this identity may do with every document, where it has no grants.
        grants: what it may do with which documents; None where ``access`` says it all.
        at_most: the most it may do with any document, whoever says more: a token can be for less
            than its bearer may do.
        token_id: id of the token that named it (a JWT's ``jti``), by which it can be revoked.
        issued_at: when that token was made, in seconds since 1970; None where unknown.
        expires_at: when it is no longer to be believed, in seconds since 1970; None for never.

    Raises:
        InvalidName: the id or the name has half a surrogate pair, which no store takes and no
            answer carries; or the id begins like a claimed name.
    """

    id: str | None = None
    name: str | None = None
    access: Access = field(default=Access.WRITE)
    grants: Grants | None = None
    at_most: Access = Access.ADMIN
    token_id: str | None = None
    issued_at: float | None = None
    expires_at: float | None = None

    def __post_init__(self) -> None:
        for text in filter(None, (self.id, self.name)):
            try:
                text.encode()
            except UnicodeEncodeError as error:
                raise InvalidName(
                    "expected an identity of whole characters, got a lone surrogate", text
                ) from error
        if self.id is not None and self.id.startswith(CLAIMED):
            raise InvalidName(
                f"expected an identity that begins with anything but {CLAIMED}, "
                f"which marks claimed names, got {self.id!r}",
                self.id,
            )

    @property
    def author(self) -> str | None:
        """What is stored as the author of changes: the id, or else the claimed name, marked."""
        if self.id is not None or self.name is None:
            return self.id
        return CLAIMED + self.name

    def access_to(self, document: str) -> Access:
        """What this identity may do with a document.

        Args:
            document: document name.
        """
        granted = self.access if self.grants is None else self.grants.access_to(document)
        return min(granted, self.at_most)

    @property
    def access_to_all(self) -> Access:
        """What this identity may do with all documents at once: nothing, where it has grants."""
        return min(self.access, self.at_most) if self.grants is None else Access.NONE


ANYONE = Identity(access=Access.ADMIN)
"""Somebody unnamed who may do everything: the identity where no authentication is configured."""


def check_name(name: str) -> str:
    """Returns the document name if it can be one.

    Args:
        name: any Unicode string of 1 to 512 UTF-8 bytes without control characters.

    Raises:
        InvalidName: it is empty, too long, has control characters or is not encodable.
    """
    try:
        size = len(name.encode())
    except UnicodeEncodeError as error:
        raise InvalidName("expected whole characters, got a lone surrogate", name) from error
    if not 1 <= size <= MAX_NAME_BYTES:
        raise InvalidName(f"expected a name of 1 to {MAX_NAME_BYTES} bytes, got {size}", name)
    if _CONTROL.search(name) is not None:
        raise InvalidName(f"expected a name without control characters, got {name!r}", name)
    return name
