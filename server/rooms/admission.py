"""Admission: how many clients are brought up to date at the same time."""

from collections.abc import Callable, Hashable

from collab.errors import ServerBusy


class Admission:
    """Lets so many in at once; the others wait in order, and past a bound are sent away."""

    def __init__(self, in_flight: int, waiting: int) -> None:
        self._in_flight_max = in_flight
        self._waiting_max = waiting
        self._in_flight: set[Hashable] = set()
        self._waiting: dict[Hashable, Callable[[], None]] = {}
        self._starting = False

    @property
    def in_flight(self) -> int:
        """How many are in."""
        return len(self._in_flight)

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def admits(self, who: Hashable) -> bool:
        """Whether it is the turn of ``who``."""
        return who in self._in_flight

    def enter(self, who: Hashable, start: Callable[[], None]) -> None:
        """Calls ``start`` when it is ``who``'s turn, perhaps at once.

        Raises:
            ServerBusy: too many wait already.
        """
        if who in self._in_flight or who in self._waiting:
            return
        if len(self._waiting) >= self._waiting_max:
            raise ServerBusy(f"expected at most {self._waiting_max} clients waiting to sync")
        self._waiting[who] = start
        self._start()

    def leave(self, who: Hashable) -> None:
        """Gives up the place of ``who``, in flight or in the queue; nothing where it has none."""
        self._in_flight.discard(who)
        self._waiting.pop(who, None)
        self._start()

    def _start(self) -> None:
        if self._starting:
            return  # A start that ends at once comes back here: the loop below goes on.
        self._starting = True
        try:
            while self._waiting and len(self._in_flight) < self._in_flight_max:
                who = next(iter(self._waiting))
                start = self._waiting.pop(who)
                self._in_flight.add(who)
                start()
        finally:
            self._starting = False
