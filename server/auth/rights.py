"""Rights: ends the sessions of people who lost theirs, and lets the others' follow theirs."""

import logging
import math
from collections import deque
from collections.abc import Iterator

import anyio

from collab.access import Access, Identity
from collab.close import CloseCode
from collab.errors import StoreError
from collab.revocation import MAX_REVOCATIONS, Revocation, RevocationStore, Revoked
from collab.server.auth.guard import Guard
from collab.server.rooms.member import Member
from collab.server.rooms.relays import Relays
from collab.server.rooms.room import Room
from collab.server.rooms.rooms import Rooms

logger = logging.getLogger("collab")

_AGAIN_SECONDS = 1.0


class Rights:
    """What everyone who has a document open may go on doing, whatever the transport.

    Revocations hold on every instance: each hears of them by the bus, and reads those it may have
    missed from the store.

    Args:
        rooms: where they are.
        guard: who may be where.
        store: keeps revocations.
        relays: the ties to other instances, or None.
    """

    def __init__(
        self, rooms: Rooms, guard: Guard, store: RevocationStore, relays: Relays | None = None
    ) -> None:
        self._rooms = rooms
        self._guard = guard
        self._store = store
        self._relays = relays
        self._unannounced: deque[Revoked] = deque(maxlen=MAX_REVOCATIONS)
        if relays is not None:
            relays.follow(self._take, self._returned)

    async def learn(self) -> None:
        """Takes in what is revoked already.

        Raises:
            StoreError: the store cannot be read.
        """
        for revoked in await self._store.revocations():
            self._take(revoked)

    async def revoke(self, revocation: Revocation, now: float) -> int:
        """Ends the sessions it covers at once, and refuses their tokens from now on.

        Args:
            revocation: whose sessions and tokens.
            now: seconds since 1970.

        Returns:
            How many sessions of this instance were ended.

        Raises:
            StoreError: sessions were ended, but not everyone will remember it.
        """
        revoked = Revoked(revocation=revocation, time_ms=math.ceil(now * 1000))
        ended = self._take(revoked)
        if self._relays is not None:
            if self._relays.failure is not None:
                self._unannounced.append(revoked)
            self._relays.announce(revoked)
        await self._store.revoke(revoked)
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
        generation = self._guard.generation
        answers: dict[tuple[Identity, str], Access | None] = {}
        for room, member in self._covered(Revocation(user=user, document=document)):
            identity = member.session.identity
            key = identity, room.name
            if generation != self._guard.generation:
                # Somebody has asked for another recheck: what was answered is of before.
                generation = self._guard.generation
                answers.clear()
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

    def _take(self, revoked: Revoked) -> int:
        if not self._guard.revocations.add(revoked):
            return 0
        self._guard.revise()
        ended = self._rooms.feeds.revoke(revoked.revocation)
        for room, member in self._covered(revoked.revocation):
            room.expel(member, CloseCode.UNAUTHENTICATED, "the token was revoked")
            ended += 1
        return ended

    def _returned(self) -> None:
        """The others can be heard again: each side has what the other one may have missed."""
        assert self._relays is not None
        while self._unannounced:
            self._relays.announce(self._unannounced.popleft())
        self._rooms.spawn(self._catch_up)

    async def _catch_up(self) -> None:
        while True:
            try:
                await self.learn()
                return
            except StoreError as error:
                logger.error("reading what was revoked: %s", error)
            await anyio.sleep(_AGAIN_SECONDS)

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
