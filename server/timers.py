"""Timers: functions called later, on asyncio and on trio."""

import asyncio
import heapq
import logging
from collections.abc import Callable
from itertools import count
from typing import Protocol

import anyio

from collab.server.loop_context import loop_context

logger = logging.getLogger("collab")


class Timer(Protocol):
    """A call that is to come."""

    def cancel(self) -> None:
        """Forgets the call; does nothing where it was made already."""
        ...


class Timers(Protocol):
    """The timers of one server.

    A call that raises is logged: one room's fault must not stop the others' clocks.
    """

    def call_later(self, seconds: float, call: Callable[[], None]) -> Timer:
        """Calls ``call`` in ``seconds``."""
        ...

    async def run(self) -> None:
        """Makes the calls until it is cancelled."""
        ...


def make_timers() -> Timers:
    """Returns timers for the event loop this is called on."""
    try:
        return LoopTimers(asyncio.get_running_loop())
    except RuntimeError:  # Not on asyncio.
        return TaskTimers()


class LoopTimers:
    """Timers of the asyncio event loop itself: a third of what a task's would cost."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._call_later = loop.call_later
        self._context = loop_context()
        self._stopped = False

    def call_later(self, seconds: float, call: Callable[[], None]) -> Timer:
        """Calls ``call`` in ``seconds``."""
        return self._call_later(seconds, self._fire, call, context=self._context)

    async def run(self) -> None:
        """Lets calls be made until it is cancelled."""
        try:
            await anyio.sleep_forever()
        finally:
            self._stopped = True

    def _fire(self, call: Callable[[], None]) -> None:
        if not self._stopped:
            _make(call)


class TaskTimers:
    """Timers on one task, for any event loop that anyio knows."""

    def __init__(self) -> None:
        self._due: list[tuple[float, int, _TaskTimer]] = []
        self._order = count()
        self._sleep: anyio.CancelScope | None = None

    def call_later(self, seconds: float, call: Callable[[], None]) -> Timer:
        """Calls ``call`` in ``seconds``."""
        timer = _TaskTimer(call)
        at = anyio.current_time() + seconds
        heapq.heappush(self._due, (at, next(self._order), timer))
        if self._sleep is not None and at < self._sleep.deadline:
            self._sleep.deadline = at
        return timer

    async def run(self) -> None:
        """Makes the calls until it is cancelled; those that fall due together in one wake-up."""
        while True:
            deadline = self._due[0][0] if self._due else float("inf")
            with anyio.CancelScope(deadline=deadline) as self._sleep:
                await anyio.sleep_forever()
            self._sleep = None
            now = anyio.current_time()
            while self._due and self._due[0][0] <= now:
                call = heapq.heappop(self._due)[2].take()
                if call is not None:
                    _make(call)


class _TaskTimer:
    """A call of ``TaskTimers`` that is to come."""

    __slots__ = ("_call",)

    def __init__(self, call: Callable[[], None]) -> None:
        self._call: Callable[[], None] | None = call

    def cancel(self) -> None:
        self._call = None

    def take(self) -> Callable[[], None] | None:
        call, self._call = self._call, None
        return call


def _make(call: Callable[[], None]) -> None:
    try:
        call()
    except Exception:
        logger.exception("a timed call failed")
