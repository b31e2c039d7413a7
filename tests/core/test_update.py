from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pycrdt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collab.document import Document
from collab.errors import ProtocolError
from collab.lib0 import write_var_string, write_var_uint
from collab.render.export import export
from collab.update import Kind, read_deletions, read_structs, split
from tests.fixtures import BINDINGS, written

SMALLEST = 128
WORDS = st.sampled_from(["a", "hello ", "é", "😀", "👨‍👩‍👧", "e\u0301", "𝒳y", "x" * 200])

Edit = Callable[["pycrdt.Doc[Any]"], None]


def insert(doc: "pycrdt.Doc[Any]", at: int, word: str) -> None:
    text = doc.get("text", type=pycrdt.Text)
    text.insert(at_character(text, at), word)


def at_character(text: pycrdt.Text, at: int) -> int:
    """The index in bytes of one of its characters."""
    written_so_far = str(text)
    return len(written_so_far[: at % (len(written_so_far) + 1)].encode())


def delete(doc: "pycrdt.Doc[Any]", at: int, word: str) -> None:
    text = doc.get("text", type=pycrdt.Text)
    start = at_character(text, at)
    end = at_character(text, at + len(word))
    if start < end:
        del text[start:end]


def bold(doc: "pycrdt.Doc[Any]", at: int, word: str) -> None:
    text = doc.get("text", type=pycrdt.Text)
    start = at_character(text, at)
    end = at_character(text, at + len(word))
    if start < end:
        text.format(start, end, {"bold": True})


def put(doc: "pycrdt.Doc[Any]", at: int, word: str) -> None:
    keys = doc.get("map", type=pycrdt.Map)
    keys[f"k{at % 5}"] = word if at % 2 else pycrdt.Array([word, at])


def push(doc: "pycrdt.Doc[Any]", at: int, word: str) -> None:
    array = doc.get("array", type=pycrdt.Array)
    array.insert(
        at % (len(array) + 1), pycrdt.Map({"w": word}) if at % 3 == 0 else [word, at, None]
    )


def pull(doc: "pycrdt.Doc[Any]", at: int, word: str) -> None:
    array = doc.get("array", type=pycrdt.Array)
    if len(array):
        del array[at % len(array)]


def element(doc: "pycrdt.Doc[Any]", at: int, word: str) -> None:
    fragment = doc.get("xml", type=pycrdt.XmlFragment)
    children = fragment.children
    children.insert(
        at % (len(children) + 1),
        pycrdt.XmlElement("paragraph", {"level": str(at)}, [pycrdt.XmlText(word)]),
    )


EDITS = st.tuples(
    st.integers(0, 3),  # which client
    st.sampled_from([insert, insert, insert, delete, bold, put, push, pull, element]),
    st.integers(0, 1000),
    WORDS,
    st.booleans(),  # whether all merge afterwards
)


def written_together(edits: Sequence[tuple[int, Any, int, str, bool]]) -> bytes:
    """The state that several clients leave who edit, apart and together."""
    docs = [pycrdt.Doc[Any](client_id=client) for client in (7, 300, 2**31, 2**32 - 1)]
    for client, edit, at, word, merges in edits:
        edit(docs[client], at, word)
        if merges:
            merge(docs)
    merge(docs)
    return docs[0].get_update()


def merge(docs: Sequence["pycrdt.Doc[Any]"]) -> None:
    for doc in docs:
        for other in docs:
            doc.apply_update(other.get_update(doc.get_state()))


def content(document: Document) -> bytes:
    return export(document, "json")


def applied_in_order(parts: Iterator[bytes] | Sequence[bytes]) -> Document:
    document = Document()
    for part in parts:
        document.apply(part)
        assert document.pending_bytes == 0
    return document


def covered(update: bytes) -> set[tuple[int, int]]:
    return {(s.client, s.clock + at) for s in read_structs(update) for at in range(s.length)}


def deleted(update: bytes) -> set[tuple[int, int]]:
    return {(d.client, d.clock + at) for d in read_deletions(update) for at in range(d.length)}


@given(st.lists(EDITS, max_size=40), st.integers(SMALLEST, 2000))
def test_parts_in_order_leave_nothing_pending_and_make_the_whole(
    edits: list[tuple[int, Any, int, str, bool]], max_bytes: int
) -> None:
    update = written_together(edits)
    whole = applied_in_order([update])
    parts = list(split(update, max_bytes))
    document = applied_in_order(parts)
    assert content(document) == content(whole)
    assert set().union(*map(covered, parts)) == covered(update)
    assert deleted(document.encode()) == deleted(whole.encode())


@pytest.mark.parametrize("name", BINDINGS)
def test_real_documents_come_apart_and_together(name: str) -> None:
    update = written(name)
    parts = list(split(update, SMALLEST))
    assert len(parts) > 1
    assert content(applied_in_order(parts)) == content(applied_in_order([update]))


def test_interleaved_authors_are_cut_to_size() -> None:
    docs = [pycrdt.Doc[Any](client_id=1000 + client) for client in range(20)]
    for turn in range(30):
        for client, doc in enumerate(docs):
            insert(doc, turn * 7919 + client * 104729, f"<{turn}.{client}>")
        merge(docs[turn % 5 :: 5])
    merge(docs)
    update = docs[0].get_update()
    parts = list(split(update, 2000))
    assert max(map(len, parts)) <= 2000
    assert len(parts) < 2 * len(update) / 2000
    assert content(applied_in_order(parts)) == content(applied_in_order([update]))


def test_one_huge_string_is_cut_between_characters() -> None:
    doc = pycrdt.Doc[Any]()
    text = doc.get("text", type=pycrdt.Text)
    text += "😀é𝒳a" * 50_000
    update = doc.get_update()
    parts = list(split(update, 10_000))
    assert max(map(len, parts)) <= 10_000
    assert len(parts) < 1.1 * len(update) / 10_000 + 1
    for part in parts:
        assert [struct.kind for struct in read_structs(part)] == [Kind.STRING]
    assert str(applied_in_order(parts).doc.get("text", type=pycrdt.Text)) == str(text)


@pytest.mark.parametrize("word", ["x", "😀é𝒳a"])
def test_a_string_is_cut_into_few_pieces_where_that_is_asked_for(word: str) -> None:
    doc = pycrdt.Doc[Any]()
    text = doc.get("text", type=pycrdt.Text)
    text += word * 10_007
    array = doc.get("array", type=pycrdt.Array)
    array.extend(["value"] * 1_000)
    update = doc.get_update()
    parts = list(split(update, 1_000, max_pieces=7))
    strings = [part for part in parts if Kind.STRING in {each.kind for each in read_structs(part)}]
    assert len(strings) == 7
    assert max(len(part) for part in parts if part not in strings) <= 1_000
    assert content(applied_in_order(parts)) == content(applied_in_order([update]))


def test_pieces_are_no_longer_than_a_part_where_those_are_few() -> None:
    doc = pycrdt.Doc[Any]()
    text = doc.get("text", type=pycrdt.Text)
    text += "x" * 10_000
    parts = list(split(doc.get_update(), 2_000, max_pieces=7))
    assert max(map(len, parts)) <= 2_000


def test_a_huge_string_between_others_keeps_its_place() -> None:
    first, second = pycrdt.Doc[Any](client_id=1), pycrdt.Doc[Any](client_id=2)
    insert(first, 0, "begin end")
    merge([first, second])
    insert(second, 6, "wide 😀 " * 1000)
    merge([first, second])
    insert(first, 3000, "within")
    merge([first, second])
    update = first.get_update()
    assert content(applied_in_order(split(update, 500))) == content(applied_in_order([update]))


def test_a_huge_string_ends_where_its_next_struct_begins() -> None:
    first, second = pycrdt.Doc[Any](client_id=1), pycrdt.Doc[Any](client_id=2)
    insert(first, 0, "x" * 1000)
    merge([first, second])
    insert(second, 1000, "y")
    merge([first, second])
    insert(first, 1001, "z")  # its first byte, 0x84, could be the middle of a character
    merge([first, second])
    update = first.get_update()
    assert b"xxx\x84" in update
    assert content(applied_in_order(split(update, SMALLEST))) == content(applied_in_order([update]))


def test_one_huge_list_is_cut_between_values() -> None:
    doc = pycrdt.Doc[Any]()
    array = doc.get("array", type=pycrdt.Array)
    array.extend([{"n": number, "text": "é" * 20} for number in range(2000)])
    parts = list(split(doc.get_update(), 5000))
    assert max(map(len, parts)) <= 5000
    assert content(applied_in_order(parts)) == content(applied_in_order([doc.get_update()]))


def test_a_single_huge_value_stays_whole() -> None:
    doc = pycrdt.Doc[Any]()
    keys = doc.get("map", type=pycrdt.Map)
    keys["small"] = 1
    keys["bytes"] = b"\x00" * 10_000
    keys["last"] = "z"
    parts = list(split(doc.get_update(), 1000))
    assert sorted(len(part) > 1000 for part in parts) == [False] * (len(parts) - 1) + [True]
    assert content(applied_in_order(parts)) == content(applied_in_order([doc.get_update()]))


def test_deletions_come_last_and_are_cut_too() -> None:
    doc = pycrdt.Doc[Any]()
    text = doc.get("text", type=pycrdt.Text)
    text += "ab" * 5000
    for at in range(5000):
        del text[at : at + 1]
    update = doc.get_update()
    parts = list(split(update, 1000))
    assert max(map(len, parts)) <= 1000
    with_structs = [bool(list(read_structs(part))) for part in parts]
    with_deletions = [bool(list(read_deletions(part))) for part in parts]
    assert with_structs == sorted(with_structs, reverse=True)
    assert with_deletions == sorted(with_deletions)
    assert set().union(*map(deleted, parts)) == deleted(update)
    assert content(applied_in_order(parts)) == content(applied_in_order([update]))


def test_an_update_with_gaps_keeps_them() -> None:
    doc = pycrdt.Doc[Any](client_id=9)
    text = doc.get("text", type=pycrdt.Text)
    updates: list[bytes] = []
    subscription = doc.observe(lambda event: updates.append(event.update))
    for number in range(100):
        text.insert(0, f"{number} and then ")
    doc.unobserve(subscription)
    missing = updates[50]
    update = pycrdt.merge_updates(*updates[:50], *updates[51:])
    assert Kind.SKIP in [struct.kind for struct in read_structs(update)]
    document = Document()
    for part in split(update, 200):
        document.apply(part)
    document.apply(missing)
    assert document.pending_bytes == 0
    assert str(document.doc.get("text", type=pycrdt.Text)) == str(text)


def test_a_difference_is_cut_though_what_it_depends_on_is_elsewhere() -> None:
    first, second = pycrdt.Doc[Any](client_id=1), pycrdt.Doc[Any](client_id=2)
    insert(first, 0, "already there")
    merge([first, second])
    known = first.get_state()
    for number in range(100):
        insert(second, number * 31, f"({number})")
    difference = second.get_update(known)
    document = Document()
    document.apply(first.get_update())
    for part in split(difference, 200):
        document.apply(part)
        assert document.pending_bytes == 0
    assert content(document) == content(applied_in_order([second.get_update()]))


def test_what_fits_is_given_back_as_it_is() -> None:
    update = written("quill")
    assert list(split(update, len(update))) == [update]


def test_parts_come_one_by_one() -> None:
    doc = pycrdt.Doc[Any]()
    text = doc.get("text", type=pycrdt.Text)
    text += "x" * 10_000
    parts = split(doc.get_update(), 1000)
    assert len(next(parts)) <= 1000
    assert len(next(parts)) <= 1000


def test_parts_too_small_for_a_struct_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 128 bytes, got 127"):
        next(split(written("quill"), SMALLEST - 1))


def test_origins_in_a_circle_come_out_once() -> None:
    of_5 = b"\x84\x06\x00" + write_var_string("five" * 50)
    of_6 = b"\x84\x05\x00" + write_var_string("six" * 50)
    update = b"\x02\x01\x06\x00" + of_6 + b"\x01\x05\x00" + of_5 + b"\x00"
    parts = list(split(update, SMALLEST))
    pieces = [struct for part in parts for struct in read_structs(part)]
    for client, length in ((5, 200), (6, 150)):
        assert sum(piece.length for piece in pieces if piece.client == client) == length


@given(st.binary(min_size=SMALLEST + 1, max_size=400))
def test_arbitrary_bytes_raise_only_protocol_errors(update: bytes) -> None:
    try:
        parts = list(split(update, SMALLEST))
    except ProtocolError:
        return
    for part in parts:
        list(read_deletions(part))


@given(st.sampled_from(BINDINGS), st.data())
def test_damaged_updates_are_refused_before_the_first_part(name: str, data: st.DataObject) -> None:
    update = bytearray(written(name))
    for _ in range(data.draw(st.integers(1, 3))):
        update[data.draw(st.integers(0, len(update) - 1))] = data.draw(st.integers(0, 255))
    parts = split(bytes(update), SMALLEST)
    try:
        first = next(parts)
    except ProtocolError:
        return
    whole = [first, *parts]
    lengths = sum(struct.length for part in whole for struct in read_structs(part))
    assert lengths == sum(struct.length for struct in read_structs(bytes(update)))


def test_a_long_update_is_refused_before_the_first_part_if_its_end_is_missing() -> None:
    head = b"\x01\x01\x05\x00\x04\x01" + write_var_string("r")
    update = head + write_var_string("x" * 1000) + write_var_uint(3)
    with pytest.raises(ProtocolError):
        next(split(update, SMALLEST))
