"""Presence of clients that are connected to other instances: who is believed about whom."""

from collections import deque
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collab.awareness import GONE, decode_entries, encode_entries
from collab.presence import EXPIRY_SECONDS, Elsewhere, Presence, Present

HERE, ONE, OTHER = "a connection", Elsewhere("one"), Elsewhere("other")
OLD, NEW = b'{"at":"old"}', b'{"at":"new"}'
CLOCK = 10

Known = Literal["nobody", "gone", "here", "told by it", "told by another"]
Outcome = Literal["nothing", "shown", "removed", "unseen", "asked again"]


def knowing(known: Known) -> Presence:
    """A presence that knows client 7 with clock 10 in one way or another."""
    presence = Presence()
    if known in ("gone", "here"):
        presence.receive(encode_entries([(7, CLOCK, OLD)]), HERE, now=0)
    if known == "gone":
        presence.leave(HERE)
    if known.startswith("told"):
        presence.relay([Present(7, CLOCK, OLD, None)], ONE if known == "told by it" else OTHER, 0)
    presence.take()
    return presence


def owner_of_7(presence: Presence) -> object:
    """Whose end removes client 7; None where it is not there."""
    for owner in (HERE, ONE, OTHER):
        if presence.leave(owner) is not None:
            return owner
    return None


@pytest.mark.parametrize(
    ("known", "clock", "outcome"),
    [
        ("nobody", 9, "shown"),
        ("gone", 9, "unseen"),
        ("gone", 10, "unseen"),
        ("gone", 11, "shown"),
        ("here", 9, "nothing"),
        ("here", 10, "nothing"),
        ("here", 11, "shown"),
        ("told by it", 9, "nothing"),
        ("told by it", 10, "nothing"),
        ("told by it", 11, "shown"),
        ("told by another", 9, "nothing"),
        ("told by another", 10, "shown"),
        ("told by another", 11, "shown"),
    ],
)
def test_a_state_is_believed_where_it_is_newer_or_whoever_had_it_was_told_as_well(
    known: Known, clock: int, outcome: Outcome
) -> None:
    presence = knowing(known)
    before = presence.states()
    objections = presence.relay([Present(7, clock, NEW, "ana")], ONE, now=1)
    assert objections.to_owners == []
    if outcome == "unseen":
        assert objections.unseen == [Present(7, CLOCK, GONE, "ana")]
    else:
        assert objections.unseen == []
    if outcome == "shown":
        assert decode_entries(presence.take() or b"\0") == [(7, clock, NEW)]
        assert presence.own() == []
        assert owner_of_7(presence) == ONE
    else:
        assert presence.take() is None
        assert presence.states() == before


@pytest.mark.parametrize("clock", [9, 10, 11])
@pytest.mark.parametrize(
    ("known", "outcome"),
    [
        ("nobody", "nothing"),
        ("gone", "nothing"),
        ("here", "asked again"),
        ("told by it", "removed"),
        ("told by another", "nothing"),
    ],
)
def test_that_somebody_left_is_believed_of_whom_they_were_connected_to_alone(
    known: Known, outcome: Outcome, clock: int
) -> None:
    presence = knowing(known)
    before = presence.states()
    objections = presence.relay([Present(7, clock, GONE, None)], ONE, now=1)
    assert objections.unseen == []
    if outcome == "asked again" and clock >= CLOCK:
        [(owner, payload)] = objections.to_owners
        assert owner == HERE
        assert decode_entries(payload) == [(7, clock, GONE)]
    else:
        assert objections.to_owners == []
    if outcome == "removed":
        assert presence.states() == {}
        assert decode_entries(presence.take() or b"\0") == [(7, clock, GONE)]
    else:
        assert presence.states() == before
        assert presence.take() is None


def test_a_renewal_keeps_alive_and_a_late_one_does_not() -> None:
    presence = knowing("told by it")
    presence.relay([Present(7, CLOCK, OLD, None)], ONE, now=EXPIRY_SECONDS)
    assert presence.expire(EXPIRY_SECONDS + 1) is None
    presence.relay([Present(7, CLOCK - 1, OLD, None)], ONE, now=2 * EXPIRY_SECONDS)
    assert presence.expire(2 * EXPIRY_SECONDS + 1) is not None


def test_an_instance_goes_with_all_its_clients_and_no_others() -> None:
    presence = knowing("here")
    presence.relay([Present(1, 1, OLD, None), Present(2, 1, OLD, None)], ONE, now=0)
    presence.relay([Present(3, 1, OLD, None)], OTHER, now=0)
    removal = presence.leave(ONE)
    assert removal is not None
    assert decode_entries(removal) == [(1, 1, GONE), (2, 1, GONE)]
    assert presence.states().keys() == {3, 7}
    assert presence.leave(ONE) is None


def test_only_changes_of_clients_here_are_passed_on() -> None:
    presence = Presence()
    presence.relay([Present(1, 1, OLD, None)], ONE, now=0)
    presence.receive(encode_entries([(2, 1, OLD)]), HERE, now=0)
    assert presence.own_changes() == presence.own() == [Present(2, 1, OLD, None)]
    presence.take()
    assert presence.own_changes() == []


def test_who_comes_over_from_another_instance_is_passed_on_from_here() -> None:
    presence = knowing("told by it")
    presence.receive(encode_entries([(7, CLOCK + 1, NEW)]), HERE, now=0)
    assert presence.own_changes() == [Present(7, CLOCK + 1, NEW, None)]
    assert owner_of_7(presence) == HERE


def test_an_instance_has_more_clients_than_a_connection_may() -> None:
    presence = Presence()
    presence.relay([Present(n, 1, OLD, None) for n in range(1000)], ONE, now=0)
    assert len(presence) == 1000


@given(st.data())
def test_instances_that_hear_each_other_in_order_agree_on_who_is_there(
    data: st.DataObject,
) -> None:
    instances = range(3)
    presences = [Presence() for _ in instances]
    ways: dict[tuple[int, int], deque[list[Present]]] = {
        (sender, receiver): deque()
        for sender in instances
        for receiver in instances
        if sender != receiver
    }
    clocks: dict[int, int] = {}

    def deliver(way: tuple[int, int]) -> None:
        sender, receiver = way
        objections = presences[receiver].relay(ways[way].popleft(), Elsewhere(str(sender)), now=0)
        assert objections.unseen == []  # Each client stays where it is.
        assert objections.to_owners == []

    for _ in range(data.draw(st.integers(0, 20))):
        client = data.draw(st.integers(0, 5))
        home = client % 3
        clocks[client] = clocks.get(client, 0) + 1
        state = data.draw(st.sampled_from([OLD, NEW, GONE]))
        presences[home].receive(
            encode_entries([(client, clocks[client], state)]), f"socket {client}", now=0
        )
        for receiver in instances:
            if receiver != home:
                ways[home, receiver].append(presences[home].own_changes())
        presences[home].take()
        due = [way for way, waiting in ways.items() if waiting]
        for way in due[: data.draw(st.integers(0, 2))]:
            deliver(way)
    for way, waiting in ways.items():
        while waiting:
            deliver(way)
    first, *others = [presence.states() for presence in presences]
    for other in others:
        assert other == first
