"""Joining: structs of an update that continue each other, written as one.

Yjs writes an update as it was given its changes, the CRDT here joins what it can when it has
applied one. It does so from the end, and copies all that it has joined so far for each struct more:
a list to which 20,000 values were added one by one takes it half a minute, a paste of 40 MB that
was cut into 150 pieces a quarter of one.
"""

from collab.errors import ProtocolError
from collab.lib0 import read_var_uint, write_var_uint
from collab.structs import HAS_PARENT_SUB, Kind, Struct, read_structs

MAX_LOOSE = 100
"""Structs that continue the one before, of an update that is left as it came."""

_LONG_BYTES = 1024 * 1024
"""Below it copying costs little."""
_PIECE_BYTES = 4096
"""An update whose structs are shorter on average is not one of pieces: reading it takes long."""


def continues(update: bytes, before: Struct, struct: Struct) -> bool:
    """Whether a struct goes on where the one before it in an update ends, as one would.

    What was collected goes on with what was collected. Entries of maps do not: each takes the place
    of the one before.
    Source: https://github.com/yjs/yjs (13.6), src/structs/Item.js and GC.js, ``mergeWith``.
    """
    if struct.kind is Kind.GC:
        return before.kind is Kind.GC and before.client == struct.client
    return (
        struct.origin is not None
        and struct.origin.clock == struct.clock - 1
        and struct.origin.client == struct.client == before.client
        and struct.kind is before.kind
        and struct.kind in (Kind.STRING, Kind.ANY)
        and struct.right_origin == before.right_origin
        and not (update[before.start] | update[struct.start]) & HAS_PARENT_SUB
    )


def join(update: bytes) -> bytes:
    """Writes an update with structs that continue each other as one; it says the same.

    Raises:
        ProtocolError: these bytes are no update.
    """
    sections: list[_Section] = []
    before: Struct | None = None
    structs = read_structs(update)
    while True:
        try:
            struct = next(structs)
        except StopIteration as end:
            encoded = b"".join(section.encode() for section in sections)
            return write_var_uint(len(sections)) + encoded + update[end.value :]
        if before is None or before.client != struct.client:
            sections.append(_Section(update, struct))
        sections[-1].add(struct, continued=before is not None and continues(update, before, struct))
        before = struct


def join_pieces(update: bytes) -> bytes:
    """Joins what a long change was cut into; an update of other structs is left as it came."""
    if len(update) < _LONG_BYTES:
        return update
    most = len(update) // _PIECE_BYTES
    before: Struct | None = None
    continued = False
    try:
        for count, struct in enumerate(read_structs(update)):
            if count == most:
                return update
            continued |= before is not None and continues(update, before, struct)
            before = struct
        return join(update) if continued else update
    except ProtocolError:
        return update  # Whoever applies it may know what to do with it.


class _Section:
    """One client's structs, being written."""

    def __init__(self, update: bytes, first: Struct) -> None:
        self._update = update
        self._client, self._clock = first.client, first.clock
        self._count = 0
        self._written = bytearray()
        self._head = b""
        self._size = 0  # bytes of a string, values, or clocks that were collected
        self._contents: list[bytes] = []

    def add(self, struct: Struct, *, continued: bool) -> None:
        """Adds the next struct."""
        if not continued:
            self._end()
            self._count += 1
        if struct.kind not in (Kind.GC, Kind.STRING, Kind.ANY):
            self._written += self._update[struct.start : struct.end]
            return
        if not continued:
            self._head = self._update[struct.start : struct.content]
        size, position = read_var_uint(self._update, struct.content)
        self._size += size
        self._contents.append(self._update[position : struct.end])

    def encode(self) -> bytes:
        """The section, when it has all of its structs."""
        self._end()
        head = map(write_var_uint, (self._count, self._client, self._clock))
        return b"".join((*head, self._written))

    def _end(self) -> None:
        if self._contents:
            self._written += self._head + write_var_uint(self._size) + b"".join(self._contents)
            self._contents = []
            self._size = 0
