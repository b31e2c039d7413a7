"""Marks: how they are written, which changes they are about, and what is asked for."""

import pytest

from collab.errors import ProtocolError
from collab.server.bus.marks import Mark, decode_mark, joined
from collab.server.bus.numbers import Numbers
from collab.server.bus.questions import Due, Questions


@pytest.mark.parametrize(
    "mark",
    [Mark(0, 0), Mark(7, 3, [range(5, 9)]), Mark(12, 12, [range(1, 2), range(4, 10)])],
)
def test_a_mark_is_read_as_it_was_written(mark: Mark) -> None:
    read = decode_mark(mark.encoded)
    assert (read.durable, read.since, list(read.seqs)) == (mark.durable, mark.since, [*mark.seqs])


def test_a_mark_of_too_many_pieces_leaves_the_seqs_to_the_store() -> None:
    pieces = [range(seq, seq + 1) for seq in range(1, 4000, 2)]
    assert decode_mark(Mark(2000, 0, pieces).encoded) == Mark(2000, 0, [])


@pytest.mark.parametrize(
    "text", [b"", b"1", b"x,1", b"1,2,3", b"1,2,3-x", b"1,0,1-9999999", b"\xff"]
)
def test_what_is_no_mark_is_refused(text: bytes) -> None:
    with pytest.raises(ProtocolError, match="expected which changes are durable"):
        decode_mark(text)


def test_ranges_that_follow_each_other_become_one() -> None:
    assert joined([range(1, 3), range(3, 4), range(6, 7), range(7, 9)]) == [
        range(1, 4),
        range(6, 9),
    ]


def test_each_mark_tells_what_the_one_before_did_not() -> None:
    numbers = Numbers()
    for update in (b"a", b"b", b"c"):
        numbers.begin_own(update)
    numbers.commit_own([range(4, 5), range(5, 6)])
    assert numbers.take_mark() == Mark(2, 0, [range(4, 6)])
    numbers.commit_own([range(9, 10)])
    assert numbers.mark(3) == Mark(3, 2, [range(9, 10)])
    assert numbers.take_mark() == Mark(3, 2, [range(9, 10)])
    assert numbers.marked


def test_a_mark_told_to_some_is_told_to_all_with_what_has_become_durable_since() -> None:
    numbers = Numbers()
    for update in (b"a", b"b"):
        numbers.begin_own(update)
    numbers.commit_own([range(4, 5)])
    assert numbers.mark(2) == Mark(1, 0, [range(4, 5)])
    numbers.commit_own([range(5, 6)])
    assert numbers.mark(2) == Mark(2, 0, [range(4, 6)])
    assert numbers.take_mark() == Mark(2, 0, [range(4, 6)])


def test_who_has_asked_is_answered_once_when_that_is_durable() -> None:
    numbers = Numbers()
    numbers.begin_own(b"a")
    numbers.askers["asker"] = 1
    assert numbers.take_answered() == []
    numbers.commit_own([range(1, 2)])
    assert numbers.take_answered() == [("asker", 1)]
    assert numbers.take_answered() == []


def test_who_has_not_written_for_long_writes_no_more() -> None:
    numbers = Numbers()
    numbers.note_writer("other")
    for _ in range(20):
        numbers.begin_own(b"a")
        assert numbers.writers() == ("other",)
    numbers.begin_own(b"a")
    assert numbers.writers() == ()


def test_what_a_mark_tells_is_known_until_its_instance_opens_the_document_anew() -> None:
    numbers = Numbers()
    assert not numbers.restarts("one", 1)
    assert not numbers.is_known("one", b"1,0,4-4")
    numbers.note_mark("one", b"1,0,4-4")
    assert numbers.is_known("one", b"1,0,4-4")
    assert not numbers.is_known("other", b"1,0,4-4")
    assert not numbers.is_known("one", b"2,0,4-5")
    assert numbers.restarts("one", 1)
    assert not numbers.is_known("one", b"1,0,4-4")


def test_a_document_rests_when_two_looks_have_found_nothing_new_and_all_is_durable() -> None:
    numbers = Numbers()
    numbers.begin_own(b"a")
    assert numbers.take_rest() is None
    assert numbers.take_rest() is None  # It is not durable.
    numbers.commit_own([range(1, 2)])
    assert numbers.take_rest() == 2
    assert numbers.take_mark() == Mark(2, 0, [range(1, 2)])
    assert numbers.take_rest() is None


def test_seqs_are_of_use_where_all_changes_they_are_about_were_heard() -> None:
    numbers = Numbers()
    for number in (4, 5, 6):
        numbers.follows("one", number)
    assert numbers.knows("one", Mark(5, 3))
    assert not numbers.knows("one", Mark(5, 2))  # The third was not heard.
    assert not numbers.knows("one", Mark(7, 3))
    assert not numbers.follows("one", 8)
    assert not numbers.knows("one", Mark(8, 6))
    assert numbers.knows("one", Mark(8, 7))


def test_what_was_passed_on_before_the_document_was_opened_anew_is_durable() -> None:
    numbers = Numbers()
    assert numbers.reaches(9)
    assert numbers.mark(9) == Mark(9, 9)
    numbers.begin_own(b"a")
    assert not numbers.reaches(9)


def test_a_question_is_asked_at_the_second_look_and_again_after_a_second() -> None:
    questions = Questions()
    questions.add("d", "one", 4)
    assert questions.take_due(10.0) == {}
    assert questions.take_due(10.1) == {"one": [Due("d", 4, again=False)]}
    assert questions.take_due(10.2) == {}
    assert questions.take_due(11.2) == {"one": [Due("d", 4, again=True)]}
    questions.answer("d", "one", 4)
    assert not questions


def test_what_comes_up_after_a_question_is_asked_in_its_turn() -> None:
    questions = Questions()
    questions.add("d", "one", 4)
    questions.take_due(10.0)
    questions.add("d", "one", 6)
    assert questions.take_due(10.1) == {"one": [Due("d", 4, again=False)]}
    questions.answer("d", "one", 5)
    assert questions.take_due(10.2) == {}
    assert questions.take_due(10.3) == {"one": [Due("d", 6, again=False)]}


def test_what_nobody_can_answer_or_waits_for_is_not_asked() -> None:
    questions = Questions()
    questions.add("d", "one", 1)
    questions.add("e", "one", 1)
    questions.add("d", "other", 1)
    questions.forget_instance("one")
    questions.forget_document("d")
    assert not questions
