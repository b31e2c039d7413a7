"""Places: the same as sets of ids, in less room."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collab.places import Places
from collab.structs import Id

ids = st.sets(st.builds(Id, st.integers(0, 3), st.integers(0, 12)))


def places(chosen: set[Id]) -> Places:
    clocks: dict[int, list[int]] = {}
    for client, clock in sorted(chosen, reverse=True):
        clocks.setdefault(client, []).extend((clock, clock))
    return Places(clocks)


@given(ids)
def test_they_are_what_was_given_each_once_and_in_order(chosen: set[Id]) -> None:
    held = places(chosen)
    assert bool(held) is bool(chosen)
    assert sorted(held) == sorted(chosen)
    for client in range(4):
        clocks = [place.clock for place in held if place.client == client]
        assert clocks == sorted(clocks)


@given(ids, st.builds(Id, st.integers(0, 3), st.integers(0, 12)))
def test_one_is_looked_up(chosen: set[Id], place: Id) -> None:
    assert (place in places(chosen)) is (place in chosen)


@given(ids, st.integers(0, 3), st.integers(0, 12), st.integers(0, 12))
def test_they_reach_into_ranges(chosen: set[Id], client: int, start: int, end: int) -> None:
    expected = any(Id(client, clock) in chosen for clock in range(start, end))
    assert places(chosen).reach(client, start, end) is expected


@given(ids, st.integers(0, 3), st.integers(0, 12), st.integers(0, 12))
def test_those_within_a_range_are_given_in_order(
    chosen: set[Id], client: int, start: int, end: int
) -> None:
    expected = [clock for clock in range(start, end) if Id(client, clock) in chosen]
    assert list(places(chosen).within(client, start, end)) == expected


@given(ids, ids)
def test_common_ones_are_those_in_both(one: set[Id], other: set[Id]) -> None:
    assert set(places(one).common(places(other))) == one & other


@given(ids, ids)
def test_adding_and_removing(one: set[Id], other: set[Id]) -> None:
    held = places(one)
    held.add(places(other))
    assert sorted(held) == sorted(one | other)
    held.remove(places(one))
    assert sorted(held) == sorted(other - one)
    held.remove(places(other))
    assert not held


@given(ids, ids)
def test_what_is_added_to_another_is_not_tied_to_it(one: set[Id], other: set[Id]) -> None:
    held, added = Places(), places(one)
    held.add(added)
    held.add(places(other))
    assert set(added) == one


@given(ids, st.dictionaries(st.integers(0, 3), st.integers(0, 13)))
def test_unknown_ones_are_at_or_after_a_clock(chosen: set[Id], known: dict[int, int]) -> None:
    expected = {place for place in chosen if place.clock >= known.get(place.client, 0)}
    assert set(places(chosen).unknown(known)) == expected


@given(st.dictionaries(st.integers(0, 3), st.integers(0, 12)))
def test_a_state_vector_gives_one_for_each_client(clocks: dict[int, int]) -> None:
    assert set(Places.of_clocks(clocks)) == {Id(*place) for place in clocks.items()}


@pytest.mark.timeout(60)
def test_a_million_are_taken_in_and_out_in_time() -> None:
    """It took many minutes, as each moved all that were behind it."""
    even = Places({1: range(0, 3_000_000, 2)})
    held = Places({1: range(1, 3_000_000, 2)})
    held.add(even)
    held.remove(even)
    assert not held.common(even)
    assert len(held.within(1, 0, 3_000_000)) == 1_500_000
