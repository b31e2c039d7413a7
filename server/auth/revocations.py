"""Revocations: what was revoked, as this server remembers it."""

from collections.abc import Iterator

from collab.access import Identity
from collab.revocation import MAX_REVOCATIONS, Revocation, Revoked


class Revocations:
    """What was revoked, the newest of it.

    A revocation is about tokens made until then; a newer token counts. One that does not say when
    it was made is taken for an old one. Identities without an end do not come from tokens: their
    sessions end as well, and whether they may come back is for the application to say.
    """

    def __init__(self) -> None:
        self._revoked_ms: dict[Revocation, int] = {}

    def add(self, revoked: Revoked) -> bool:
        """Refuses what it covers; tells whether it is news."""
        known_ms = self._revoked_ms.get(revoked.revocation)
        if known_ms is not None and known_ms >= revoked.time_ms:
            return False
        self._revoked_ms.pop(revoked.revocation, None)
        self._revoked_ms[revoked.revocation] = revoked.time_ms
        if len(self._revoked_ms) > MAX_REVOCATIONS:
            del self._revoked_ms[next(iter(self._revoked_ms))]
        return True

    def cover(self, identity: Identity, document: str | None) -> bool:
        """Whether a token that was good for this identity is so no longer.

        Args:
            identity: as the token describes it.
            document: the document it is for; None for all.
        """
        if not self._revoked_ms or identity.expires_at is None:
            return False
        made_at = identity.issued_at
        for revocation in _about(identity, document):
            revoked_ms = self._revoked_ms.get(revocation)
            if revoked_ms is not None and (made_at is None or made_at * 1000 <= revoked_ms):
                return True
        return False


def _about(identity: Identity, document: str | None) -> Iterator[Revocation]:
    """All revocations that would cover somebody in a document."""
    for user in {None, identity.id}:
        for token_id in {None, identity.token_id}:
            for name in {None, document}:
                yield Revocation(user=user, token_id=token_id, document=name)
