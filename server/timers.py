"""Timers: functions called later, all on one task, on asyncio and on trio."""

import heapq
import logging
from collections.abc import Callable
from itertools import count

import anyio

logger = logging.getLogger("collab")


class Timer:
    """A call that is to come; ``cancel`` it and it does not."""

    __slots__ = ("_call",)

    def __init__(self, call: Callable[[], None]) -> None:
        self._call: Callable[[], None] | None = call

    def cancel(self) -> None:
        """Forgets the call; does nothing where it was made already."""
        self._call = None

    def _fire(self) -> None:
        call, self._call = self._call, None
        if call is not None:
            call()


class Timers:
    """The timers of one server; ``run`` makes the calls.

    Calls that fall due together are made in one wake-up. A call that raises is logged: one room's
    fault must not stop the others' clocks.
    """

    def __init__(self) -> None:
        self._due: list[tuple[float, int, Timer]] = []
        self._order = count()
        self._sleep: anyio.CancelScope | None = None

    def call_later(self, seconds: float, call: Callable[[], None]) -> Timer:
        """Calls ``call`` in ``seconds``."""
        timer = Timer(call)
        at = anyio.current_time() + seconds
        heapq.heappush(self._due, (at, next(self._order), timer))
        if self._sleep is not None and at < self._sleep.deadline:
            self._sleep.deadline = at
        return timer

    async def run(self) -> None:
        """Makes the calls until it is cancelled."""
        while True:
            deadline = self._due[0][0] if self._due else float("inf")
            with anyio.CancelScope(deadline=deadline) as self._sleep:
                await anyio.sleep_forever()
            self._sleep = None
            now = anyio.current_time()
            while self._due and self._due[0][0] <= now:
                timer = heapq.heappop(self._due)[2]
                try:
                    timer._fire()
                except Exception:
                    logger.exception("a timed call failed")
