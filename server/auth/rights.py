"""Rights: ends the sessions of people who lost theirs, and lets the others' follow theirs."""

import logging
from collections.abc import Iterator

from collab.access import Access, Identity
from collab.close import CloseCode
from collab.server.auth.guard import Guard
from collab.server.auth.revocations import Revocation
from collab.server.rooms.member import Member
from collab.server.rooms.room import Room
from collab.server.rooms.rooms import Rooms

logger = logging.getLogger("collab")


class Rights:
    """What everyone who has a document open may go on doing, whatever the transport.

    Args:
        rooms: where they are.
        guard: who may be where.
    """

    def __init__(self, rooms: Rooms, guard: Guard) -> None:
        self._rooms = rooms
        self._guard = guard

    def revoke(self, revocation: Revocation, now: float) -> int:
        """Ends the sessions it covers at once, and refuses their tokens from now on.

        Args:
            revocation: whose sessions and tokens.
            now: seconds since 1970.

        Returns:
            How many sessions were ended.
        """
        self._guard.revocations.add(revocation, now)
        self._guard.revise()
        ended = self._rooms.feeds.revoke(revocation)
        for room, member in self._covered(revocation):
            room.expel(member, CloseCode.UNAUTHENTICATED, "the token was revoked")
            ended += 1
        return ended

    async def recheck(self, *, user: str | None = None, document: str | None = None) -> None:
        """Asks again what people may do, and has their sessions follow without a reconnect.

        Who may do less may do less at once; who may not read any more is sent away. So is, for
        a moment, who cannot be asked about.

        Args:
            user: id of the identity it is about; None for everybody.
            document: name of the document it is about; None for all.
        """
        self._guard.revise()
        answers: dict[tuple[Identity, str], Access | None] = {}
        for room, member in self._covered(Revocation(user=user, document=document)):
            identity = member.session.identity
            key = identity, room.name
            if key not in answers:
                answers[key] = await self._ask(identity, room.name)
            if not room.seats(member) or member.session.identity is not identity:
                continue  # It has left meanwhile, or brought a new token.
            access = answers[key]
            if access is None:
                room.expel(member, CloseCode.TRY_AGAIN_LATER, "try again later")
            elif access < Access.READ:
                room.expel(member, CloseCode.FORBIDDEN, "you may not read this document")
            elif access != member.session.access:
                room.permit(member, identity, access)

    def _covered(self, revocation: Revocation) -> Iterator[tuple[Room, Member]]:
        for room in self._rooms.loaded:
            for member in room.members:
                if revocation.covers(member.session.identity, room.name):
                    yield room, member

    async def _ask(self, identity: Identity, document: str) -> Access | None:
        """What somebody may do; None where the application fails to say."""
        try:
            return await self._guard.access_to(identity, document)
        except Exception:
            logger.exception("cannot find out what %r may do with %r", identity.id, document)
            return None
