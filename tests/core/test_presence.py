"""Presence: who owns which client id, what the others hear, and what hostile payloads do."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collab import lib0
from collab.access import Identity
from collab.errors import ProtocolError
from collab.presence import EXPIRY_SECONDS, Presence

Entry = tuple[int, int, object]

A, B, C = "connection a", "connection b", "connection c"
GONE = None


def encode(*entries: Entry) -> bytes:
    return raw(*((client, clock, json.dumps(state)) for client, clock, state in entries))


def raw(*entries: tuple[int, int, str]) -> bytes:
    payload = lib0.write_var_uint(len(entries))
    for client, clock, state in entries:
        payload += lib0.write_var_uint(client) + lib0.write_var_uint(clock)
        payload += lib0.write_var_string(state)
    return payload


def decode(payload: bytes | None) -> list[Entry]:
    if payload is None:
        return []
    count, position = lib0.read_var_uint(payload, 0)
    entries: list[Entry] = []
    for _ in range(count):
        client, position = lib0.read_var_uint(payload, position)
        clock, position = lib0.read_var_uint(payload, position)
        state, position = lib0.read_var_string(payload, position)
        entries.append((client, clock, json.loads(state)))
    assert position == len(payload)
    return sorted(entries, key=str)


def room(*entries: tuple[str, Entry]) -> Presence:
    """Presence in which these were announced and passed on."""
    presence = Presence()
    for owner, entry in entries:
        presence.receive(encode(entry), owner, 0)
    presence.take()
    return presence


class TestAnnouncing:
    def test_a_state_is_passed_on_and_shown_to_who_joins(self) -> None:
        presence = Presence()
        assert presence.receive(encode((1, 0, {"n": "Ann 😀"})), A, 0) is None
        assert decode(presence.take()) == [(1, 0, {"n": "Ann 😀"})]
        assert decode(presence.encode()) == [(1, 0, {"n": "Ann 😀"})]
        assert presence.states() == {1: {"n": "Ann 😀"}}
        assert len(presence) == 1

    def test_what_gathers_goes_out_once_for_each_client_in_its_latest_form(self) -> None:
        presence = Presence()
        for clock in range(50):
            presence.receive(encode((1, clock, {"at": clock})), A, 0)
            presence.receive(encode((2, clock, {"at": -clock})), B, 0)
        assert decode(presence.take()) == [(1, 49, {"at": 49}), (2, 49, {"at": -49})]
        assert presence.take() is None

    def test_a_renewal_comes_back(self) -> None:
        presence = room((A, (1, 0, {})))
        presence.receive(encode((1, 1, {})), A, 15)
        assert decode(presence.take()) == [(1, 1, {})]

    def test_who_comes_and_goes_within_a_tick_is_told_as_gone(self) -> None:
        presence = Presence()
        presence.receive(encode((1, 0, {})), A, 0)
        presence.receive(encode((1, 1, GONE)), A, 0)
        assert decode(presence.take()) == [(1, 1, GONE)]
        assert presence.encode() is None

    def test_nobody_is_nothing(self) -> None:
        presence = Presence()
        assert presence.encode() is None
        assert presence.take() is None
        assert presence.receive(b"\x00", A, 0) is None
        assert presence.leave(A) is None


class TestOwnership:
    def test_only_the_owners_end_removes_a_client(self) -> None:
        presence = room((A, (1, 3, {})), (B, (2, 0, {})))
        assert decode(presence.leave(B)) == [(2, 0, GONE)]
        assert decode(presence.encode()) == [(1, 3, {})]
        assert decode(presence.leave(A)) == [(1, 3, GONE)]
        assert presence.encode() is None

    def test_what_others_send_on_changes_nothing_and_moves_no_ownership(self) -> None:
        presence = room((A, (1, 3, {"v": 1})), (B, (2, 0, {})))
        presence.receive(encode((1, 3, {"v": 1})), B, 0)
        presence.receive(encode((1, 2, {"v": 0})), B, 0)
        assert presence.take() is None
        assert decode(presence.leave(B)) == [(2, 0, GONE)]
        assert presence.states() == {1: {"v": 1}}

    def test_nobody_can_remove_another(self) -> None:
        presence = room((A, (1, 3, {})), (B, (2, 0, {})))
        presence.receive(encode((1, 3, GONE)), B, 0)
        presence.receive(encode((1, 99, GONE)), B, 0)
        assert presence.take() is None
        assert set(presence.states()) == {1, 2}

    @pytest.mark.parametrize("clock", [3, 4])
    def test_a_reconnect_takes_over_and_the_old_sockets_end_removes_nothing(
        self, clock: int
    ) -> None:
        presence = room((A, (1, 3, {"v": 1})))
        assert presence.receive(encode((1, clock, {"v": 2})), C, 0) is None
        assert decode(presence.take()) == [(1, clock, {"v": 2})]
        assert presence.leave(A) is None
        assert presence.states() == {1: {"v": 2}}
        assert decode(presence.leave(C)) == [(1, clock, GONE)]

    def test_a_relay_of_everyone_takes_over_nobody(self) -> None:
        presence = room((A, (1, 3, {})))
        presence.receive(encode((1, 3, {}), (2, 0, {})), B, 0)
        assert decode(presence.leave(B)) == [(2, 0, GONE)]
        assert set(presence.states()) == {1}

    def test_who_shows_nothing_and_sends_on_what_it_heard_takes_over_nobody(self) -> None:
        presence = room((A, (1, 3, {"v": 1})))
        presence.receive(encode((1, 3, {"v": 1})), B, 0, repeats=True)
        assert presence.leave(B) is None
        assert decode(presence.leave(A)) == [(1, 3, GONE)]

    def test_a_connection_announces_at_most_a_hundred_clients(self) -> None:
        presence = Presence()
        for client in range(100):
            presence.receive(encode((client, 0, {})), A, 0)
        with pytest.raises(ProtocolError, match="at most 100"):
            presence.receive(encode((100, 0, {})), A, 0)
        assert len(decode(presence.leave(A))) == 100

    def test_a_client_that_left_and_came_back_counts_once(self) -> None:
        presence = Presence()
        for clock in range(0, 400, 2):
            presence.receive(encode((1, clock, {})), A, 0)
            presence.receive(encode((1, clock + 1, GONE)), A, 0)
        presence.receive(encode((1, 400, {})), A, 0)
        assert set(presence.states()) == {1}


class TestTombstones:
    def test_who_was_removed_is_told_so_and_comes_back_with_the_next_clock(self) -> None:
        presence = room((A, (1, 3, {})))
        presence.leave(A)
        assert decode(presence.receive(encode((1, 3, {})), B, 0)) == [(1, 3, GONE)]
        assert presence.take() is None
        assert presence.receive(encode((1, 4, {"back": True})), B, 0) is None
        assert decode(presence.take()) == [(1, 4, {"back": True})]

    def test_late_news_of_somebody_gone_raises_no_ghost(self) -> None:
        presence = room((A, (1, 3, {})), (B, (2, 0, {})))
        presence.receive(encode((1, 4, GONE)), A, 0)
        assert decode(presence.take()) == [(1, 4, GONE)]
        assert decode(presence.receive(encode((1, 3, {})), B, 0)) == [(1, 4, GONE)]
        assert set(presence.states()) == {2}

    def test_removing_somebody_unknown_says_nothing(self) -> None:
        presence = Presence()
        assert presence.receive(encode((1, 3, GONE)), A, 0) is None
        assert presence.take() is None

    def test_a_removal_goes_out_at_once_and_not_again_with_the_tick(self) -> None:
        presence = Presence()
        presence.receive(encode((1, 0, {})), A, 0)
        assert decode(presence.leave(A)) == [(1, 0, GONE)]
        assert presence.take() is None


class TestExpiry:
    def test_who_is_not_heard_of_is_removed(self) -> None:
        presence = room((A, (1, 0, {})))
        presence.receive(encode((2, 0, {})), B, 10)
        presence.take()
        assert presence.expire(EXPIRY_SECONDS) is None
        assert decode(presence.expire(EXPIRY_SECONDS + 1)) == [(1, 0, GONE)]
        assert set(presence.states()) == {2}

    def test_a_renewal_keeps_alive_also_with_the_same_clock(self) -> None:
        presence = room((A, (1, 0, {})))
        presence.receive(encode((1, 0, {})), A, 20)
        assert presence.expire(EXPIRY_SECONDS + 1) is None

    def test_others_do_not_keep_somebody_alive(self) -> None:
        presence = room((A, (1, 0, {})), (B, (2, 0, {})))
        presence.receive(encode((1, 0, {})), B, 20)
        assert (1, 0, GONE) in decode(presence.expire(EXPIRY_SECONDS + 1))


class TestHostilePayloads:
    @pytest.mark.parametrize(
        "state",
        [
            "",
            "{",
            "undefined",
            "NaN",
            '{"x": NaN}',
            '{"x": Infinity}',
            "[1]",
            '"text"',
            "5",
            "true",
            " null",
            "{} {}",
            "[" * 100_000,
            '{"a":' * 100_000 + "1" + "}" * 100_000,
            '{"x": ' + "9" * 10_000 + "}",
        ],
    )
    def test_what_javascript_clients_could_not_read_is_refused(self, state: str) -> None:
        presence = Presence()
        with pytest.raises(ProtocolError, match="expected"):
            presence.receive(raw((1, 0, state)), A, 0)
        assert presence.encode() is None

    def test_a_state_that_is_no_utf_8_is_refused(self) -> None:
        with pytest.raises(ProtocolError):
            Presence().receive(b"\x01\x01\x00\x02\xff\xfe", A, 0)

    def test_a_count_of_clients_that_are_not_there_is_refused(self) -> None:
        with pytest.raises(ProtocolError):
            Presence().receive(b"\xff\xff\xff\xff\x07", A, 0)

    @given(st.binary(max_size=60))
    def test_arbitrary_bytes_raise_only_protocol_errors(self, payload: bytes) -> None:
        presence = Presence()
        try:
            presence.receive(payload, A, 0)
        except ProtocolError:
            assert presence.encode() is None

    @given(
        st.lists(
            st.tuples(
                st.sampled_from([A, B, C]),
                st.integers(1, 3),
                st.integers(0, 5),
                st.sampled_from([GONE, {"v": 1}, {"v": 2}]),
                st.booleans(),
            ),
            max_size=30,
        )
    )
    def test_readers_of_every_tick_know_what_a_newcomer_is_told(
        self, moves: list[tuple[str, int, int, object, bool]]
    ) -> None:
        presence = Presence()
        seen: dict[int, object] = {}

        def read(payload: bytes | None) -> None:
            for client, _, state in decode(payload):
                if state is None:
                    seen.pop(client, None)
                else:
                    seen[client] = state

        for owner, client, clock, state, leaves in moves:
            presence.receive(encode((client, clock, state)), owner, 0)
            if leaves:
                read(presence.leave(owner))
        read(presence.take())
        assert seen == presence.states()
        assert seen == {client: state for client, _, state in decode(presence.encode())}
        for owner in (A, B, C):
            presence.leave(owner)
        assert len(presence) == 0


ANA = Identity(id="ana", name="Ana")
BEN = Identity(id="ben")


class TestIdentity:
    def test_a_state_says_who_it_is_of_whatever_the_client_says(self) -> None:
        presence = Presence()
        presence.receive(
            encode((1, 0, {"user": {"id": "ben", "name": "Ben", "color": "#f00"}, "cursor": 3})),
            A,
            0,
            ANA,
        )
        presence.receive(encode((2, 0, {"user": "ana"}), (3, 0, {})), B, 0, BEN)
        assert presence.states() == {
            1: {"user": {"id": "ana", "name": "Ana", "color": "#f00"}, "cursor": 3},
            2: {"user": {"id": "ben", "name": "ben"}},
            3: {"user": {"id": "ben", "name": "ben"}},
        }
        passed_on = {client: state for client, _, state in decode(presence.take())}
        assert passed_on == presence.states()

    def test_where_nobody_is_known_a_state_is_passed_on_as_it_is(self) -> None:
        presence = Presence()
        presence.receive(encode((1, 0, {"user": {"id": "ben"}})), A, 0, Identity(name="?"))
        assert presence.states() == {1: {"user": {"id": "ben"}}}

    def test_nobody_takes_another_user_s_client_over_or_removes_it(self) -> None:
        presence = Presence()
        presence.receive(encode((1, 3, {"v": 1})), A, 0, ANA)
        presence.take()
        for clock in (3, 4, 2**40):
            for owner in (B, C):
                presence.receive(encode((1, clock, {"v": 2})), owner, 0, BEN)
                presence.receive(encode((1, clock, GONE)), owner, 0, BEN)
        assert presence.take() is None
        assert presence.leave(B) is None
        assert presence.states()[1] == {"v": 1, "user": {"id": "ana", "name": "Ana"}}

    @pytest.mark.parametrize("clock", [3, 4])
    def test_the_same_user_s_newer_connection_takes_over_at_once(self, clock: int) -> None:
        presence = Presence()
        presence.receive(encode((1, 3, {"v": 1})), A, 0, ANA)
        presence.receive(encode((1, clock, {"v": 2})), B, 0, ANA)
        assert presence.leave(A) is None
        assert presence.states()[1] == {"v": 2, "user": {"id": "ana", "name": "Ana"}}

    @pytest.mark.parametrize(
        ("vouched", "shown"), [(True, {"name": "Ana"}), (False, {"id": "ana", "name": "Ana"})]
    )
    def test_who_has_no_id_shows_none_where_others_are_known_by_theirs(
        self, vouched: bool, shown: dict[str, str]
    ) -> None:
        presence = Presence(vouched=vouched)
        presence.receive(encode((1, 1, {"user": {"id": "ana", "name": "Ana"}, "v": 1})), A, 0)
        assert decode(presence.take()) == [(1, 1, {"user": shown, "v": 1})]

    @pytest.mark.parametrize("state", ['{"a":1e999}', '{"user":{"a":[-1e999]}}'])
    def test_a_number_that_is_none_once_it_was_read_is_refused(self, state: str) -> None:
        payload = b"\x01\x01\x00" + lib0.write_var_string(state)
        with pytest.raises(ProtocolError, match="finite numbers"):
            Presence().receive(payload, A, 0, ANA)

    def test_names_outside_of_ascii_and_half_characters_are_carried(self) -> None:
        presence = Presence()
        payload = b"\x01\x01\x00" + lib0.write_var_string('{"user":{"x":"\\ud83d"},"y":"é😀"}')
        presence.receive(payload, A, 0, Identity(id="é😀", name="Ä"))
        ((_, _, state),) = decode(presence.take())
        assert state == {"user": {"x": "\ud83d", "id": "é😀", "name": "Ä"}, "y": "é😀"}
