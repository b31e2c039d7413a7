"""Restore: a document is what it was, for every type, whatever happened since and meanwhile."""

import math
import random
from collections.abc import Callable
from typing import Any

import pycrdt
from hypothesis import given, settings
from hypothesis import strategies as st

from collab import state_vector
from collab.document import Document
from collab.history.restore import Restoration
from collab.lib0 import write_var_uint
from collab.replay import Replay
from tests.core import poison
from tests.core.history.histories import Typist, content_of, document_of, entries_of, make_log


def restoring(log: list[bytes], at: int, known: int | None = None) -> Restoration:
    """A restoration to a place in a log that has seen some of it."""
    restoration = Restoration(Replay(keep_deleted=True))
    entries = entries_of(log)
    restoration.replay.take(entries[:at])
    restoration.mark()
    restoration.replay.take(entries[at:known])
    restoration.undo()
    return restoration


def restored(log: list[bytes], at: int) -> Document:
    live = document_of(log)
    change = restoring(log, at).finish(live)
    if change is not None:
        live.apply(change)
    return live


def log_of(*edits: Callable[["pycrdt.Doc[Any]"], object]) -> list[bytes]:
    """The log of one client's edits, one entry each."""
    doc: pycrdt.Doc[Any] = pycrdt.Doc()
    log: list[bytes] = []
    doc.observe(lambda event: log.append(event.update))
    for edit in edits:
        with doc.transaction():
            edit(doc)
    return log


@settings(max_examples=300)
@given(seed=st.integers(0, 2**32), moves=st.integers(1, 60))
def test_a_restored_document_shows_what_it_showed(seed: int, moves: int) -> None:
    choose = random.Random(seed)
    log = make_log(choose, moves)
    at = choose.randint(0, len(log))
    assert content_of(restored(log, at), log) == content_of(document_of(log[:at]), log)


@settings(max_examples=300)
@given(seed=st.integers(0, 2**32), moves=st.integers(1, 60))
def test_what_was_written_while_it_was_computed_is_undone_too(seed: int, moves: int) -> None:
    choose = random.Random(seed)
    log = make_log(choose, moves)
    at = choose.randint(0, len(log))
    live = document_of(log)
    change = restoring(log, at, known=choose.randint(at, len(log))).finish(live)
    if change is not None:
        live.apply(change)
    assert content_of(live, log) == content_of(document_of(log[:at]), log)


@settings(max_examples=200)
@given(seed=st.integers(0, 2**32), moves=st.integers(1, 60))
def test_restoring_back_undoes_a_restore(seed: int, moves: int) -> None:
    choose = random.Random(seed)
    log = make_log(choose, moves)
    change = restoring(log, choose.randint(0, len(log))).finish(document_of(log))
    longer = [*log, change] if change is not None else log
    assert content_of(restored(longer, len(log)), log) == content_of(document_of(log), log)


@settings(max_examples=200)
@given(seed=st.integers(0, 2**32), moves=st.integers(1, 60))
def test_it_converges_with_what_others_write_at_the_same_moment(seed: int, moves: int) -> None:
    choose = random.Random(seed)
    log = make_log(choose, moves)
    change = restoring(log, choose.randint(0, len(log))).finish(document_of(log))
    typist = Typist(choose)
    typist.read(log)
    for _ in range(5):
        typist.edit()
    written = typist.send()
    here = [*log, *([change] if change is not None else []), *written]
    there = [*log, *written, *([change] if change is not None else [])]
    assert content_of(document_of(here), here) == content_of(document_of(there), here)


def test_where_nothing_happened_since_there_is_no_change() -> None:
    log = log_of(lambda doc: doc.get("t", type=pycrdt.Text).insert(0, "a"))
    assert restoring(log, 1).finish(document_of(log)) is None


def test_a_root_that_came_later_is_emptied() -> None:
    log = log_of(
        lambda doc: doc.get("old", type=pycrdt.Text).insert(0, "a"),
        lambda doc: doc.get("new", type=pycrdt.Map).update({"k": pycrdt.Text("late")}),
    )
    doc: pycrdt.Doc[Any] = restored(log, 1).doc
    assert doc.get("new", type=pycrdt.Map).to_py() == {}
    assert str(doc.get("old", type=pycrdt.Text)) == "a"


def test_an_entry_that_was_overwritten_before_its_map_was_deleted_is_back() -> None:
    def delete(doc: "pycrdt.Doc[Any]") -> None:
        del doc.get("a", type=pycrdt.Array)[0]

    log = log_of(
        lambda doc: doc.get("a", type=pycrdt.Array).append(
            pycrdt.Map({"k": pycrdt.Map({"deep": pycrdt.Text("text")}), "other": 1})
        ),
        lambda doc: doc.get("a", type=pycrdt.Array)[0].update({"k": "overwritten", "other": 2}),
        delete,
    )
    doc: pycrdt.Doc[Any] = restored(log, 1).doc
    assert doc.get("a", type=pycrdt.Array).to_py() == [{"k": {"deep": "text"}, "other": 1}]


def test_what_waited_for_others_at_the_point_and_came_later_is_undone() -> None:
    first, second = log_of(
        lambda doc: doc.get("t", type=pycrdt.Text).insert(0, "a"),
        lambda doc: doc.get("t", type=pycrdt.Text).insert(1, "b"),
    )
    live = restored([second, first], 1)
    assert str(live.doc.get("t", type=pycrdt.Text)) == ""


def test_embeds_and_formats_are_back() -> None:
    def fill(doc: "pycrdt.Doc[Any]") -> None:
        text = doc.get("t", type=pycrdt.Text)
        text.insert(0, "bold 😀", {"bold": True})
        text.insert_embed(0, {"image": "x.png"}, {"width": "3"})

    def clear(doc: "pycrdt.Doc[Any]") -> None:
        doc.get("t", type=pycrdt.Text).clear()

    log = log_of(fill, clear)
    assert restored(log, 1).doc.get("t", type=pycrdt.Text).diff() == [
        ({"image": "x.png"}, {"width": "3"}),
        ("bold 😀", {"bold": True}),
    ]


def test_values_that_are_not_equal_to_themselves_are_back() -> None:
    def fill(doc: "pycrdt.Doc[Any]") -> None:
        entries = doc.get("m", type=pycrdt.Map)
        entries["subdocument"] = pycrdt.Doc(guid="abc")
        entries["number"] = math.nan
        entries["deep"] = {"x": [math.nan, math.inf, b"bytes"]}

    def clear(doc: "pycrdt.Doc[Any]") -> None:
        doc.get("m", type=pycrdt.Map).clear()

    doc: pycrdt.Doc[Any] = restored(log_of(fill, clear), 1).doc
    entries = doc.get("m", type=pycrdt.Map)
    assert isinstance(entries["subdocument"], pycrdt.Doc)
    assert entries["subdocument"].guid == "abc"
    assert math.isnan(entries["number"])
    assert repr(entries["deep"]) == "{'x': [nan, inf, bytearray(b'bytes')]}"


def test_a_character_that_was_cut_in_two_since_is_whole_again() -> None:
    log = [poison.PAIR, poison.HALF_OF_IT_REPLACED]
    assert content_of(restored(log, 1), log) == content_of(document_of(log[:1]), log)
    assert content_of(restored(log, 2), log) == content_of(document_of(log), log)


def test_a_formatted_character_that_was_cut_in_two_is_whole_again_and_formatted() -> None:
    def write(doc: "pycrdt.Doc[Any]") -> None:
        text = doc.get("t", type=pycrdt.Text)
        for word, formats in (("a", {"em": True}), ("😀", {"bold": True}), ("b", {}), ("😀", {})):
            text.insert(len(text), word, formats)
        text.insert_embed(len(text), {"image": 1})

    (update,) = log_of(write)
    cuts = [
        poison.update_of(deletions=b"\x01" + write_var_uint(client) + b"\x01" + ends)
        for client in state_vector.decode(pycrdt.get_state(update))
        for ends in (write_var_uint(place) + b"\x01" for place in (4, 9))
    ]
    log = [update, *cuts]
    before = content_of(document_of(log[:1]), log)
    assert "\ufffd" in repr(content_of(document_of(log[:2]), log))
    assert content_of(restored(log, 1), log) == before
