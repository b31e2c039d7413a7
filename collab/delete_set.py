"""DeleteSet: what a document has deleted, to look up whether it has more."""

import re
from array import array
from bisect import bisect_right
from collections.abc import Iterator

from collab.lib0 import read_var_uint
from collab.structs import find_deletions

_UINT = re.compile(rb"[\x80-\xff]*[\x00-\x7f]")

_Ranges = tuple["array[int]", "array[int]"]
"""First clocks of ranges and those after their last, in order, none next to another."""


class DeleteSet:
    """The ranges of clocks that an update deletes, by client.

    It is kept as it is encoded, and a client's ranges are read when others differ from them.

    Args:
        update: an update as the CRDT writes it, whose structs are read over.
    """

    __slots__ = ("_ranges", "_sections")

    def __init__(self, update: bytes) -> None:
        self._sections = dict(_read_sections(update))
        self._ranges: dict[int, _Ranges] = {}

    def covers(self, update: bytes) -> bool:
        """Whether another update deletes nothing beyond; its structs are read over.

        Args:
            update: likewise as the CRDT writes it.
        """
        return all(
            section == self._sections.get(client) or self._covers(client, section)
            for client, section in _read_sections(update)
        )

    def _covers(self, client: int, section: bytes) -> bool:
        if client not in self._ranges:
            self._ranges[client] = _joined(_read_ranges(self._sections.get(client, b"")))
        starts, ends = self._ranges[client]
        for start, end in _read_ranges(section):
            at = bisect_right(starts, start) - 1
            if end > start and (at < 0 or ends[at] < end):
                return False
        return True


def _read_sections(update: bytes) -> Iterator[tuple[int, bytes]]:
    """Cuts an update's delete set into clients and their ranges, which stay as they are encoded."""
    position = find_deletions(update) if update[0] != 0 else 1
    uints = _UINT.findall(update, position)
    position += len(uints[0])
    first = 1
    while first < len(uints):
        client, _ = read_var_uint(uints[first], 0)
        count, _ = read_var_uint(uints[first + 1], 0)
        last = first + 2 + 2 * count
        start = position + len(uints[first]) + len(uints[first + 1])
        position = start + sum(map(len, uints[first + 2 : last]))
        yield client, update[start:position]
        first = last


def _read_ranges(section: bytes) -> Iterator[tuple[int, int]]:
    """Reads the first clock of each range and the one after its last."""
    uints: list[int] = []
    value = shift = 0
    for byte in section:
        if byte < 0x80:
            uints.append(value | byte << shift)
            value = shift = 0
        else:
            value |= (byte & 0x7F) << shift
            shift += 7
    for start, length in zip(uints[::2], uints[1::2], strict=True):
        yield start, start + length


def _joined(ranges: Iterator[tuple[int, int]]) -> _Ranges:
    starts, ends = array("Q"), array("Q")
    for start, end in sorted(ranges):
        if ends and start <= ends[-1]:
            ends[-1] = max(ends[-1], end)
        else:
            starts.append(start)
            ends.append(end)
    return starts, ends
