from hypothesis import given
from hypothesis import strategies as st

from collab.history.text_diff import Hunk, Reformat, diff_chunks, diff_text

TEXTS = st.text(st.sampled_from("ab 😀\n."), max_size=40)


def applied(before: str, hunks: list[Hunk]) -> str:
    pieces = []
    at = 0
    for hunk in hunks:
        pieces.append(before[at : hunk.start_before])
        assert before[hunk.start_before :].startswith(hunk.removed)
        assert sum(map(len, pieces)) == hunk.start_after
        pieces.append(hunk.inserted)
        at = hunk.start_before + len(hunk.removed)
    return "".join([*pieces, before[at:]])


@given(before=TEXTS, after=TEXTS)
def test_hunks_turn_the_one_text_into_the_other(before: str, after: str) -> None:
    assert applied(before, diff_text(before, after)) == after


def test_equal_texts_have_no_hunks() -> None:
    assert diff_text("same\n😀", "same\n😀") == []


def test_positions_are_code_points_and_context_is_what_stays() -> None:
    assert diff_text("😀😀 one two\nend", "😀😀 one 2 two\nend", context=4) == [
        Hunk(
            start_before=7, start_after=7, removed="", inserted="2 ", prefix="one ", suffix="two\n"
        )
    ]


def test_a_letter_typed_into_a_word_is_a_hunk_of_that_letter() -> None:
    (hunk,) = diff_text("first line\nhelo\nlast", "first line\nhello\nlast")
    assert (hunk.start_before, hunk.removed, hunk.inserted) == (14, "", "l")


def test_formats_that_changed_are_told_beside_the_text() -> None:
    hunks, formats = diff_chunks(
        [("one ", None), ("two", {"bold": True}), (" three", None)],
        [("zero ", None), ("one ", None), ("two thr", {"bold": True, "em": None}), ("ee", {})],
    )
    assert [(hunk.removed, hunk.inserted) for hunk in hunks] == [("", "zero ")]
    assert formats == [
        Reformat(start_before=7, start_after=12, length=4, before={}, after={"bold": True})
    ]


def test_another_embed_in_the_place_of_one_is_a_hunk() -> None:
    hunks, formats = diff_chunks(
        [("a", None), ({"image": 1}, None), ({"image": 2}, None)],
        [("a", None), ({"image": 1}, None), ({"image": 3}, None)],
    )
    assert formats == []
    assert [(hunk.start_before, hunk.removed, hunk.inserted, hunk.prefix) for hunk in hunks] == [
        (2, "\ufffc", "\ufffc", "a\ufffc")
    ]


def test_texts_that_have_little_in_common_are_still_compared() -> None:
    lines = [" ".join(f"{line}w{word}" for word in range(60)) + "\n" for line in range(300)]
    before = "".join(lines)
    after = "".join(
        line.replace("w", "v") if place % 2 else line for place, line in enumerate(lines)
    )
    assert applied(before, diff_text(before, after)) == after
