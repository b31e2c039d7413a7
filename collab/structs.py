"""The structs of Yjs updates (v1), read without a document.

An update is sections of structs, one for each client, and a delete set. A struct covers ``length``
clocks of its client from ``clock`` on; strings count UTF-16 units. What the bytes declare is never
believed: loops and memory are bounded by the bytes there are, and hostile ones raise ProtocolError.
Source: https://github.com/yjs/yjs (13.6), src/utils/updates.js, encoding.js and src/structs/.
"""

from collections.abc import Generator, Iterator
from enum import IntEnum
from typing import NamedTuple

from collab.errors import ProtocolError, Truncated
from collab.lib0 import MAX_UINT, expect_end, read_var_string, read_var_uint

MAX_NESTING = 256
"""Arrays and objects inside each other in one value; yrs ends the process at some 50,000."""

HAS_ORIGIN = 0x80
_HAS_RIGHT_ORIGIN = 0x40
HAS_PARENT_SUB = 0x20
_ASTRAL_LEADS = bytes(range(0xF0, 0xF5))  # UTF-8 lead bytes of what UTF-16 writes as a pair
_BLOCK_BYTES = 1024 * 1024
"""Longer strings are decoded in blocks: text with emoji takes four bytes a character in memory."""


class Kind(IntEnum):
    """What a struct holds; the numbers are Yjs' content references."""

    GC = 0
    DELETED = 1
    JSON = 2
    BINARY = 3
    STRING = 4
    EMBED = 5
    FORMAT = 6
    TYPE = 7
    ANY = 8
    DOC = 9
    SKIP = 10


class SharedType(IntEnum):
    """What type a struct of kind TYPE opens; the numbers are Yjs' type references."""

    ARRAY = 0
    MAP = 1
    TEXT = 2
    XML_ELEMENT = 3
    XML_FRAGMENT = 4
    XML_HOOK = 5
    XML_TEXT = 6


class Id(NamedTuple):
    """A place in a client's clock."""

    client: int
    clock: int


class Struct(NamedTuple):
    """One struct of an update.

    Attributes:
        client: who wrote it.
        clock: its first clock.
        length: clocks it covers.
        kind: what it holds.
        origin: its left neighbour when it was written.
        right_origin: its right neighbour when it was written.
        parent: a root's name, or the id of the struct that opened the parent type; None where it
            has an origin: the parent is then the origin's.
        parent_sub: key in the parent, for map entries and attributes; None where it has an origin.
        start: index of its first byte in the update.
        content: index of its content's first byte.
        end: index after its last byte.
    """

    client: int
    clock: int
    length: int
    kind: Kind
    origin: Id | None
    right_origin: Id | None
    parent: str | Id | None
    parent_sub: str | None
    start: int
    content: int
    end: int


class Deletion(NamedTuple):
    """One range of an update's delete set; ``start`` and ``end`` are its bytes."""

    client: int
    clock: int
    length: int
    start: int
    end: int


def read_structs(update: bytes) -> Generator[Struct, None, int]:
    """Iterates over an update's structs, section by section, in order of clock within each.

    Returns:
        As the generator's own value: the index of the delete set.

    Raises:
        ProtocolError: these bytes are no update.
    """
    sections, position = read_var_uint(update, 0)
    clients: set[int] = set()
    for _ in range(sections):
        count, position = read_var_uint(update, position)
        client, position = read_var_uint(update, position)
        clock, position = read_var_uint(update, position)
        if client in clients:
            raise ProtocolError(f"expected one section a client, got a second of {client}")
        clients.add(client)
        for _ in range(count):
            struct = read_struct(update, position, client, clock)
            yield struct
            clock += struct.length
            if clock > MAX_UINT:
                raise ProtocolError(f"expected a clock of at most {MAX_UINT}, got {clock}")
            position = struct.end
    return position


def read_deletions(update: bytes, position: int | None = None) -> Iterator[Deletion]:
    """Iterates over an update's delete set, and checks that the update ends with it.

    Args:
        update: the update.
        position: index of the delete set, where known; the structs are read otherwise.

    Raises:
        ProtocolError: these bytes are no update.
    """
    if position is None:
        position = find_deletions(update)
    sections, position = read_var_uint(update, position)
    clients: set[int] = set()
    for _ in range(sections):
        client, position = read_var_uint(update, position)
        count, position = read_var_uint(update, position)
        if client in clients:
            raise ProtocolError(f"expected each client's deletions once, got {client} again")
        clients.add(client)
        for _ in range(count):
            start = position
            clock, position = read_var_uint(update, position)
            length, position = read_var_uint(update, position)
            if clock + length > MAX_UINT:
                raise ProtocolError(f"expected a clock of at most {MAX_UINT}, got {clock + length}")
            yield Deletion(client, clock, length, start, position)
    expect_end(update, position)


def check_nesting(update: bytes) -> None:
    """Checks that no value in an update is nested so deeply that decoding it overflows the stack.

    Costs next to nothing where there are few bytes that could open an array or an object.

    Raises:
        ProtocolError: a value is nested deeper than ``MAX_NESTING``, or an update that may have one
            cannot be read.
    """
    if update.count(b"\x75") + update.count(b"\x76") > MAX_NESTING:
        find_deletions(update)


def find_deletions(update: bytes) -> int:
    """Reads an update's structs; returns the index of its delete set.

    Raises:
        ProtocolError: these bytes are no update.
    """
    structs = read_structs(update)
    while True:
        try:
            next(structs)
        except StopIteration as end:
            position: int = end.value
            return position


def read_struct(update: bytes, position: int, client: int, clock: int) -> Struct:
    """Reads the struct at an index; its client and clock stand in its section, not with it.

    Raises:
        ProtocolError: there is none.
    """
    start = position
    try:
        info = update[position]
    except IndexError:
        raise Truncated(f"expected a struct, got the end at byte {position}") from None
    position += 1
    reference = info & 0x1F
    if reference in (Kind.GC, Kind.SKIP):
        if info != reference:
            raise ProtocolError(f"expected a struct without parent and origins, got info {info}")
        length, end = read_var_uint(update, position)
        kind = Kind.GC if reference == 0 else Kind.SKIP
        return Struct(client, clock, length, kind, None, None, None, None, start, position, end)
    try:
        kind, measure = _CONTENTS[reference]
    except KeyError:
        raise ProtocolError(f"expected content of reference 0 to 10, got {reference}") from None
    origin = right_origin = parent_sub = None
    parent: str | Id | None = None
    if info & HAS_ORIGIN:
        origin, position = _read_id(update, position)
    if info & _HAS_RIGHT_ORIGIN:
        right_origin, position = _read_id(update, position)
    if origin is None and right_origin is None:
        is_root, position = read_var_uint(update, position)
        if is_root == 1:
            parent, position = read_var_string(update, position)
        elif is_root == 0:
            parent, position = _read_id(update, position)
        else:
            raise ProtocolError(f"expected a parent marked 0 or 1, got {is_root}")
        if info & HAS_PARENT_SUB:
            parent_sub, position = read_var_string(update, position)
    length, end = measure(update, position)
    return Struct(
        client, clock, length, kind, origin, right_origin, parent, parent_sub, start, position, end
    )


def _read_id(update: bytes, position: int) -> tuple[Id, int]:
    client, position = read_var_uint(update, position)
    clock, position = read_var_uint(update, position)
    return Id(client, clock), position


# How far each content goes: from its first byte's index to the clocks it covers and its end.


def skip_bytes(update: bytes, position: int) -> int:
    """Skips a byte array or a string, unread: the index after it."""
    length, position = read_var_uint(update, position)
    if length > len(update) - position:
        raise Truncated(f"expected {length} bytes, got {len(update) - position}")
    return position + length


def _measure_deleted(update: bytes, position: int) -> tuple[int, int]:
    return read_var_uint(update, position)


def measure_string(update: bytes, position: int) -> tuple[int, int]:
    """Measures a string: its UTF-16 units, and the index after it."""
    size, start = read_var_uint(update, position)
    end = start + size
    if end > len(update):
        raise Truncated(f"expected {size} bytes, got {len(update) - start}")
    if size <= _BLOCK_BYTES:
        return _measure_utf8(update[start:end], 0), end
    units, position = 0, start
    while position < end:
        cut = min(position + _BLOCK_BYTES, end)
        for _ in range(3):  # A character has at most four bytes.
            if cut < end and update[cut] & 0xC0 == 0x80:
                cut -= 1
        units += _measure_utf8(update[position:cut], position - start)
        position = cut
    return units, end


def _measure_utf8(encoded: bytes, offset: int) -> int:
    """Measures UTF-8 that begins so many bytes into its string: its UTF-16 units."""
    if encoded.isascii():
        return len(encoded)
    try:
        characters = len(encoded.decode())
    except UnicodeDecodeError as error:
        at = offset + error.start
        raise ProtocolError(f"expected UTF-8, got byte {at} of another encoding") from None
    return characters + len(encoded) - len(encoded.translate(None, _ASTRAL_LEADS))


def _measure_binary(update: bytes, position: int) -> tuple[int, int]:
    return 1, skip_bytes(update, position)


def _measure_json(update: bytes, position: int) -> tuple[int, int]:
    count, position = read_var_uint(update, position)
    for _ in range(count):
        position = skip_bytes(update, position)
    return count, position


def _measure_format(update: bytes, position: int) -> tuple[int, int]:
    return 1, skip_bytes(update, skip_bytes(update, position))


def _measure_type(update: bytes, position: int) -> tuple[int, int]:
    reference, position = read_var_uint(update, position)
    if reference > SharedType.XML_TEXT:
        raise ProtocolError(f"expected a shared type of reference 0 to 6, got {reference}")
    if reference in (SharedType.XML_ELEMENT, SharedType.XML_HOOK):
        position = skip_bytes(update, position)
    return 1, position


def _measure_any(update: bytes, position: int) -> tuple[int, int]:
    count, position = read_var_uint(update, position)
    for _ in range(count):
        position = skip_any(update, position)
    return count, position


def _measure_doc(update: bytes, position: int) -> tuple[int, int]:
    return 1, skip_any(update, skip_bytes(update, position))


def skip_any(update: bytes, position: int) -> int:
    """Skips one lib0 "any" value, without recursion."""
    open_values = [1]  # how many values are still to come, at each level of nesting
    open_objects = [False]
    while open_values:
        if open_values[-1] == 0:
            open_values.pop()
            open_objects.pop()
            continue
        open_values[-1] -= 1
        if open_objects[-1]:
            position = skip_bytes(update, position)
        if position >= len(update):
            raise Truncated(f"expected a value, got the end at byte {position}")
        tag = update[position]
        position += 1
        if tag in (118, 117):
            count, position = read_var_uint(update, position)
            if len(open_values) > MAX_NESTING:
                raise ProtocolError(f"expected a value nested at most {MAX_NESTING} deep, got more")
            open_values.append(count)
            open_objects.append(tag == 118)
        elif tag in (119, 116):
            position = skip_bytes(update, position)
        elif tag == 125:
            position = _skip_var_int(update, position)
        elif tag in _ANY_WIDTHS:
            position += _ANY_WIDTHS[tag]
            if position > len(update):
                raise Truncated(f"expected a number, got the end at byte {len(update)}")
        else:
            raise ProtocolError(f"expected a value tagged 116 to 127, got {tag}")
    return position


def _skip_var_int(update: bytes, position: int) -> int:
    start = position
    while position < len(update):
        position += 1
        if update[position - 1] < 0x80:
            return position
        if position - start > 9:
            raise ProtocolError("expected an integer of at most 64 bits, got a longer one")
    raise Truncated(f"expected an integer, got the end at byte {position}")


_ANY_WIDTHS = {127: 0, 126: 0, 124: 4, 123: 8, 122: 8, 121: 0, 120: 0}

_CONTENTS = {
    1: (Kind.DELETED, _measure_deleted),
    2: (Kind.JSON, _measure_json),
    3: (Kind.BINARY, _measure_binary),
    4: (Kind.STRING, measure_string),
    5: (Kind.EMBED, _measure_binary),
    6: (Kind.FORMAT, _measure_format),
    7: (Kind.TYPE, _measure_type),
    8: (Kind.ANY, _measure_any),
    9: (Kind.DOC, _measure_doc),
}
