"""SinglePeer: a client with one document on its connection, as most dialects have it."""

import logging

from collab.access import Access
from collab.close import CloseCode
from collab.errors import (
    AccessDenied,
    DocumentDeleted,
    NotRunning,
    ServerBusy,
    StoreError,
    Unauthenticated,
)
from collab.protocol.dialect import Dialect
from collab.server.auth.guard import Guard, Permit
from collab.server.auth.seating import acquire_permitted
from collab.server.connection import Connection
from collab.server.limits.census import Visit
from collab.server.rooms.member import Member
from collab.server.rooms.room import Room
from collab.server.rooms.rooms import Rooms
from collab.session import Session

logger = logging.getLogger("collab")


class SinglePeer:
    """Takes a seat in one room; see ``collab.server.peers.peer.Peer``.

    Args:
        rooms: where the room is.
        guard: asked again where grants change before the seat is taken.
        permit: who the client speaks for, and what it may do with which document.
        dialect: what it speaks.
        visit: its place in the census.
    """

    __slots__ = (
        "_early",
        "_ended",
        "_guard",
        "_name",
        "_permit",
        "_room",
        "_rooms",
        "_seat",
        "_session",
        "_visit",
    )

    def __init__(
        self, rooms: Rooms, guard: Guard, permit: Permit, dialect: Dialect, visit: Visit
    ) -> None:
        assert permit.document is not None
        self._visit = visit
        self._rooms = rooms
        self._guard = guard
        self._permit = permit
        self._name = permit.document
        self._session = Session(permit.identity, permit.access, dialect)
        self._seat: Member | None = None
        self._room: Room | None = None
        # What was read with the handshake; nothing more is read before the room is there.
        self._early: list[bytes] = []
        self._ended = False

    @property
    def known(self) -> bool:
        """See ``Peer.known``: the handshake told who comes."""
        return True

    def opened(self, connection: Connection) -> None:
        """Takes the seat at once where the room is in memory."""
        self._seat = Member(connection, self._session)
        if not self._visit.begin(connection):
            return  # Documents are not opened any more.
        self._visit.open(self._session.identity.id)
        current = self._guard.is_current(self._permit)
        room = self._rooms.acquire_loaded(self._name) if current else None
        if room is not None:
            self._enter(room, self._seat)
        else:
            connection.pause_reading()
            self._rooms.spawn(self._open)

    def receive(self, frame: bytes) -> None:
        """Passes a frame on."""
        room, seat = self._room, self._seat
        if room is not None and seat is not None:
            room.receive(seat, frame)
        else:
            self._early.append(frame)

    def pause(self) -> None:
        """See ``Peer.pause``."""
        if self._room is not None and self._seat is not None:
            self._room.pause(self._seat)

    def resume(self) -> None:
        """See ``Peer.resume``."""
        if self._room is not None and self._seat is not None:
            self._room.resume(self._seat)

    def ended(self) -> None:
        """Leaves the room."""
        self._ended = True
        self._visit.end()
        room, self._room = self._room, None
        if room is not None and self._seat is not None:
            room.leave(self._seat)
            self._rooms.release(room)

    async def _open(self) -> None:
        seat = self._seat
        assert seat is not None
        try:
            room, permit = await acquire_permitted(self._rooms, self._guard, self._permit)
        except Unauthenticated as error:
            seat.connection.close(CloseCode.UNAUTHENTICATED, str(error))
            return
        except AccessDenied as error:
            seat.connection.close(CloseCode.FORBIDDEN, str(error))
            return
        except DocumentDeleted:
            seat.connection.close(CloseCode.NOT_FOUND, "the document was deleted")
            return
        except (StoreError, NotRunning, ServerBusy) as error:
            logger.warning("cannot open %r: %s", self._name, error)
            seat.connection.close(CloseCode.TRY_AGAIN_LATER, "the document cannot be opened now")
            return
        except Exception:  # The application fails to say who may do what, for one.
            seat.connection.close(CloseCode.TRY_AGAIN_LATER, "try again later")
            raise
        if self._ended:
            self._rooms.release(room)
            return
        self._session.access = permit.access
        self._enter(room, seat)
        seat.connection.resume_reading()

    def _enter(self, room: Room, seat: Member) -> None:
        self._room = room
        welcome = self._session.dialect.welcome(may_write=self._session.access >= Access.WRITE)
        if welcome is not None:
            seat.connection.send(welcome)
        room.join(seat)
        early, self._early = self._early, []
        for frame in early:
            room.receive(seat, frame)
