import random
from collections.abc import Callable
from typing import Any

import pycrdt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collab.document import Document
from collab.errors import UnknownRoot
from collab.history.difference import Difference, Edit, compare
from collab.roots import RootKind
from tests.core.history.histories import content_of, document_of, make_log


def states(*edits: Callable[["pycrdt.Doc[Any]"], object]) -> list[Document]:
    """What a document was after each edit."""
    doc: pycrdt.Doc[Any] = pycrdt.Doc()
    documents = []
    for edit in edits:
        with doc.transaction():
            edit(doc)
        documents.append(document_of([doc.get_update()]))
    return documents


def test_a_text_differs_in_hunks() -> None:
    before, after = states(
        lambda doc: doc.get("t", type=pycrdt.Text).insert(0, "hello"),
        lambda doc: doc.get("t", type=pycrdt.Text).insert(5, " world"),
    )
    (difference,) = compare(before, after)
    assert (difference.root, difference.kind, difference.edits) == ("t", RootKind.TEXT, ())
    assert [(hunk.start_after, hunk.inserted) for hunk in difference.hunks] == [(5, " world")]


def test_a_map_differs_in_paths_with_before_and_after() -> None:
    before, after = states(
        lambda doc: doc.get("m", type=pycrdt.Map).update(
            {"same": 1, "gone": None, "deep": pycrdt.Map({"k": "old"})}
        ),
        lambda doc: (
            doc.get("m", type=pycrdt.Map).pop("gone"),
            doc.get("m", type=pycrdt.Map)["deep"].update({"k": "new", "more": [1]}),
        ),
    )
    assert compare(before, after) == [
        Difference(
            root="m",
            kind=RootKind.MAP,
            edits=[
                Edit(path=("deep", "k"), before=("old",), after=("new",)),
                Edit(path=("deep", "more"), before=(), after=([1.0],)),
                Edit(path=("gone",), before=(None,), after=()),
            ],
        )
    ]


def test_an_array_tells_what_came_and_went_where() -> None:
    before, after = states(
        lambda doc: doc.get("a", type=pycrdt.Array).extend([1, 2, 3]),
        lambda doc: (
            doc.get("a", type=pycrdt.Array).insert(0, 0),
            doc.get("a", type=pycrdt.Array).pop(2),
            doc.get("a", type=pycrdt.Array).append(True),
        ),
    )
    (difference,) = compare(before, after)
    assert list(difference.edits) == [
        Edit(path=(0,), before=(), after=(0.0,)),
        Edit(path=(1,), before=(2.0,), after=()),
        Edit(path=(3,), before=(), after=(True,)),
    ]


def test_xml_differs_in_nodes_and_their_attributes() -> None:
    def fill(doc: "pycrdt.Doc[Any]") -> None:
        fragment = doc.get("x", type=pycrdt.XmlFragment)
        fragment.children.append(pycrdt.XmlElement("p", {"a": "1"}, [pycrdt.XmlText("one")]))

    def change(doc: "pycrdt.Doc[Any]") -> None:
        paragraph = doc.get("x", type=pycrdt.XmlFragment).children[0]
        paragraph.attributes["a"] = "2"
        paragraph.children[0].insert(3, " more")

    before, after = states(fill, change)
    (difference,) = compare(before, after, "x")
    assert list(difference.edits) == [
        Edit(path=("content", 0, "attrs", "a"), before=("1",), after=("2",)),
        Edit(path=("content", 0, "content", 0, "text"), before=("one",), after=("one more",)),
    ]


def test_an_unknown_root_is_refused() -> None:
    with pytest.raises(UnknownRoot):
        compare(Document(), Document(), "x")


@settings(max_examples=100)
@given(seed=st.integers(0, 2**32), moves=st.integers(1, 60))
def test_a_text_differs_if_and_only_if_it_shows_something_else(seed: int, moves: int) -> None:
    choose = random.Random(seed)
    log = make_log(choose, moves)
    before = document_of(log[: choose.randint(0, len(log))])
    after = document_of(log)
    differing = {difference.root for difference in compare(before, after)}
    shown_before, shown_after = content_of(before, log), content_of(after, log)
    for name in ("text", "text 2"):
        if name in shown_after:
            assert (name in differing) == (shown_before[name] != shown_after[name])
    assert compare(after, after) == []
