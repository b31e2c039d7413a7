"""Seeding: initial content of a document as an update that is the same wherever it is made.

The CRDT keeps two changes apart by who made them. So content that two servers write into one
document, each as a client of its own, is there twice once they meet. Here the client's id follows
from the content: whoever makes the same content makes the same change, and taking it in again
changes nothing. What is hashed begins with the version of this algorithm: another one that gives
other bytes for the same content must be another client, too.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import pycrdt

from collab.errors import InvalidSeed
from collab.render.values import Json

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
    doc: pycrdt.Doc[Any] = pycrdt.Doc(client_id=_client_id(canonical))
    with doc.transaction():
        for name in sorted(roots):
            doc[name] = _shared(roots[name], root=True)
    return doc.get_update()


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


def _shared(value: Json, *, root: bool = False) -> Any:
    if isinstance(value, str) and root:
        return pycrdt.Text(value)
    if isinstance(value, list):
        return pycrdt.Array([_shared(each) for each in value])
    if isinstance(value, dict):
        # Maps keep what they are given in order, and so does the encoding.
        return pycrdt.Map({key: _shared(value[key]) for key in sorted(value)})
    return value


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
