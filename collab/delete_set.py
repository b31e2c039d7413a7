"""DeleteSet: what a document has deleted, to look up whether it has more."""

from array import array
from bisect import bisect_right

from collab.structs import read_deletions


class DeleteSet:
    """The ranges of clocks that an update deletes, by client.

    Args:
        update: an update, whose structs are read over.

    Raises:
        ProtocolError: these bytes are no update.
    """

    __slots__ = ("_ranges",)

    def __init__(self, update: bytes) -> None:
        ranges: dict[int, list[tuple[int, int]]] = {}
        for client, clock, length, _, _ in read_deletions(update):
            ranges.setdefault(client, []).append((clock, clock + length))
        self._ranges = {client: _joined(each) for client, each in ranges.items()}

    def covers(self, update: bytes) -> bool:
        """Whether another update deletes nothing beyond; its structs are read over.

        It takes a search for each range of that update, however many there are here.

        Raises:
            ProtocolError: these bytes are no update.
        """
        nothing = array("Q"), array("Q")
        for client, clock, length, _, _ in read_deletions(update):
            starts, ends = self._ranges.get(client, nothing)
            at = bisect_right(starts, clock) - 1
            if length and (at < 0 or ends[at] < clock + length):
                return False
        return True


def _joined(ranges: list[tuple[int, int]]) -> "tuple[array[int], array[int]]":
    """The first clocks of ranges and those after their last, in order, none next to another."""
    starts, ends = array("Q"), array("Q")
    for start, end in sorted(ranges):
        if ends and start <= ends[-1]:
            ends[-1] = max(ends[-1], end)
        else:
            starts.append(start)
            ends.append(end)
    return starts, ends
