"""Rich text as HTML: a fragment for a page's body, in UTF-8.

Everything users wrote is escaped; links that could run a script lose their address. Nodes and marks
of an unknown name stay readable: ``<div data-type>``, ``<span data-type>``, ``<span data-mark>``.
"""

from collections.abc import Sequence
from html import escape
from itertools import groupby

from collab.render.links import safe_colour, safe_image, safe_link
from collab.render.tree import Mark, Node, plain_text

_TAGS = {
    "paragraph": "p",
    "blockquote": "blockquote",
    "bullet_list": "ul",
    "list_item": "li",
    "table_row": "tr",
}

_STYLE_TAGS = {
    "bold": "strong",
    "italic": "em",
    "strike": "s",
    "underline": "u",
    "subscript": "sub",
    "superscript": "sup",
    "code": "code",
}


def html(document: Node) -> str:
    """Writes a document node as an HTML fragment, a block a line."""
    return _flow(document, "\n") + "\n" if document.content else ""


def html_of_plain_text(text: str) -> str:
    """Writes unformatted text, with its spaces and lines kept."""
    return f"<pre>{_preformatted(text)}</pre>\n" if text else ""


def _flow(node: Node, between: str = "") -> str:
    """The content of a node whose children may be blocks, lines or both."""
    if node.is_textblock:
        return _line(node.content)
    parts: list[str] = []
    for inline, run in groupby(node.content, key=lambda child: child.is_inline):
        nodes = list(run)
        parts += [_line(nodes)] if inline else map(_block, nodes)
    return between.join(parts)


def _block(node: Node) -> str:
    word = node.word
    if word == "heading":
        level = node.number("level", least=1, most=6, default=1)
        return f"<h{level}>{_line(node.content)}</h{level}>"
    if word == "paragraph":
        return f"<p>{_line(node.content)}</p>"
    if word == "code_block":
        language = node.attribute("language", "params", "lang")
        name = f' class="language-{escape(language)}"' if isinstance(language, str) else ""
        return f"<pre><code{name}>{_preformatted(plain_text(node))}</code></pre>"
    if word == "horizontal_rule":
        return "<hr>"
    if word == "ordered_list":
        start = node.number("start", "order", least=0, most=10**9, default=1)
        first = "" if start == 1 else f' start="{start}"'
        return f"<ol{first}>{_flow(node)}</ol>"
    if word == "task_list":
        return f'<ul data-type="taskList">{_flow(node)}</ul>'
    if word == "task_item":
        checked = " checked" if node.attribute("checked") in (True, "true") else ""
        box = f'<label><input type="checkbox" disabled{checked}></label>'
        return f'<li data-type="taskItem">{box}<div>{_flow(node)}</div></li>'
    if word == "table":
        return f"<table><tbody>{_flow(node)}</tbody></table>"
    if word in ("table_cell", "table_header"):
        tag = "td" if word == "table_cell" else "th"
        spans = "".join(
            f' {span}="{count}"'
            for span in ("colspan", "rowspan")
            if (count := node.number(span, least=1, most=1000, default=1)) > 1
        )
        return f"<{tag}{spans}>{_flow(node)}</{tag}>"
    if word in _TAGS:
        return f"<{_TAGS[word]}>{_flow(node)}</{_TAGS[word]}>"
    shown = _flow(node) if node.content else escape(node.caption())
    return f'<div data-type="{escape(node.name)}">{shown}</div>'


def _line(nodes: Sequence[Node]) -> str:
    parts: list[str] = []
    opened: list[Mark] = []
    for node in nodes:
        shared = 0
        while shared < min(len(opened), len(node.marks)) and opened[shared] == node.marks[shared]:
            shared += 1
        parts += [_tags(mark)[1] for mark in reversed(opened[shared:])]
        parts += [_tags(mark)[0] for mark in node.marks[shared:]]
        opened = list(node.marks)
        parts.append(_inline(node))
    parts += [_tags(mark)[1] for mark in reversed(opened)]
    return "".join(parts)


def _inline(node: Node) -> str:
    word = node.word
    if word == "text":
        return escape(node.text, quote=False)
    if word == "hard_break":
        return "<br>"
    if word == "image":
        return _image(node)
    shown = _line(node.content) if node.content else escape(node.caption(), quote=False)
    return f'<span data-type="{escape(node.name)}">{shown}</span>'


def _image(node: Node) -> str:
    address = safe_image(node.attribute("src", "url"))
    alternative = node.attribute("alt")
    alternative = alternative if isinstance(alternative, str) else ""
    if address is None:
        return escape(alternative, quote=False)
    title = node.attribute("title")
    named = f' title="{escape(title)}"' if isinstance(title, str) else ""
    sizes = "".join(
        f' {side}="{pixels}"'
        for side in ("width", "height")
        if (pixels := node.number(side, least=0, most=10**5, default=0))
    )
    return f'<img src="{escape(address)}" alt="{escape(alternative)}"{named}{sizes}>'


def _tags(mark: Mark) -> tuple[str, str]:
    """What opens and what closes a mark."""
    style = mark.style
    if style in _STYLE_TAGS:
        return f"<{_STYLE_TAGS[style]}>", f"</{_STYLE_TAGS[style]}>"
    if style == "link":
        address = safe_link(mark.attributes.get("href"))
        if address is None:
            return "", ""
        title = mark.attributes.get("title")
        named = f' title="{escape(title)}"' if isinstance(title, str) else ""
        return f'<a href="{escape(address)}"{named} rel="noopener noreferrer nofollow">', "</a>"
    colour = safe_colour(mark.attributes.get("color", mark.attributes.get("stringValue")))
    if style == "highlight":
        return (f'<mark style="background-color: {colour}">' if colour else "<mark>"), "</mark>"
    if style == "text_style":
        return (f'<span style="color: {colour}">', "</span>") if colour else ("", "")
    return f'<span data-mark="{escape(mark.name)}">', "</span>"


def _preformatted(text: str) -> str:
    # A newline right after <pre> is not shown; one more makes it so.
    return escape("\n" + text if text.startswith("\n") else text, quote=False)
