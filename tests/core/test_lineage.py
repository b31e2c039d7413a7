"""What clients know when they come, and whether that can be from here."""

import pytest

from collab import state_vector
from collab.errors import ProtocolError
from collab.lineage import Lineage


def vector(**clocks: int) -> bytes:
    """A state vector; clients are named c1, c2, ..."""
    return state_vector.encode({int(name[1:]): clock for name, clock in clocks.items()})


def test_who_knows_the_seed_and_more_before_anybody_was_shown_it_is_from_elsewhere() -> None:
    lineage = Lineage(vector(c7=5))
    assert lineage.strangers(vector(c7=5, c3=9, c1=2), vector(c7=5)) == (1, 3)


def test_who_knows_the_seed_alone_is_not() -> None:
    assert Lineage(vector(c7=5)).strangers(vector(c7=5), vector(c7=5)) == ()


def test_once_somebody_was_shown_the_seed_it_cannot_be_told() -> None:
    lineage = Lineage(vector(c7=5))
    assert lineage.strangers(vector(), vector(c7=5)) == ()
    assert lineage.strangers(vector(c7=5, c3=9, c1=2), vector(c7=5)) == ()


def test_who_comes_back_from_work_offline_is_from_here() -> None:
    lineage = Lineage(None)
    here = vector(c1=10, c2=4)
    for theirs in (
        vector(c1=10, c2=9),  # a clock beyond ours
        vector(c1=3, c8=1, c9=2),  # two sessions offline
        vector(c2=1, c8=1),  # behind, and ahead
        vector(c1=10, c2=4),
    ):
        assert lineage.strangers(theirs, here) == ()


def test_several_clients_without_anything_in_common_are_from_elsewhere() -> None:
    lineage = Lineage(None)
    assert lineage.strangers(vector(c8=1, c9=2), vector(c1=10)) == (8, 9)
    assert lineage.strangers(vector(c8=1, c9=2), vector(c1=10, c8=1)) == ()


def test_who_wrote_before_the_first_sync_is_not_from_elsewhere() -> None:
    assert Lineage(None).strangers(vector(c8=3), vector(c1=10)) == ()
    assert Lineage(vector(c7=5)).strangers(vector(c8=3), vector(c7=5)) == ()


def test_an_empty_document_has_nothing_to_be_strange_to() -> None:
    assert Lineage(None).strangers(vector(c8=3, c9=1), vector()) == ()


def test_what_is_no_state_vector_is_refused() -> None:
    with pytest.raises(ProtocolError):
        Lineage(None).strangers(b"\x02\x01", vector(c1=1))
