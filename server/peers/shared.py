"""Shared: a connection that carries many documents, and what they have in common."""

from collections.abc import Iterable
from itertools import chain

from starlette.requests import HTTPConnection
from starlette.types import Scope

from collab.access import check_name
from collab.close import CloseCode
from collab.errors import TooEarly, Unauthenticated
from collab.server.auth.guard import Guard, Permit
from collab.server.connection import Connection
from collab.server.limits.census import Visit
from collab.server.limits.strangers import Strangers
from collab.server.rooms.rooms import Rooms
from collab.server.settings import Settings
from collab.server.timers import Timer, Timers

_FRAME_BYTES = 64
"""What keeping a frame takes beside its bytes."""


class SharedConnection:
    """A connection on which each document has a seat; it ends where none is taken for a while.

    Args:
        rooms: where the rooms are.
        guard: decides which documents a token opens.
        handshake: scope of the handshake; a token is shown to the guard as this request with the
            token in its ``Authorization`` header.
        settings: bounds and times.
        timers: where it waits for a client that opens nothing.
        visit: its place in the census, from when it is opened to its end.
        strangers: bounds what all connections keep for tokens that are not looked at yet.

    Attributes:
        connection: the connection, once it is opened.
        paused: whether it is full.
        rooms: as given, and so is ``guard``.
    """

    __slots__ = (
        "_ended",
        "_handshake",
        "_heard",
        "_patience",
        "_reluctant",
        "_settings",
        "_strangers",
        "_taken",
        "_timers",
        "_told",
        "_visit",
        "_waiting",
        "_waiting_bytes",
        "connection",
        "guard",
        "paused",
        "rooms",
    )

    connection: Connection

    def __init__(
        self,
        rooms: Rooms,
        guard: Guard,
        handshake: Scope,
        settings: Settings,
        timers: Timers,
        visit: Visit,
        strangers: Strangers,
    ) -> None:
        self.rooms = rooms
        self.guard = guard
        self.paused = False
        self._handshake = handshake
        self._settings = settings
        self._timers = timers
        self._visit = visit
        self._strangers = strangers
        self._taken = 0
        self._patience: Timer | None = None
        self._ended = False
        self._waiting: dict[Connection, list[bytes]] = {}
        self._waiting_bytes = 0
        self._reluctant: set[Connection] = set()
        self._heard = 0
        self._told = 0

    def open(self, connection: Connection) -> None:
        """The connection is there, and no seat is taken."""
        self.connection = connection
        self._close_later()
        self._visit.begin(connection)  # It may close the connection: the server stops.

    def end(self) -> None:
        """The connection is gone, all seats are left: it waits for nobody to take one."""
        self._ended = True
        if self._patience is not None:
            self._patience.cancel()
        self._visit.end()
        self._strangers.keep(self, 0)

    @property
    def taken(self) -> bool:
        """Whether any seat is taken."""
        return self._taken > 0

    # What seats call.

    def check_user(self, user: str | None) -> None:
        """Refuses a user with too many documents open; see ``Census.check_user``.

        Raises:
            TooMany: there are as many as there may be.
        """
        self._visit.check_user(user)

    def take(self, user: str | None) -> None:
        """A seat is taken, for a user."""
        self._taken += 1
        self._visit.open(user)
        self._strangers.keep(self, 0)

    def release(self, user: str | None) -> None:
        """It is not any more; where none is, the connection is ended after a while."""
        self._taken -= 1
        self._visit.close(user)
        if not self._ended and not self._taken:
            self._close_later()

    def left(self, seat: Connection) -> None:
        """A seat was left, or will not be taken."""
        self.read_for(seat, reads=True)

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

    def keep_waiting(self, seat: Connection, frame: bytes) -> None:
        """Keeps a frame of a document whose token is not looked at yet.

        Raises:
            TooEarly: what waits is more than a client may send before it is known.
        """
        self._waiting.setdefault(seat, []).append(frame)
        self.count_waiting(_size([frame]))

    def forget_waiting(self, seat: Connection) -> list[bytes]:
        """Returns the frames that were kept for a document, and keeps them no more."""
        frames = self._waiting.pop(seat, [])
        self.count_waiting(-_size(frames))
        return frames

    def count_waiting(self, size: int) -> None:
        """Counts bytes that wait for a token, or are one, or negative ones that no longer do.

        Raises:
            TooEarly: see ``keep_waiting``.
        """
        self._waiting_bytes += size
        if self._taken or self._ended:
            most = self._settings.message_max_bytes
        else:
            most = self._settings.unauthenticated_max_bytes
            self._strangers.keep(self, self._waiting_bytes)
        if size > 0 and self._waiting_bytes > most:
            raise TooEarly("expected a token before so many messages")

    def send_away(self) -> None:
        """See ``collab.server.limits.strangers.Stranger``."""
        waiting, self._waiting = self._waiting, {}
        if waiting:  # All at once: whoever counts may find that the rest is still too much.
            self.count_waiting(-_size(chain.from_iterable(waiting.values())))
        self.connection.close(CloseCode.TRY_AGAIN_LATER, "too much waits for tokens")

    def read_for(self, seat: Connection, *, reads: bool) -> None:
        """Reads from the connection only while every seat wants it."""
        if reads:
            self._reluctant.discard(seat)
            if not self._reluctant:
                self.connection.resume_reading()
        else:
            self._reluctant.add(seat)
            self.connection.pause_reading()

    async def admit(self, name: str, token: str) -> Permit:
        """Finds out who a token speaks for, and what they may do with a document.

        Raises:
            InvalidName: this cannot name a document, or who comes.
            Unauthenticated: nobody is known by this token.
            AccessDenied: somebody is, who may not read the document.
        """
        check_name(name)
        return await self.guard.admit(HTTPConnection(self._with_token(token)), name)

    def _close_later(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
        self._patience = self._timers.call_later(self._settings.dead_seconds, self._close_if_idle)

    def _close_if_idle(self) -> None:
        if not self._ended and not self._taken:
            self.connection.close(CloseCode.TRY_AGAIN_LATER, "no document is open")

    def _with_token(self, token: str) -> Scope:
        if not token:
            return self._handshake
        if len(token) > self._settings.handshake_max_bytes:
            raise Unauthenticated("expected a token as short as one that comes in a header")
        try:
            value = b"Bearer " + token.encode("latin-1")
        except UnicodeEncodeError as error:
            raise Unauthenticated("expected a token of Latin-1 characters") from error
        headers = [pair for pair in self._handshake["headers"] if pair[0] != b"authorization"]
        return {**self._handshake, "headers": [*headers, (b"authorization", value)]}


def _size(frames: Iterable[bytes]) -> int:
    """What keeping frames takes, in bytes."""
    return sum(len(frame) + _FRAME_BYTES for frame in frames)
