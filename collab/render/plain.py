"""Rich text as plain text: what the editor shows, without its looks.

Each block of text is a line, as are what stands after a hard break and each row of a table (cells
apart by tabs); an empty paragraph is an empty line. No newline ends the last.
"""

from collections.abc import Iterator

from collab.render.tree import Node, plain_text


def plain(document: Node) -> str:
    """Writes a document node as plain text."""
    return "\n".join(_lines(document))


def _lines(node: Node) -> Iterator[str]:
    if node.word == "table_row":
        yield "\t".join(" ".join(_lines(cell)) for cell in node.content)
    elif node.word == "code_block":
        yield plain_text(node).removesuffix("\n")
    elif node.is_textblock or node.word in ("paragraph", "heading"):
        yield "".join(map(_inline, node.content))
    elif node.content:
        for child in node.content:
            yield from _lines(child)
    elif node.word == "image":
        yield from filter(None, [_inline(node)])
    elif node.word not in ("doc", "horizontal_rule", "list_item", "table_cell", "table_header"):
        yield node.caption()


def _inline(node: Node) -> str:
    if node.word == "image":
        alternative = node.attribute("alt")
        return alternative if isinstance(alternative, str) else ""
    if node.text or node.content or node.word == "hard_break":
        return plain_text(node)
    return "" if node.word == "text" else node.caption()
