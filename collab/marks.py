"""Marks: what each byte of an update may stand for, to tell at a glance what may be in it.

A glance is one pass over the bytes, whatever they mean. What it sees may not be there, and what is
there it sees.
"""

_LEADS = range(0xF0, 0xF5)
_CONTINUATIONS = range(0x80, 0xC0)


def _mark(byte: int) -> int:
    if byte == 0:
        return 0
    if 1 <= byte <= 9 or 0x21 <= byte <= 0x29:
        return 1
    return 3 if byte in _LEADS else 4 if byte in _CONTINUATIONS else 2


MARKS = bytes(map(_mark, range(256)))
"""For ``bytes.translate``: 1 is what a struct begins with that names its parent (its kind, without
origins), 3 what begins four bytes of UTF-8, 4 what goes on with them."""

CHILD = b"\x01\x00"
"""In marks: a struct that is the first in a type, which names that type by its id."""
PAIR = b"\x03\x04\x04\x04"
"""In marks: a character that UTF-16 writes as a pair of units."""
