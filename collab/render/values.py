"""The JSON values of shared types: maps, arrays, texts and XML, nested as they are.

Maps are objects with their keys in order, arrays lists. A text is a string; one with formats or
embeds is a list of Quill operations, ``{"insert": ..., "attributes": {...}}``. XML is ProseMirror
JSON, ``{"type": ..., "attrs": {...}, "content": [...]}``. Bytes are base64, a subdocument is
``{"guid": ...}``, what JSON has no number for is null.
"""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from math import isfinite

import pycrdt

from collab.arrays import Elements
from collab.render.tree import Node, check_depth
from collab.render.xml import Chunks, fragment_node

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]


def json_value(value: object, depth: int = 0, elements: Elements = list) -> Json:
    """The JSON value of anything that a document can hold.

    Args:
        value: a plain value or a shared type.
        depth: how many others it lies in.
        elements: tells what a shared array holds.

    Raises:
        RenderError: it is nested too deeply.
    """
    check_depth(depth)
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        if not isfinite(value):
            return None
        return int(value) if value.is_integer() and abs(value) < 2**53 else value
    if isinstance(value, (bytes, bytearray)):
        return b64encode(value).decode()
    if isinstance(value, (pycrdt.Text, pycrdt.XmlText)):
        return text_value(value.diff(), depth, elements)
    if isinstance(value, pycrdt.XmlElement | pycrdt.XmlFragment):
        return node_value(fragment_node(value, depth=depth))
    if isinstance(value, pycrdt.Doc):
        return {"guid": value.guid}
    if isinstance(value, (Mapping, pycrdt.Map)):
        return {key: json_value(value[key], depth + 1, elements) for key in sorted(value.keys())}
    if isinstance(value, pycrdt.Array):
        return [json_value(element, depth + 1, elements) for element in elements(value)]
    if isinstance(value, Sequence):
        return [json_value(element, depth + 1, elements) for element in value]
    return None


def text_value(chunks: Chunks, depth: int = 0, elements: Elements = list) -> Json:
    """The JSON value of a text: a string where it is plain, Quill operations where it is not.

    Args:
        chunks: what it shows.
        depth: how many types it lies in.
        elements: tells what a shared array in it holds.

    Raises:
        RenderError: it is nested too deeply.
    """
    if all(isinstance(insert, str) and not attributes for insert, attributes in chunks):
        return "".join(str(insert) for insert, _ in chunks)
    operations: list[Json] = []
    for insert, attributes in chunks:
        operation: dict[str, Json] = {"insert": json_value(insert, depth + 1, elements)}
        if attributes:
            operation["attributes"] = json_value(attributes, depth + 1)
        operations.append(operation)
    return operations


def node_value(node: Node) -> Json:
    """ProseMirror's JSON of a node."""
    if node.name == "text" and node.text:
        value: dict[str, Json] = {"type": "text"}
        if node.marks:
            value["marks"] = [
                {"type": mark.name, "attrs": json_value(mark.attributes)}
                if mark.attributes
                else {"type": mark.name}
                for mark in node.marks
            ]
        value["text"] = node.text
        return value
    value = {"type": node.name}
    if node.attributes:
        value["attrs"] = json_value(node.attributes)
    if node.content:
        value["content"] = [node_value(child) for child in node.content]
    return value
