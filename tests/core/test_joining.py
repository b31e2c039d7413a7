"""Joining: an update says the same with fewer structs, and is applied in no time."""

import json
import random
from typing import Any

import pycrdt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collab.access import Access, Identity
from collab.checking import check_update
from collab.comparison import difference
from collab.document import Document
from collab.joining import MAX_LOOSE, join, join_pieces
from collab.lib0 import write_var_string, write_var_uint
from collab.merging import merge
from collab.nesting import LOOK_LEVELS, estimate_levels
from collab.protocol import yjs
from collab.protocol.messages import Update
from collab.render.export import export
from collab.replay import Replay
from collab.session import Session
from collab.store import Entry
from collab.structs import Kind, read_structs
from collab.update import split
from tests.core.history.histories import make_log

ANY, STRING = 8, 4
MANY = 40_000
"""Structs that the CRDT takes minutes to join where they are values, and seconds otherwise."""


def one_by_one(contents: list[bytes], kind: int = ANY, key: str | None = None) -> bytes:
    """An update with a struct for each content, each after the one before."""
    client, root = write_var_uint(7), b"\x01" + write_var_string("root")
    structs = [bytes((kind,)) + root + contents[0]]
    if key is not None:
        structs = [bytes((kind | 0x20,)) + root + write_var_string(key) + contents[0]]
    flags = kind | 0x80 | (0x20 if key is not None else 0)
    for clock, content in enumerate(contents[1:]):
        structs.append(bytes((flags,)) + client + write_var_uint(clock) + content)
    return b"\x01" + write_var_uint(len(structs)) + client + b"\x00" + b"".join(structs) + b"\x00"


def values(count: int) -> list[bytes]:
    return [b"\x01\x77" + write_var_string(f"{number}") for number in range(count)]


def document_of(*updates: bytes) -> Document:
    document = Document()
    for update in updates:
        document.apply(update)
    return document


@settings(max_examples=200)
@given(seed=st.integers(0, 2**32), moves=st.integers(1, 80))
def test_an_update_says_the_same_when_it_is_joined(seed: int, moves: int) -> None:
    log = make_log(random.Random(seed), moves)
    if not log:
        return
    whole = merge(log)
    assert difference(document_of(join(whole)), document_of(whole)) is None


@pytest.mark.parametrize(
    ("kind", "contents"),
    [
        pytest.param(ANY, values(9), id="values"),
        pytest.param(STRING, [write_var_string(each) for each in "aéλ z"], id="characters"),
    ],
)
def test_what_continues_is_joined_as_the_crdt_does(kind: int, contents: list[bytes]) -> None:
    update = one_by_one(contents, kind)
    assert join(update) == document_of(update).encode()
    assert len(list(read_structs(join(update)))) == 1


def collected(count: int, between: bytes = b"") -> bytes:
    """An update of things that were collected, one by one, and of one thing between them."""
    half = b"\x00\x01" * count
    structs = write_var_uint(2 * count + int(bool(between)))
    return b"\x01" + structs + b"\x07\x00" + half + between + half + b"\x00"


def test_what_was_collected_one_by_one_is_joined_around_what_was_not() -> None:
    within = b"\x04\x01" + write_var_string("root") + write_var_string("x")
    for update, structs in ((collected(300), 1), (collected(300, within), 3)):
        joined = join(update)
        assert len(list(read_structs(joined))) == structs
        assert document_of(joined).state_vector == document_of(update).state_vector
        assert difference(document_of(joined), document_of(update)) is None


def test_what_two_clients_had_collected_is_not_joined() -> None:
    update = b"\x02\x01\x08\x00\x00\x05\x01\x07\x00\x00\x05\x00"
    assert join(update) == update


def test_thousands_of_things_that_were_collected_are_no_levels() -> None:
    update = collected(200_000)
    assert estimate_levels(update) > LOOK_LEVELS
    assert estimate_levels(check_update(update)) <= 1


def test_entries_of_a_map_are_not_joined() -> None:
    update = one_by_one(values(9), key="key")
    assert join(update) == update


def test_what_was_written_before_something_is_not_joined_with_what_was_not() -> None:
    doc: pycrdt.Doc[Any] = pycrdt.Doc(client_id=7)
    array = doc.get("root", type=pycrdt.Array)
    array.append("last")
    array.insert(0, "a")
    array.insert(1, "b")
    array.append("after it")
    assert join(doc.get_update()) == doc.get_update()


def test_an_update_of_few_structs_is_kept_as_it_came() -> None:
    update = one_by_one(values(MAX_LOOSE + 1))
    assert check_update(update) is update
    assert len(check_update(one_by_one(values(MAX_LOOSE + 2)))) < len(update)


def test_a_difference_with_gaps_is_joined() -> None:
    contents = values(9)
    whole = one_by_one(contents)
    first, *_, last = (pycrdt.get_update(one_by_one(contents[:end]), b"\x00") for end in (3, 9))
    rest = pycrdt.get_update(last, pycrdt.get_state(one_by_one(contents[:6])))
    skipping = pycrdt.merge_updates(first, rest)
    assert Kind.SKIP in {struct.kind for struct in read_structs(skipping)}
    joined = document_of(join(skipping), whole)
    assert joined.encode() == document_of(whole).encode()


PASTE = "é𝒳a " * 300_000


def pieces_of_a_paste() -> list[bytes]:
    doc: pycrdt.Doc[Any] = pycrdt.Doc(client_id=7)
    doc["text"] = pycrdt.Text(PASTE)
    return list(split(doc.get_update(), 100_000))


def test_the_pieces_of_a_long_paste_become_one_when_they_are_merged() -> None:
    pieces = pieces_of_a_paste()
    assert len(pieces) > 20
    merged = merge(pieces)
    assert len(list(read_structs(merged))) == 1
    assert str(document_of(merged).doc.get("text", type=pycrdt.Text)) == PASTE


def test_the_pieces_of_a_long_paste_are_joined_around_what_others_wrote() -> None:
    pieces = pieces_of_a_paste()
    other: pycrdt.Doc[Any] = pycrdt.Doc(client_id=8)
    other.apply_update(pieces[0])
    before = other.get_state()
    other.get("text", type=pycrdt.Text).insert(1, "within")
    updates = [*pieces, other.get_update(before)]
    merged = merge(updates)
    assert len(list(read_structs(merged))) == 2
    assert difference(document_of(merged), document_of(*updates)) is None


def test_a_long_update_of_short_structs_is_left_as_it_came() -> None:
    update = one_by_one([b"\x01\x77" + write_var_string("x" * 100)] * 20_000)
    assert len(update) > 2_000_000
    assert join_pieces(update) is update


def test_long_bytes_that_are_no_update_are_left_as_they_came() -> None:
    cut_off = merge(pieces_of_a_paste())[:-1000]
    assert join_pieces(cut_off) is cut_off


@pytest.mark.timeout(60)
def test_what_was_added_one_by_one_is_taken_in_in_time() -> None:
    update = one_by_one(values(MANY))
    message = Session(Identity(), Access.WRITE).read(yjs.update(update))
    assert isinstance(message, Update)
    document = document_of(message.update)
    replay = Replay()
    replay.take([Entry(seq=1, update=update, time_ms=0, author=None)])
    assert replay.document.encode() == document.encode()
    assert len(json.loads(export(document, "json"))["root"]) == MANY
