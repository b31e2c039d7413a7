"""Rest: what lies between two commits, so that they do not take all of the time."""

import time

import anyio

from collab.server.timers import Timers

_SHARE = 20
"""It is twenty times as long as the last commit took, ..."""
_MAX_SECONDS = 0.04
"""... at most so long: one commit then carries many changes. ..."""
_MAX_SECONDS_FOR_WRITERS = 0.02
"""... Where writers wait for it, half as long."""
_SOON_SECONDS = 0.01


class Rest:
    """The time until the next commit is due; those who wait for it have it come sooner.

    Args:
        timers: end it.
    """

    def __init__(self, timers: Timers) -> None:
        self._timers = timers
        self._lingers = False
        self._due_at = 0.0
        self._due_for_writers_at = 0.0
        self._sooner: anyio.Event | None = None

    @property
    def ends_soon(self) -> bool:
        """Whether it ends within some ten milliseconds where writers wait for it."""
        return self._due_for_writers_at - time.monotonic() < _SOON_SECONDS

    def begin(self, seconds: float, *, lingers: bool) -> None:
        """A commit has ended.

        Args:
            seconds: how long it took.
            lingers: whether many rooms' changes wait already: they rest as long as one may,
                whoever waits for them.
        """
        now = time.monotonic()
        rest = seconds * _SHARE
        self._lingers = lingers
        self._due_at = now + min(rest, _MAX_SECONDS)
        most = _MAX_SECONDS if lingers else _MAX_SECONDS_FOR_WRITERS
        self._due_for_writers_at = now + min(rest, most)

    def shorten(self) -> None:
        """Writers wait for what comes next."""
        self._end_at(self._due_for_writers_at)

    def end(self) -> None:
        """A program does nothing until what comes next is durable."""
        self._end_at(0.0)

    async def wait(self) -> None:
        """Waits for its end."""
        while (left := self._due_at - time.monotonic()) > 0:
            self._sooner = anyio.Event()
            # A scope's deadline keeps uvloop, which counts milliseconds, busy for the last one.
            alarm = self._timers.call_later(left, self._sooner.set)
            try:
                await self._sooner.wait()
            finally:
                alarm.cancel()
        self._sooner = None

    def _end_at(self, at: float) -> None:
        if at < self._due_at and not self._lingers:
            self._due_at = at
            if self._sooner is not None:
                self._sooner.set()
