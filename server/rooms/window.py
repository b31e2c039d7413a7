"""Window: does at once what comes to a quiet place, and gathers what follows."""

import time
from collections.abc import Callable

from collab.server.timers import Timer, Timers

_COST_SHARE = 25
"""The window is 25 times what a flush costs: flushing takes a 25th of the time at most."""
_WORTH_SECONDS = 0.004
"""A shorter window is none: its timer would cost more than the flushes it saves."""
_BURST_SECONDS = 0.0005
"""What comes so soon after a flush came together with what that flushed, and with more."""
_RISE = 1.1
"""How fast the known cost follows flushes that take longer; it follows shorter ones at once."""


class Window:
    """Calls ``flush`` with a leading edge and, after it, once a window.

    What comes in one go with what was just flushed is flushed together, as soon as all of it is
    taken in: a client that has been offline sends hundreds of changes at once. The window follows
    the measured cost of a flush, so that it grows with the number of readers and stays nothing in
    a small room.

    Args:
        timers: what wakes it.
        max_seconds: how long the window may get.
        flush: does the work; returns what that will still cost after it has returned, in seconds,
            or None where there was nothing to do.
        min_seconds: how short the window may get.
    """

    __slots__ = (
        "_burst_seconds",
        "_cost",
        "_due_at",
        "_flush",
        "_length",
        "_max_seconds",
        "_min_seconds",
        "_open_at",
        "_timer",
        "_timers",
        "_widened",
    )

    def __init__(
        self,
        timers: Timers,
        max_seconds: float,
        flush: Callable[[], float | None],
        *,
        min_seconds: float = 0.0,
    ) -> None:
        self._timers = timers
        self._max_seconds = max_seconds
        self._min_seconds = min(min_seconds, max_seconds)
        self._burst_seconds = min(_BURST_SECONDS, max_seconds)
        self._flush = flush
        self._cost = 0.0
        self._length = 0.0
        self._open_at = 0.0
        self._due_at = 0.0
        self._timer: Timer | None = None
        self._widened = False

    @property
    def seconds(self) -> float:
        """How long the window is now."""
        window = min(self._cost * _COST_SHARE, self._max_seconds)
        return max(window if window >= _WORTH_SECONDS else 0.0, self._min_seconds)

    def widen(self) -> None:
        """Has the next window be as long as it may be: more is about to come."""
        self._widened = True

    def touch(self, *, gathered: bool = False) -> None:
        """There is something to flush: now where the window has passed, or when it has.

        Args:
            gathered: whether it has waited in another window already: it waits half as long.
        """
        open_at = self._open_at
        if gathered:
            open_at -= self._length / 2
        if self._timer is not None:
            if self._due_at <= open_at:
                return
            self._timer.cancel()
        wait = open_at - time.monotonic()
        if wait <= -self._burst_seconds:
            self.run()
        else:
            # With no time left it is called when all that has been read is taken in.
            self._due_at = open_at
            self._timer = self._timers.call_later(max(wait, 0.0), self.run)

    def run(self) -> None:
        """Flushes now, and measures what it costs."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        started = time.monotonic()
        later = self._flush()
        if later is None:
            return
        ended = time.monotonic()
        # On a busy machine most flushes are held up by something else: the short ones tell.
        took = ended - started + later
        self._cost = min(took, self._cost * _RISE) if self._cost else took
        self._length = self._max_seconds if self._widened else self.seconds
        self._open_at = ended + self._length
        self._widened = False
