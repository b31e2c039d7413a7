from html.parser import HTMLParser

import pycrdt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collab.render.delta import delta_node
from collab.render.export import export
from collab.render.html import html, html_of_plain_text
from collab.render.tree import Mark, Node
from collab.render.xml import fragment_node
from tests.core.render.test_export import binding
from tests.fixtures import shown

SAFE_TAGS = {
    *("p", "strong", "em", "s", "u", "sub", "sup", "code", "a", "mark", "span", "div", "img", "br"),
    *("h1", "h2", "h3", "h4", "h5", "h6", "pre"),
}


class Tags(HTMLParser):
    """Collects what a browser would see."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def paragraph(*nodes: Node) -> Node:
    return Node("doc", content=[Node("paragraph", content=nodes)])


def test_prosemirror_gives_the_html_of_its_own_serializer() -> None:
    exported = export(binding("prosemirror"), "html").decode().replace(">\n", ">")
    assert (
        exported.replace(' rel="noopener noreferrer nofollow"', "") == shown("prosemirror")["html"]
    )


@pytest.mark.parametrize(
    "fragment",
    [
        "<h2>Plan &lt;b&gt; &amp; *stars* 😀</h2>",
        "<strong>bold</strong> <strong><em>bold italic</em></strong> <u>under</u><s>struck</s>",
        "<code>x = `1`</code>",
        '<a href="https://example.org/?a=1&amp;b=&quot;2&quot;" rel="',
        '<mark style="background-color: #ffcc00">lit</mark><span style="color: red">red</span><br>',
        "<ul><li><p>one</p><ul><li><p>nested</p></li></ul></li><li><p>two</p></li></ul>",
        '<ol start="3"><li><p>third</p></li><li><p>fourth</p></li></ol>',
        'disabled checked></label><div><p>done</p></div></li><li data-type="taskItem">',
        '<pre><code class="language-python">if a &lt; b:\n    print("```")\n</code></pre>',
        "<blockquote><p>quoted</p><p>again</p></blockquote>\n<hr>",
        'alt="an &quot;image&quot;" width="320">',
        "<table><tbody><tr><th><p>Name</p></th><th><p>A|B</p></th></tr><tr><td><p>x</p></td>",
    ],
)
def test_tiptap_gives_html_of_every_node_and_mark(fragment: str) -> None:
    assert fragment in export(binding("tiptap"), "html").decode()


@pytest.mark.parametrize(
    "fragment",
    [
        "<h1>Title &amp; &lt;tag&gt; 😀</h1>",
        "<strong>bold</strong> <strong><em>both</em></strong> <u>under</u><s>struck</s>",
        "<ul><li><p>one</p><ul><li><p>nested</p></li></ul></li><li><p>two</p></li></ul>",
        "<ol><li><p>first</p></li><li><p>second</p></li></ol>",
        "<blockquote><p>quoted</p></blockquote>",
        '<pre><code class="language-python">if a &lt; b:\n    pass</code></pre>',
        '<p><img src="https://example.org/i.png" alt=""></p>\n<p>the end</p>\n',
    ],
)
def test_quill_gives_html_of_every_format(fragment: str) -> None:
    assert fragment in export(binding("quill"), "html").decode()


@given(st.text(), st.text(), st.text())
def test_no_text_becomes_markup(text: str, name: str, attribute: str) -> None:
    attributes = dict.fromkeys(("src", "alt", "title", "label", "language", "href"), attribute)
    marks = [Mark(name or "m", {"href": attribute, "color": attribute})]
    inside = [
        Node("text", text=text or "-", marks=marks),
        Node("text", text="link", marks=[Mark("link", {"href": attribute, "title": attribute})]),
        Node("image", attributes),
        Node(name or "n", attributes),
    ]
    code = Node("code_block", attributes, [Node("text", text=text)])
    page = Tags(html(Node("doc", content=[*paragraph(*inside).content, code])))
    assert {tag for tag, _ in page.tags} <= SAFE_TAGS
    names = {key for _, attributes in page.tags for key in attributes}
    known = {"href", "src", "alt", "title", "rel", "class", "style", "data-type", "data-mark"}
    assert names <= known


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\x00")))
def test_plain_text_reads_back(text: str) -> None:
    seen = Tags(html_of_plain_text(text)).text
    after_pre = "\n" if text.startswith("\n") else ""
    after_page = "\n" if text else ""
    assert seen == after_pre + text + after_page


@pytest.mark.parametrize(
    "address",
    [
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        " java\nscript:alert(1)",
        "\x01javascript:alert(1)",
        "java\u200bscript:alert(1)",
        "vbscript:x",
        "data:text/html,<script>alert(1)</script>",
        "data:image/svg+xml;base64,PHN2Zz4=",
        "",
        7,
        None,
    ],
)
def test_addresses_that_could_run_a_script_are_dropped(address: object) -> None:
    link = Node("text", text="here", marks=[Mark("link", {"href": address})])
    image = Node("image", {"src": address, "alt": "picture"})
    assert html(paragraph(link, image)) == "<p>herepicture</p>\n"


@pytest.mark.parametrize(
    "address",
    ["https://a.org/b", "/docs?x=1", "#part", "mailto:a@b.org", "page:1/2".replace(":", "")],
)
def test_addresses_that_open_pages_stay(address: str) -> None:
    link = Node("text", text="here", marks=[Mark("link", {"href": address})])
    assert f'href="{address}"' in html(paragraph(link))


def test_a_colour_that_is_more_than_a_colour_is_dropped() -> None:
    mark = Mark("textStyle", {"color": "red; background: url(x)"})
    assert html(paragraph(Node("text", text="x", marks=[mark]))) == "<p>x</p>\n"


def test_unknown_nodes_and_marks_stay_readable() -> None:
    nodes = [
        Node("mention", {"id": 7, "label": "Ada"}),
        Node("text", text="odd", marks=[Mark("comment", {"id": "1"})]),
    ]
    callout = Node("callout", {"kind": "note"}, [*paragraph(*nodes).content])
    assert html(Node("doc", content=[callout])) == (
        '<div data-type="callout"><p><span data-type="mention">@Ada</span>'
        '<span data-mark="comment">odd</span></p></div>\n'
    )


def test_merged_cells_keep_their_spans_within_bounds() -> None:
    cells = [Node("tableCell", {"colspan": 2, "rowspan": 10**9}, paragraph().content)]
    table = Node("table", content=[Node("tableRow", content=cells)])
    assert '<td colspan="2" rowspan="1000">' in html(Node("doc", content=[table]))


def test_a_mark_that_overlaps_itself_loses_its_hash() -> None:
    doc = pycrdt.Doc[pycrdt.XmlFragment]()
    fragment = doc["f"] = pycrdt.XmlFragment()
    text = pycrdt.XmlText()
    fragment.children.append(pycrdt.XmlElement("paragraph", None, [text]))
    text.insert(0, "seen", {"comment--aBcD12+/": {"id": "1"}, "ychange": {"user": "u"}})
    (node,) = fragment_node(fragment).content[0].content
    assert node.marks == [Mark("comment", {"id": "1"})]


@pytest.mark.timeout(60)
def test_a_long_list_is_shown_in_time() -> None:
    """Its items were once copied for each one more, which took minutes."""
    lines = 100_000
    items = "\n".join("item" for _ in range(lines))
    page = html(delta_node([(items + "\n", {"list": "bullet"})]))
    assert Tags(page).tags.count(("li", {})) == lines
