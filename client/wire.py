"""Wire: one connection to a server, whatever carries it."""

from collections.abc import Sequence
from typing import Protocol


class Wire(Protocol):
    """Frames of the Hocuspocus dialect, in order, in both directions.

    One task sends, one receives. A wire is an async context manager's; leaving that ends it.
    """

    async def send(self, frames: Sequence[bytes]) -> None:
        """Sends frames; returns when they are on their way, which says nothing of their arrival.

        Raises:
            ConnectionEnded: it is over.
        """
        ...

    async def receive(self) -> bytes:
        """Waits for the next frame.

        Raises:
            ConnectionEnded: it is over.
        """
        ...
