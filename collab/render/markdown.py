"""Rich text as Markdown: CommonMark with GitHub's tables, task lists and strikethrough.

What users wrote is escaped, so that it reads back as the same text. What Markdown has no sign for
is inline HTML (``<u>``, ``<mark>``) or goes without (colours, merged cells, empty paragraphs).
Sources: https://spec.commonmark.org/0.31.2 and https://github.github.com/gfm.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from unicodedata import category

from collab.render.links import safe_image, safe_link
from collab.render.tree import Mark, Node, plain_text

_SPECIAL = re.compile(r"[\\`*_\[\]<>~|$]|&(?=#?\w+;)")
_LINE_START = re.compile(r"^(?:([#+\-=:])|(\d{1,9})([.)])(?=\s|$))")
_DESTINATION = re.compile(r"[\s\x00-\x1f\x7f<>()\\`*_|]")
_BAR = re.compile(r"(?<!\\)\|")
_ITALIC = re.compile(r"\*(?:[^*\\]|\\.)+\*", re.DOTALL)
_DELIMITERS = {"bold": "**", "italic": "*", "strike": "~~"}
_DELIMITER_TAGS = {"bold": "strong", "italic": "em", "strike": "del"}
_TAGS = {"underline": "u", "highlight": "mark", "subscript": "sub", "superscript": "sup"}


def markdown(document: Node) -> str:
    """Writes a document node as Markdown that ends with a newline, or is empty."""
    blocks = "\n\n".join(_blocks(document))
    return blocks + "\n" if blocks else ""


def fenced(text: str, language: str = "") -> str:
    """Writes a block of code, fenced by more backticks than it has in a row."""
    fence = "`" * max(3, _longest_run(text) + 1)
    return "\n".join((fence + language, text.removesuffix("\n"), fence))


def _blocks(node: Node) -> list[str]:
    """The blocks of a node whose children may be blocks, lines or both."""
    if node.is_textblock:
        return _paragraph(node.content)
    blocks: list[str] = []
    before = ""
    for inline, run in groupby(node.content, key=lambda child: child.is_inline):
        if inline:
            blocks += _paragraph(list(run))
            before = ""
            continue
        for child in run:
            # Lists of one kind that follow each other would be one: the second has another sign.
            other = child.word == before
            blocks += _block(child, other)
            before = "" if other else child.word
    return blocks


def _block(node: Node, other_sign: bool) -> list[str]:
    word = node.word
    if word == "heading":
        level = node.number("level", least=1, most=6, default=1)
        line = re.sub("(#+)$", r"\\\1", _line(node.content, "<br>").rstrip())
        return [f"{'#' * level} {line}".rstrip()]
    if word == "paragraph":
        return _paragraph(node.content)
    if word == "code_block":
        language = node.attribute("language", "params", "lang")
        known = isinstance(language, str) and re.fullmatch(r"[\w+#.\-]+", language)
        return [fenced(plain_text(node), str(language) if known else "")]
    if word == "horizontal_rule":
        return ["---"]
    if word == "blockquote":
        return ["\n".join(f"> {line}".rstrip() for line in "\n\n".join(_blocks(node)).split("\n"))]
    if word in ("bullet_list", "ordered_list", "task_list"):
        return [_list(node, other_sign)]
    if word == "table":
        return [_table(node)]
    if node.content:
        return _blocks(node)
    return [_escape(node.caption())]


def _list(node: Node, other_sign: bool) -> str:
    number = node.number("start", "order", least=0, most=10**8, default=1)
    items: list[str] = []
    loose = False
    for item in node.content:
        if node.word == "ordered_list":
            sign = f"{number}{')' if other_sign else '.'} "
            number += 1
        else:
            sign = "* " if other_sign else "- "
        blocks = _blocks(item)
        box = ""
        if item.word == "task_item":
            box = "[x] " if item.attribute("checked") in (True, "true") else "[ ] "
        simple = len(blocks) < 2 or (
            len(blocks) == len(item.content) == 2 and item.content[1].word.endswith("_list")
        )
        loose = loose or not simple
        text = box + ("\n" if simple else "\n\n").join(blocks)
        indent = " " * len(sign)
        items.append(
            sign
            + "\n".join(indent + line if line else "" for line in text.split("\n"))[len(sign) :]
        )
    return ("\n\n" if loose else "\n").join(item.rstrip() for item in items)


def _table(node: Node) -> str:
    rows = [
        [_cell(cell) for cell in row.content] for row in node.content if row.word == "table_row"
    ]
    width = max(map(len, rows), default=0)
    if not width:
        return ""
    lines = ["| " + " | ".join(row + [""] * (width - len(row))) + " |" for row in rows]
    return "\n".join([lines[0], "|" + " --- |" * width, *lines[1:]])


def _cell(cell: Node) -> str:
    blocks = [cell] if cell.is_textblock else cell.content
    lines = (
        _line(block.content, "<br>") if block.is_textblock else _escape(plain_text(block))
        for block in blocks
    )
    # Inside code nothing is escaped, but a bar ends the cell there too.
    return "<br>".join(_BAR.sub(r"\|", line.replace("\n", " ")) for line in lines)


def _paragraph(nodes: Sequence[Node]) -> list[str]:
    text = _line(nodes, "\\\n")
    return ["\n".join(map(_escape_edges, text.split("\n")))] if text.strip() else []


def _escape_edges(line: str) -> str:
    """Escapes what means something only where a line begins or ends."""
    found = _LINE_START.match(line)
    if found:
        line = "\\" + line if found[1] else f"{found[2]}\\{found[3]}" + line[found.end() :]
    if line[:1] in (" ", "\t"):
        line = f"&#{ord(line[0])};" + line[1:]
    if line[-1:] in (" ", "\t"):
        line = line[:-1] + f"&#{ord(line[-1])};"
    return line


def _escape(text: str) -> str:
    return _SPECIAL.sub(lambda found: "\\" + found[0], text)


def _line(nodes: Sequence[Node], line_break: str) -> str:
    """A line of text with its marks."""
    return "".join(_marked(_trimmed(nodes), 0, line_break))


def _trimmed(nodes: Sequence[Node]) -> list[Node]:
    """Moves spaces at the edges of marked text out of its marks, where signs would not bind."""
    trimmed: list[Node] = []
    for node in nodes:
        if node.word != "text" or not node.marks or _is_code(node):
            trimmed.append(node)
            continue
        core = node.text.strip()
        lead = len(node.text) - len(node.text.lstrip())
        parts = (node.text[:lead], core, node.text[lead + len(core) :])
        for part, marks in zip(parts, ((), node.marks, ()), strict=True):
            if part:
                trimmed.append(replace(node, text=part, marks=marks))
    return trimmed


def _is_code(node: Node) -> bool:
    return any(mark.style == "code" for mark in node.marks)


def _marked(nodes: Sequence[Node], depth: int, line_break: str) -> list[str]:
    """Writes nodes that share their first ``depth`` marks."""
    by_mark = groupby(nodes, key=lambda n: n.marks[depth] if depth < len(n.marks) else None)
    runs = [(mark, list(run)) for mark, run in by_mark]
    written: list[str] = []
    for index, (mark, run) in enumerate(runs):
        left = written[-1] if written else ""
        right = _shown(runs[index + 1][1][0], depth) if index + 1 < len(runs) else ""
        if mark is None:
            written += [_inline(node, line_break) for node in run]
        elif mark.style == "code":
            written.append(_code("".join(map(plain_text, run))))
        else:
            inside = "".join(_marked(run, depth + 1, line_break))
            if mark.style == "link" and left.endswith("!"):
                written[-1] = left[:-1] + "\\!"  # or it would be an image
            written.append(_wrap(mark, inside, left, right))
    return written


def _shown(node: Node, depth: int) -> str:
    """What a node begins with, as far as a sign right before it is concerned."""
    if len(node.marks) > depth:
        return _DELIMITERS.get(node.marks[depth].style, "*")
    return node.text or " "


def _wrap(mark: Mark, inside: str, before: str, after: str) -> str:
    style = mark.style
    if style in _DELIMITERS:
        sign = _DELIMITERS[style]
        # Bold italics are three signs, if all that is bold is one stretch of italics.
        core = inside[1:-1] if style == "bold" and _ITALIC.fullmatch(inside) else inside
        binds = _binds(before[-1:], core[:1], sign) and _binds(after[:1], core[-1:], sign)
        tag = _DELIMITER_TAGS[style]
        return f"{sign}{inside}{sign}" if binds else f"<{tag}>{inside}</{tag}>"
    if style == "link":
        address = safe_link(mark.attributes.get("href"))
        if address is None:
            return inside
        return f"[{inside}]({_destination(address)}{_title(mark.attributes.get('title'))})"
    if style in _TAGS:
        return f"<{_TAGS[style]}>{inside}</{_TAGS[style]}>"
    return inside


def _binds(outside: str, inside: str, sign: str) -> bool:
    """Whether a sign between these two characters is read as one (CommonMark's flanking rules)."""
    if outside == sign[0] or inside == sign[0] or not inside or inside.isspace():
        return False
    return (
        not _is_punctuation(inside) or not outside or outside.isspace() or _is_punctuation(outside)
    )


def _is_punctuation(character: str) -> bool:
    return category(character)[0] in "PS"


def _inline(node: Node, line_break: str) -> str:
    word = node.word
    if word == "text":
        return _escape(node.text)
    if word == "hard_break":
        return line_break
    if word == "image":
        address = safe_image(node.attribute("src", "url"))
        alternative = node.attribute("alt")
        alternative = _escape(alternative) if isinstance(alternative, str) else ""
        if address is None:
            return alternative
        return f"![{alternative}]({_destination(address)}{_title(node.attribute('title'))})"
    return _line(node.content, line_break) if node.content else _escape(node.caption())


def _code(text: str) -> str:
    text = text.replace("\n", " ")
    fence = "`" * (_longest_run(text) + 1)
    edge = " " if text[:1] in ("`", " ") or text[-1:] in ("`", " ") else ""
    return f"{fence}{edge}{text}{edge}{fence}" if text else ""


def _longest_run(text: str) -> int:
    return max(map(len, re.findall("`+", text)), default=0)


def _destination(address: str) -> str:
    return _DESTINATION.sub(
        lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode()), address
    )


def _title(title: object) -> str:
    if not isinstance(title, str) or not title:
        return ""
    return ' "' + _escape(" ".join(title.split())).replace('"', '\\"') + '"'
