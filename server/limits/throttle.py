"""Throttle: how fast one connection may send, in messages and in bytes."""

from collab.server.settings import Settings

_BURST_SECONDS = 2.0
"""How much of a rate may come at once: a client that was offline sends what it wrote meanwhile."""


class Throttle:
    """Two token buckets, as the times at which they are full again (GCRA).

    Who sends faster is not closed but read from more slowly: nothing it wrote is lost, and the
    network tells it to wait. Source of the algorithm: ITU-T I.371, generic cell rate algorithm.

    Args:
        settings: the rates.
        now: seconds on a monotonic clock.
    """

    __slots__ = ("_byte_seconds", "_bytes_at", "_message_seconds", "_messages_at")

    def __init__(self, settings: Settings, now: float) -> None:
        self._message_seconds = 1 / settings.connection_messages_per_second
        self._byte_seconds = 1 / settings.connection_bytes_per_second
        self._messages_at = self._bytes_at = now

    def take(self, size: int, now: float) -> float:
        """Counts a message.

        Args:
            size: its length in bytes.
            now: as above.

        Returns:
            For how many seconds nothing more should be read; 0 where it may go on.
        """
        messages_at = max(self._messages_at, now) + self._message_seconds
        bytes_at = max(self._bytes_at, now) + self._byte_seconds * size
        self._messages_at, self._bytes_at = messages_at, bytes_at
        later = messages_at if messages_at > bytes_at else bytes_at
        wait = later - now - _BURST_SECONDS
        return wait if wait > 0 else 0.0
