"""Ledger: which of the changes made here are durable on the server."""

from collections import deque


class Ledger:
    """Counts changes made here, and follows them until the server says that they are durable.

    The server answers each frame of changes once: with yes, in the order of its commits, or with
    no, at once. Who was told no does not know to which frame, and counts nothing as durable that
    came before it.

    Attributes:
        made: how many changes were made here.
        durable: how many of them, from the first on, are durable.
        refused: whether the server refused some on this connection.
    """

    __slots__ = ("_awaited", "durable", "made", "refused")

    def __init__(self) -> None:
        self.made = 0
        self.durable = 0
        self.refused = False
        self._awaited: deque[int] = deque()

    @property
    def pending(self) -> int:
        """How many changes made here are not known to be durable."""
        return self.made - self.durable

    def make(self) -> None:
        """Notes a change."""
        self.made += 1

    def begin(self) -> None:
        """Notes that a connection begins: nothing that was sent on another will be answered."""
        self._awaited.clear()
        self.refused = False

    def begin_again(self) -> None:
        """Notes that all will be sent once more: nothing that was sent before vouches for it."""
        self._awaited = deque([0] * len(self._awaited))
        self.refused = False

    def send(self) -> None:
        """Notes a frame that brings the server all changes made so far."""
        self._awaited.append(self.made)

    def send_part(self) -> None:
        """Notes a frame that brings a part of a change: the frame with the last part vouches."""
        self._awaited.append(0)

    def accept(self) -> None:
        """Notes that the server has made what a frame brought durable."""
        if self._awaited:
            reached = self._awaited.popleft()
            if not self.refused:
                self.durable = max(self.durable, reached)

    def refuse(self) -> None:
        """Notes that the server refused what a frame brought."""
        if self._awaited:
            self._awaited.popleft()
        self.refused = True
