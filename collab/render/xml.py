"""Shared XML types as a tree of nodes, as y-prosemirror, Tiptap, BlockNote, Slate and Lexical do.

An element is a node with attributes; an XML text is text nodes whose formats are marks. A mark that
may overlap itself is stored with a hash after its name (``comment--aBcD1234``); the hash goes.
Source: https://github.com/yjs/y-prosemirror, src/plugins/sync-plugin.js and src/lib.js.

In Lexical's texts a map stands before each stretch of text, with its formats as bits, and in place
of each line break; its nodes without text are elements without a name.
Source: https://github.com/facebook/lexical, packages/lexical-yjs/src/CollabElementNode.ts and
packages/lexical/src/LexicalConstants.ts.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import pycrdt

from collab.render.tree import Mark, Node, check_depth, mark_order

Chunks = Sequence[tuple[object, Mapping[str, object] | None]]
"""What a text's ``diff()`` gives: strings and embeds with their formats."""

_OVERLAPPING = re.compile(r"(.+)--[a-zA-Z0-9+/=]{8}$")
_LEXICAL_FORMATS = (
    "bold",
    "italic",
    "strikethrough",
    "underline",
    "code",
    "subscript",
    "superscript",
    "highlight",
)
_UNNAMED = "UNDEFINED"  # Yjs' own name for such an element
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
        if name == _UNNAMED:
            name = str(attributes.pop("__type", None) or name)
    content: list[Node] = []
    for child in fragment.children:
        if isinstance(child, pycrdt.XmlText):
            named = _named_text(child, depth + 1)
            content += text_nodes(child.diff(), depth + 1) if named is None else [named]
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
    formats: Mapping[str, object] = {}
    for insert, attributes in chunks:
        if isinstance(insert, str):
            marks = _marks({**formats, **(attributes or {})})
            nodes.append(Node("text", text=insert, marks=marks))
        elif isinstance(insert, pycrdt.Map):
            if insert.get("__type") == "linebreak":
                nodes.append(Node("linebreak"))
            formats = _lexical_formats(insert.get("__format"))
        elif isinstance(insert, pycrdt.XmlText):
            named = _named_text(insert, depth + 1)
            nodes.append(named or Node("paragraph", content=text_nodes(insert.diff(), depth + 1)))
        elif isinstance(insert, pycrdt.XmlElement | pycrdt.XmlFragment):
            nodes.append(fragment_node(insert, depth=depth + 1))
        elif isinstance(insert, Mapping) and len(insert) == 1:
            name, value = next(iter(insert.items()))
            embedded = value if isinstance(value, Mapping) else {"src": value}
            nodes.append(Node(str(name), embedded, marks=_marks(attributes or {})))
    return nodes


def _named_text(text: pycrdt.XmlText, depth: int) -> Node | None:
    """The node that Slate or Lexical keep as this text; None where it is but text."""
    attributes = _attributes(text)
    name = attributes.pop("type", None) or attributes.pop("__type", None)
    return Node(str(name), attributes, text_nodes(text.diff(), depth)) if name else None


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


def _lexical_formats(bits: object) -> dict[str, object]:
    if not isinstance(bits, (int, float)) or bits % 1:
        return {}
    return {name: True for at, name in enumerate(_LEXICAL_FORMATS) if int(bits) >> at & 1}


def _numbers(values: Mapping[str, object]) -> dict[str, object]:
    return {key: _number(value) for key, value in sorted(values.items())}


def _number(value: object) -> object:
    """Whole numbers as such: JavaScript has one kind of number."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
