"""Surrogates: where pairs are, what cuts them, and updates in which they are replaced."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collab.errors import ProtocolError
from collab.lib0 import write_var_string
from collab.marks import MARKS, PAIR
from collab.places import Places
from collab.structs import Id, read_structs
from collab.surrogates import agree, replace, survey
from tests.core import poison
from tests.core.writing import read, typed

texts = st.text(st.sampled_from("aé한😀𝒳\U0010ffff\ufffd"), min_size=1, max_size=12)


def written(text: str, client: int = 1) -> bytes:
    return poison.update_of(poison.in_root(4, write_var_string(text), "content"), client=client)


def places_in(text: str) -> list[int]:
    """The clock inside each pair of a text that begins at 0."""
    units = text.encode("utf-16-be")
    return [index // 2 for index in range(0, len(units), 2) if 0xDC <= units[index] <= 0xDF]


@given(texts)
def test_pairs_are_found_by_the_clock_inside_them(text: str) -> None:
    found = survey(written(text)).pairs
    assert list(found) == [Id(1, clock) for clock in places_in(text)]
    assert not found or PAIR in written(text).translate(MARKS)


@pytest.mark.parametrize("text", ["a", "é한\ufffd", "한" * 500])
def test_text_without_pairs_holds_none_at_a_glance(text: str) -> None:
    assert PAIR not in written(text).translate(MARKS)


@pytest.mark.parametrize("character", ["\U00010000", "😀", "\U000e0041", "\U0010ffff"])
@pytest.mark.parametrize("around", [0, 10_000])
def test_a_pair_is_seen_at_a_glance_wherever_it_is(character: str, around: int) -> None:
    assert PAIR in written("é" * around + character + "é" * around).translate(MARKS)


def test_cuts_are_beside_neighbours_and_at_both_ends_of_deletions() -> None:
    between = b"\xc4\x05\x07\x06\x09" + write_var_string("x")
    update = poison.update_of(between, client=2, deletions=b"\x01\x05\x02\x01\x02\x14\x01")
    assert sorted(survey(update).cuts) == [(5, 1), (5, 3), (5, 8), (5, 20), (5, 21), (6, 9)]
    assert sorted(survey(update).edges) == [(2, 0), (2, 1)]


def test_deletions_count_where_they_may_be_of_pairs() -> None:
    update = poison.update_of(
        poison.in_root(4, write_var_string("😀")),
        client=2,
        deletions=b"\x03\x03\x01\x05\x01\x02\x01\x00\x01\x01\x01\x05\x01",
    )
    assert sorted(survey(update, deleted_of=[1]).cuts) == [(1, 5), (1, 6), (2, 0), (2, 1)]


def test_what_is_skipped_has_no_edges() -> None:
    skip = b"\x0a\x05"
    update = b"\x01\x02\x01\x00" + skip + b"\x84\x01\x04\x01x" + b"\x00"
    assert sorted(survey(update).edges) == [(1, 5), (1, 6)]


@given(texts, st.data())
def test_chosen_pairs_are_replaced_and_no_clock_changes(text: str, data: st.DataObject) -> None:
    chosen = data.draw(st.sets(st.sampled_from(places_in(text) or [0])))
    replaced = replace(written(text), Places({1: chosen}))
    expected, clock = "", 0
    for character in text:
        units = 2 if character > "\uffff" else 1
        expected += "\ufffd\ufffd" if units == 2 and clock + 1 in chosen else character
        clock += units
    assert read([replaced]) == expected
    lengths = [struct.length for struct in read_structs(replaced)]
    assert lengths == [struct.length for struct in read_structs(written(text))]


def test_pairs_of_a_long_text_are_found_and_replaced_wherever_it_is_cut_into_blocks() -> None:
    text = "aé한😀" * 30_000
    places = places_in(text)
    assert [place.clock for place in survey(written(text)).pairs] == places
    replaced = replace(written(text), Places({1: places}))
    assert replaced == written(text.replace("😀", "\ufffd\ufffd"))


def test_other_clients_and_other_structs_stay_as_they_are() -> None:
    update = b"\x02" + written("a😀", client=2)[1:-1] + written("😀", client=1)[1:]
    assert replace(update, Places({3: [1]})) == update
    assert read([replace(update, Places({1: [1]}))]) in ("a😀\ufffd\ufffd", "\ufffd\ufffda😀")


@pytest.mark.parametrize(
    "updates",
    [typed("a", "😀", "b"), [written("a😀"), written("a😀")], [written("a😀"), written("x", 2)]],
    ids=["one after the other", "twice", "of two clients"],
)
def test_updates_that_cut_nothing_of_each_other_are_given_back(updates: Sequence[bytes]) -> None:
    assert agree(updates) == updates


def test_updates_that_have_half_a_pair_agree_on_two_replacement_characters() -> None:
    half = written("a\ufffd")
    assert agree([written("a😀b"), half]) == [written("a\ufffd\ufffdb"), half]


@given(st.binary(max_size=40))
def test_what_is_no_update_is_refused(noise: bytes) -> None:
    try:
        survey(noise)
    except ProtocolError:
        with pytest.raises(ProtocolError):
            agree([written("😀"), noise])
    else:
        assert len(agree([written("😀"), noise])) == 2
