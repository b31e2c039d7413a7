"""Exports: a document, or one root of it, in a format to take elsewhere."""

import json
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any

import pycrdt

from collab.arrays import Arrays, Elements
from collab.document import Document
from collab.errors import RenderError, UnknownFormat, UnknownRoot
from collab.render.delta import delta_node, is_plain
from collab.render.html import html, html_of_plain_text
from collab.render.markdown import fenced, markdown
from collab.render.plain import plain
from collab.render.reshaping import reshape
from collab.render.tree import Node
from collab.render.values import Json, json_value, node_value, text_value
from collab.render.xml import Chunks, fragment_node, text_nodes
from collab.roots import RootKind, root_kinds

WELL_KNOWN_ROOTS = ("content", "default", "prosemirror", "quill", "codemirror", "monaco", "text")
"""Root names that editor bindings use by themselves, in the order in which they are looked for."""


class Format(StrEnum):
    """What a document can be exported as."""

    TEXT = "text"
    JSON = "json"
    HTML = "html"
    MARKDOWN = "markdown"
    UPDATE = "update"


def export(
    document: Document,
    format: str,  # noqa: A002 - the field's word
    root: str | None = None,
) -> bytes:
    """Exports all that a document was given, as ``render`` does.

    A Doc does not show what waits for its dependencies; as ``update`` this has it, too.

    Raises:
        UnknownFormat: no such format.
        UnknownRoot: no such root.
        RenderError: no root stands out, or one is nested too deeply.
    """
    update = document.encode()
    exported = render(document.doc, root_kinds([update]), format, root)
    return update if format == Format.UPDATE else exported


def render(
    doc: "pycrdt.Doc[pycrdt.Text]",
    kinds: Mapping[str, RootKind],
    format: str,  # noqa: A002 - the field's word
    root: str | None = None,
) -> bytes:
    """Exports what a Doc shows.

    ``update`` is the whole state, for any Yjs client; ``root`` does not narrow it. ``json`` is the
    root's value (``collab.render.values``), or without ``root`` an object of all roots. The others
    show one root: the one asked for, else the only one, else the first of ``WELL_KNOWN_ROOTS``,
    else the only one that is a text or XML; empty roots are passed over. Text is the very text of a
    text root. Unformatted text is the same in Markdown, as people write Markdown in plain editors,
    and one ``<pre>`` in HTML. Maps and arrays are shown as JSON.

    Args:
        doc: the document; its roots get their types.
        kinds: what its roots are, see ``collab.roots.root_kinds``.
        format: one of ``Format``.
        root: name of a root.

    Returns:
        The export; all but ``update`` are UTF-8.

    Raises:
        UnknownFormat: no such format.
        UnknownRoot: no such root.
        RenderError: no root stands out, or one is nested too deeply.
    """
    if format not in Format.__members__.values():
        raise UnknownFormat(format, tuple(Format))
    if root is not None and root not in kinds:
        raise UnknownRoot(root, tuple(sorted(kinds)))
    if format == Format.UPDATE:
        return doc.get_update()
    if format == Format.JSON:
        values = root_values(doc, kinds, sorted(kinds) if root is None else [root])
        return _encode_json(values if root is None else values[root])
    name = root if root is not None else _main_root(kinds)
    return b"" if name is None else _show(doc, name, kinds, Format(format)).encode()


def _main_root(kinds: Mapping[str, RootKind]) -> str | None:
    filled = [name for name in sorted(kinds) if kinds[name] is not RootKind.EMPTY]
    if len(filled) < 2:
        return filled[0] if filled else None
    texts = [name for name in filled if kinds[name] not in (RootKind.MAP, RootKind.ARRAY)]
    known = [name for name in WELL_KNOWN_ROOTS if name in filled]
    if known:
        return known[0]
    if len(texts) == 1:
        return texts[0]
    raise RenderError(f"expected the name of a root, as there are several: {', '.join(filled)}")


def _show(doc: "pycrdt.Doc[Any]", name: str, kinds: Mapping[str, RootKind], form: Format) -> str:
    kind = kinds[name]
    if kind is RootKind.EMPTY:
        return ""
    if kind in (RootKind.MAP, RootKind.ARRAY):
        shown = _encode_json(root_values(doc, kinds, [name])[name]).decode()
        if form is Format.MARKDOWN:
            return fenced(shown, "json") + "\n"
        return html_of_plain_text(shown.removesuffix("\n")) if form is Format.HTML else shown
    if kind is RootKind.TEXT:
        chunks = _chunks(doc, name)
        text = "".join(insert for insert, _ in chunks if isinstance(insert, str))
        if form is Format.TEXT:
            return text
        if is_plain(chunks):
            return html_of_plain_text(text) if form is Format.HTML else text
        node = delta_node(chunks)
    else:
        node = reshape(_xml_node(doc, name, kind))
    if form is Format.TEXT:
        return plain(node)
    return html(node) if form is Format.HTML else markdown(node)


def root_values(
    doc: "pycrdt.Doc[Any]", kinds: Mapping[str, RootKind], names: Iterable[str]
) -> dict[str, Json]:
    """The JSON values of roots, as ``render`` writes them; see ``collab.render.values``.

    Args:
        doc: the document; these roots get their types.
        kinds: what its roots are.
        names: whose values.

    Raises:
        RenderError: one is nested too deeply.
    """
    elements = Arrays(doc, kinds).elements
    return {name: _root_value(doc, name, kinds[name], elements) for name in names}


def _root_value(doc: "pycrdt.Doc[Any]", name: str, kind: RootKind, elements: Elements) -> Json:
    if kind is RootKind.EMPTY:
        return None
    if kind is RootKind.TEXT:
        return text_value(_chunks(doc, name))
    if kind is RootKind.MAP:
        return json_value(doc.get(name, type=pycrdt.Map), elements=elements)
    if kind is RootKind.ARRAY:
        return json_value(doc.get(name, type=pycrdt.Array), elements=elements)
    return node_value(_xml_node(doc, name, kind))


def _xml_node(doc: "pycrdt.Doc[Any]", name: str, kind: RootKind) -> Node:
    if kind is RootKind.XML_TEXT:
        return Node("doc", content=text_nodes(_chunks(doc, name)))
    return fragment_node(doc.get(name, type=pycrdt.XmlFragment))


def _chunks(doc: "pycrdt.Doc[Any]", name: str) -> Chunks:
    # An XML text cannot be had from a Doc as such; as a text it shows the same.
    text: pycrdt.Text = doc.get(name, type=pycrdt.Text)
    return text.diff()


def _encode_json(value: Json) -> bytes:
    return (json.dumps(value, ensure_ascii=False, indent=2) + "\n").encode()
