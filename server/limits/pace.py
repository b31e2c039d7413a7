"""Pace: how often something may be done, where what comes too often is refused."""

BURST_SECONDS = 2.0
"""How much of a rate may come at once."""


class Pace:
    """A token bucket, as the time at which it is full again (GCRA).

    Args:
        per_second: how often it may be done.
    """

    __slots__ = ("_full_at", "_seconds")

    def __init__(self, per_second: int) -> None:
        self._seconds = 1 / per_second
        self._full_at = 0.0

    def allows(self, now: float) -> bool:
        """Whether it may be done once more now; if so, it counts.

        Args:
            now: seconds on a monotonic clock.
        """
        full_at = max(self._full_at, now) + self._seconds
        if full_at - now > BURST_SECONDS:
            return False
        self._full_at = full_at
        return True

    def is_full(self, now: float) -> bool:
        """Whether it was not done so often of late that it would have to be remembered."""
        return self._full_at <= now
