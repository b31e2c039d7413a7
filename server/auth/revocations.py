"""Revocations: tokens that are no longer believed although they have not expired."""

from collections.abc import Iterator
from dataclasses import dataclass

from collab.access import Identity

_MAX_REVOCATIONS = 100_000
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


class Revocations:
    """What was revoked since the server started.

    A revocation is about tokens made until then; a newer token counts. One that does not say when
    it was made is taken for an old one. Identities without an end do not come from tokens: their
    sessions end as well, and whether they may come back is for the application to say.
    """

    def __init__(self) -> None:
        self._revoked_at: dict[Revocation, float] = {}

    def add(self, revocation: Revocation, now: float) -> None:
        """Refuses what it covers from now on.

        Args:
            revocation: what to refuse.
            now: seconds since 1970.
        """
        self._revoked_at.pop(revocation, None)
        self._revoked_at[revocation] = now
        if len(self._revoked_at) > _MAX_REVOCATIONS:
            del self._revoked_at[next(iter(self._revoked_at))]

    def cover(self, identity: Identity, document: str | None) -> bool:
        """Whether a token that was good for this identity is so no longer.

        Args:
            identity: as the token describes it.
            document: the document it is for; None for all.
        """
        if not self._revoked_at or identity.expires_at is None:
            return False
        made_at = identity.issued_at
        for revocation in _about(identity, document):
            revoked_at = self._revoked_at.get(revocation)
            if revoked_at is not None and (made_at is None or made_at <= revoked_at):
                return True
        return False


def _about(identity: Identity, document: str | None) -> Iterator[Revocation]:
    """All revocations that would cover somebody in a document."""
    for user in {None, identity.id}:
        for token_id in {None, identity.token_id}:
            for name in {None, document}:
                yield Revocation(user=user, token_id=token_id, document=name)
