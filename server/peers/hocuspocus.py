"""HocuspocusPeer: a client with many documents on its connection, each with a token of its own."""

import logging
from functools import partial

from starlette.requests import HTTPConnection
from starlette.types import Scope

from collab.access import Access, check_name
from collab.close import CloseCode
from collab.errors import (
    AccessDenied,
    CollabError,
    DocumentDeleted,
    InvalidName,
    KeysUnavailable,
    NotRunning,
    ProtocolError,
    ServerBusy,
    StoreError,
    TooMany,
    Unauthenticated,
)
from collab.protocol import hocuspocus
from collab.server.auth.guard import Guard, Permit
from collab.server.auth.seating import acquire_permitted
from collab.server.limits.census import Visit
from collab.server.rooms.connection import Connection
from collab.server.rooms.member import Member
from collab.server.rooms.room import Room
from collab.server.rooms.rooms import Rooms
from collab.server.settings import Settings
from collab.server.timers import Timers
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


class HocuspocusPeer:
    """Takes a seat in a room for each document; see ``collab.server.peers.peer.Peer``.

    Args:
        rooms: where the rooms are.
        guard: decides which documents a token opens.
        handshake: scope of the handshake; a token is shown to the guard as this request with the
            token in its ``Authorization`` header.
        settings: the server's settings.
        timers: where it waits for a client that opens nothing.
        visit: its place in the census.
    """

    __slots__ = (
        "_connection",
        "_ended",
        "_handshake",
        "_heard",
        "_paused",
        "_reluctant",
        "_seats",
        "_settings",
        "_timers",
        "_told",
        "_waiting_bytes",
        "guard",
        "rooms",
        "visit",
    )

    def __init__(
        self,
        rooms: Rooms,
        guard: Guard,
        handshake: Scope,
        settings: Settings,
        timers: Timers,
        visit: Visit,
    ) -> None:
        self.visit = visit
        self.rooms = rooms
        self.guard = guard
        self._handshake = handshake
        self._settings = settings
        self._timers = timers
        self._connection: Connection | None = None
        self._seats: dict[bytes, _Seat] = {}
        self._waiting_bytes = 0
        self._reluctant: set[_Seat] = set()
        self._heard = 0
        self._told = 0
        self._paused = False
        self._ended = False

    # What transports call.

    def opened(self, connection: Connection) -> None:
        """Waits for the client to open documents."""
        self._connection = connection
        self.visit.begin(connection)
        self._timers.call_later(self._settings.dead_seconds, self._close_if_idle)

    def receive(self, frame: bytes) -> None:
        """Passes a frame on to the document it is addressed to."""
        if hocuspocus.is_pong(frame):
            return
        try:
            address, body = hocuspocus.split_address(frame)
            seat = self._seats.get(address) or self._add_seat(address, body)
            if seat is not None:
                seat.receive(body)
        except ProtocolError as error:
            self.connection.close(error.code, str(error)[:120])

    def pause(self) -> None:
        """See ``Peer.pause``."""
        self._paused = True
        for seat in tuple(self._seats.values()):
            seat.pause()

    def resume(self) -> None:
        """See ``Peer.resume``."""
        self._paused = False
        for seat in tuple(self._seats.values()):
            if self._paused:  # What the seats before this one sent has filled it again.
                return
            seat.resume()

    def ended(self) -> None:
        """Leaves every room."""
        self._ended = True
        for seat in tuple(self._seats.values()):
            seat.leave()
        self._seats.clear()
        self.visit.end()

    # What seats call.

    @property
    def connection(self) -> Connection:
        """The connection all seats share."""
        assert self._connection is not None
        return self._connection

    @property
    def paused(self) -> bool:
        """Whether the connection is full."""
        return self._paused

    def count_heard(self) -> int:
        """Counts one more where the client was heard since the last call; returns the count."""
        if self.connection.heard:
            self.connection.heard = False
            self._heard += 1
        return self._heard

    def count_told(self) -> int:
        """The same for what the client was told."""
        if self.connection.told:
            self.connection.told = False
            self._told += 1
        return self._told

    def keep_waiting(self, size: int) -> None:
        """Counts bytes that wait for a token, or negative ones that no longer do.

        Raises:
            ProtocolError: they are more than a client may send before it is known.
        """
        self._waiting_bytes += size
        if self._waiting_bytes > self._settings.unauthenticated_max_bytes:
            raise ProtocolError("expected a token before so many messages")

    def read_for(self, seat: "_Seat", *, reads: bool) -> None:
        """Reads from the connection only while every seat wants it."""
        if reads:
            self._reluctant.discard(seat)
            if not self._reluctant:
                self.connection.resume_reading()
        else:
            self._reluctant.add(seat)
            self.connection.pause_reading()

    def forget(self, seat: "_Seat") -> None:
        """Forgets a seat that was left: the next frame with its address begins anew."""
        self._seats.pop(seat.address, None)

    def left(self, seat: "_Seat") -> None:
        """A seat was left; a connection that is left with none is ended after a while."""
        self.read_for(seat, reads=True)
        if not self._ended and not any(other.taken for other in self._seats.values()):
            self._timers.call_later(self._settings.dead_seconds, self._close_if_idle)

    async def admit(self, name: str, token: str) -> Permit:
        """Finds out who a token speaks for, and what they may do with a document.

        Raises:
            InvalidName: this cannot name a document, or who comes.
            Unauthenticated: nobody is known by this token.
            AccessDenied: somebody is, who may not read the document.
        """
        check_name(name)
        return await self.guard.admit(HTTPConnection(self._with_token(token)), name)

    def _with_token(self, token: str) -> Scope:
        if not token:
            return self._handshake
        try:
            value = b"Bearer " + token.encode("latin-1")
        except UnicodeEncodeError as error:
            raise Unauthenticated("expected a token of Latin-1 characters") from error
        headers = [pair for pair in self._handshake["headers"] if pair[0] != b"authorization"]
        return {**self._handshake, "headers": [*headers, (b"authorization", value)]}

    def _add_seat(self, address: bytes, body: bytes) -> "_Seat | None":
        """Makes a seat for an address that is new; None where there is nothing to open."""
        if body[0] == hocuspocus.CLOSE:
            return None
        if len(self._seats) >= self._settings.connection_documents:
            for seat in [seat for seat in self._seats.values() if seat.closed]:
                self.forget(seat)
        if len(self._seats) >= self._settings.connection_documents:
            if body[0] == hocuspocus.AUTH:
                refusal = hocuspocus.denied(
                    CloseCode.TRY_AGAIN_LATER, "too many documents are open"
                )
                self.connection.send(address + refusal)
            return None
        name = hocuspocus.document_of(address)
        seat = self._seats[address] = _Seat(self, address, name)
        return seat

    def _close_if_idle(self) -> None:
        if not self._ended and not any(seat.taken for seat in self._seats.values()):
            self.connection.close(CloseCode.TRY_AGAIN_LATER, "no document is open")


class _Seat:
    """One document on a connection; to its room it is a connection of its own.

    Attributes:
        address: what the client calls it, encoded.
        closed: whether it was refused or closed: nothing counts until the next token.
    """

    __slots__ = (
        "_attempt",
        "_heard",
        "_member",
        "_name",
        "_peer",
        "_room",
        "_tells_version",
        "_told",
        "_user",
        "_waiting",
        "address",
        "closed",
    )

    def __init__(self, peer: HocuspocusPeer, address: bytes, name: str) -> None:
        self.address = address
        self._peer = peer
        self._name = name
        self._room: Room | None = None
        self._member: Member | None = None
        self._waiting: list[bytes] = []
        self._attempt = 0
        self._tells_version = False
        self._user: str | None = None
        self.closed = False
        self._heard = -1
        self._told = -1

    @property
    def taken(self) -> bool:
        """Whether it is in its room."""
        return self._room is not None

    # What the peer calls.

    def receive(self, body: bytes) -> None:
        """Takes in a frame without its address.

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
        elif kind == hocuspocus.CLOSE:
            self.leave()
            self._peer.forget(self)
        elif self._room is not None and self._member is not None:
            self._room.receive(self._member, body)
        elif not self.closed:
            self._peer.keep_waiting(len(body))
            self._waiting.append(body)
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
        self._forget_waiting()
        room, self._room = self._room, None
        member, self._member = self._member, None
        if room is not None and member is not None:
            room.leave(member)
            self._peer.visit.close(self._user)
            self._peer.rooms.release(room)
        self._peer.left(self)

    # What the room calls; see ``collab.server.rooms.connection.Connection``.

    @property
    def heard(self) -> bool:
        """Whether the client was heard, in whatever document, since the heartbeat looked."""
        return self._peer.count_heard() != self._heard

    @heard.setter
    def heard(self, heard: bool) -> None:
        self._heard = -1 if heard else self._peer.count_heard()

    @property
    def told(self) -> bool:
        """Whether the client was sent anything since the heartbeat looked."""
        return self._peer.count_told() != self._told

    @told.setter
    def told(self, told: bool) -> None:
        self._told = -1 if told else self._peer.count_told()

    @property
    def queued_bytes(self) -> int:
        """What waits to be sent, in bytes."""
        return self._peer.connection.queued_bytes

    @property
    def send_seconds(self) -> float:
        """What a frame costs once it is queued."""
        return self._peer.connection.send_seconds

    def send(self, frame: bytes) -> None:
        """Queues a frame."""
        self._peer.connection.send(self.address + frame)

    def close(self, code: CloseCode, reason: str = "") -> None:
        """Closes the document, or the connection for what passes by itself."""
        if code in _PASSING:
            self._peer.connection.close(code, reason)
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
        self._peer.connection.abort()

    def pause_reading(self) -> None:
        """Takes no more frames until ``resume_reading``."""
        self._peer.read_for(self, reads=False)

    def resume_reading(self) -> None:
        """Takes frames again."""
        self._peer.read_for(self, reads=True)

    def probe(self) -> bool:
        """Asks the client for a sign of life below the dialect."""
        return self._peer.connection.probe()

    def _ask(self, token: str) -> None:
        self._attempt += 1
        self._peer.rooms.spawn(partial(self._authenticate, token, self._attempt))

    async def _authenticate(self, token: str, attempt: int) -> None:
        try:
            permit = await self._peer.admit(self._name, token)
            if attempt == self._attempt and self._member is None:
                self._peer.visit.check_user(permit.identity.id)
                await self._open(permit, attempt)
            elif attempt == self._attempt:
                assert self._room is not None
                assert self._member is not None
                self._room.permit(self._member, permit.identity, permit.access)
        except (InvalidName, Unauthenticated, AccessDenied, KeysUnavailable, TooMany) as error:
            if attempt == self._attempt:
                self.leave()
                self.closed = True  # What it said without waiting for this is for nothing.
                self.send(hocuspocus.denied(_code_of(error), str(error)))
        except Exception:  # The application fails to say who it is, for one.
            if attempt == self._attempt:
                self.close(CloseCode.TRY_AGAIN_LATER, "try again later")
            raise

    async def _open(self, permit: Permit, attempt: int) -> None:
        rooms = self._peer.rooms
        room = rooms.acquire_loaded(self._name)
        if room is None:
            try:
                room, permit = await acquire_permitted(rooms, self._peer.guard, permit)
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
        self._peer.visit.open(self._user)
        session = Session(permit.identity, permit.access, hocuspocus.HOCUSPOCUS)
        self._member = Member(self, session)
        self.send(hocuspocus.authenticated(may_write=permit.access >= Access.WRITE))
        room.join(self._member)
        if self._peer.paused:
            room.pause(self._member)
        for body in self._forget_waiting():
            if self._member is None:  # One of them broke the protocol.
                return
            room.receive(self._member, body)

    def _forget_waiting(self) -> list[bytes]:
        waiting, self._waiting = self._waiting, []
        self._peer.keep_waiting(-sum(map(len, waiting)))
        return waiting


def _code_of(refusal: CollabError) -> CloseCode:
    """The close code of what would be an HTTP error, had the token come with a handshake."""
    if isinstance(refusal, Unauthenticated):
        return CloseCode.UNAUTHENTICATED
    if isinstance(refusal, AccessDenied):
        return CloseCode.FORBIDDEN
    if isinstance(refusal, InvalidName):
        return CloseCode.POLICY
    return CloseCode.TRY_AGAIN_LATER
