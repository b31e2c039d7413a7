"""Shared XML types as a tree of nodes, as y-prosemirror and Tiptap write them.

An element is a node with attributes; an XML text is text nodes whose formats are marks. A mark that
may overlap itself is stored with a hash after its name (``comment--aBcD1234``); the hash goes.
Source: https://github.com/yjs/y-prosemirror, src/plugins/sync-plugin.js and src/lib.js.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import pycrdt

from collab.render.tree import Mark, Node, check_depth, mark_order

Chunks = Sequence[tuple[object, Mapping[str, object] | None]]
"""What a text's ``diff()`` gives: strings and embeds with their formats."""

_OVERLAPPING = re.compile(r"(.+)--[a-zA-Z0-9+/=]{8}$")
_CHANGE_MARK = "ychange"  # y-prosemirror's own mark on compared versions: who changed it


def fragment_node(
    fragment: "pycrdt.XmlFragment | pycrdt.XmlElement", name: str = "doc", depth: int = 0
) -> Node:
    """A node of a fragment (called ``name``) or of an element (called by its tag).

    Raises:
        RenderError: it is nested too deeply.
    """
    check_depth(depth)
    attributes: dict[str, object] = {}
    if isinstance(fragment, pycrdt.XmlElement):
        name = fragment.tag or name
        attributes = _attributes(fragment)
    content: list[Node] = []
    for child in fragment.children:
        if isinstance(child, pycrdt.XmlText):
            content += text_nodes(child.diff(), depth + 1)
        else:
            content.append(fragment_node(child, depth=depth + 1))
    return Node(name, attributes, content)


def text_nodes(chunks: Chunks, depth: int = 0) -> list[Node]:
    """The text nodes of an XML text; nested types in it become nodes of their own.

    Raises:
        RenderError: it is nested too deeply.
    """
    check_depth(depth)
    nodes: list[Node] = []
    for insert, attributes in chunks:
        if isinstance(insert, str):
            nodes.append(Node("text", text=insert, marks=_marks(attributes or {})))
        elif isinstance(insert, pycrdt.XmlText):
            own = _attributes(insert)
            name = own.pop("type", None) or own.pop("__type", None) or "paragraph"
            nodes.append(Node(str(name), own, text_nodes(insert.diff(), depth + 1)))
        elif isinstance(insert, pycrdt.XmlElement | pycrdt.XmlFragment):
            nodes.append(fragment_node(insert, depth=depth + 1))
        elif isinstance(insert, Mapping) and len(insert) == 1:
            name, value = next(iter(insert.items()))
            embedded = value if isinstance(value, Mapping) else {"src": value}
            nodes.append(Node(str(name), embedded, marks=_marks(attributes or {})))
    return nodes


def _attributes(shared: "pycrdt.XmlElement | pycrdt.XmlText") -> dict[str, object]:
    # pycrdt declares that iterating gives an Iterable; it gives an iterator of pairs.
    stored: dict[str, object] = dict(shared.attributes)  # type: ignore[call-overload]
    stored.pop(_CHANGE_MARK, None)
    return _numbers(stored)


def _marks(formats: Mapping[str, Any]) -> list[Mark]:
    marks = []
    for name, value in formats.items():
        if name == _CHANGE_MARK or value is None or value is False:
            continue
        overlapping = _OVERLAPPING.match(name)
        attributes: dict[str, object] = {}
        if isinstance(value, Mapping):
            attributes = _numbers(value)
        elif isinstance(value, str):
            attributes = {"href" if name == "link" else "value": value}
        marks.append(Mark(overlapping[1] if overlapping else name, attributes))
    return sorted(marks, key=mark_order)


def _numbers(values: Mapping[str, object]) -> dict[str, object]:
    return {key: _number(value) for key, value in sorted(values.items())}


def _number(value: object) -> object:
    """Whole numbers as such: JavaScript has one kind of number."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
