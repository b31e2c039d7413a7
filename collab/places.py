"""Places: clocks of clients, in order, to be looked up by the thousand."""

from array import array
from bisect import bisect_left
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import groupby, islice
from operator import le
from typing import Self

from collab.structs import Id


class Places:
    """Some clocks of each client, each once; a place takes eight bytes.

    Args:
        clocks: by client, in any order.
    """

    __slots__ = ("_clocks",)

    def __init__(self, clocks: Mapping[int, Collection[int]] | None = None) -> None:
        self._clocks = {client: _ordered(each) for client, each in (clocks or {}).items() if each}

    @classmethod
    def of_clocks(cls, clocks: Mapping[int, int]) -> Self:
        """One place for each client."""
        return cls({client: (clock,) for client, clock in clocks.items()})

    def __bool__(self) -> bool:
        return bool(self._clocks)

    def __len__(self) -> int:
        return sum(map(len, self._clocks.values()))

    def __iter__(self) -> Iterator[Id]:
        return (Id(client, clock) for client, each in self._clocks.items() for clock in each)

    def __contains__(self, place: Id) -> bool:
        return self.reach(place.client, place.clock, place.clock + 1)

    def reach(self, client: int, start: int, end: int) -> bool:
        """Whether one of them lies in a range of a client's clocks."""
        known = self._clocks.get(client)
        if known is None:
            return False
        index = bisect_left(known, start)
        return index < len(known) and known[index] < end

    def within(self, client: int, start: int, end: int) -> Sequence[int]:
        """Those that lie in a range of a client's clocks, in order."""
        known = self._clocks.get(client)
        if known is None:
            return ()
        return known[bisect_left(known, start) : bisect_left(known, end)]

    @property
    def clients(self) -> Collection[int]:
        """Whose clocks they are."""
        return self._clocks.keys()

    def common(self, other: Self) -> Self:
        """Those that are in another's, too."""
        shared: dict[int, list[int]] = {}
        for client in self._clocks.keys() & other._clocks.keys():
            few, many = sorted((self._clocks[client], other._clocks[client]), key=len)
            index, found = 0, []
            for clock in few:
                index = bisect_left(many, clock, index)
                if index == len(many):
                    break
                if many[index] == clock:
                    found.append(clock)
            shared[client] = found
        return type(self)(shared)

    def unknown(self, known: Mapping[int, int]) -> Self:
        """Those that a state vector does not cover."""
        return type(self)(
            {
                client: each[bisect_left(each, known.get(client, 0)) :]
                for client, each in self._clocks.items()
            }
        )

    def add(self, other: Self) -> None:
        """Takes in another's."""
        for client, new in other._clocks.items():
            known = self._clocks.get(client)
            if known is None:
                self._clocks[client] = new[:]
            elif new[0] > known[-1]:
                known.extend(new)
            else:
                self._clocks[client] = _merged(known, new)

    def remove(self, other: Self) -> None:
        """Takes out what is in another's."""
        for client, gone in other._clocks.items():
            known = self._clocks.get(client)
            if known is None:
                continue
            left = _without(known, gone)
            if left:
                self._clocks[client] = left
            else:
                del self._clocks[client]


# Both copy whole stretches: moving what is behind each place, a place at a time, takes minutes
# where there are a million.


def _merged(known: "array[int]", new: "array[int]") -> "array[int]":
    merged = array("Q")
    copied = 0
    for clock in new:
        index = bisect_left(known, clock, copied)
        merged += known[copied:index]
        merged.append(clock)
        copied = index + int(index < len(known) and known[index] == clock)
    return merged + known[copied:]


def _without(known: "array[int]", gone: "array[int]") -> "array[int]":
    left = array("Q")
    copied = 0
    for clock in gone:
        index = bisect_left(known, clock, copied)
        if index == len(known):
            break
        if known[index] == clock:
            left += known[copied:index]
            copied = index + 1
    return left + known[copied:]


def _ordered(clocks: Collection[int]) -> "array[int]":
    if all(map(le, clocks, islice(clocks, 1, None))):  # Most are; sorting takes far more room.
        return array("Q", (clock for clock, _ in groupby(clocks)))
    return array("Q", sorted(set(clocks)))
