"""Strangers: what clients have sent before it is known who they are, all of them together."""

from collections.abc import Hashable
from typing import Protocol

from collab.server.metrics import Metrics
from collab.server.settings import Settings


class Stranger(Hashable, Protocol):
    """Somebody of whom something is kept until a token was looked at."""

    def send_away(self) -> None:
        """Ends its connection and forgets what is kept of it; the client may come back."""
        ...


class Strangers:
    """Bounds what is kept of all strangers together: who has sent most of it goes first.

    A client that is not let in yet has sent a token, a question and who it is: some kilobytes.
    Whoever would fill the memory with more is the one that is sent away, and not who comes next.

    Args:
        settings: the bound.
        metrics: where it is counted that it was reached.
    """

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._most = settings.strangers_max_bytes
        self._metrics = metrics
        self._kept: dict[Stranger, int] = {}
        self._bytes = 0

    def keep(self, stranger: Stranger, size: int) -> None:
        """Takes note of how much is kept of somebody now; 0 where nothing is, or they are known.

        Args:
            stranger: who is sent away where it is too much, perhaps at once.
            size: in bytes, all of it.
        """
        self._bytes += size - self._kept.pop(stranger, 0)
        if size:
            self._kept[stranger] = size
        while self._bytes > self._most:
            greediest = max(self._kept, key=self._kept.__getitem__)
            self._bytes -= self._kept.pop(greediest)
            self._metrics.count_limit("strangers_max_bytes")
            greediest.send_away()
