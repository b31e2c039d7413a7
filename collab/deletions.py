"""Deletions: those of an update that can be made, or are best made, before the others.

The CRDT keeps a list of values as one block, and copies what is right of each place at which it
cuts it: half of 40,000 values, every second one, take it the better part of a minute to delete. So
some places far apart are cut first, from the end, and what is left to copy is short.

What is not here yet cannot be cut, and the CRDT goes through all deletions that wait whenever it is
given one more: a million that wait, given one by one, hold it up for a minute.
"""

import re
from collections.abc import Iterator, Mapping

from collab.lib0 import read_var_uint, write_var_uint

STRIDE = 64
"""Ranges of a client of which the first is deleted before the others."""

_WAITING_BYTES = 1 << 26
"""What is gone through of deletions that wait for the first ones of an update: some tenths of a
second."""

_UINT = re.compile(rb"[\x80-\xff]*[\x00-\x7f]")


def deletions_within(deletions: bytes, known: Mapping[int, int]) -> bytes:
    """Leaves out what is deleted beyond a state vector.

    Args:
        deletions: an update without structs.
        known: the state vector.

    Returns:
        An update of the rest.
    """
    uints = [read_var_uint(uint, 0)[0] for uint in _UINT.findall(deletions, 1)]
    sections = []
    position = 1
    while position < len(uints):
        client, ranges = uints[position : position + 2]
        first, position = position + 2, position + 2 + 2 * ranges
        reached = known.get(client, 0)
        within = [
            write_var_uint(uints[at]) + write_var_uint(min(uints[at + 1], reached - uints[at]))
            for at in range(first, position, 2)
            if uints[at] < reached
        ]
        if within:
            head = write_var_uint(client) + write_var_uint(len(within))
            sections.append(head + b"".join(within))
    return b"\x00" + write_var_uint(len(sections)) + b"".join(sections)


def first_deletions(
    deletions: bytes, known: Mapping[int, int], waiting_bytes: int
) -> Iterator[bytes]:
    """Picks deletions that are to be made one after the other, before all of them are.

    Args:
        deletions: an update without structs.
        known: the document's state vector; what is beyond it is not picked.
        waiting_bytes: what waits there; the more it is, the fewer are picked.

    Yields:
        Updates, each of one range; none where there are few ranges.
    """
    uints = _UINT.findall(deletions, 1)
    most = _WAITING_BYTES // max(waiting_bytes, 1)
    stride = max(STRIDE, len(uints) // 2 // max(most, 1))
    position = 1
    while position < len(uints):
        client = uints[position]
        ranges, _ = read_var_uint(uints[position + 1], 0)
        position += 2
        reached = known.get(read_var_uint(client, 0)[0], 0)
        for number in range((ranges - 1) // stride * stride, 0, -stride):
            first = position + 2 * number
            if read_var_uint(uints[first], 0)[0] + read_var_uint(uints[first + 1], 0)[0] <= reached:
                yield b"\x00\x01" + client + write_var_uint(1) + b"".join(uints[first : first + 2])
        position += 2 * ranges
