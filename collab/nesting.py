"""Nesting: how deeply an update's shared types lie inside each other.

Deleting a type has yrs delete what is in it, and what is in that, on the stack: some ten thousand
types inside each other end the process. So documents are kept far from that.
"""

from bisect import bisect_right
from collections.abc import Sequence

from collab.marks import CHILD, MARKS
from collab.structs import Id, Kind, read_structs

MAX_LEVELS = 2_500
"""Types inside each other in one document; people's documents have ten."""
LOOK_LEVELS = 2 * MAX_LEVELS
"""What may be estimated before it is measured: measuring costs as much as reading the document."""


def estimate_levels(update: bytes) -> int:
    """At most how many types inside others an update adds, at a glance.

    What lies in a type that is empty names it as its parent, and does so by its id.
    """
    return update.translate(MARKS).count(CHILD)


def measure_levels(update: bytes) -> int:
    """How many types lie inside each other in an update; those it does not hold count as none.

    Raises:
        ProtocolError: these bytes are no update.
    """
    return _Types(update).levels()


class _Types:
    """An update's structs by number, with what each lies in."""

    def __init__(self, update: bytes) -> None:
        self._clocks: dict[int, list[int]] = {}
        self._first: dict[int, int] = {}
        self._beside: list[Id | None] = []
        self._parents: list[Id | None] = []
        self._opens: list[bool] = []
        for number, struct in enumerate(read_structs(update)):
            clocks = self._clocks.setdefault(struct.client, [])
            if not clocks:
                self._first[struct.client] = number
            clocks.append(struct.clock)
            self._beside.append(struct.origin or struct.right_origin)
            self._parents.append(struct.parent if isinstance(struct.parent, Id) else None)
            self._opens.append(struct.kind is Kind.TYPE)

    def levels(self) -> int:
        """The most types that lie inside each other."""
        depths: list[int | None] = [None] * len(self._parents)
        for number in range(len(depths)):
            self._measure(number, depths)
        return max((depth or 0 for depth in depths), default=0)

    def _measure(self, number: int, depths: list[int | None]) -> None:
        """Finds how many types a struct lies in, itself included where it is one."""
        path = [number]
        while depths[path[-1]] is None:
            here = path[-1]
            within = self._within(here)
            if within is None:
                depths[here] = int(self._opens[here])
            elif len(path) > len(depths):
                break  # They lie in a circle, and are never integrated.
            else:
                path.append(within)
        self._settle(path, depths)

    def _settle(self, path: Sequence[int], depths: list[int | None]) -> None:
        depth = depths[path[-1]] or 0
        depths[path[-1]] = depth
        for below, above in zip(reversed(path[:-1]), reversed(path[1:]), strict=True):
            if self._beside[below] is not None:  # They lie in the same type.
                depth -= int(self._opens[above])
            depth += int(self._opens[below])
            depths[below] = depth

    def _within(self, number: int) -> int | None:
        """The struct that tells where this one lies: its parent, or one beside it."""
        place = self._beside[number] or self._parents[number]
        if place is None:
            return None
        clocks = self._clocks.get(place.client)
        if clocks is None:
            return None
        index = bisect_right(clocks, place.clock) - 1
        return None if index < 0 else self._first[place.client] + index
