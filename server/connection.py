"""Connection: one client's socket, as rooms see it, whatever the transport."""

from typing import Protocol

from collab.close import CloseCode

GOODBYE_SECONDS = 5.0
"""How long a peer may take to read what is queued before a close, and to answer the close."""

RESUME_SHARE = 4
"""A full connection has drained when a quarter of its bound is left."""


class Connection(Protocol):
    """A socket that frames can be queued on. Nothing here blocks or raises.

    The transport calls the room back: ``receive`` for each frame, ``pause`` when more than
    ``Settings.outbox_max_bytes`` wait to be sent, ``resume`` when most of that has drained,
    ``leave`` when the socket has ended.

    Attributes:
        heard: set when anything comes from the peer; the heartbeat resets it.
        told: set when anything is sent to the peer; the heartbeat resets it.
        send_seconds: what a frame costs after ``send`` has queued it, in seconds of the loop.
    """

    heard: bool
    told: bool

    @property
    def queued_bytes(self) -> int:
        """What waits to be sent, in bytes."""
        ...

    @property
    def send_seconds(self) -> float:
        """See ``Attributes``."""
        ...

    def send(self, frame: bytes) -> None:
        """Queues a frame; does nothing once the connection is closed."""
        ...

    def close(self, code: CloseCode, reason: str = "") -> None:
        """Ends the connection after what is queued; does nothing the second time.

        Args:
            code: what the peer is told.
            reason: up to 123 UTF-8 bytes, without internals.
        """
        ...

    def abort(self) -> None:
        """Ends the connection at once, for a peer that does not read or answer."""
        ...

    def pause_reading(self) -> None:
        """Takes no more frames from the peer until ``resume_reading``."""
        ...

    def resume_reading(self) -> None:
        """Takes frames again."""
        ...

    def probe(self) -> bool:
        """Asks the peer for a sign of life below the dialect; False where the transport can't."""
        ...


class Nowhere:
    """The connection of whoever has none: of a member that has left, of other instances."""

    def __init__(self) -> None:
        self.heard = True
        self.told = True
        self.send_seconds = 0.0
        self.queued_bytes = 0

    def send(self, frame: bytes) -> None:
        """Nobody is there."""

    def close(self, code: CloseCode, reason: str = "") -> None:
        """Likewise."""

    def abort(self) -> None:
        """Likewise."""

    def pause_reading(self) -> None:
        """Nothing is read from it: what comes has come already, or comes by the bus."""

    def resume_reading(self) -> None:
        """See ``pause_reading``."""

    def probe(self) -> bool:
        """There is nobody to ask."""
        return True
