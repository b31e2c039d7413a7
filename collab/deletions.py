"""Deletions: those of an update that are best made before the others.

The CRDT keeps a list of values as one block, and copies what is right of each place at which it
cuts it: half of 40,000 values, every second one, take it the better part of a minute to delete. So
some places far apart are cut first, from the end, and what is left to copy is short.
"""

import re
from collections.abc import Iterator

from collab.lib0 import read_var_uint, write_var_uint

STRIDE = 64
"""Ranges of a client of which the first is deleted before the others."""

_UINT = re.compile(rb"[\x80-\xff]*[\x00-\x7f]")


def first_deletions(deletions: bytes) -> Iterator[bytes]:
    """Picks deletions that are to be made one after the other, before all of them are.

    Args:
        deletions: an update without structs.

    Yields:
        Updates, each of one range; none where there are few ranges.
    """
    if len(deletions) < 2 * STRIDE:
        return
    uints = _UINT.findall(deletions, 1)
    position = 1
    while position < len(uints):
        client = uints[position]
        ranges, _ = read_var_uint(uints[position + 1], 0)
        position += 2
        for number in range((ranges - 1) // STRIDE * STRIDE, 0, -STRIDE):
            first = position + 2 * number
            yield b"\x00\x01" + client + write_var_uint(1) + b"".join(uints[first : first + 2])
        position += 2 * ranges
