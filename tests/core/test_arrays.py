"""Arrays: the same is read whichever way, and long ones at a cost that grows with their length."""

import json
import random
from collections.abc import Callable
from typing import Any

import pycrdt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collab.arrays import Arrays
from collab.document import Document
from collab.history.attribution import Deliveries, attribute
from collab.history.content import put_back, read_content
from collab.history.difference import compare
from collab.render.export import export
from collab.render.values import json_value
from collab.roots import RootKind, root_kinds
from collab.store import Entry
from tests.core.history.histories import ROOTS, document_of, make_log

VALUES = ["é", b"bytes", True, None, 1, 2.5, 2**60, {"a": [1, {"b": b"c"}]}, [], ""]
MANY = 60_000
"""Elements that take minutes where each is looked up, and a second otherwise."""


def read(doc: "pycrdt.Doc[Any]", name: str, max_looked_up: int) -> list[Any]:
    kinds = {name: RootKind.ARRAY}
    return Arrays(doc, kinds, max_looked_up).elements(doc.get(name, type=pycrdt.Array))


def filled(fill: "Callable[[pycrdt.Doc[Any]], object]") -> Document:
    doc: pycrdt.Doc[Any] = pycrdt.Doc()
    with doc.transaction():
        fill(doc)
    document = Document()
    document.apply(doc.get_update())
    return document


def loose(array: "pycrdt.Array[Any]", count: int = MANY) -> None:
    """Fills an array with elements that the CRDT does not merge."""
    for number in range(count):
        array.insert(0, f"{number}")


def nested(doc: "pycrdt.Doc[Any]") -> None:
    doc["lists"] = pycrdt.Map({"a": pycrdt.Array()})
    loose(doc["lists"]["a"])


def at_the_root(doc: "pycrdt.Doc[Any]") -> None:
    loose(doc.get("list", type=pycrdt.Array))


@settings(max_examples=200)
@given(seed=st.integers(0, 2**32), moves=st.integers(1, 80), looked_up=st.integers(0, 3))
def test_what_was_observed_is_what_is_looked_up(seed: int, moves: int, looked_up: int) -> None:
    log = make_log(random.Random(seed), moves)
    doc = document_of(log).doc
    kinds = root_kinds(log)
    elements = Arrays(doc, kinds, looked_up).elements
    for name, kind in kinds.items():
        if kind in (RootKind.ARRAY, RootKind.MAP):
            root = doc.get(name, type=ROOTS[name])
            assert json_value(root, elements=elements) == json_value(root)


def test_every_value_is_read_as_it_is() -> None:
    def fill(doc: "pycrdt.Doc[Any]") -> None:
        doc["list"] = array = pycrdt.Array(VALUES)
        array.append(pycrdt.Doc(guid="part"))

    doc = filled(fill).doc
    *values, part = read(doc, "list", max_looked_up=0)
    *looked_up, _ = read(doc, "list", max_looked_up=MANY)
    assert values == looked_up
    assert [type(value) for value in values] == [type(value) for value in looked_up]
    assert part.guid == "part"


def test_arrays_in_arrays_are_read_long_or_short() -> None:
    doc: pycrdt.Doc[Any] = pycrdt.Doc()
    sizes = [0, 1, 2, 3, 9]
    lists = [pycrdt.Array([pycrdt.Array([*range(size)]), size]) for size in sizes]
    doc["list"] = array = pycrdt.Array(lists)
    elements = Arrays(doc, {"list": RootKind.ARRAY}, max_looked_up=2).elements
    shown = json_value(array, elements=elements)
    assert shown == [[list(range(size)), size] for size in sizes]


def test_a_root_is_not_mixed_up_with_an_array_that_is_made_one() -> None:
    doc: pycrdt.Doc[Any] = pycrdt.Doc(client_id=7)
    doc["0"] = array = pycrdt.Array([pycrdt.Array([1, 2, 3])])
    doc["0 7 0"] = pycrdt.Array(["another"])
    kinds = dict.fromkeys(("0", "0 7 0"), RootKind.ARRAY)
    assert json_value(array, elements=Arrays(doc, kinds, max_looked_up=1).elements) == [[1, 2, 3]]


def test_deleted_elements_are_not_read() -> None:
    doc: pycrdt.Doc[Any] = pycrdt.Doc()
    doc["list"] = array = pycrdt.Array([1, 2, 3, 4])
    del array[1:3]
    assert read(doc, "list", max_looked_up=1) == [1, 4]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("fill", [at_the_root, nested])
def test_long_arrays_are_shown_and_compared_in_time(
    fill: "Callable[[pycrdt.Doc[Any]], object]",
) -> None:
    document = filled(fill)
    shown = json.loads(export(document, "json"))
    wanted = [f"{number}" for number in reversed(range(MANY))]
    assert shown == ({"list": wanted} if fill is at_the_root else {"lists": {"a": wanted}})
    (difference,) = compare(document, Document())
    assert len(difference.edits) == (MANY if fill is at_the_root else 1)


@pytest.mark.timeout(60)
def test_long_arrays_are_attributed_in_time() -> None:
    document = filled(nested)
    deliveries = Deliveries(pause_seconds=60)
    deliveries.add(Entry(seq=1, update=document.encode(), time_ms=0, author="Ada"))
    assert attribute(document, deliveries) == []


@pytest.mark.timeout(60)
def test_what_long_arrays_lack_is_put_back_in_time() -> None:
    here: pycrdt.Doc[Any] = pycrdt.Doc()
    here["lists"] = pycrdt.Map({"b": pycrdt.Array([pycrdt.Map()])})
    loose(here["lists"]["b"])
    wanted: pycrdt.Doc[Any] = pycrdt.Doc()
    nested(wanted)
    wanted["lists"]["b"] = pycrdt.Array([pycrdt.Map({"found": 1.0})])
    loose(wanted["lists"]["b"])
    kinds = {"lists": RootKind.MAP}
    content = read_content(wanted, kinds)
    put_back(here, kinds, content)
    assert read_content(here, kinds) == content
