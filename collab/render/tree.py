"""Rich text as a tree of nodes: what editors' documents become before they are written out.

The vocabulary is ProseMirror's (and Tiptap's): block nodes, text nodes with marks. Node and mark
names keep the spelling they were stored with; ``word`` and ``style`` give the one name for the
several that editors use (``bulletList`` and ``bullet_list``, ``strong`` and ``bold``).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from collab.errors import RenderError

MAX_DEPTH = 100
"""Nodes inside each other; beyond it a document is refused rather than the stack overflown."""

_WORDS = {
    "bulleted_list": "bullet_list",
    "numbered_list": "ordered_list",
    "check_list": "task_list",
    "todo_list": "task_list",
    "check_list_item": "task_item",
    "todo_item": "task_item",
    "code": "code_block",
    "quote": "blockquote",
    "block_quote": "blockquote",
    "br": "hard_break",
    "linebreak": "hard_break",
    "hr": "horizontal_rule",
    "horizontalrule": "horizontal_rule",
    "divider": "horizontal_rule",
    "img": "image",
    "p": "paragraph",
    "table_paragraph": "paragraph",
    "ul": "bullet_list",
    "ol": "ordered_list",
    "li": "list_item",
    "listitem": "list_item",
    "a": "link",
    "autolink": "link",
    "th": "table_header",
    "td": "table_cell",
    "tr": "table_row",
    "tablerow": "table_row",
    "tablecell": "table_cell",
}

_STYLES = {
    "strong": "bold",
    "em": "italic",
    "emphasis": "italic",
    "s": "strike",
    "strikethrough": "strike",
    "u": "underline",
    "inline_code": "code",
    "mark": "highlight",
    "sub": "subscript",
    "sup": "superscript",
    "text_color": "text_style",
    "background_color": "highlight",
}

STYLES = (
    "link",
    "text_style",
    "highlight",
    "bold",
    "italic",
    "strike",
    "underline",
    "subscript",
    "superscript",
    "code",
)
"""Styles that renderers know, from the outermost to the innermost."""

INLINE = frozenset({"text", "hard_break", "image", "mention", "emoji"})
"""Nodes that stand in a line; others that are alone in their parent decide by their siblings."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What is said about a stretch of text: bold, a link, a colour."""

    name: str
    attributes: Mapping[str, object] = field(default_factory=dict)

    @property
    def style(self) -> str:
        """The one name for this mark."""
        name = _snake(self.name)
        return _STYLES.get(name, name)


@dataclass(frozen=True, slots=True)
class Node:
    """One node of rich text.

    Attributes:
        name: as stored; ``text`` for text nodes.
        attributes: JSON values by name.
        content: child nodes; empty for text nodes.
        text: what a text node says, empty for others.
        marks: of a text node or an embed, outermost first.
    """

    name: str
    attributes: Mapping[str, object] = field(default_factory=dict)
    content: Sequence["Node"] = ()
    text: str = ""
    marks: Sequence[Mark] = ()

    @property
    def word(self) -> str:
        """The one name for this kind of node."""
        name = _snake(self.name)
        return _WORDS.get(name, name)

    @property
    def is_inline(self) -> bool:
        """Whether it stands in a line of text."""
        return self.word in INLINE

    @property
    def is_textblock(self) -> bool:
        """Whether its content is a line of text."""
        return any(node.word in ("text", "hard_break", "mention", "emoji") for node in self.content)

    def attribute(self, *names: str) -> object:
        """The first of these attributes that there is, or None."""
        for name in names:
            if self.attributes.get(name) is not None:
                return self.attributes[name]
        return None

    def number(self, *names: str, least: int, most: int, default: int) -> int:
        """An attribute as a whole number within bounds; ``default`` where it is none."""
        value = self.attribute(*names)
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            return default
        return min(max(value, least), most)

    def caption(self) -> str:
        """What stands for a node without content: its label, its title, or its name."""
        if self.word in ("mention", "hashtag"):
            sign = "@" if self.word == "mention" else "#"
            return sign + str(self.attribute("label", "name", "id", "value") or "")
        known = self.attribute("text", "label", "title", "alt", "name", "value", "src", "url", "id")
        return str(known) if isinstance(known, (str, int, float)) else f"[{self.name}]"


def plain_text(node: Node) -> str:
    """A node's text and nothing else."""
    if node.text or not node.content:
        return "\n" if node.word == "hard_break" else node.text
    return "".join(map(plain_text, node.content))


def mark_order(mark: Mark) -> tuple[int, str]:
    """Sorts marks, outermost first: the CRDT keeps them in no order."""
    style = mark.style
    return (STYLES.index(style) if style in STYLES else -1, mark.name)


def check_depth(depth: int) -> None:
    """Refuses what is nested deeper than a renderer can go.

    Raises:
        RenderError: it is.
    """
    if depth > MAX_DEPTH:
        raise RenderError(f"expected content nested at most {MAX_DEPTH} deep, got more")


@lru_cache(maxsize=512)
def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).replace("-", "_").lower()
