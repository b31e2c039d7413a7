"""What BlockNote, Lexical and Slate write, in every format."""

import json
import re

import pytest

from collab.render.export import export
from collab.render.markdown import markdown
from collab.render.reshaping import reshape
from collab.render.tree import Mark, Node
from tests.core.render.test_export import binding

HEADING = "## Plan 🍵 שלום\n\n"
LISTS = "- one\n  1. inner\n- two\n\n- [x] done\n- [ ] open\n\n"
BLOCKS = (
    "> quoted\n\n```javascript\nlet a = 1\nlet b\n```\n\n"
    "| Name | Value |\n| --- | --- |\n| x | y |\n\n"
)
MARKDOWN = {
    "blocknote": HEADING
    + "plain **bold** red [link](https://example.org)\n\n"
    + LISTS
    + "3. third\n\n   below\n\n"
    + BLOCKS
    + "![a picture](https://example.org/i.png)\n\n---\n\nabove\n\n- toggle\n",
    "lexical": HEADING
    + "plain **bold** *~~struck~~* [link](https://example.org)\\\nnext line\n\n"
    + LISTS
    + "3. third\n\n"
    + BLOCKS
    + "---\n",
    "slate": HEADING
    + "plain **bold** [link](https://example.org)\n\n- one\n- two\n\n1. first\n\n> quoted\n",
}
PLAIN_TABLE = "let a = 1\nlet b\nName\tValue\nx\ty"


@pytest.mark.parametrize("name", MARKDOWN)
def test_markdown_has_every_block_and_mark(name: str) -> None:
    assert export(binding(name), "markdown").decode() == MARKDOWN[name]


@pytest.mark.parametrize("name", MARKDOWN)
def test_html_has_tags_for_every_block(name: str) -> None:
    page = export(binding(name), "html").decode()
    assert page.startswith("<h2>Plan 🍵 שלום</h2>\n<p>plain <strong>bold</strong>")
    assert '<a href="https://example.org" rel="noopener noreferrer nofollow">link</a>' in page
    assert set(re.findall(r'data-type="(\w+)"', page)) <= {"taskList", "taskItem"}


def test_html_of_lexical_tells_header_cells_and_nests_lists_in_their_item() -> None:
    page = export(binding("lexical"), "html").decode()
    assert "<tr><th><p>Name</p></th><th><p>Value</p></th></tr><tr><td><p>x</p></td>" in page
    assert "<ul><li><p>one</p><ol><li>inner</li></ol></li><li>two</li></ul>" in page
    assert page.endswith("<hr>\n")


def test_html_of_blocknote_keeps_colours() -> None:
    assert '<span style="color: red"> red </span>' in export(binding("blocknote"), "html").decode()


@pytest.mark.parametrize("name", ["blocknote", "lexical"])
def test_plain_text_has_a_line_for_each_block_and_row(name: str) -> None:
    assert PLAIN_TABLE in export(binding(name), "text").decode()


def test_json_of_lexical_has_formats_as_marks_and_blocks_as_stored() -> None:
    document = json.loads(export(binding("lexical"), "json"))["root"]
    assert [block["type"] for block in document["content"]] == (
        ["heading", "paragraph", "list", "list", "list", "quote", "code", "table", "horizontalrule"]
    )
    struck = {"type": "text", "marks": [{"type": "italic"}, {"type": "strikethrough"}]}
    assert {**struck, "text": "struck"} in document["content"][1]["content"]
    assert {"type": "linebreak"} in document["content"][1]["content"]


def test_a_link_without_an_address_is_its_text() -> None:
    link = Node("link", {"url": None}, [Node("text", text="words")])
    assert markdown(reshape(Node("doc", content=[Node("paragraph", content=[link])]))) == "words\n"


def test_a_nested_list_without_an_item_before_it_stays_an_item() -> None:
    text = Node("text", text="deep")
    inner = Node("list", {"__listType": "bullet"}, [Node("listitem", content=[text])])
    outer = Node("list", {"__listType": "bullet"}, [Node("listitem", content=[inner])])
    assert markdown(reshape(Node("doc", content=[outer]))) == "- - deep\n"


def test_what_is_in_prosemirrors_shape_stays_as_it_is() -> None:
    marked = Node("text", text="words", marks=[Mark("link", {"href": "https://example.org"})])
    document = Node("doc", content=[Node("paragraph", {"textAlign": "left"}, [marked])])
    assert reshape(document) == document
