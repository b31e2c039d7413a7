"""Content: all that a Doc shows, as values that can be compared, and put back where it is missing.

What ``collab.render`` gives is for people; this keeps every type apart from every other.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import isnan, nan
from typing import Any

import pycrdt

from collab.arrays import Arrays, Elements
from collab.errors import HistoryError
from collab.roots import RootKind

_MAX_DEPTH = 200
"""Types inside each other; beyond it a document is refused rather than the stack overflown."""

_HALVES = ["\ufffd", "\ufffd"]
"""What Yjs leaves of a character that takes two UTF-16 units and was cut between them."""
_HALVES_BYTES = 6

_TYPES: dict[RootKind, type[Any]] = {
    RootKind.TEXT: pycrdt.Text,
    RootKind.XML_TEXT: pycrdt.Text,
    RootKind.MAP: pycrdt.Map,
    RootKind.ARRAY: pycrdt.Array,
    RootKind.XML: pycrdt.XmlFragment,
    RootKind.EMPTY: pycrdt.Text,
}


@dataclass(frozen=True, slots=True)
class Shared:
    """What one shared type shows.

    Attributes:
        kind: the class it is of.
        tag: of an element; the guid of a subdocument, else None.
        entries: what it has under keys: entries of a map, attributes.
        items: its sequence: values, child nodes, or a text's (insert, formats) pairs.
    """

    kind: type
    tag: str | None
    entries: Mapping[str, object]
    items: tuple[object, ...]


def root_of(doc: "pycrdt.Doc[Any]", name: str, kind: RootKind) -> Any:
    """A root of a Doc, as what it is; an XML text as a text, which shows the same."""
    return doc.get(name, type=_TYPES[kind])


def read_content(doc: "pycrdt.Doc[Any]", kinds: Mapping[str, RootKind]) -> dict[str, Shared]:
    """Reads all roots of a Doc.

    Args:
        doc: the Doc; its roots get their types.
        kinds: what its roots are.

    Raises:
        HistoryError: it is nested too deeply.
    """
    elements = Arrays(doc, kinds).elements
    return {name: _read(root_of(doc, name, kinds[name]), 0, elements) for name in kinds}


def put_back(
    doc: "pycrdt.Doc[Any]", kinds: Mapping[str, RootKind], content: Mapping[str, Shared]
) -> None:
    """Gives a Doc the entries and attributes it lacks of some content, and characters cut in two.

    Sequences stay as they are otherwise.

    Raises:
        HistoryError: a value cannot be made anew.
    """
    here = read_content(doc, kinds)
    with doc.transaction():
        for name, wanted in content.items():
            _put_back(root_of(doc, name, kinds[name]), here[name], wanted)


def _read(value: object, depth: int, elements: Elements) -> Any:
    if depth > _MAX_DEPTH:
        raise HistoryError(f"expected content nested at most {_MAX_DEPTH} deep, got more")
    if isinstance(value, pycrdt.Map):
        keys = value.keys()  # Iterating a Map takes twice the time.
        entries = {key: _read(value[key], depth + 1, elements) for key in keys}
        return Shared(pycrdt.Map, None, entries, ())
    if isinstance(value, pycrdt.Array):
        items = tuple(_read(each, depth + 1, elements) for each in elements(value))
        return Shared(pycrdt.Array, None, {}, items)
    if isinstance(value, pycrdt.XmlText):
        chunks = _chunks(value, depth, elements)
        return Shared(pycrdt.XmlText, None, _attributes(value), chunks)
    if isinstance(value, pycrdt.Text):
        return Shared(pycrdt.Text, None, {}, _chunks(value, depth, elements))
    if isinstance(value, (pycrdt.XmlElement, pycrdt.XmlFragment)):
        children = tuple(_read(child, depth + 1, elements) for child in value.children)
        if isinstance(value, pycrdt.XmlElement):
            return Shared(pycrdt.XmlElement, value.tag, _attributes(value), children)
        return Shared(pycrdt.XmlFragment, None, {}, children)
    if isinstance(value, pycrdt.Doc):
        return Shared(pycrdt.Doc, value.guid, {}, ())
    return _comparable(value)


def _comparable(value: object) -> object:
    """A plain value, with one NaN for all: they are not equal, but the same is taken for equal."""
    if isinstance(value, float) and isnan(value):
        return nan
    if isinstance(value, dict):
        return {key: _comparable(each) for key, each in value.items()}
    return [_comparable(each) for each in value] if isinstance(value, list) else value


def _attributes(value: "pycrdt.XmlElement | pycrdt.XmlText") -> dict[str, object]:
    # pycrdt declares that iterating gives an Iterable; it gives an iterator of pairs.
    stored: dict[str, object] = dict(value.attributes)  # type: ignore[call-overload]
    return {key: _comparable(each) for key, each in stored.items()}


def _chunks(
    text: "pycrdt.Text | pycrdt.XmlText", depth: int, elements: Elements
) -> tuple[object, ...]:
    """A text's inserts with their formats, in one way for all ways of writing the same."""
    chunks: list[tuple[object, dict[str, object]]] = []
    for insert, formats in text.diff():
        given = (formats or {}).items()
        shown = {key: _comparable(value) for key, value in given if value is not None}
        last, last_formats = chunks[-1] if chunks else (None, {})
        if isinstance(insert, str) and isinstance(last, str) and last_formats == shown:
            chunks[-1] = (last + insert, shown)
        else:
            chunks.append((_read(insert, depth + 1, elements), shown))
    return tuple(chunks)


def _put_back(value: object, here: object, wanted: object) -> None:
    """Puts back what a type lacks; it and what it is to be are as they were read."""
    if here == wanted or not isinstance(here, Shared) or not isinstance(wanted, Shared):
        return
    if isinstance(value, pycrdt.Map):
        for key in here.entries.keys() - wanted.entries.keys():
            del value[key]
        for key, entry in wanted.entries.items():
            if _are_alike(here.entries.get(key), entry):
                _put_back(value[key], here.entries[key], entry)
            elif key not in here.entries or here.entries[key] != entry:
                _assign(value, key, entry)
    elif isinstance(value, (pycrdt.XmlElement, pycrdt.XmlText)):
        for key in here.entries.keys() - wanted.entries.keys():
            del value.attributes[key]
        for key, entry in wanted.entries.items():
            if key not in here.entries or here.entries[key] != entry:
                value.attributes[key] = entry
    _put_back_each(value, here, wanted)
    if isinstance(value, (pycrdt.Text, pycrdt.XmlText)):
        _put_back_pairs(value, here.items, wanted.items)


def _put_back_each(value: Any, here: Shared, wanted: Shared) -> None:
    """Puts back what is lacking of a sequence's types, where it has as many as it is to have.

    It looks for those alone that differ: the CRDT takes long to find each.
    """
    places, ones, others = value, here.items, wanted.items
    if isinstance(value, (pycrdt.XmlElement, pycrdt.XmlFragment)):
        places = value.children
    elif isinstance(value, (pycrdt.Text, pycrdt.XmlText)):
        places = _embeds(value.diff())
        ones, others = _embeds(ones), _embeds(others)
    if len(ones) == len(others):
        for index, (one, other) in enumerate(zip(ones, others, strict=True)):
            if one != other and _are_alike(one, other):
                _put_back(places[index], one, other)


def _put_back_pairs(
    text: "pycrdt.Text | pycrdt.XmlText", here: Iterable[Any], wanted: Iterable[Any]
) -> None:
    """Writes characters anew that were cut in two; what cut them is undone, and they stay cut.

    A text that differs in anything else stays as it is.
    """
    shown = [*_characters(here)]
    names = {name for _, formats in shown for name in formats}
    cut: list[tuple[int, str, dict[str, object]]] = []
    index = position = 0  # pycrdt counts bytes, and one for what is no character.
    for character, formats in _characters(wanted):
        found = [each for each, _ in shown[index : index + 2]]
        if found[:1] == [character]:
            position += len(character.encode()) if character else 1
            index += 1
        elif character and character > "\uffff" and found == _HALVES:
            cut.append((position, character, formats))
            position += _HALVES_BYTES
            index += 2
        else:
            return
    if index < len(shown):
        return
    for start, character, formats in reversed(cut):
        del text[start : start + _HALVES_BYTES]
        text.insert(start, character, {**dict.fromkeys(names), **formats})


def _characters(chunks: Iterable[Any]) -> Iterator[tuple[str | None, dict[str, object]]]:
    """A text's characters with their formats; None stands for anything else it holds."""
    for insert, formats in chunks:
        for character in insert if isinstance(insert, str) else [None]:
            yield character, formats


def _embeds(chunks: Iterable[Any]) -> tuple[object, ...]:
    """What a text holds beside characters."""
    return tuple(insert for insert, _ in chunks if not isinstance(insert, str))


def _are_alike(here: object, wanted: object) -> bool:
    return (
        isinstance(here, Shared)
        and isinstance(wanted, Shared)
        and issubclass(here.kind, wanted.kind)
    )


def _assign(parent: "pycrdt.Map[Any]", key: str, wanted: object) -> None:
    """Makes a value anew under a key."""
    parent[key] = _blank(wanted)
    _fill(parent[key], wanted)


def _blank(wanted: object) -> Any:
    if not isinstance(wanted, Shared):
        return wanted
    if wanted.kind is pycrdt.Doc:
        return pycrdt.Doc(guid=wanted.tag)
    return pycrdt.XmlElement(wanted.tag) if wanted.kind is pycrdt.XmlElement else wanted.kind()


def _fill(value: object, wanted: object) -> None:
    """Fills a type that was just made.

    A sequence is filled from its end, always at its beginning, which the CRDT need not look for.
    """
    if not isinstance(wanted, Shared):
        return
    if isinstance(value, pycrdt.Map):
        for key, entry in wanted.entries.items():
            _assign(value, key, entry)
    elif isinstance(value, (pycrdt.XmlElement, pycrdt.XmlText)):
        for key, entry in wanted.entries.items():
            value.attributes[key] = entry
    if isinstance(value, pycrdt.Array):
        for item in reversed(wanted.items):
            value.insert(0, _blank(item))
            if isinstance(item, Shared):
                _fill(value[0], item)
    elif isinstance(value, (pycrdt.XmlElement, pycrdt.XmlFragment)):
        for item in reversed(wanted.items):
            value.children.insert(0, _blank(item))
            _fill(value.children[0], item)
    elif isinstance(value, (pycrdt.Text, pycrdt.XmlText)):
        for chunk in reversed(wanted.items):
            assert isinstance(chunk, tuple)  # as _chunks makes them
            _write(value, *chunk)


def _write(text: "pycrdt.Text | pycrdt.XmlText", insert: object, formats: dict[str, Any]) -> None:
    if isinstance(insert, str):
        text.insert(0, insert, formats)
    elif isinstance(text, pycrdt.Text) and not isinstance(insert, Shared):
        text.insert_embed(0, insert, formats)
    else:
        raise HistoryError("expected a text that can be made anew, got one with types in it")
