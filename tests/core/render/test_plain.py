from collab.render.export import export
from collab.render.plain import plain
from collab.render.tree import Node
from tests.core.render.test_export import binding


def test_each_block_of_tiptap_is_a_line() -> None:
    assert export(binding("tiptap"), "text").decode().split("\n") == [
        "Plan <b> & *stars* 😀",
        "plain bold bold italic understruckx = `1`a linklitred",
        "next line",
        "",
        *("one", "nested", "two", "third", "fourth", "done", "open"),
        "if a < b:",
        '    print("```")',
        *("quoted", "again", 'an "image"', "Name\tA|B", "x\ty", "the end!"),
    ]


def test_unknown_nodes_stay_readable() -> None:
    mention = Node("mention", {"label": "Ada"})
    inside = Node("paragraph", content=[Node("text", text="by "), mention])
    assert plain(Node("doc", content=[Node("callout", content=[inside]), Node("map")])) == (
        "by @Ada\n[map]"
    )
