"""Formatted texts as a tree of nodes, as Quill writes them.

A line's format is the format of its newline: header, list (with indent), blockquote, code-block.
Source: https://quilljs.com/docs/delta and https://quilljs.com/docs/formats.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby

from collab.render.tree import MAX_DEPTH, Mark, Node, mark_order
from collab.render.xml import Chunks

_LINE_FORMATS = frozenset(
    {"header", "list", "indent", "blockquote", "code-block", "align", "direction", "table"}
)
_MARKS = {"color": "textStyle", "background": "highlight", "font": "textStyle", "size": "textStyle"}
_LISTS = {
    "bullet": "bulletList",
    "ordered": "orderedList",
    "checked": "taskList",
    "unchecked": "taskList",
}


@dataclass(slots=True)
class _Line:
    nodes: list[Node] = field(default_factory=list)
    formats: Mapping[str, object] = field(default_factory=dict)

    @property
    def block(self) -> str:
        """Which block it belongs to, with those like it around it."""
        for name in ("code-block", "blockquote", "list"):
            if self.formats.get(name):
                return name
        return ""

    @property
    def indent(self) -> int:
        indent = self.formats.get("indent")
        return min(max(int(indent), 0), MAX_DEPTH // 4) if isinstance(indent, (int, float)) else 0


def is_plain(chunks: Chunks) -> bool:
    """Whether a text has neither formats nor embeds."""
    return all(isinstance(insert, str) and not formats for insert, formats in chunks)


def delta_node(chunks: Chunks) -> Node:
    """A document node of a formatted text."""
    blocks: list[Node] = []
    for block, lines in groupby(_lines(chunks), key=lambda line: line.block):
        if block == "code-block":
            blocks.append(_code_block(list(lines)))
        elif block == "blockquote":
            blocks.append(Node("blockquote", content=[_block(line) for line in lines]))
        elif block == "list":
            blocks += _lists(list(lines))
        else:
            blocks += map(_block, lines)
    return Node("doc", content=blocks)


def _lines(chunks: Chunks) -> Iterator[_Line]:
    line = _Line()
    for insert, formats in chunks:
        own = formats or {}
        if not isinstance(insert, str):
            line.nodes.append(_embed(insert, own))
            continue
        *ended, rest = insert.split("\n")
        for text in ended:
            if text:
                line.nodes.append(Node("text", text=text, marks=_marks(own)))
            line.formats = own
            yield line
            line = _Line()
        if rest:
            line.nodes.append(Node("text", text=rest, marks=_marks(own)))
    if line.nodes:
        yield line


def _block(line: _Line) -> Node:
    level = line.formats.get("header")
    if isinstance(level, (int, float)) and 1 <= level <= 6:
        return Node("heading", {"level": int(level)}, line.nodes)
    return Node("paragraph", content=line.nodes)


def _code_block(lines: list[_Line]) -> Node:
    language = lines[0].formats["code-block"]
    text = "\n".join("".join(node.text for node in line.nodes) for line in lines)
    attributes = {"language": language} if isinstance(language, str) and language != "plain" else {}
    return Node("codeBlock", attributes, [Node("text", text=text)] if text else [])


def _lists(lines: list[_Line]) -> list[Node]:
    """Lists of consecutive list lines; deeper lines nest in the item before them."""
    lists: list[tuple[str, list[Node]]] = []
    position = 0
    while position < len(lines):
        line = lines[position]
        kind = str(line.formats["list"])
        name = _LISTS.get(kind, "bulletList")
        end = position + 1
        while end < len(lines) and lines[end].indent > line.indent:
            end += 1
        content = [_block(line), *_lists(lines[position + 1 : end])]
        if name == "taskList":
            item = Node("taskItem", {"checked": kind == "checked"}, content)
        else:
            item = Node("listItem", content=content)
        if lists and lists[-1][0] == name:
            lists[-1][1].append(item)
        else:
            lists.append((name, [item]))
        position = end
    return [Node(name, content=items) for name, items in lists]


def _embed(insert: object, formats: Mapping[str, object]) -> Node:
    if isinstance(insert, Mapping) and len(insert) == 1:
        name, value = next(iter(insert.items()))
        attributes = value if isinstance(value, Mapping) else {"src": value}
        return Node(str(name), attributes, marks=_marks(formats))
    return Node("embed", marks=_marks(formats))


def _marks(formats: Mapping[str, object]) -> list[Mark]:
    marks = []
    for name, value in formats.items():
        if name in _LINE_FORMATS or value in (None, False, ""):
            continue
        if name == "link":
            marks.append(Mark("link", {"href": value}))
        elif name in ("color", "background"):
            marks.append(Mark(_MARKS[name], {"color": value}))
        elif name == "script":
            marks.append(Mark("superscript" if value == "super" else "subscript"))
        else:
            marks.append(Mark(_MARKS.get(name, name), {} if value is True else {name: value}))
    return sorted(marks, key=mark_order)
