"""The load's readers: they find each change in whatever way a server merged it."""

import pytest
from pycrdt import Doc, Text, merge_updates

from benchmarks.load.authors import Author, presence_states
from benchmarks.load.dialect import presence, read_body, read_kind
from benchmarks.load.runs import Run, UnreadableUpdate, read_presence, read_runs


def test_each_keystroke_is_one_run() -> None:
    author = Author(3)
    runs = [run for update in author.type(30) for run in read_runs(update)]
    assert runs == [Run(author.client, clock, 1) for clock in range(30)]


def test_merged_updates_of_several_authors_show_every_run() -> None:
    one, two = Author(1), Author(2)
    merged = merge_updates(*one.type(5), *two.type(7))
    assert sorted(read_runs(merged)) == [Run(one.client, 0, 5), Run(two.client, 0, 7)]


def test_a_gap_between_merged_updates_is_no_change() -> None:
    author = Author(1)
    updates = author.type(6)
    merged = merge_updates(updates[0], updates[1], updates[4])
    assert read_runs(merged) == [Run(author.client, 0, 2), Run(author.client, 4, 1)]


def test_paragraphs_written_before_each_other_are_one_run() -> None:
    author = Author(1)
    assert read_runs(author.prepend(20, 100)) == [Run(author.client, 0, 2000)]


def test_deletions_are_refused() -> None:
    doc: Doc[Text] = Doc()
    text = doc.get("text", type=Text)
    text.insert(0, "ab")
    del text[0]
    with pytest.raises(UnreadableUpdate):
        read_runs(doc.get_update())


def test_presence_is_read_with_its_clock() -> None:
    message = presence([*presence_states(7, 3), *presence_states(2**40, 1)])
    _, position = read_kind(message, b"")
    body = read_body(message, position)
    assert read_presence(body) == [(7, 1), (7, 2), (7, 3), (2**40, 1)]
