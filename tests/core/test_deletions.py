"""Deletions: what is deleted is the same, and many of them take no time."""

import json
import random
from typing import Any

import pycrdt
import pytest

from collab import state_vector
from collab.checking import check_update
from collab.deletions import STRIDE, first_deletions
from collab.document import Document
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


def picked(update: bytes, document: Document, waiting_bytes: int = 0) -> list[tuple[int, int, int]]:
    """The ranges that are deleted first."""
    known = state_vector.decode(document.state_vector)
    first = first_deletions(update, known, waiting_bytes)
    return [deletion[:3] for each in first for deletion in read_deletions(each)]


def every_second(document: Document, count: int, start: int = 0) -> bytes:
    """Deletions of values of the one who wrote a document, that there are or not."""
    (client,) = state_vector.decode(document.state_vector)
    ranges = b"".join(write_var_uint(start + 2 * number) + b"\x01" for number in range(count))
    return check_update(b"\x00\x01" + write_var_uint(client) + write_var_uint(count) + ranges)


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
    first = picked(update, document)
    assert first == sorted(first, reverse=True)
    assert set(first) < had
    assert len(first) == (len(had) - 1) // STRIDE


def test_what_is_not_here_yet_is_none_of_the_first() -> None:
    document = filled(10 * STRIDE)
    (client,) = state_vector.decode(document.state_vector)
    update = every_second(document, 20 * STRIDE)
    first = picked(update, document)
    assert len(first) == 4
    assert all(clock + length <= 10 * STRIDE for _, clock, length in first)
    assert not picked(update, Document())
    document.apply(update)
    assert document.pending_bytes
    document.apply(more_of(client, 10 * STRIDE, 30 * STRIDE))
    assert not document.pending_bytes
    assert len(json.loads(export(document, "json"))["list"]) == 20 * STRIDE


def more_of(client: int, clock: int, count: int) -> bytes:
    """The change of somebody who wrote so many values and adds as many more."""
    origin = b"\x88" + write_var_uint(client) + write_var_uint(clock - 1)
    head = b"\x01\x01" + write_var_uint(client) + write_var_uint(clock)
    return head + origin + write_var_uint(count) + b"\x7e" * count + b"\x00"


def test_the_more_waits_the_fewer_are_the_first() -> None:
    document = filled(20 * STRIDE)
    update = every_second(document, 10 * STRIDE)
    assert len(picked(update, document)) == 9
    assert len(picked(update, document, 1 << 24)) == 3
    assert not picked(update, document, 1 << 40)


@pytest.mark.timeout(40)
def test_deletions_of_what_never_comes_are_kept_in_time() -> None:
    """It took the CRDT minutes: each of the first ones had it look at all that wait."""
    document = filled(2 * MANY)
    for part in range(20):
        document.apply(every_second(document, MANY, 2 * MANY * (part + 1)))
    document.apply(every_second(document, MANY))
    assert document.pending_bytes > 20 * 4 * MANY


@pytest.mark.timeout(60)
def test_every_second_value_is_deleted_in_time() -> None:
    """It took the CRDT a minute, in which nothing else ran."""
    document = filled(2 * MANY)
    document.apply(every_second(document, MANY))
    assert len(json.loads(export(document, "json"))["list"]) == MANY


def test_what_is_deleted_of_what_is_here_can_be_taken_alone() -> None:
    document = filled(9)
    doc: pycrdt.Doc[Any] = pycrdt.Doc()
    doc.apply_update(document.encode())
    values = doc.get("list", type=pycrdt.Array)
    before = doc.get_state()
    values.extend(["more", "and more"])
    del values[8:10]
    del values[1:3]
    update = doc.get_update(before)
    deletions = check_update(document.deletions_in(update))
    assert document.can_delete(deletions)
    document.apply(deletions)
    assert json.loads(export(document, "json"))["list"] == ["0", "3", "4", "5", "6", "7"]
    assert document.deletions_in(seed_roots({"other": ["x"]})) == b"\x00\x00"
