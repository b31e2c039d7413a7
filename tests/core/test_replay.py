"""Replay: everything that applies, whatever stands between."""

from itertools import accumulate, pairwise
from typing import Any

import pycrdt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collab.document import Document
from collab.errors import PoisonedUpdate
from collab.replay import Replay
from collab.store import Entry
from tests.core import poison


def log(*updates: bytes, first_seq: int = 1) -> list[Entry]:
    return [
        Entry(seq=seq, update=update, time_ms=seq * 10, author=f"author {seq}")
        for seq, update in enumerate(updates, first_seq)
    ]


def typed(*words: str, client: int = 2, after: bytes | None = None) -> list[bytes]:
    doc: pycrdt.Doc[Any] = pycrdt.Doc(client_id=client)
    if after is not None:
        doc.apply_update(after)
    text = doc.get("text", type=pycrdt.Text)
    updates: list[bytes] = []
    subscription = doc.observe(lambda event: updates.append(event.update))
    for word in words:
        text += word
    doc.unobserve(subscription)
    return updates


def text_of(document: Document) -> str:
    doc: pycrdt.Doc[Any] = pycrdt.Doc()
    doc.apply_update(document.encode())
    return str(doc.get("text", type=pycrdt.Text))


def replay(*entries: Entry, base: bytes | None = None) -> Replay:
    replayed = Replay(base)
    replayed.take(entries)
    return replayed


def test_a_log_in_order_gives_the_document_and_leaves_nothing_out() -> None:
    words = [f"{number} " for number in range(250)]
    replayed = replay(*log(*typed(*words)))
    assert text_of(replayed.document) == "".join(words)
    assert replayed.left_out == []


def test_it_goes_on_from_a_base() -> None:
    first, second = typed("a"), typed("a", "b")
    replayed = replay(*log(second[1], first_seq=8), base=first[0])
    assert text_of(replayed.document) == "ab"


def test_a_base_that_does_not_apply_is_refused() -> None:
    with pytest.raises(PoisonedUpdate):
        Replay(b"\xff" * 9)


@pytest.mark.parametrize("bad", [*poison.UNDECODABLE.values(), *poison.UNKEEPABLE.values()])
def test_an_entry_that_is_no_update_is_left_out_with_its_author_and_time(bad: bytes) -> None:
    first, second = typed("a", "b")
    replayed = replay(*log(first, bad, second))
    assert text_of(replayed.document) == "ab"
    (left_out,) = replayed.left_out
    assert (left_out.seq, left_out.update) == (2, bad)
    assert (left_out.time_ms, left_out.author) == (20, "author 2")
    assert left_out.reason.startswith("expected")


def test_an_entry_that_fails_only_when_it_is_applied_is_left_out_alone() -> None:
    rest = typed(" and", " on", client=3, after=poison.HELLO)
    before = typed(*("." * 150))
    entries = log(*before, poison.HELLO, rest[0], poison.CHILD_OF_A_STRING, rest[1])
    replayed = replay(*entries)
    assert [each.seq for each in replayed.left_out] == [153]
    assert sorted(text_of(replayed.document)) == sorted("." * 150 + "hello and on")


def test_what_depends_on_an_entry_left_out_waits_for_it_and_is_kept() -> None:
    first, second, third = typed("a", "b", "c")
    replayed = replay(*log(first, second[:-3], third))
    assert text_of(replayed.document) == "a"
    assert replayed.document.pending_bytes > 0
    replayed.document.apply(second)
    assert text_of(replayed.document) == "abc"


def test_a_long_log_with_large_entries_survives_a_late_one_that_breaks_the_doc() -> None:
    large = typed(*("x" * 1_500_000 for _ in range(4)))
    replayed = replay(*log(poison.HELLO, *large, poison.CHILD_OF_A_STRING, *typed("!", client=5)))
    assert [each.seq for each in replayed.left_out] == [6]
    assert len(text_of(replayed.document)) == 5 + 6_000_000 + 1


@given(
    st.lists(st.sampled_from(["good", "noise", "poison"]), max_size=30),
    st.lists(st.integers(1, 7), min_size=1, max_size=20),
)
def test_however_it_is_cut_the_good_entries_are_all_there(
    kinds: list[str], cuts: list[int]
) -> None:
    good = iter(typed(*("abcdefghijklmnopqrstuvwxyzABCD")))
    made = {"noise": b"\xff\x01", "poison": poison.CHILD_OF_A_STRING}
    entries = log(poison.HELLO, *(made.get(kind) or next(good) for kind in kinds))
    replayed = Replay()
    bounds = [0, *accumulate(cuts), len(entries)]
    for start, end in pairwise(bounds):
        replayed.take(entries[start:end])
    assert [each.seq for each in replayed.left_out] == [
        seq for seq, kind in enumerate(kinds, 2) if kind != "good"
    ]
    count = kinds.count("good")
    text = text_of(replayed.document)
    assert text.replace("hello", "", 1) == "abcdefghijklmnopqrstuvwxyzABCD"[:count]
