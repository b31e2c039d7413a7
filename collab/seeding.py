"""Seeding: initial content of a document as an update that is the same wherever it is made.

The CRDT keeps two changes apart by who made them. So content that two servers write into one
document, each as a client of its own, is there twice once they meet. Here the client's id follows
from the content: whoever makes the same content makes the same change, and taking it in again
changes nothing. What is hashed begins with the version of this algorithm: another one that gives
other bytes for the same content must be another client, too.

The bytes are those that the CRDT gives of a Doc filled in one transaction. They are written here,
because it takes a minute to fill a list of 20,000 values.
"""

import hashlib
import json
import struct
from collections.abc import Mapping, Sequence
from itertools import groupby

from collab.errors import InvalidSeed
from collab.lib0 import write_var_string, write_var_uint
from collab.protocol.messages import EMPTY_UPDATE
from collab.render.values import Json
from collab.structs import HAS_ORIGIN, HAS_PARENT_SUB, Kind, SharedType

TEXT_ROOT = "content"
"""The root that text goes to where none is named."""

_VERSION = b"collab seed 1\0"
_MAX_DEPTH = 100
_MAX_INTEGER = 2**53
"""Beyond it JavaScript's numbers are not whole."""


def seed_text(text: str, root: str = TEXT_ROOT) -> bytes:
    """Makes the update of a document that holds a text.

    Args:
        text: the text.
        root: the name of its root.

    Raises:
        InvalidSeed: it is no text that can be encoded.
    """
    return seed_roots({root: text})


def seed_roots(roots: Mapping[str, Json]) -> bytes:
    """Makes the update of a document with these roots.

    Args:
        roots: by name: a string becomes a text, a list an array, an object a map. Lists and objects
            in them become arrays and maps, at every depth; strings in them stay strings.

    Raises:
        InvalidSeed: a root is something else, it is nested too deeply, or a value is none that all
            clients read alike.
    """
    for name, value in roots.items():
        if not isinstance(value, (str, list, dict)):
            expected = f"expected a string, a list or an object as root {name!r}"
            raise InvalidSeed(f"{expected}, got {type(value).__name__}")
        _check(value)
    try:
        canonical = json.dumps(roots, sort_keys=True, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise InvalidSeed("expected whole characters, got a lone surrogate") from error
    seed = _Seed(_client_id(canonical))
    for name in sorted(roots):
        seed.add_root(name, roots[name])
    return seed.encode()


def parse_roots(content: bytes) -> dict[str, Json]:
    """Reads the roots for ``seed_roots`` from JSON.

    Raises:
        InvalidSeed: it is no JSON object.
    """
    try:
        roots = json.loads(content, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise InvalidSeed(f"expected a JSON object of roots, got: {error}") from error
    if not isinstance(roots, dict):
        raise InvalidSeed(f"expected a JSON object of roots, got {type(roots).__name__}")
    return roots


def _client_id(canonical: bytes) -> int:
    # Yjs draws ids of 32 bits.
    digest = hashlib.sha256(_VERSION + canonical).digest()
    return int.from_bytes(digest[:4], "big")


class _Seed:
    """The structs of one client who writes everything from the first to the last.

    Source: https://github.com/yjs/yjs (13.6), src/structs/Item.js, ``write``.

    Args:
        client: its id.
    """

    def __init__(self, client: int) -> None:
        self._client = write_var_uint(client)
        self._structs = bytearray()
        self._count = 0
        self._clock = 0

    def encode(self) -> bytes:
        """The update."""
        if not self._count:
            return EMPTY_UPDATE
        head = b"\x01" + write_var_uint(self._count) + self._client + b"\x00"
        return head + bytes(self._structs) + b"\x00"

    def add_root(self, name: str, value: Json) -> None:
        """Adds a root: a text, an array or a map."""
        parent = b"\x01" + write_var_string(name)
        if not isinstance(value, str):
            self._fill(parent, value)
        elif value:
            length = len(value.encode("utf-16-le")) // 2
            self._add(Kind.STRING, parent, write_var_string(value), length)

    def _fill(self, parent: bytes, value: Json) -> None:
        """Adds what an array or a map holds, and what that holds, before what comes after it."""
        if isinstance(value, dict):
            for key in sorted(value):
                self._add_value(parent, value[key], key=key)
        elif isinstance(value, list):
            last: int | None = None
            for nested, group in groupby(value, key=_is_nested):
                if nested:
                    for each in group:
                        last = self._add_value(parent, each, origin=last)
                else:
                    self._add_plain(parent, list(group), origin=last)
                    last = self._clock - 1

    def _add_value(
        self, parent: bytes, value: Json, *, origin: int | None = None, key: str | None = None
    ) -> int:
        """Adds one value and tells its clock."""
        clock = self._clock
        if _is_nested(value):
            shared = SharedType.MAP if isinstance(value, dict) else SharedType.ARRAY
            self._add(Kind.TYPE, parent, write_var_uint(shared), 1, origin=origin, key=key)
            self._fill(b"\x00" + self._client + write_var_uint(clock), value)
        else:
            self._add_plain(parent, [value], origin=origin, key=key)
        return clock

    def _add_plain(
        self,
        parent: bytes,
        values: Sequence[Json],
        *,
        origin: int | None = None,
        key: str | None = None,
    ) -> None:
        content = write_var_uint(len(values)) + b"".join(map(_encode_plain, values))
        self._add(Kind.ANY, parent, content, len(values), origin=origin, key=key)

    def _add(
        self,
        kind: Kind,
        parent: bytes,
        content: bytes,
        length: int,
        *,
        origin: int | None = None,
        key: str | None = None,
    ) -> None:
        """Adds a struct: after the one at clock ``origin``, or the first in its parent."""
        flags = (HAS_ORIGIN if origin is not None else 0) | (
            HAS_PARENT_SUB if key is not None else 0
        )
        self._structs.append(kind | flags)
        self._structs += parent if origin is None else self._client + write_var_uint(origin)
        if key is not None:
            self._structs += write_var_string(key)
        self._structs += content
        self._count += 1
        self._clock += length


def _is_nested(value: Json) -> bool:
    return isinstance(value, (list, dict))


def _encode_plain(value: Json) -> bytes:
    """Encodes a value as lib0's "any" does; whole numbers as the CRDT here does.

    Source: https://github.com/dmonad/lib0, encoding.js, ``writeAny``.
    """
    if value is None:
        return b"\x7e"
    if isinstance(value, bool):
        return b"\x78" if value else b"\x79"
    if isinstance(value, str):
        return b"\x77" + write_var_string(value)
    assert isinstance(value, (int, float))
    try:
        short = struct.pack(">f", value)
    except OverflowError:
        short = b""
    if short and struct.unpack(">f", short)[0] == value:
        return b"\x7c" + short
    return b"\x7b" + struct.pack(">d", value)


def _check(value: Json, depth: int = 0) -> None:
    if depth > _MAX_DEPTH:
        raise InvalidSeed(f"expected values nested at most {_MAX_DEPTH} deep, got deeper ones")
    if isinstance(value, int) and abs(value) > _MAX_INTEGER:
        raise InvalidSeed(f"expected whole numbers up to 2**53, got {value}")
    if isinstance(value, dict):
        for each in value.values():
            _check(each, depth + 1)
    elif isinstance(value, list):
        for each in value:
            _check(each, depth + 1)


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON")
