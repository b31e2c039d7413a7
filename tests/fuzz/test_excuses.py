"""Excuses: what people write needs none."""

import pytest

from tests.core import poison
from tests.core.writing import typed
from tests.fixtures import BINDINGS, written
from tests.fuzz.excuses import (
    OtherContent,
    contradict,
    excused,
    foresee,
    name_two_neighbours,
)

TYPED = typed("a", "é", "😀", "b")


@pytest.mark.parametrize("name", BINDINGS)
def test_what_editors_write_needs_no_excuse(name: str) -> None:
    assert not contradict([written(name), written(name)])
    assert not foresee([written(name)])


def test_what_is_appended_needs_none_at_all() -> None:
    assert not contradict(TYPED)
    assert not name_two_neighbours(TYPED)


def test_one_clock_with_two_contents_is_a_contradiction() -> None:
    assert contradict([poison.HELLO, poison.HELLO.replace(b"hello", b"jello")])


def test_who_names_what_is_still_to_write_foresees() -> None:
    assert not foresee(TYPED)
    assert foresee([b"\x01\x01\x05\x01\x84\x05\x08\x01a\x00"])


def test_what_is_written_between_two_characters_names_both() -> None:
    assert name_two_neighbours([poison.HALF_OF_IT_REPLACED])


def test_nothing_is_let_pass_without_an_excuse() -> None:
    with pytest.raises(AssertionError), excused(TYPED):
        raise AssertionError
    with pytest.raises(OtherContent), excused(TYPED):
        raise OtherContent
    with pytest.raises(AssertionError), excused([poison.HALF_OF_IT_REPLACED]):
        raise AssertionError
    with excused([poison.HALF_OF_IT_REPLACED]):
        raise OtherContent
