"""Deletions: what is deleted is the same, and many of them take no time."""

import json
import random
from typing import Any

import pycrdt
import pytest

from collab import state_vector
from collab.deletions import STRIDE, first_deletions
from collab.document import Document, check_update
from collab.lib0 import write_var_uint
from collab.render.export import export
from collab.seeding import seed_roots
from collab.structs import read_deletions

MANY = 40_000


def deleting(document: Document, places: list[int], root: str = "list") -> bytes:
    """The change of somebody who deletes the values at these places, the last first."""
    doc: pycrdt.Doc[Any] = pycrdt.Doc()
    doc.apply_update(document.encode())
    before = doc.get_state()
    values = doc.get(root, type=pycrdt.Array)
    with doc.transaction():
        for place in sorted(places, reverse=True):
            del values[place]
    return doc.get_update(before)


def filled(count: int) -> Document:
    document = Document()
    document.apply(seed_roots({"list": [f"{number}" for number in range(count)]}))
    return document


@pytest.mark.parametrize("count", [1, STRIDE - 1, STRIDE, STRIDE + 1, 10 * STRIDE])
def test_what_is_deleted_is_what_an_update_says(count: int) -> None:
    document = filled(3 * count)
    gone = {2 * number for number in range(count)}
    changes: list[bytes] = []
    document.doc.observe(lambda event: changes.append(event.update))
    document.apply(deleting(document, sorted(gone)))
    kept = [f"{number}" for number in range(3 * count) if number not in gone]
    assert json.loads(export(document, "json"))["list"] == kept
    assert len(changes) == 1


def test_each_of_the_first_is_one_that_the_update_has() -> None:
    document = filled(20 * STRIDE)
    update = deleting(document, random.Random(1).sample(range(20 * STRIDE), 8 * STRIDE))
    had = {deletion[:3] for deletion in read_deletions(update)}
    first = [deletion[:3] for each in first_deletions(update) for deletion in read_deletions(each)]
    assert first == sorted(first, reverse=True)
    assert set(first) < had
    assert len(first) == (len(had) - 1) // STRIDE


@pytest.mark.alone
@pytest.mark.timeout(60)
def test_every_second_value_is_deleted_in_time() -> None:
    """It took the CRDT a minute, in which nothing else ran."""
    document = filled(2 * MANY)
    (client,) = state_vector.decode(document.state_vector)
    ranges = b"".join(write_var_uint(2 * number) + b"\x01" for number in range(MANY))
    document.apply(
        check_update(b"\x00\x01" + write_var_uint(client) + write_var_uint(MANY) + ranges)
    )
    assert len(json.loads(export(document, "json"))["list"]) == MANY
