import pycrdt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collab.errors import RenderError
from collab.replacing import replace_text
from collab.seeding import seed_roots, seed_text

texts = st.text("ab🦄ü\n", max_size=12)


def text_of(*updates: bytes, root: str = "content") -> str:
    doc: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc()
    for update in updates:
        doc.apply_update(update)
    return str(doc.get(root, type=pycrdt.Text))


@given(texts, texts)
def test_a_text_becomes_the_other(before: str, after: str) -> None:
    state = seed_text(before)
    update = replace_text(state, after, "content")
    if update is None:
        assert before == after
    else:
        assert before != after
        assert text_of(state, update) == after


def test_what_others_change_at_its_ends_stays() -> None:
    state = seed_text("one two three")
    other: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc()
    other.apply_update(state)
    text = other.get("content", type=pycrdt.Text)
    text += "!"
    text.insert(0, "zero ")
    update = replace_text(state, "one 2 three", "content")
    assert update is not None
    assert text_of(other.get_update(), update) == "zero one 2 three!"


def test_a_root_that_is_not_there_is_made() -> None:
    state = seed_text("other", "elsewhere")
    update = replace_text(state, "new", "content")
    assert update is not None
    assert text_of(state, update) == "new"
    assert text_of(state, update, root="elsewhere") == "other"


def test_what_is_no_text_is_not_replaced() -> None:
    with pytest.raises(RenderError, match="expected a text as root 'cards', got array"):
        replace_text(seed_roots({"cards": ["a"]}), "x", "cards")
    doc: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc()
    doc.get("content", type=pycrdt.Text).insert_embed(0, {"image": "x"})
    with pytest.raises(RenderError, match="expected characters alone"):
        replace_text(doc.get_update(), "x", "content")
