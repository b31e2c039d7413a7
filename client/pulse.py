"""Pulse: wakes everyone who waits for something to change."""

from collections.abc import Callable

import anyio


class Pulse:
    """What tasks wait on until a condition may have become true."""

    __slots__ = ("_event",)

    def __init__(self) -> None:
        self._event = anyio.Event()

    def beat(self) -> None:
        """Wakes those who wait."""
        event, self._event = self._event, anyio.Event()
        event.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Waits until a condition is true; it is looked at now and at every beat.

        Raises:
            CollabError: what the condition raises.
        """
        while not condition():
            await self.next_beat()

    async def next_beat(self) -> None:
        """Waits for the next beat."""
        await self._event.wait()
