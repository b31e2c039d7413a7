"""DeleteSet: what is deleted already, whatever the ranges it was deleted in."""

from collections.abc import Mapping, Sequence

from hypothesis import given
from hypothesis import strategies as st

from collab.delete_set import DeleteSet
from collab.lib0 import write_var_uint
from collab.protocol.messages import EMPTY_UPDATE
from tests.core import poison

Ranges = Mapping[int, Sequence[tuple[int, int]]]

RANGES = st.dictionaries(
    st.integers(1, 3),
    st.lists(st.tuples(st.integers(0, 12), st.integers(0, 4)), max_size=6),
    max_size=3,
)


def deleting(ranges: Ranges) -> bytes:
    """An update that deletes these clocks and lengths of clients."""
    encoded = b"\x00" + write_var_uint(len(ranges))
    for client, each in ranges.items():
        encoded += write_var_uint(client) + write_var_uint(len(each))
        encoded += b"".join(write_var_uint(uint) for clocks in each for uint in clocks)
    return encoded


def clocks(ranges: Ranges) -> set[tuple[int, int]]:
    return {
        (client, clock)
        for client, each in ranges.items()
        for start, length in each
        for clock in range(start, start + length)
    }


@given(RANGES, RANGES)
def test_it_covers_what_deletes_none_but_its_clocks(here: Ranges, others: Ranges) -> None:
    assert DeleteSet(deleting(here)).covers(deleting(others)) == (clocks(others) <= clocks(here))


def test_what_one_deleted_in_two_steps_another_may_have_deleted_in_one() -> None:
    assert DeleteSet(deleting({1: [(2, 3), (0, 2)]})).covers(deleting({1: [(1, 4)]}))


def test_structs_are_read_over() -> None:
    typed = poison.HELLO[:-1]
    assert DeleteSet(typed + deleting({1: [(0, 5)]})[1:]).covers(deleting({1: [(4, 1)]}))
    assert DeleteSet(deleting({})).covers(EMPTY_UPDATE)
