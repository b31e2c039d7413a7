import pytest

from collab.render.export import export
from collab.render.markdown import fenced, markdown
from collab.render.tree import Mark, Node
from tests.core.render.test_export import binding

BOLD, ITALIC, CODE = Mark("bold"), Mark("italic"), Mark("code")


def text(words: str, *marks: Mark) -> Node:
    return Node("text", text=words, marks=marks)


def doc(*blocks: Node) -> Node:
    return Node("doc", content=blocks)


def line(*nodes: Node) -> str:
    return markdown(doc(Node("paragraph", content=nodes))).removesuffix("\n")


def item(words: str, *more: Node) -> Node:
    return Node("listItem", content=[Node("paragraph", content=[text(words)]), *more])


def test_tiptap_gives_markdown_of_every_node_and_mark() -> None:
    assert export(binding("tiptap"), "markdown").decode() == (
        "## Plan \\<b\\> & \\*stars\\* 😀\n\n"
        "plain **bold** ***bold italic*** <u>under</u>~~struck~~`` x = `1` ``"
        '[a link](https://example.org/?a=1&b="2")<mark>lit</mark>red\\\nnext line\n\n'
        "- one\n  - nested\n- two\n\n"
        "3. third\n4. fourth\n\n"
        "- [x] done\n- [ ] open\n\n"
        '````python\nif a < b:\n    print("```")\n````\n\n'
        "> quoted\n>\n> again\n\n"
        "---\n\n"
        '![an "image"](https://example.org/a%20b.png)\n\n'
        "| Name | A\\|B |\n| --- | --- |\n| x | y |\n\n"
        "the end!\n"
    )


def test_prosemirror_gives_markdown_of_every_node_and_mark() -> None:
    assert export(binding("prosemirror"), "markdown").decode() == (
        "# Title\n\n"
        'some **strong** and *em* and `code` and [link](https://example.org "T")\\\nafter\n\n'
        "- apples\n- pears\n\n2. second\n\n```\nlet x = 1\n```\n\n> said\n\n---\n\n"
        "![alt](https://example.org/i.png)\n"
    )


def test_quill_gives_markdown_of_every_format() -> None:
    assert export(binding("quill"), "markdown").decode() == (
        "# Title & \\<tag\\> 😀\n\n"
        "plain **bold** ***both*** <u>under</u>~~struck~~`f(x)`[link](https://example.org)red\n\n"
        "- one\n  - nested\n- two\n\n1. first\n2. second\n\n- [x] done\n- [ ] open\n\n"
        "> quoted\n\n```python\nif a < b:\n    pass\n```\n\n"
        "![](https://example.org/i.png)\n\nthe end\n"
    )


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("*a* _b_ `c` ~d~", "\\*a\\* \\_b\\_ \\`c\\` \\~d\\~"),
        ("[x](y) ![z]", "\\[x\\](y) !\\[z\\]"),
        ("<script>", "\\<script\\>"),
        ("&amp; R&D", "\\&amp; R&D"),
        ("# no heading", "\\# no heading"),
        ("1. no list", "1\\. no list"),
        ("- no list", "\\- no list"),
        ("+ no list", "\\+ no list"),
        ("C# 1.5 a-b", "C# 1.5 a-b"),
        ("    no code", "&#32;   no code"),
        ("no break  ", "no break &#32;"),
        ("back\\slash", "back\\\\slash"),
        ("a | b", "a \\| b"),
    ],
)
def test_signs_of_markdown_are_escaped_where_they_mean_something(words: str, expected: str) -> None:
    assert line(text(words)) == expected


def test_spaces_at_the_edges_of_marked_text_stand_outside() -> None:
    assert line(text("a"), text(" b ", BOLD), text("c")) == "a **b** c"


def test_marks_that_would_not_bind_are_tags() -> None:
    assert line(text("a"), text("(b)", BOLD), text("c")) == "a<strong>(b)</strong>c"
    assert line(text("a", BOLD), text("b", ITALIC)) == "<strong>a</strong>*b*"


def test_code_is_fenced_by_more_backticks_than_it_has() -> None:
    assert line(text("a``b", CODE)) == "```a``b```"
    assert line(text("`", CODE)) == "`` ` ``"
    assert fenced("````\n") == "`````\n````\n`````"


def test_links_that_could_run_a_script_lose_their_address() -> None:
    assert line(text("x", Mark("link", {"href": "javascript:alert(1)"}))) == "x"


def test_addresses_cannot_end_their_brackets() -> None:
    link = Mark("link", {"href": "https://a.org/x) <y>", "title": 'a "b"'})
    assert line(text("!", link)) == '[!](https://a.org/x%29%20%3Cy%3E "a \\"b\\"")'


def test_an_exclamation_before_a_link_makes_no_image() -> None:
    assert line(text("wow!"), text("x", Mark("link", {"href": "/a"}))) == "wow\\![x](/a)"


def test_lists_in_a_row_stay_apart() -> None:
    lists = [Node("bulletList", content=[item(words)]) for words in ("a", "b", "c")]
    assert markdown(doc(*lists)) == "- a\n\n* b\n\n- c\n"
    numbered = [Node("orderedList", content=[item(words)]) for words in ("a", "b")]
    assert markdown(doc(*numbered)) == "1. a\n\n1) b\n"


def test_blocks_in_an_item_are_indented_below_it() -> None:
    code = Node("codeBlock", content=[text("x\n\ny")])
    numbered = Node("orderedList", {"start": 10}, [item("a", code), item("b")])
    assert markdown(doc(numbered)) == "10. a\n\n    ```\n    x\n\n    y\n    ```\n\n11. b\n"


def test_bars_in_table_cells_do_not_end_them() -> None:
    cells = [
        Node("tableHeader", content=[Node("paragraph", content=[text("a|b")])]),
        Node("tableHeader", content=[Node("paragraph", content=[text("c|d", CODE)])]),
    ]
    table = Node("table", content=[Node("tableRow", content=cells)])
    assert markdown(doc(table)) == "| a\\|b | `c\\|d` |\n| --- | --- |\n"


def test_unknown_nodes_stay_readable() -> None:
    callout = Node("callout", content=[Node("paragraph", content=[text("inside")])])
    embed = Node("drawing", {"title": "a *map*"})
    assert markdown(doc(callout, embed)) == "inside\n\na \\*map\\*\n"
