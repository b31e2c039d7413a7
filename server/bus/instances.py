"""Instances: who else is on the bus, and who is gone without a word."""

from collections.abc import Sequence

BEAT_SECONDS = 2.0
_DEAD_SECONDS = 6.0
"""An instance of which nothing was heard for so long is gone: three heartbeats."""


class Instances:
    """The other instances, and when each was last heard.

    Args:
        own: name of this one.
    """

    def __init__(self, own: str) -> None:
        self._own = own
        self._heard_at: dict[str, float] = {}

    def __bool__(self) -> bool:
        return bool(self._heard_at)

    def hear(self, instance: str, now: float) -> None:
        """An instance says something: whatever it is, it lives.

        Under load its heartbeat waits behind all else that it says.
        """
        if instance != self._own:
            self._heard_at[instance] = now

    def hear_of(self, instance: str, now: float) -> None:
        """Something that an instance has left behind turns up; it may be dead already."""
        self._heard_at.setdefault(instance, now)

    def forget(self, instance: str) -> None:
        """An instance has left."""
        self._heard_at.pop(instance, None)

    def spare(self, now: float) -> None:
        """Nobody could be heard for a while: all of them get their time anew."""
        self._heard_at = dict.fromkeys(self._heard_at, now)

    def take_dead(self, now: float) -> Sequence[str]:
        """Forgets those that are gone without a word, and returns them."""
        dead = [each for each, at in self._heard_at.items() if at < now - _DEAD_SECONDS]
        for instance in dead:
            self.forget(instance)
        return dead

    @property
    def turn(self) -> int:
        """This one's place among those that live, from 0 on."""
        return sum(other < self._own for other in self._heard_at)
