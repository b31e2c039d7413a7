"""Revocations: tokens that are no longer believed although they have not expired.

A store keeps them, so that they hold on every instance, and after a restart.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Protocol

from collab.access import Identity

MAX_REVOCATIONS = 100_000
"""How many are remembered, the newest: some 20 MB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation:
    """Whose sessions end, and whose tokens are refused from then on.

    What is None does not matter; of the others all must fit.

    Attributes:
        user: id of an identity.
        token_id: id of a token.
        document: name of the document it is about; None for all.
    """

    user: str | None = None
    token_id: str | None = None
    document: str | None = None

    def covers(self, identity: Identity, document: str | None) -> bool:
        """Whether it is about this identity in this document."""
        return (
            (self.user is None or self.user == identity.id)
            and (self.token_id is None or self.token_id == identity.token_id)
            and (self.document is None or self.document == document)
        )

    def encode(self) -> str:
        """Writes it down, the same way each time, in ASCII."""
        return json.dumps(asdict(self), separators=(",", ":"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Revoked:
    """A revocation and when it was made.

    Attributes:
        revocation: whose tokens it is about.
        time_ms: tokens made until then are refused, milliseconds since the Unix epoch.
    """

    revocation: Revocation
    time_ms: int


class RevocationStore(Protocol):
    """What a store promises about revocations.

    It keeps the newest ``MAX_REVOCATIONS``, by their times.
    """

    async def revoke(self, revoked: Revoked) -> None:
        """Remembers a revocation durably; of the same one the latest time counts."""
        ...

    async def revocations(self) -> Sequence[Revoked]:
        """Reads them all, the oldest first."""
        ...


def decode_revocation(written: str) -> Revocation:
    """Reads what ``Revocation.encode`` writes.

    Raises:
        ValueError: it is something else.
    """
    about = json.loads(written)
    known = isinstance(about, dict) and about.keys() == {"user", "token_id", "document"}
    if not known or not all(isinstance(value, str | None) for value in about.values()):
        raise ValueError(f"expected a revocation, got {written!r}")
    return Revocation(**about)
