"""How deeply shared types lie inside each other, and what a document takes of that."""

from collections.abc import Iterable

import pycrdt
import pytest

from collab.document import Document
from collab.errors import PoisonedUpdate
from collab.lib0 import write_var_string, write_var_uint
from collab.nesting import LOOK_LEVELS, MAX_LEVELS, estimate_levels, measure_levels

CLIENT = 7


def nested(levels: int, first: int = 0) -> bytes:
    """Elements inside each other, from a number on; number 0 lies in a root."""
    structs = []
    for number in range(first, first + levels):
        above = write_var_uint(CLIENT) + write_var_uint(max(number - 1, 0))
        place = b"\x01" + write_var_string("x") if number == 0 else b"\x00" + above
        structs.append(b"\x07" + place + b"\x03" + write_var_string("p"))
    head = b"\x01" + write_var_uint(levels) + write_var_uint(CLIENT) + write_var_uint(first)
    return head + b"".join(structs) + b"\x00"


def beside(levels: int) -> bytes:
    """The same, but in each element a text comes first, and the next element beside it."""
    structs = [b"\x07\x01" + write_var_string("x") + b"\x03" + write_var_string("p")]
    for number in range(1, levels):
        above = write_var_uint(CLIENT) + write_var_uint(2 * number - 2)
        text = write_var_uint(CLIENT) + write_var_uint(2 * number - 1)
        structs.append(b"\x04\x00" + above + write_var_string("t"))
        structs.append(b"\x87" + text + b"\x03" + write_var_string("p"))
    head = b"\x01" + write_var_uint(len(structs)) + write_var_uint(CLIENT) + b"\x00"
    return head + b"".join(structs) + b"\x00"


def flat(paragraphs: int) -> bytes:
    doc: pycrdt.Doc[pycrdt.XmlFragment] = pycrdt.Doc()
    fragment = doc.get("x", type=pycrdt.XmlFragment)
    for _ in range(paragraphs):
        paragraph = fragment.children.append(pycrdt.XmlElement("p"))
        paragraph.children.append(pycrdt.XmlText("hello"))
    return doc.get_update()


def apply_all(document: Document, firsts: Iterable[int], step: int) -> None:
    for first in firsts:
        document.apply(nested(step, first))


@pytest.mark.parametrize("levels", [1, 2, 10, 300])
def test_levels_are_counted_whether_inside_or_beside(levels: int) -> None:
    assert measure_levels(nested(levels)) == levels
    assert measure_levels(beside(levels)) == levels


def test_paragraphs_beside_each_other_are_flat() -> None:
    assert measure_levels(flat(50)) == 2


@pytest.mark.parametrize("update", [nested(300), beside(300), flat(50)])
def test_an_estimate_is_never_too_low(update: bytes) -> None:
    assert estimate_levels(update) + 1 >= measure_levels(update)


def test_text_alone_is_no_level() -> None:
    doc: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc(client_id=2**31)
    text = doc.get("t", type=pycrdt.Text)
    for word in ["a\t", "g'G", "\n\t\t"] * 50:
        text += word
    assert estimate_levels(doc.get_update()) <= 2


def test_structs_that_lie_in_a_circle_are_no_level() -> None:
    circle = b"\x01\x02\x07\x00\x07\x00\x07\x01\x03\x01p" + b"\x07\x00\x07\x00\x03\x01p" + b"\x00"
    assert measure_levels(circle) <= 2


def test_a_document_takes_many_paragraphs() -> None:
    document = Document()
    document.apply(flat(LOOK_LEVELS))
    assert document.pending_bytes == 0


@pytest.mark.parametrize("levels", [LOOK_LEVELS + 2, 100_000])
def test_types_too_deep_for_yrs_are_refused_whole(levels: int) -> None:
    with pytest.raises(PoisonedUpdate, match="types inside each other"):
        Document().apply(nested(levels))


def test_types_too_deep_are_refused_level_by_level_and_what_is_there_can_be_deleted() -> None:
    document = Document()
    step = 100
    with pytest.raises(PoisonedUpdate, match="types inside each other"):
        apply_all(document, range(0, 100 * step, step), step)
    assert measure_levels(document.encode()) <= LOOK_LEVELS
    document.apply(b"\x00\x01" + write_var_uint(CLIENT) + b"\x01\x00\x01")
    assert MAX_LEVELS < LOOK_LEVELS


def test_what_a_document_was_loaded_with_counts() -> None:
    document = Document()
    document.apply(nested(LOOK_LEVELS - 1))
    again = Document()
    again.apply(document.encode())
    with pytest.raises(PoisonedUpdate, match="types inside each other"):
        again.apply(nested(10, LOOK_LEVELS - 1))


def test_types_that_came_before_what_they_lie_in_count() -> None:
    document = Document()
    step = 1000
    with pytest.raises(PoisonedUpdate, match="types inside each other"):
        apply_all(document, range(20 * step, -1, -step), step)


@pytest.mark.timeout(30)
def test_a_document_is_not_read_whole_for_what_only_looks_like_levels() -> None:
    """It took seconds for each such update of a few kilobytes, where there were many structs."""
    document = Document()
    each = b"\x44" + write_var_uint(1)  # At the beginning, before the one that was there.
    structs = [b"\x04\x01\x01t\x01x"]
    structs += [each + write_var_uint(clock) + b"\x01x" for clock in range(200_000 - 1)]
    head = b"\x01" + write_var_uint(len(structs)) + b"\x01\x00"
    document.apply(head + b"".join(structs) + b"\x00")
    collected = b"\x00\x01" * (LOOK_LEVELS + 1)
    for client in range(2, 62):
        head = b"\x01" + write_var_uint(LOOK_LEVELS + 1) + write_var_uint(client) + b"\x00"
        document.apply(head + collected + b"\x00")
    assert document.clients == 61
