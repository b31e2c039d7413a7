"""Pulse: wakes everyone who waits for something to change."""

from collections.abc import AsyncIterator, Callable

import anyio


class Pulse:
    """What tasks wait on until a condition may have become true.

    Attributes:
        beats: how many there were.
    """

    __slots__ = ("_event", "beats")

    def __init__(self) -> None:
        self.beats = 0
        self._event = anyio.Event()

    def beat(self) -> None:
        """Wakes those who wait."""
        self.beats += 1
        event, self._event = self._event, anyio.Event()
        event.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Waits until a condition is true; it is looked at now and at every beat.

        Raises:
            CollabError: what the condition raises.
        """
        while not condition():
            await self._event.wait()


class Beats(AsyncIterator[None]):
    """The beats from here on; those that come while nobody waits are one, and are not missed.

    Args:
        pulse: whose.
        ended: whether nothing more will come; it may raise why.
    """

    def __init__(self, pulse: Pulse, ended: Callable[[], bool]) -> None:
        self._pulse = pulse
        self._ended = ended
        self._seen = pulse.beats

    async def __anext__(self) -> None:
        await self._pulse.until(lambda: self._ended() or self._pulse.beats != self._seen)
        if self._ended():
            raise StopAsyncIteration
        self._seen = self._pulse.beats
