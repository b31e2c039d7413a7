"""HocuspocusPeer: a client with many documents on its connection, each with a token of its own."""

from collab.close import CloseCode
from collab.errors import ProtocolError
from collab.protocol import hocuspocus
from collab.server.connection import Connection
from collab.server.peers.seat import Seat
from collab.server.peers.shared import SharedConnection


class HocuspocusPeer:
    """Takes a seat in a room for each document; see ``collab.server.peers.peer.Peer``.

    Args:
        shared: the connection it has with all of its documents.
        most: most documents on it.
    """

    __slots__ = ("_most", "_seats", "_shared")

    def __init__(self, shared: SharedConnection, most: int) -> None:
        self._shared = shared
        self._most = most
        self._seats: dict[bytes, Seat] = {}

    @property
    def known(self) -> bool:
        """Whether a token has opened a document."""
        return self._shared.taken

    def opened(self, connection: Connection) -> None:
        """Waits for the client to open documents."""
        self._shared.open(connection)

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
        for seat in tuple(self._seats.values()):
            seat.leave()
        self._seats.clear()
        self._shared.end()

    def _add_seat(self, address: bytes, body: bytes) -> Seat | None:
        """Makes a seat for an address that is new; None where there is nothing to open."""
        if body[0] == hocuspocus.CLOSE:
            return None
        if len(self._seats) >= self._most:
            for seat in [seat for seat in self._seats.values() if seat.closed]:
                del self._seats[seat.address]
        if len(self._seats) >= self._most:
            if body[0] == hocuspocus.AUTH:
                refusal = hocuspocus.denied(
                    CloseCode.TRY_AGAIN_LATER, "too many documents are open"
                )
                self._shared.connection.send(address + refusal)
            return None
        seat = self._seats[address] = Seat(self._shared, address)
        return seat
