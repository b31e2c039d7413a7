"""Surrogates: characters that UTF-16 writes as a pair of units, and changes that cut them in two.

Yjs counts in UTF-16 units, and a change may begin, end or stand between the two units of such a
character: whoever compares texts by unit writes them. Yjs puts U+FFFD in the place of either half
then. The CRDT here (yrs) has UTF-8 and cuts a string only between characters: it would leave the
whole pair on one side and count the clocks behind it wrong. So what a change cuts is replaced in
the updates themselves, before the CRDT comes to cut it.

A pair is named by the place inside it: the clock of its second unit.
Source: https://github.com/yjs/yjs (13.6), src/structs/ContentString.js, and
https://github.com/y-crdt/y-crdt/pull/399.
"""

import re
from array import array
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

from collab.lib0 import read_var_uint, write_var_bytes
from collab.places import Places
from collab.structs import Kind, Struct, read_deletions, read_structs
from collab.typed import read_typed

_LEAD = re.compile(rb"[\xf0-\xf4]")
"""What a pair begins with in UTF-8, and nothing else in it does."""
_SKIP, _STRING = Kind.SKIP, Kind.STRING  # looking a member of an enumeration up takes its time
_SECOND = re.compile(rb"[\xdc-\xdf]")
"""The high byte of a pair's second unit, and of no other unit."""
_HALVES = "\ufffd\ufffd".encode("utf-16-be")
_BLOCK_BYTES = 64 * 1024
"""Text is written in UTF-16 so much at a time: all of a long one would take twice its memory."""


class Survey(NamedTuple):
    """What updates have to do with pairs.

    Attributes:
        pairs: those in their text.
        cuts: where their structs and deletions part what others, or they themselves, wrote.
        edges: where their own structs begin and end.
    """

    pairs: Places
    cuts: Places
    edges: Places


def survey(*updates: bytes, deleted_of: Collection[int] | None = None) -> Survey:
    """Looks through updates.

    Args:
        updates: the updates.
        deleted_of: whose text it counts as a cut to delete, beside those who wrote a pair that is
            in the same update; None for everybody's.

    Raises:
        ProtocolError: one of them is no update.
    """
    gathering = _Gathering(deleted_of)
    for update in updates:
        gathering.look_through(update)
    return gathering.survey()


def replace(update: bytes, cut: Places) -> bytes:
    """Writes an update with U+FFFD for either half of some pairs; clocks stay what they are.

    Raises:
        ProtocolError: these bytes are no update.
    """
    written = bytearray()
    copied = 0
    for struct in read_structs(update):
        client, clock, length, kind, *_ = struct
        if kind is not _STRING or not cut.reach(client, clock, clock + length):
            continue
        text = bytearray()
        for first, units in _blocks(struct, update):
            after = first + len(units) // 2
            for inner in cut.within(client, first, after):
                at = 2 * (inner - first)
                if _is_second(units[at]):
                    units[at - 2 : at + 2] = _HALVES
            text += units.decode("utf-16-be").encode()
        written += update[copied : struct.content] + write_var_bytes(bytes(text))
        copied = struct.end
    return bytes(written + update[copied:])


def agree(updates: Sequence[bytes]) -> Sequence[bytes]:
    """Writes updates so that none of them has a struct begin or end inside a pair of another.

    Merging cuts what two of them have there, as they have it in other pieces.

    Raises:
        ProtocolError: one of them is no update.
    """
    pairs, _, edges = survey(*updates, deleted_of=())
    cut = pairs.common(edges)
    return [replace(update, cut) for update in updates] if cut else updates


class _Gathering:
    """A survey that is being made."""

    def __init__(self, deleted_of: Collection[int] | None) -> None:
        self._pairs, self._cuts, self._edges = _clocks(), _clocks(), _clocks()
        self._deleted_of = deleted_of

    def look_through(self, update: bytes) -> None:
        typed = read_typed(update)
        if typed is not None:
            self._look_at(typed, update)
            return
        structs = read_structs(update)
        while True:
            try:
                struct = next(structs)
            except StopIteration as end:
                deletions = end.value
                break
            self._look_at(struct, update)
        of = self._deleted_of
        for client, clock, length, _, _ in read_deletions(update, deletions):
            if of is None or client in of or client in self._pairs:
                self._cuts[client].extend((clock, clock + length))

    def _look_at(self, struct: Struct, update: bytes) -> None:
        client, clock, length, kind, origin, right_origin, _, _, _, content, end_byte = struct
        if kind is _SKIP:
            return
        self._edges[client].extend((clock, clock + length))
        if origin is not None:
            self._cuts[origin.client].append(origin.clock + 1)
        if right_origin is not None:
            self._cuts[right_origin.client].append(right_origin.clock)
        if kind is _STRING and _LEAD.search(update, content, end_byte):
            self._pairs[client].extend(_inside(struct, update))

    def survey(self) -> Survey:
        return Survey(Places(self._pairs), Places(self._cuts), Places(self._edges))


def _clocks() -> "defaultdict[int, array[int]]":
    return defaultdict(lambda: array("Q"))


def _inside(struct: Struct, update: bytes) -> Iterator[int]:
    """The pairs in a string: the clock inside each."""
    for first, units in _blocks(struct, update):
        for second in _SECOND.finditer(units[::2]):
            yield first + second.start()


def _blocks(struct: Struct, update: bytes) -> Iterator[tuple[int, bytearray]]:
    """A string in blocks of whole characters: the clock each begins at, and its UTF-16 units."""
    _, position = read_var_uint(update, struct.content)
    clock = struct.clock
    while position < struct.end:
        after = min(position + _BLOCK_BYTES, struct.end)
        while after < struct.end and update[after] & 0xC0 == 0x80:  # inside of a character
            after -= 1
        units = bytearray(update[position:after].decode().encode("utf-16-be"))
        yield clock, units
        clock += len(units) // 2
        position = after


def _is_second(high: int) -> bool:
    """Whether a unit of which this is the high byte is the second of a pair."""
    return high & 0xFC == 0xDC
