import pycrdt
from hypothesis import given
from hypothesis import strategies as st

from collab.intake import Intake, take_in
from collab.merging import merge
from collab.store import NewEntry
from tests.core import poison
from tests.core.writing import read, typed


def changes(*updates: bytes) -> list[NewEntry]:
    return [
        NewEntry(update=update, time_ms=1000 + number, author=f"author {number}")
        for number, update in enumerate(updates)
    ]


def bytes_of(intake: Intake) -> list[bytes]:
    return [entry.update for entry in intake.entries]


def test_an_empty_document_takes_everything_as_it_came() -> None:
    log = changes(*typed("many ", "small ", "changes 😀"))
    intake = take_in(None, log)
    assert intake.entries == log
    assert (intake.known, intake.refused) == (0, [])
    assert intake.effect is not None
    assert read([intake.effect]) == "many small changes 😀"


def test_taking_in_again_finds_nothing_new() -> None:
    updates = typed("a", "b", "c")
    again = take_in(merge(updates), changes(*updates))
    assert (again.entries, again.effect, again.known) == ([], None, 3)


def test_the_same_in_other_pieces_is_nothing_new() -> None:
    updates = typed("a", "b", "c", "d")
    again = take_in(merge(updates), changes(merge(updates), merge(updates[:2]), updates[3]))
    assert (again.entries, again.known) == ([], 3)


def test_only_what_was_added_since_is_new() -> None:
    updates = typed("a", "b", "c")
    intake = take_in(merge(updates[:2]), changes(*updates))
    assert bytes_of(intake) == updates[2:]
    assert intake.entries[0].author == "author 2"
    assert intake.known == 2


def test_of_a_whole_state_only_the_unknown_part_is_kept() -> None:
    updates = typed("x" * 10_000, "y")
    intake = take_in(updates[0], changes(merge(updates)))
    (part,) = bytes_of(intake)
    assert len(part) < 100
    assert read([updates[0], part]) == "x" * 10_000 + "y"


def test_the_effect_is_what_the_entries_come_to_without_what_was_there() -> None:
    updates = typed("x" * 10_000, "y", "z")
    intake = take_in(updates[0], changes(*updates))
    assert intake.effect is not None
    assert len(intake.effect) < 100
    assert read([updates[0], intake.effect]) == "x" * 10_000 + "yz"


def test_a_deletion_is_new_once() -> None:
    doc = pycrdt.Doc[pycrdt.Text](client_id=1)
    text = doc.get("content", type=pycrdt.Text)
    text += "hello"
    before = doc.get_update()
    del text[1:3]
    deleted = doc.get_update(doc.get_state())
    intake = take_in(before, changes(deleted))
    assert bytes_of(intake) == [deleted]
    assert take_in(merge([before, deleted]), changes(deleted)).entries == []


def test_what_cannot_be_applied_is_named_and_left_out() -> None:
    others = typed("a", "b", client_id=7)
    intake = take_in(
        None,
        changes(
            b"noise", poison.HELLO, poison.CHILD_OF_A_STRING, others[0], b"\x00\x00", others[1]
        ),
    )
    assert bytes_of(intake) == [poison.HELLO, *others]
    assert [each.position for each in intake.refused] == [1, 3]
    assert all(each.reason.startswith("expected ") for each in intake.refused)
    assert intake.known == 1
    assert intake.effect is not None
    assert read([intake.effect]) == "ab"


def test_what_comes_before_what_it_depends_on_is_kept_and_applied_later() -> None:
    first, second, third = typed("a", "b", "c")
    intake = take_in(None, changes(third, second, first))
    assert bytes_of(intake) == [third, second, first]
    assert intake.effect is not None
    assert read([intake.effect]) == "abc"


def test_what_depends_on_something_that_never_comes_is_kept_once() -> None:
    first, second = typed("a", "b")
    intake = take_in(None, changes(second, second))
    assert bytes_of(intake) == [second]
    assert intake.known == 1
    assert intake.effect is not None
    assert read([intake.effect, first]) == "ab"


@given(st.lists(st.text(min_size=1), min_size=1, max_size=8), st.data())
def test_what_is_there_and_what_is_new_make_the_whole(
    words: list[str], data: st.DataObject
) -> None:
    words = [word.encode(errors="ignore").decode() or "x" for word in words]
    updates = typed(*words)
    there = data.draw(st.lists(st.sampled_from(updates), max_size=8))
    state = merge(there) if there else None
    intake = take_in(state, changes(*updates))
    assert read([*there, *bytes_of(intake)]) == "".join(words)
    assert read([*there, *([intake.effect] if intake.effect else [])]) == "".join(words)
    assert intake.known + len(intake.entries) == len(updates)
