"""Typed: what is read at a glance is what the reader of structs reads."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collab.lib0 import MAX_UINT, write_var_string, write_var_uint
from collab.structs import read_structs
from collab.typed import is_typed, read_typed
from tests.core import poison
from tests.core.writing import typed

clients = st.integers(0, MAX_UINT)
clocks = st.integers(0, 2**28 - 1)


@given(
    st.sampled_from([0x84, 0x44, 0xC4]),
    st.tuples(clients, clocks, clients, clocks),
    clients,
    clocks,
    st.text(st.characters(max_codepoint=127), min_size=1, max_size=127),
)
def test_one_string_beside_its_neighbours_is_typed(
    info: int, places: tuple[int, ...], client: int, clock: int, text: str
) -> None:
    named = places if info == 0xC4 else places[:2]
    head = bytes((info,)) + b"".join(map(write_var_uint, named))
    update = poison.update_of(head + write_var_string(text), client=client, clock=clock)
    assert is_typed(update)
    assert [read_typed(update)] == list(read_structs(update))


@pytest.mark.parametrize(
    "update",
    [
        typed("a")[0],
        typed("a", "é")[1],
        typed("a", "😀")[1],
        typed("a", "b" * 128)[1],
        typed("a", "b")[1][:-1] + b"\x01\x01\x01\x00\x01",
        typed("a", "b")[1] + b"\x00",
        poison.update_of(b"\x84\x01\x00\x01a", client=1, clock=2**28),
        poison.update_of(deletions=b"\x01\x05\x01\x00\x01"),
        b"",
    ],
    ids=[
        "first",
        "é",
        "emoji",
        "long",
        "deletion too",
        "a rest",
        "late",
        "deletion alone",
        "nothing",
    ],
)
def test_anything_else_is_not(update: bytes) -> None:
    assert not is_typed(update)
    assert read_typed(update) is None
