from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from collab.history.matching import Replaced, differences

ITEMS = st.lists(st.integers(0, 3), max_size=12)


@given(before=ITEMS, after=ITEMS, bound=st.sampled_from([1, 3, 1000]))
def test_what_lies_between_stretches_is_equal(
    before: list[int], after: list[int], bound: int
) -> None:
    at_before = at_after = 0
    for stretch in [
        *differences(before, after, bound),
        Replaced(len(before), len(before), len(after), len(after)),
    ]:
        assert before[at_before : stretch.start_before] == after[at_after : stretch.start_after]
        at_before, at_after = stretch.end_before, stretch.end_after


@given(before=ITEMS, after=ITEMS)
def test_stretches_do_not_touch(before: list[int], after: list[int]) -> None:
    for one, other in pairwise(differences(before, after)):
        assert one.end_before < other.start_before
        assert one.end_after < other.start_after


def test_no_shorter_script_is_missed() -> None:
    assert differences("abcabba", "cbabac") == [
        Replaced(0, 2, 0, 0),
        Replaced(3, 3, 1, 2),
        Replaced(5, 6, 4, 4),
        Replaced(7, 7, 5, 6),
    ]


def test_beyond_the_bound_all_in_between_is_one_stretch() -> None:
    before, after = "x" + "a1b2c3d4" + "y", "x" + "5a6b7c8d" + "y"
    assert differences(before, after, 3) == [Replaced(1, 9, 1, 9)]
