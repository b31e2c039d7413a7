"""Backlog: what is taken in and not durable yet, over all rooms, and who waits until it is less."""

from collections.abc import Callable


class Backlog:
    """Counts what waits for the store, here and on other instances.

    Past a bound writers are not read from, programs are refused, and what others pass on to a
    document that is being rebuilt is not kept.

    Args:
        max_bytes: the bound.

    Attributes:
        uncommitted_bytes: what this instance is to commit.
        passed_on_bytes: what is kept of what others have passed on, and are to commit.
        waiting: who waits for space, and how they are told.
    """

    __slots__ = ("_hasten", "_max_bytes", "passed_on_bytes", "uncommitted_bytes", "waiting")

    def __init__(self, max_bytes: float) -> None:
        self._max_bytes = max_bytes
        self._hasten: Callable[[], None] = lambda: None
        self.uncommitted_bytes = 0
        self.passed_on_bytes = 0
        self.waiting: dict[Callable[[], None], None] = {}

    @property
    def full(self) -> bool:
        """Whether so much waits for the store that writers must wait too."""
        return self.uncommitted_bytes + self.passed_on_bytes >= self._max_bytes

    def hasten(self, call: Callable[[], None]) -> None:
        """Has ``call`` called when somebody begins to wait: others may not tell unasked."""
        self._hasten = call

    def when_space(self, call: Callable[[], None]) -> None:
        """Has ``call`` called once, however often it is given, when there is space again."""
        first = not self.waiting
        self.waiting[call] = None
        if first:
            self._hasten()

    def offer(self) -> None:
        """Something has become durable: where there is space again, those who wait are told."""
        if self.waiting and not self.full:
            waiting, self.waiting = self.waiting, {}
            for call in waiting:
                call()
