"""Content: all that a Doc shows, as values that can be compared, and put back where it is missing.

What ``collab.render`` gives is for people; this keeps every type apart from every other.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isnan, nan
from typing import Any

import pycrdt

from collab.errors import HistoryError
from collab.roots import RootKind

_MAX_DEPTH = 200
"""Types inside each other; beyond it a document is refused rather than the stack overflown."""

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
    return {name: _read(root_of(doc, name, kinds[name]), 0) for name in kinds}


def put_back(
    doc: "pycrdt.Doc[Any]", kinds: Mapping[str, RootKind], content: Mapping[str, Shared]
) -> None:
    """Gives a Doc the entries and attributes it lacks of some content.

    Sequences stay as they are.

    Raises:
        HistoryError: a value cannot be made anew.
    """
    with doc.transaction():
        for name, shared in content.items():
            _put_back(root_of(doc, name, kinds[name]), shared)


def _read(value: object, depth: int) -> Any:
    if depth > _MAX_DEPTH:
        raise HistoryError(f"expected content nested at most {_MAX_DEPTH} deep, got more")
    if isinstance(value, pycrdt.Map):
        entries = {key: _read(value[key], depth + 1) for key in value.keys()}  # noqa: SIM118 - iterating a Map takes twice the time
        return Shared(pycrdt.Map, None, entries, ())
    if isinstance(value, pycrdt.Array):
        return Shared(pycrdt.Array, None, {}, tuple(_read(each, depth + 1) for each in value))
    if isinstance(value, pycrdt.XmlText):
        return Shared(pycrdt.XmlText, None, _attributes(value), _chunks(value, depth))
    if isinstance(value, pycrdt.Text):
        return Shared(pycrdt.Text, None, {}, _chunks(value, depth))
    if isinstance(value, (pycrdt.XmlElement, pycrdt.XmlFragment)):
        children = tuple(_read(child, depth + 1) for child in value.children)
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


def _chunks(text: "pycrdt.Text | pycrdt.XmlText", depth: int) -> tuple[object, ...]:
    """A text's inserts with their formats, in one way for all ways of writing the same."""
    chunks: list[tuple[object, dict[str, object]]] = []
    for insert, formats in text.diff():
        given = (formats or {}).items()
        shown = {key: _comparable(value) for key, value in given if value is not None}
        last, last_formats = chunks[-1] if chunks else (None, {})
        if isinstance(insert, str) and isinstance(last, str) and last_formats == shown:
            chunks[-1] = (last + insert, shown)
        else:
            chunks.append((_read(insert, depth + 1), shown))
    return tuple(chunks)


def _put_back(value: object, shared: Shared) -> None:
    if isinstance(value, pycrdt.Map):
        for key in set(value.keys()) - set(shared.entries):
            del value[key]
        for key, wanted in shared.entries.items():
            here = value.get(key)
            if isinstance(wanted, Shared) and isinstance(here, wanted.kind):
                _put_back(here, wanted)
            elif key not in value or here != wanted:
                _assign(value, key, wanted)
    elif isinstance(value, (pycrdt.XmlElement, pycrdt.XmlText)):
        attributes = _attributes(value)
        for key in attributes.keys() - shared.entries.keys():
            del value.attributes[key]
        for key, wanted in shared.entries.items():
            if key not in attributes or attributes[key] != wanted:
                value.attributes[key] = wanted
    if isinstance(value, pycrdt.Array):
        _put_back_each(list(value), shared.items)
    elif isinstance(value, (pycrdt.XmlElement, pycrdt.XmlFragment)):
        _put_back_each(list(value.children), shared.items)
    elif isinstance(value, (pycrdt.Text, pycrdt.XmlText)):
        embeds = [insert for insert, _ in value.diff() if not isinstance(insert, str)]
        wanted_inserts = [item[0] for item in shared.items if isinstance(item, tuple)]
        _put_back_each(embeds, tuple(each for each in wanted_inserts if not isinstance(each, str)))


def _put_back_each(values: list[object], wanted: tuple[object, ...]) -> None:
    if len(values) == len(wanted):
        for value, shared in zip(values, wanted, strict=True):
            if isinstance(shared, Shared) and isinstance(value, shared.kind):
                _put_back(value, shared)


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
    """Fills a type that was just made."""
    if not isinstance(wanted, Shared):
        return
    if isinstance(value, pycrdt.Map):
        for key, entry in wanted.entries.items():
            _assign(value, key, entry)
    elif isinstance(value, (pycrdt.XmlElement, pycrdt.XmlText)):
        for key, entry in wanted.entries.items():
            value.attributes[key] = entry
    if isinstance(value, pycrdt.Array):
        for item in wanted.items:
            value.append(_blank(item))
            _fill(value[-1], item)
    elif isinstance(value, (pycrdt.XmlElement, pycrdt.XmlFragment)):
        for item in wanted.items:
            value.children.append(_blank(item))
            _fill(value.children[len(value.children) - 1], item)
    elif isinstance(value, (pycrdt.Text, pycrdt.XmlText)):
        for chunk in wanted.items:
            assert isinstance(chunk, tuple)  # as _chunks makes them
            _write(value, *chunk)


def _write(text: "pycrdt.Text | pycrdt.XmlText", insert: object, formats: dict[str, Any]) -> None:
    end = len(text)
    if isinstance(insert, str):
        text.insert(end, insert, formats)
    elif isinstance(text, pycrdt.Text) and not isinstance(insert, Shared):
        text.insert_embed(end, insert, formats)
    else:
        raise HistoryError("expected a text that can be made anew, got one with types in it")
