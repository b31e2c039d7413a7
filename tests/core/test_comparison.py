"""Comparison: the same content is the same in any encoding, and another is found out."""

import random
from collections.abc import Sequence
from typing import Any

import pycrdt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collab.comparison import difference
from collab.document import Document
from collab.merging import merge
from tests.core import poison


def edits(seed: int, count: int = 40) -> list[bytes]:
    """What two people do to a text, a map and an array, deletions included."""
    chance = random.Random(seed)
    docs: list[pycrdt.Doc[Any]] = [pycrdt.Doc(client_id=client) for client in (1, 2)]
    updates: list[bytes] = []
    for _ in range(count):
        doc, other = chance.sample(docs, 2)
        before = doc.get_state()
        text = doc.get("text", type=pycrdt.Text)
        entries = doc.get("map", type=pycrdt.Map)
        items = doc.get("array", type=pycrdt.Array)
        with doc.transaction():
            match chance.randrange(6):
                case 0 | 1:
                    text.insert(chance.randint(0, len(text)), chance.choice(["ab", "c", "def"]))
                case 2 if len(text) > 1:
                    at = chance.randrange(len(text) - 1)
                    del text[at : at + 2]
                case 3:
                    entries[chance.choice("xyz")] = pycrdt.Text("inner")
                case 4 if len(items):
                    del items[chance.randrange(len(items))]
                case _:
                    items.insert(chance.randint(0, len(items)), chance.random())
        updates.append(doc.get_update(before))
        if chance.random() < 0.7:
            other.apply_update(updates[-1])
            other.apply_update(doc.get_update(other.get_state()))
    return updates


def document_of(updates: Sequence[bytes]) -> Document:
    document = Document()
    for update in updates:
        document.apply(update)
    return document


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.randoms(use_true_random=False))
def test_the_order_and_the_cut_of_updates_make_no_difference(
    seed: int, chance: random.Random
) -> None:
    updates = edits(seed)
    shuffled = [*updates]
    chance.shuffle(shuffled)
    whole = document_of([document_of(updates).encode()])
    assert difference(document_of(updates), whole) is None
    assert difference(whole, document_of(shuffled)) is None
    assert difference(document_of([merge(updates)]), document_of(shuffled)) is None


@pytest.mark.parametrize("seed", range(10))
def test_the_last_change_of_either_is_missed_by_the_other(seed: int) -> None:
    updates = edits(seed)
    before = document_of(updates)
    doc: pycrdt.Doc[Any] = pycrdt.Doc(client_id=3)
    doc.apply_update(before.encode())
    text = doc.get("text", type=pycrdt.Text)
    text += "!"
    after = document_of([*updates, doc.get_update(before.state_vector)])
    assert difference(before, after) == "the second has changes that the first lacks"
    assert difference(after, before) == "the first has changes that the second lacks"


def test_a_deletion_that_one_lacks_is_found() -> None:
    doc: pycrdt.Doc[Any] = pycrdt.Doc()
    doc["text"] = pycrdt.Text("abc")
    before = document_of([doc.get_update()])
    del doc.get("text", type=pycrdt.Text)[1:2]
    after = document_of([doc.get_update()])
    assert difference(before, after) == "the second has changes that the first lacks"
    assert difference(after, before) == "the first has changes that the second lacks"


def test_changes_that_wait_for_others_are_compared() -> None:
    updates = edits(1)
    assert difference(document_of(updates[:1]), document_of([updates[0], updates[-1]]))


def test_what_came_deleted_and_waits_for_others_is_the_same_in_parts() -> None:
    # Client 7, whose clock 1 waits for client 9: clock 2 came deleted, as does what follows.
    first = b"\x01\x01\x07\x00\x01\x01\x04text\x01\x00"
    second = b"\x01\x01\x07\x01\x84\x09\x00\x01a\x00"
    third = b"\x01\x01\x07\x02\x01\x01\x04text\x03\x00"
    whole = b"\x01\x03\x07\x00" + first[4:-1] + second[4:-1] + third[4:-1] + b"\x00"
    in_parts = document_of([first, second, third])
    assert in_parts.pending_bytes > 0
    assert difference(document_of([whole]), in_parts) is None


@pytest.mark.parametrize("content", [b"hellO", b"jello"])
def test_other_content_at_the_same_places_is_found(content: bytes) -> None:
    other = poison.HELLO.replace(b"hello", content)
    assert difference(document_of([poison.HELLO]), document_of([other])) == (
        "they have the same changes with other content"
    )
