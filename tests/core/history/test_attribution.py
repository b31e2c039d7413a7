"""Attribution: every character belongs to who first delivered it."""

import random
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import pycrdt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collab.document import Document
from collab.errors import UnknownRoot
from collab.history.attribution import Deliveries, attribute
from collab.merging import merge
from collab.store import Entry
from tests.core.history.histories import document_of, entries_of, make_log

Runs = list[tuple[object, str | None]]


def text_doc(client_id: int) -> "pycrdt.Doc[Any]":
    return pycrdt.Doc(client_id=client_id)


def insert(doc: "pycrdt.Doc[Any]", at: int, written: str, **formats: object) -> bytes:
    """Types into a text at a place in bytes: the update."""
    before = doc.get_state()
    doc.get("t", type=pycrdt.Text).insert(at, written, formats)
    return doc.get_update(before)


def entry(seq: int, update: bytes, author: str | None, time_ms: int | None = None) -> Entry:
    moment = seq * 1000 if time_ms is None else time_ms
    return Entry(seq=seq, update=update, time_ms=moment, author=author)


def runs_of(*entries: Entry, root: str = "t", base: bytes | None = None) -> Runs:
    deliveries = Deliveries(60)
    document = Document()
    if base is not None:
        deliveries.skip(base)
        document.apply(base)
    for each in entries:
        deliveries.add(each)
        document.apply(each.update)
    (text,) = attribute(document, deliveries, root)
    return [(run.insert, run.change.author if run.change else None) for run in text.runs]


def test_runs_are_told_apart_by_author() -> None:
    doc = text_doc(1)
    first = insert(doc, 0, "hello world")
    second = insert(doc, 5, " dear")
    assert runs_of(entry(1, first, "ada"), entry(2, second, "bob")) == [
        ("hello", "ada"),
        (" dear", "bob"),
        (" world", "ada"),
    ]


def test_runs_of_one_author_are_told_apart_by_pause() -> None:
    doc = text_doc(1)
    first, second, third = (insert(doc, at, letter) for at, letter in enumerate("abc"))
    deliveries = Deliveries(60)
    for each in (
        entry(1, first, "ada", 0),
        entry(2, second, "ada", 60_000),
        entry(3, third, "ada", 120_001),
    ):
        deliveries.add(each)
    (text,) = attribute(document_of([first, second, third]), deliveries)
    assert [
        (run.insert, run.change.first_ms, run.change.last_ms) for run in text.runs if run.change
    ] == [("ab", 0, 60_000), ("c", 120_001, 120_001)]


def test_emoji_count_as_one_character_and_keep_their_author() -> None:
    doc = text_doc(1)
    first = insert(doc, 0, "😀👨‍👩‍👧")
    second = insert(doc, 4, "🇩🇪é")
    assert runs_of(entry(1, first, "ada"), entry(2, second, "bob")) == [
        ("😀", "ada"),
        ("🇩🇪é", "bob"),
        ("👨‍👩‍👧", "ada"),
    ]


def test_formats_and_embeds_do_not_disturb() -> None:
    doc = text_doc(1)
    text = doc.get("t", type=pycrdt.Text)
    first = insert(doc, 0, "plain", bold=True)
    before = doc.get_state()
    text.insert_embed(2, {"image": "x"})
    text.insert_embed(2, "a string")
    second = doc.get_update(before)
    before = doc.get_state()
    text.format(0, 2, {"em": True})
    third = doc.get_update(before)
    runs = runs_of(entry(1, first, "ada"), entry(2, second, "bob"), entry(3, third, "eve"))
    assert runs == [("pl", "ada"), ("a string", "bob"), ({"image": "x"}, "bob"), ("ain", "ada")]


def test_text_that_waited_belongs_to_who_delivered_it() -> None:
    doc = text_doc(1)
    first = insert(doc, 0, "one ")
    second = insert(doc, 4, "two")
    assert runs_of(entry(1, second, "ada"), entry(2, first, "bob")) == [
        ("one ", "bob"),
        ("two", "ada"),
    ]


def test_text_delivered_again_belongs_to_the_first() -> None:
    doc = text_doc(1)
    first = insert(doc, 0, "ab")
    second = insert(doc, 2, "cd")
    whole = doc.get_update()
    runs = runs_of(entry(1, second, "ada"), entry(2, whole, "bob"), entry(3, first, "eve"))
    assert runs == [("ab", "bob"), ("cd", "ada")]


def test_what_is_older_than_the_history_is_nobodys() -> None:
    doc = text_doc(1)
    base = insert(doc, 0, "old")
    assert runs_of(entry(7, insert(doc, 3, "new"), None), base=base) == [
        ("old", None),
        ("new", None),
    ]


def test_text_among_what_was_collected_keeps_its_author() -> None:
    doc = text_doc(1)
    updates = [insert(doc, 0, "abcdef")]
    before = doc.get_state()
    del doc.get("t", type=pycrdt.Text)[1:5]
    updates.append(doc.get_update(before))
    updates.append(insert(doc, 1, "X"))
    runs = runs_of(*(entry(seq, each, f"u{seq}") for seq, each in enumerate(updates, 1)))
    assert runs == [("a", "u1"), ("X", "u3"), ("f", "u1")]


def test_nested_texts_and_xml_texts_are_found_by_path() -> None:
    doc = text_doc(1)
    doc.get("m", type=pycrdt.Map)["k"] = pycrdt.Array([1, pycrdt.Text("deep")])
    fragment = doc.get("x", type=pycrdt.XmlFragment)
    fragment.children.append(pycrdt.XmlElement("p", {"a": "b"}, [pycrdt.XmlText("words")]))
    deliveries = Deliveries(60)
    update = doc.get_update()
    deliveries.add(entry(1, update, "ada"))
    texts = attribute(document_of([update]), deliveries)
    assert [(text.path, [run.insert for run in text.runs]) for text in texts] == [
        (("m", "k", 1), ["deep"]),
        (("x", 0, 0), ["words"]),
    ]


def test_an_unknown_root_is_refused() -> None:
    with pytest.raises(UnknownRoot):
        attribute(document_of([insert(text_doc(1), 0, "a")]), Deliveries(60), "other")


def test_more_changes_than_one_digit_counts_are_told_apart() -> None:
    doc = text_doc(1)
    count = 0xC000 + 5
    base = insert(doc, 0, "")
    entries = []
    for seq in range(1, count + 1):
        if seq in (1, 2, count - 1, count):
            entries.append(entry(seq, insert(doc, 0, chr(0x61 + seq % 26)), f"u{seq}", seq * 9**9))
        else:
            entries.append(entry(seq, base, f"u{seq % 2}", seq * 9**9))
    assert runs_of(*entries)[0][1] == f"u{count}"
    assert [author for _, author in runs_of(*entries)] == [
        f"u{seq}" for seq in (count, count - 1, 2, 1)
    ]


@settings(max_examples=200)
@given(seed=st.integers(0, 2**32), moves=st.integers(1, 60))
def test_every_character_is_attributed_to_its_first_delivery(seed: int, moves: int) -> None:
    """Each author types one letter of their own, so that the text itself says who wrote what."""
    choose = random.Random(seed)
    docs = [text_doc(number) for number in (1, 2, 3)]
    log: list[tuple[bytes, str]] = []
    for _ in range(moves):
        number = choose.randrange(3)
        doc, letter = docs[number], "a😀é"[number]
        text = doc.get("t", type=pycrdt.Text)
        written = str(text)
        if choose.random() < 0.3:
            for update, _ in log:
                doc.apply_update(update)
        elif choose.random() < 0.3 and written:
            before = doc.get_state()
            first, last = sorted(choose.randint(0, len(written)) for _ in range(2))
            del text[len(written[:first].encode()) : len(written[:last].encode())]
            log.append((doc.get_update(before), letter))
        else:
            at = len(written[: choose.randint(0, len(written))].encode())
            log.append((insert(doc, at, letter), letter))
    if choose.random() < 0.5:
        choose.shuffle(log)
    whole = document_of([update for update, _ in log])
    runs = []
    if str(whole.doc.get("t", type=pycrdt.Text)):
        runs = runs_of(*(entry(seq, update, who) for seq, (update, who) in enumerate(log, 1)))
    for inserted, author in runs:
        assert isinstance(inserted, str)
        assert set(inserted) == {author}
    assert all(one != other for (_, one), (_, other) in pairwise(runs))


@settings(max_examples=100)
@given(seed=st.integers(0, 2**32), moves=st.integers(1, 60))
def test_runs_together_are_the_text(seed: int, moves: int) -> None:
    log = make_log(random.Random(seed), moves)
    deliveries = Deliveries(60)
    for each in entries_of(log):
        deliveries.add(each)
    document = document_of([merge(log)] if log else [])
    for text in attribute(document, deliveries):
        if text.path[0] in ("text", "text 2"):
            whole = document.doc.get(text.path[0], type=pycrdt.Text).diff()
            assert [run.insert for run in text.runs if isinstance(run.insert, str)] != [""]
            assert _words(run.insert for run in text.runs) == _words(each for each, _ in whole)
        assert all(run.change is not None for run in text.runs)


def _words(inserts: Iterable[object]) -> str:
    return "".join(insert if isinstance(insert, str) else "\0" for insert in inserts)
