"""Trees of BlockNote, Lexical and Slate in the shape of ProseMirror's, which renderers know.

BlockNote keeps a list as blocks in a row, each in a container that may hold a group of blocks below
it. Lexical keeps the kind of a list as an attribute, a nested list in an item of its own, and names
attributes ``__so``. Slate has a name for each level of heading. Lexical and Slate keep a link as a
node around its text. Other trees come out as they are.

Sources: https://www.blocknotejs.org/docs/foundations/document-structure,
https://github.com/facebook/lexical (packages/lexical-yjs, lexical-list, lexical-table) and
https://docs.slatejs.org/walkthroughs/05-executing-commands.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import groupby

from collab.render.tree import Mark, Node, mark_order

_BLOCKNOTE_LISTS = {
    "bullet_list_item": ("bulletList", "listItem"),
    "toggle_list_item": ("bulletList", "listItem"),
    "numbered_list_item": ("orderedList", "listItem"),
    "task_item": ("taskList", "taskItem"),
}
_LEXICAL_LISTS = {"bullet": "bulletList", "number": "orderedList", "check": "taskList"}
_ATTRIBUTES = {"altText": "alt", "colSpan": "colspan", "rowSpan": "rowspan"}
_LEVELS = ("one", "two", "three", "four", "five", "six")
_HEADING = re.compile(rf"(?:h|heading_)(?:([1-6])|({'|'.join(_LEVELS)}))$")


def reshape(document: Node) -> Node:
    """Gives a document node that shows the same, in ProseMirror's shape."""
    return replace(document, content=_reshape_all(document.content))


def _reshape_all(nodes: Sequence[Node]) -> list[Node]:
    reshaped: list[Node] = []
    for kind, run in groupby(nodes, key=_blocknote_list):
        if kind is not None:
            reshaped.append(_list_of_blocks(kind, list(run)))
            continue
        for node in run:
            if node.word in ("block_group", "block_container"):
                reshaped += _reshape_all(node.content)
            elif node.word == "link" and node.content:
                reshaped += _linked(node)
            else:
                reshaped.append(_reshape_one(node))
    return reshaped


def _blocknote_list(node: Node) -> tuple[str, str] | None:
    """The list that a container's block belongs to, with those like it around it; None for none."""
    if node.word != "block_container" or not node.content:
        return None
    return _BLOCKNOTE_LISTS.get(node.content[0].word)


def _list_of_blocks(kind: tuple[str, str], containers: Sequence[Node]) -> Node:
    name, item_name = kind
    items = []
    for container in containers:
        block, *below = container.content
        line = Node("paragraph", content=_reshape_all(block.content))
        items.append(Node(item_name, block.attributes, [line, *_reshape_all(below)]))
    return Node(name, items[0].attributes, items)


def _linked(link: Node) -> list[Node]:
    """The nodes in a link, each inline one with the link as a mark."""
    attributes = _plainly_named(link.attributes)
    address = attributes.get("url") or attributes.get("href")
    if not isinstance(address, str):
        return _reshape_all(link.content)
    mark = Mark("link", {"href": address, "title": attributes.get("title")})
    return [
        replace(node, marks=sorted((*node.marks, mark), key=mark_order)) if node.is_inline else node
        for node in _reshape_all(link.content)
    ]


def _reshape_one(node: Node) -> Node:
    if node.word == "text":
        return node
    attributes = _plainly_named(node.attributes)
    kind = attributes.get("listType")
    if node.word == "list" and isinstance(kind, str):
        return _lexical_list(_LEXICAL_LISTS.get(kind, "bulletList"), attributes, node.content)
    name = node.name
    tag = attributes.get("tag") if node.word == "heading" else node.word
    heading = _HEADING.match(tag) if isinstance(tag, str) else None
    if heading:
        name = "heading"
        level = int(heading[1]) if heading[1] else _LEVELS.index(heading[2]) + 1
        attributes = {**attributes, "level": level}
    elif node.word == "table_cell" and attributes.get("headerState"):
        name = "tableHeader"
    elif node.word == "image" and attributes.get("alt") is None:
        attributes = {**attributes, "alt": attributes.get("caption") or attributes.get("name")}
    return replace(node, name=name, attributes=attributes, content=_reshape_all(node.content))


def _lexical_list(name: str, attributes: Mapping[str, object], stored: Sequence[Node]) -> Node:
    items: list[Node] = []
    for item in stored:
        content = _reshape_all(item.content)
        nests = bool(content) and all(node.word.endswith("_list") for node in content)
        if nests and items:
            before = items[-1]
            lines = [node for node in before.content if node.is_inline]
            rest = [node for node in before.content if not node.is_inline]
            shown = [Node("paragraph", content=lines), *rest] if lines else rest
            items[-1] = replace(before, content=[*shown, *content])
        else:
            kind = "taskItem" if name == "taskList" else "listItem"
            items.append(Node(kind, _plainly_named(item.attributes), content))
    return Node(name, attributes, items)


def _plainly_named(attributes: Mapping[str, object]) -> Mapping[str, object]:
    if not any(name.startswith("__") for name in attributes):
        return attributes
    bare = ((name.removeprefix("__"), value) for name, value in attributes.items())
    return {_ATTRIBUTES.get(name, name): value for name, value in bare}
