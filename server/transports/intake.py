"""Intake: when the next frames of a connection are read, where a task reads them."""

import time

import anyio

from collab.server.limits.throttle import Throttle
from collab.server.metrics import Metrics
from collab.server.settings import Settings


class Intake:
    """Holds reading back: while a room takes nothing in, and after frames that came too fast.

    Args:
        settings: how fast frames may come.
        metrics: where those that came faster are counted.
    """

    __slots__ = ("_ended", "_metrics", "_opened", "_rests_until", "_throttle")

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self._metrics = metrics
        self._throttle = Throttle(settings, time.monotonic())
        self._rests_until = 0.0
        self._opened: anyio.Event | None = None
        self._ended = False

    def pause(self) -> None:
        """Reads no more until ``resume``."""
        if self._opened is None and not self._ended:
            self._opened = anyio.Event()

    def resume(self) -> None:
        """Reads on."""
        if self._opened is not None:
            self._opened.set()
            self._opened = None

    def end(self) -> None:
        """Reads on, whatever is asked of it: what comes is not taken in any more."""
        self._ended = True
        self.resume()

    def count(self, size: int) -> None:
        """Counts a frame that came, of so many bytes."""
        now = time.monotonic()
        rest_seconds = self._throttle.take(size, now)
        if rest_seconds:
            if self._rests_until <= now:
                self._metrics.count_limit("connection_messages_per_second")
            self._rests_until = now + rest_seconds

    async def opened(self) -> None:
        """Waits until frames may be read."""
        while True:
            rest_seconds = self._rests_until - time.monotonic()
            if self._opened is not None:
                await self._opened.wait()
            elif rest_seconds > 0 and not self._ended:
                await anyio.sleep(rest_seconds)
            else:
                return
