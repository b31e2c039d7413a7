"""Others: what all but one changed, without a merge for each."""

import random

import pycrdt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collab.checking import check_update
from collab.document import Document
from collab.merging import merge
from collab.others import Others
from collab.structs import read_structs


def written(seed: int, writers: int) -> dict[int, bytes]:
    """What writers change at the same time, each on its own, in a document that all know."""
    dice = random.Random(seed)
    base: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc(client_id=9_999)
    base["text"] = pycrdt.Text("what all of them know, and change")
    known = base.get_update()
    updates = {}
    for writer in range(writers):
        doc: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc(client_id=dice.randrange(1, 2**31) * 100 + writer)
        doc.apply_update(known)
        before = doc.get_state()
        text = doc.get("text", type=pycrdt.Text)
        for _ in range(dice.randrange(1, 4)):
            at = dice.randrange(len(str(text)) - 3)
            if dice.random() < 0.5:
                text.insert(at, dice.choice(["a", "bc"]) * dice.randrange(1, 80))
            else:
                del text[at : at + dice.randrange(1, 4)]
        updates[writer] = doc.get_update(before)
    return updates


def outcome(update: bytes) -> bytes:
    """The whole of what an update says, integrated or not."""
    document = Document()
    document.apply(update)
    return document.encode()


@given(st.integers(), st.integers(2, 8))
def test_each_gets_what_a_merge_of_the_others_gives(seed: int, writers: int) -> None:
    updates = written(seed, writers)
    others = Others(updates)
    for writer in updates:
        update = others.without(writer)
        check_update(update)
        merged = merge([own for other, own in updates.items() if other != writer])
        assert outcome(update) == outcome(merged)


def test_the_highest_client_comes_first() -> None:
    update = Others(written(1, 8)).without(0)
    clients = [struct.client for struct in read_structs(update)]
    assert clients == sorted(clients, reverse=True)


def test_who_wrote_alone_leaves_nothing() -> None:
    assert Others(written(1, 1)).without(0) == b"\0\0"


@pytest.mark.parametrize("left_out", [0, 1, 2])
def test_structs_that_two_have_brought_are_there_once(left_out: int) -> None:
    updates = written(3, 3)
    updates[1] = merge([updates[0], updates[1]])
    others = {writer: own for writer, own in updates.items() if writer != left_out}
    assert outcome(Others(updates).without(left_out)) == outcome(merge(list(others.values())))
