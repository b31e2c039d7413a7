import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collab.errors import ProtocolError
from collab.lib0 import MAX_UINT, write_var_string, write_var_uint
from collab.structs import (
    MAX_NESTING,
    Id,
    Kind,
    Struct,
    check_nesting,
    read_deletions,
    read_structs,
)
from tests.fixtures import BINDINGS, shown, written

HUGE = write_var_uint(MAX_UINT)
ROOT = b"\x01" + write_var_string("r")


def update_of(content: bytes, reference: int) -> bytes:
    """An update of one struct, of client 5, with a root parent and content of its own."""
    return b"\x01\x01\x05\x00" + bytes((reference,)) + ROOT + content + b"\x00"


def as_yjs_shows(struct: Struct) -> dict[str, object]:
    shared = {"id": [struct.client, struct.clock], "length": struct.length, "kind": struct.kind}
    if struct.kind is Kind.GC:
        return shared
    parent = list(struct.parent) if isinstance(struct.parent, Id) else struct.parent
    return shared | {
        "origin": list(struct.origin) if struct.origin else None,
        "right_origin": list(struct.right_origin) if struct.right_origin else None,
        "parent": parent,
        "parent_sub": struct.parent_sub,
    }


@pytest.mark.parametrize("name", BINDINGS)
def test_structs_and_deletions_are_those_that_yjs_reads(name: str) -> None:
    expected = shown("structs")[name]
    structs = [as_yjs_shows(struct) for struct in read_structs(written(name))]
    assert structs == expected["structs"]
    deletions = [[d.client, d.clock, d.length] for d in read_deletions(written(name))]
    assert sorted(deletions) == sorted(expected["deletions"])


@pytest.mark.parametrize("name", BINDINGS)
def test_structs_lie_one_after_the_other(name: str) -> None:
    update = written(name)
    structs = list(read_structs(update))
    for struct in structs:
        assert struct.start < struct.content <= struct.end
    for before, after in pairwise(structs):
        if before.client == after.client:
            assert after.start == before.end
            assert after.clock == before.clock + before.length


@given(st.binary(max_size=200))
def test_arbitrary_bytes_raise_only_protocol_errors(update: bytes) -> None:
    try:
        structs = list(read_structs(update))
        list(read_deletions(update))
    except ProtocolError:
        return
    assert all(struct.end <= len(update) for struct in structs)


@given(st.sampled_from(BINDINGS), st.data())
def test_damaged_updates_raise_only_protocol_errors(name: str, data: st.DataObject) -> None:
    update = bytearray(written(name))
    for _ in range(data.draw(st.integers(1, 4))):
        update[data.draw(st.integers(0, len(update) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(update)))
    for damaged in (bytes(update), bytes(update[:cut])):
        try:
            list(read_deletions(damaged))
        except ProtocolError:
            continue


@pytest.mark.parametrize("name", BINDINGS)
def test_every_cut_short_update_is_refused(name: str) -> None:
    update = written(name)
    for length in range(len(update)):
        with pytest.raises(ProtocolError):
            list(read_deletions(update[:length]))


@pytest.mark.parametrize(
    "update",
    [
        pytest.param(HUGE, id="sections"),
        pytest.param(b"\x01" + HUGE + b"\x05\x00", id="structs"),
        pytest.param(update_of(HUGE, Kind.JSON), id="json"),
        pytest.param(update_of(HUGE, Kind.ANY), id="any"),
        pytest.param(update_of(HUGE, Kind.STRING), id="string"),
        pytest.param(update_of(HUGE, Kind.BINARY), id="binary"),
        pytest.param(update_of(b"\x01\x75" + HUGE, Kind.ANY), id="array"),
        pytest.param(update_of(b"\x01\x76" + HUGE, Kind.ANY), id="object"),
        pytest.param(b"\x00" + HUGE, id="deleting clients"),
        pytest.param(b"\x00\x01\x05" + HUGE, id="deletions"),
    ],
)
def test_counts_without_bytes_behind_them_are_refused(update: bytes) -> None:
    with pytest.raises(ProtocolError, match="expected"):
        list(read_deletions(update))


@pytest.mark.parametrize(
    ("update", "message"),
    [
        (update_of(b"\x01a", 11), "reference 0 to 10, got 11"),
        (b"\x01\x01\x05\x00\x80\x01\x00", "without parent and origins"),
        (b"\x01\x01\x05\x00\x04\x02\x01r\x01a\x00", "marked 0 or 1, got 2"),
        (update_of(b"\x07", Kind.TYPE), "reference 0 to 6, got 7"),
        (update_of(b"\x02\xff\xfe", Kind.STRING), "UTF-8"),
        (update_of(b"\x01\x73", Kind.ANY), "tagged 116 to 127, got 115"),
        (b"\x02\x00\x05\x00\x00\x05\x00\x00", "a second of 5"),
        (b"\x00\x02\x05\x00\x05\x01\x00\x01", "deletions once, got 5 again"),
        (b"\x00\x00\x00", "expected the end"),
        (b"\x01\x02\x05" + HUGE + b"\x00\x01\x00\x01\x00", "expected a clock"),
    ],
)
def test_what_is_no_update_is_refused_with_a_reason(update: bytes, message: str) -> None:
    with pytest.raises(ProtocolError, match=message):
        list(read_deletions(update))


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_strings_are_counted_in_utf16_units(text: str) -> None:
    update = update_of(write_var_string(text), Kind.STRING)
    (struct,) = read_structs(update)
    assert struct.length == len(text.encode("utf-16-le")) // 2
    assert update[struct.content : struct.end] == write_var_string(text)


@pytest.mark.parametrize("lead", range(4))
@pytest.mark.parametrize("character", ["x", "é", "한", "😀"])
def test_long_strings_are_counted_in_utf16_units_too(character: str, lead: int) -> None:
    text = "y" * lead + character * 1_100_000
    (struct,) = read_structs(update_of(write_var_string(text), Kind.STRING))
    assert struct.length == lead + 1_100_000 * (len(character.encode("utf-16-le")) // 2)


def test_counting_a_long_string_takes_less_memory_than_it_has_bytes() -> None:
    update = update_of(write_var_string("xyz😀" * 2_000_000), Kind.STRING)
    tracemalloc.start()
    try:
        list(read_structs(update))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < len(update)


@pytest.mark.parametrize(
    ("malformed", "at"),
    [
        (b"x" * 3_000_000 + b"\xff", 3_000_000),
        (b"\xe2" + b"\x80" * 3_000_000, 3),
        (b"x" * (1024 * 1024 - 1) + b"\xc3", 1024 * 1024 - 1),
        (b"x" * (1024 * 1024 - 1) + b"\xe2x" + b"x" * 10, 1024 * 1024 - 1),
    ],
)
def test_long_strings_that_are_no_utf_8_are_refused_where_they_err(
    malformed: bytes, at: int
) -> None:
    content = write_var_uint(len(malformed)) + malformed
    with pytest.raises(ProtocolError, match=f"expected UTF-8, got byte {at} "):
        list(read_structs(update_of(content, Kind.STRING)))


@pytest.mark.parametrize("opening", [b"\x75\x01", b"\x76\x01\x01k"])
def test_values_nested_to_overflow_the_stack_are_refused(opening: bytes) -> None:
    within = update_of(b"\x01" + opening * MAX_NESTING + b"\x7e", Kind.ANY)
    beyond = update_of(b"\x01" + opening * 100_000 + b"\x7e", Kind.ANY)
    check_nesting(within)
    with pytest.raises(ProtocolError, match="nested at most"):
        check_nesting(beyond)


def test_a_value_that_only_looks_nested_passes() -> None:
    check_nesting(update_of(write_var_string("uv" * 10_000), Kind.STRING))
