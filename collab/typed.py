"""Typed: what most updates are, one short string beside its neighbours, read at a glance."""

import re

from collab.lib0 import read_var_uint
from collab.structs import HAS_ORIGIN, Id, Kind, Struct

_CLIENT = rb"(?:[\x80-\xff]{0,6}[\x00-\x7f]|[\x80-\xff]{7}[\x00-\x0f])"
_CLOCK = rb"[\x80-\xff]{0,3}[\x00-\x7f]"
"""Clocks of up to 28 bits: no string makes them overflow those of the CRDT, of 32."""
_ID = _CLIENT + _CLOCK
_TYPED = re.compile(
    rb"\x01\x01%(id)s(?:[\x84\x44]%(id)s|\xc4%(id)s%(id)s)([\x01-\x7f])" % {b"id": _ID},
    re.DOTALL,
)
_BOTH_ORIGINS = 0xC4


def is_typed(update: bytes) -> bool:
    """Whether an update is one ASCII string that names a neighbour, and no deletions."""
    return _find_text(update) is not None


def read_typed(update: bytes) -> Struct | None:
    """The struct of such an update; None where it is another."""
    text = _find_text(update)
    if text is None:
        return None
    client, position = read_var_uint(update, 2)
    clock, start = read_var_uint(update, position)
    info = update[start]
    place, position = read_var_uint(update, start + 1)
    neighbour, position = read_var_uint(update, position)
    origin: Id | None = Id(place, neighbour)
    right: Id | None = None
    if info == _BOTH_ORIGINS:
        place, position = read_var_uint(update, position)
        neighbour, position = read_var_uint(update, position)
        right = Id(place, neighbour)
    elif not info & HAS_ORIGIN:
        origin, right = None, origin
    length = update[text - 1]
    end = text + length
    return Struct(
        client, clock, length, Kind.STRING, origin, right, None, None, start, position, end
    )


def _find_text(update: bytes) -> int | None:
    """The index of the text's first byte."""
    head = _TYPED.match(update)
    if head is None:
        return None
    text = head.end()
    rest = update[text:]
    typed = len(rest) == update[text - 1] + 1 and rest[-1] == 0 and rest.isascii()
    return text if typed else None
