"""Seat: one of the documents on a connection that they share, in the Hocuspocus dialect."""

import logging
from functools import partial

from collab.access import Access
from collab.close import CloseCode
from collab.errors import (
    AccessDenied,
    CollabError,
    DocumentDeleted,
    InvalidName,
    KeysUnavailable,
    NotRunning,
    ServerBusy,
    StoreError,
    TooMany,
    Unauthenticated,
)
from collab.protocol import hocuspocus
from collab.server.auth.guard import Permit
from collab.server.auth.seating import acquire_permitted
from collab.server.peers.shared import SharedConnection
from collab.server.rooms.member import Member
from collab.server.rooms.room import Room
from collab.session import Session

logger = logging.getLogger("collab")

_PASSING = frozenset(
    {
        CloseCode.EXPIRED,
        CloseCode.GOING_AWAY,
        CloseCode.INTERNAL_ERROR,
        CloseCode.RESTART,
        CloseCode.TRY_AGAIN_LATER,
    }
)
"""What ends the connection and not one document alone: the provider comes back to a connection that
was cut, but never by itself to a document that was closed."""

_ASKING_BYTES = 1024
"""What it takes to look at a token, beside the token."""


class Seat:
    """One document on a connection; to its room it is a connection of its own.

    Args:
        shared: the connection.
        address: what the client calls the document, encoded.

    Attributes:
        address: as given.
        closed: whether it was refused or closed: nothing counts until the next token.
    """

    __slots__ = (
        "_asking",
        "_attempt",
        "_heard",
        "_member",
        "_name",
        "_room",
        "_shared",
        "_tells_version",
        "_told",
        "_user",
        "address",
        "closed",
    )

    def __init__(self, shared: SharedConnection, address: bytes) -> None:
        self.address = address
        self._shared = shared
        self._name = hocuspocus.document_of(address)
        self._room: Room | None = None
        self._member: Member | None = None
        self._attempt = 0
        self._asking = False
        self._tells_version = False
        self._user: str | None = None
        self.closed = False
        self._heard = -1
        self._told = -1

    # What the peer calls.

    def receive(self, body: bytes) -> None:
        """Takes in a frame without its address, which does not close the document.

        Raises:
            ProtocolError: it is no message, or too many wait for a token.
        """
        kind = body[0]
        if kind == hocuspocus.AUTH:
            token, self._tells_version = hocuspocus.read_token(body)
            if self._room is not None and self._room.ended:
                self.leave()  # There may be another one now.
            self.closed = False
            self._ask(token)
        elif self._room is not None and self._member is not None and not self._asking:
            self._room.receive(self._member, body)
        elif not self.closed:
            self._shared.keep_waiting(self, body)
            if not self._attempt and hocuspocus.is_question(body):
                self._ask("")  # Version 2 says nothing of a token it does not have.

    def pause(self) -> None:
        """The connection is full."""
        if self._room is not None and self._member is not None:
            self._room.pause(self._member)

    def resume(self) -> None:
        """The connection has drained."""
        if self._room is not None and self._member is not None:
            self._room.resume(self._member)

    def leave(self) -> None:
        """Leaves the room, and whatever is under way."""
        self._attempt += 1
        self._asking = False
        self._shared.forget_waiting(self)
        room, self._room = self._room, None
        member, self._member = self._member, None
        if room is not None and member is not None:
            room.leave(member)
            self._shared.release(self._user)
            self._shared.rooms.release(room)
        self._shared.left(self)

    # What the room calls; see ``collab.server.connection.Connection``.

    @property
    def heard(self) -> bool:
        """Whether the client was heard, in whatever document, since the heartbeat looked."""
        return self._shared.count_heard() != self._heard

    @heard.setter
    def heard(self, heard: bool) -> None:
        self._heard = -1 if heard else self._shared.count_heard()

    @property
    def told(self) -> bool:
        """Whether the client was sent anything since the heartbeat looked."""
        return self._shared.count_told() != self._told

    @told.setter
    def told(self, told: bool) -> None:
        self._told = -1 if told else self._shared.count_told()

    @property
    def queued_bytes(self) -> int:
        """What waits to be sent, in bytes."""
        return self._shared.connection.queued_bytes

    @property
    def send_seconds(self) -> float:
        """What a frame costs once it is queued."""
        return self._shared.connection.send_seconds

    def send(self, frame: bytes) -> None:
        """Queues a frame."""
        self._shared.connection.send(self.address + frame)

    def close(self, code: CloseCode, reason: str = "") -> None:
        """Closes the document, or the connection for what passes by itself."""
        if code in _PASSING:
            self._shared.connection.close(code, reason)
        elif not self.closed:
            self.closed = True
            if not self._tells_version:
                # Version 2 fails on the message for this, and lets go of a document it is denied;
                # 3, which does not tell its version either, takes both.
                self.send(hocuspocus.denied(code, reason))
            self.send(hocuspocus.closed(code, reason))
            self.leave()

    def abort(self) -> None:
        """Ends the connection."""
        self._shared.connection.abort()

    def pause_reading(self) -> None:
        """Takes no more frames until ``resume_reading``."""
        self._shared.read_for(self, reads=False)

    def resume_reading(self) -> None:
        """Takes frames again."""
        self._shared.read_for(self, reads=True)

    def probe(self) -> bool:
        """Asks the client for a sign of life below the dialect."""
        return self._shared.connection.probe()

    def _ask(self, token: str) -> None:
        self._attempt += 1
        self._asking = True  # What comes after a token is its bearer's.
        self._shared.count_waiting(_ASKING_BYTES + len(token))
        self._shared.rooms.spawn(partial(self._authenticate, token, self._attempt))

    async def _authenticate(self, token: str, attempt: int) -> None:
        try:
            permit = await self._shared.admit(self._name, token)
            if attempt == self._attempt and self._member is None:
                self._shared.check_user(permit.identity.id)
                await self._open(permit, attempt)
            elif attempt == self._attempt:
                assert self._room is not None
                assert self._member is not None
                self._room.permit(self._member, permit.identity, permit.access)
                self._take_waiting(self._room)
        except (InvalidName, Unauthenticated, AccessDenied, KeysUnavailable, TooMany) as error:
            if attempt == self._attempt:
                self.leave()
                self.closed = True  # What it said without waiting for this is for nothing.
                self.send(hocuspocus.denied(_code_of(error), str(error)))
        except Exception:  # The application fails to say who it is, for one.
            if attempt == self._attempt:
                self.close(CloseCode.TRY_AGAIN_LATER, "try again later")
            raise
        finally:
            self._shared.count_waiting(-_ASKING_BYTES - len(token))

    async def _open(self, permit: Permit, attempt: int) -> None:
        rooms = self._shared.rooms
        room = rooms.acquire_loaded(self._name)
        if room is None:
            try:
                room, permit = await acquire_permitted(rooms, self._shared.guard, permit)
            except DocumentDeleted:
                if attempt == self._attempt:
                    self.close(CloseCode.NOT_FOUND, "the document was deleted")
                return
            except (StoreError, NotRunning, ServerBusy) as error:
                logger.warning("cannot open %r: %s", self._name, error)
                if attempt == self._attempt:
                    self.close(CloseCode.TRY_AGAIN_LATER, "a document cannot be opened now")
                return
            if attempt != self._attempt:
                rooms.release(room)
                return
        self._room = room
        self._user = permit.identity.id
        self._shared.take(self._user)
        session = Session(permit.identity, permit.access, hocuspocus.HOCUSPOCUS)
        self._member = Member(self, session)
        self.send(hocuspocus.authenticated(may_write=permit.access >= Access.WRITE))
        room.join(self._member)
        if self._shared.paused:
            room.pause(self._member)
        self._take_waiting(room)

    def _take_waiting(self, room: Room) -> None:
        """Passes on what waited for the token."""
        self._asking = False
        for body in self._shared.forget_waiting(self):
            if self._member is None:  # One of them broke the protocol.
                return
            room.receive(self._member, body)


def _code_of(refusal: CollabError) -> CloseCode:
    """The close code of what would be an HTTP error, had the token come with a handshake."""
    if isinstance(refusal, Unauthenticated):
        return CloseCode.UNAUTHENTICATED
    if isinstance(refusal, AccessDenied):
        return CloseCode.FORBIDDEN
    if isinstance(refusal, InvalidName):
        return CloseCode.POLICY
    return CloseCode.TRY_AGAIN_LATER
