"""Peer: who is at the other end of a connection, as transports see it."""

from typing import Protocol

from collab.server.connection import Connection


class Peer(Protocol):
    """What becomes of a connection's frames. Transports call it, on the event loop alone.

    ``opened`` comes first and once, ``ended`` last and once. Nothing here blocks or raises.
    """

    @property
    def known(self) -> bool:
        """Whether it was found to be somebody who may read a document; before, it is a stranger."""
        ...

    def opened(self, connection: Connection) -> None:
        """The handshake is done."""
        ...

    def receive(self, frame: bytes) -> None:
        """A binary message has come."""
        ...

    def pause(self) -> None:
        """More than ``Settings.outbox_max_bytes`` wait to be sent."""
        ...

    def resume(self) -> None:
        """Most of what waited has been sent."""
        ...

    def ended(self) -> None:
        """The connection has ended, however it did."""
        ...
