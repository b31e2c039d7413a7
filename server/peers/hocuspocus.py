"""HocuspocusPeer: a client with many documents on its connection, each with a token of its own."""

from starlette.types import Scope

from collab.close import CloseCode
from collab.errors import ProtocolError
from collab.protocol import hocuspocus
from collab.server.auth.guard import Guard
from collab.server.limits.census import Visit
from collab.server.peers.seat import Seat
from collab.server.peers.shared import SharedConnection
from collab.server.rooms.connection import Connection
from collab.server.rooms.rooms import Rooms
from collab.server.settings import Settings
from collab.server.timers import Timers


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

    __slots__ = ("_seats", "_settings", "_shared", "_visit")

    def __init__(
        self,
        rooms: Rooms,
        guard: Guard,
        handshake: Scope,
        settings: Settings,
        timers: Timers,
        visit: Visit,
    ) -> None:
        self._settings = settings
        self._visit = visit
        self._shared = SharedConnection(rooms, guard, handshake, settings, timers, visit)
        self._seats: dict[bytes, Seat] = {}

    def opened(self, connection: Connection) -> None:
        """Waits for the client to open documents."""
        self._shared.open(connection)
        self._visit.begin(connection)

    def receive(self, frame: bytes) -> None:
        """Passes a frame on to the document it is addressed to."""
        if hocuspocus.is_pong(frame):
            return
        try:
            address, body = hocuspocus.split_address(frame)
            seat = self._seats.get(address) or self._add_seat(address, body)
            if seat is None:
                return
            if body[0] == hocuspocus.CLOSE:
                seat.leave()
                del self._seats[address]  # The next frame with it begins anew.
            else:
                seat.receive(body)
        except ProtocolError as error:
            self._shared.connection.close(error.code, str(error)[:120])

    def pause(self) -> None:
        """See ``Peer.pause``."""
        self._shared.paused = True
        for seat in tuple(self._seats.values()):
            seat.pause()

    def resume(self) -> None:
        """See ``Peer.resume``."""
        self._shared.paused = False
        for seat in tuple(self._seats.values()):
            if self._shared.paused:  # What the seats before this one sent has filled it again.
                return
            seat.resume()

    def ended(self) -> None:
        """Leaves every room."""
        self._shared.end()
        for seat in tuple(self._seats.values()):
            seat.leave()
        self._seats.clear()
        self._visit.end()

    def _add_seat(self, address: bytes, body: bytes) -> Seat | None:
        """Makes a seat for an address that is new; None where there is nothing to open."""
        if body[0] == hocuspocus.CLOSE:
            return None
        if len(self._seats) >= self._settings.connection_documents:
            for seat in [seat for seat in self._seats.values() if seat.closed]:
                del self._seats[seat.address]
        if len(self._seats) >= self._settings.connection_documents:
            if body[0] == hocuspocus.AUTH:
                refusal = hocuspocus.denied(
                    CloseCode.TRY_AGAIN_LATER, "too many documents are open"
                )
                self._shared.connection.send(address + refusal)
            return None
        seat = self._seats[address] = Seat(self._shared, address)
        return seat
