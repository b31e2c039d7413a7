"""Others: what everybody but one changed, for each of many writers, without a merge for each.

An update is sections of structs, one for each client, and a delete set. Sections of different
clients do not depend on each other's bytes: an update of some of them is their bytes, one after the
other. See ``collab.structs`` for the format.
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Generic, TypeVar

from collab.lib0 import read_var_uint, write_var_uint
from collab.merging import merge
from collab.structs import read_deletions, read_struct
from collab.typed import is_typed

Writer = TypeVar("Writer", bound=Hashable)

_Range = tuple[int, int, int]
"""Deleted clocks: of which client, from where on, and up to where."""


class Others(Generic[Writer]):
    """Updates of several writers, of which each gets all but its own.

    Args:
        updates: each writer's, as ``check_update`` lets it pass.
    """

    def __init__(self, updates: Mapping[Writer, bytes]) -> None:
        self._updates = updates
        self._deleted: dict[Writer, Sequence[_Range]] = {}
        self._holes: dict[Writer, list[tuple[int, int]]] = {}
        sections: list[tuple[int, bytes, Writer]] = []
        for writer, update in updates.items():
            own, self._deleted[writer] = _read(update)
            self._holes[writer] = []
            sections += [(client, section, writer) for client, section in own]
        self._count = len(sections)
        # Where two have brought structs of one client, only a merge knows which of them are two.
        self._separable = len({client for client, _, _ in sections}) == self._count
        position = 0
        sections.sort(key=itemgetter(0), reverse=True)  # Yjs reads the highest client first.
        for _, section, writer in sections:
            self._holes[writer].append((position, position + len(section)))
            position += len(section)
        self._structs = b"".join([section for _, section, _ in sections])
        self._delete_set = _encode(self._deleted.values())

    def without(self, writer: Writer) -> bytes:
        """Returns the updates of all but one as one update."""
        if not self._separable:
            return merge([update for other, update in self._updates.items() if other != writer])
        holes = self._holes[writer]
        pieces = [write_var_uint(self._count - len(holes))]
        position = 0
        for start, end in holes:
            pieces.append(self._structs[position:start])
            position = end
        pieces.append(self._structs[position:])
        if self._deleted[writer]:
            pieces.append(_encode(own for other, own in self._deleted.items() if other != writer))
        else:
            pieces.append(self._delete_set)
        return b"".join(pieces)


def _read(update: bytes) -> tuple[Sequence[tuple[int, bytes]], Sequence[_Range]]:
    """Cuts an update into its clients' sections and what it deletes."""
    if is_typed(update):
        client, _ = read_var_uint(update, 2)
        return [(client, update[1:-1])], ()
    sections = []
    count, position = read_var_uint(update, 0)
    for _ in range(count):
        start = position
        structs, position = read_var_uint(update, position)
        client, position = read_var_uint(update, position)
        clock, position = read_var_uint(update, position)
        for _ in range(structs):
            struct = read_struct(update, position, client, clock)
            clock += struct.length
            position = struct.end
        sections.append((client, update[start:position]))
    return sections, [
        (deletion.client, deletion.clock, deletion.clock + deletion.length)
        for deletion in read_deletions(update, position)
    ]


def _encode(deleted: Iterable[Sequence[_Range]]) -> bytes:
    """Encodes a delete set; ranges that touch become one."""
    united: list[_Range] = []
    for client, start, end in sorted(piece for pieces in deleted for piece in pieces):
        if united and united[-1][0] == client and start <= united[-1][2]:
            united[-1] = (client, united[-1][1], max(end, united[-1][2]))
        else:
            united.append((client, start, end))
    clients = [(client, list(ranges)) for client, ranges in groupby(united, key=itemgetter(0))]
    encoded = [write_var_uint(len(clients))]
    for client, ranges in reversed(clients):
        encoded += [write_var_uint(client), write_var_uint(len(ranges))]
        for _, start, end in ranges:
            encoded += [write_var_uint(start), write_var_uint(end - start)]
    return b"".join(encoded)
