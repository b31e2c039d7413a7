"""The codec: round trips, and nothing but its own errors on any bytes."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collab import lib0
from collab.errors import ProtocolError, Truncated


@given(st.integers(0, lib0.MAX_UINT), st.binary(max_size=8))
def test_integers_round_trip(value: int, prefix: bytes) -> None:
    encoded = lib0.write_var_uint(value)
    assert lib0.read_var_uint(prefix + encoded, len(prefix)) == (value, len(prefix) + len(encoded))


@given(st.text())
def test_strings_round_trip(value: str) -> None:
    encoded = lib0.write_var_string(value)
    assert lib0.read_var_string(encoded, 0) == (value, len(encoded))


@given(st.binary(max_size=300))
def test_byte_arrays_round_trip(value: bytes) -> None:
    encoded = lib0.write_var_bytes(value)
    assert lib0.read_var_bytes(encoded, 0) == (value, len(encoded))


@pytest.mark.parametrize("read", [lib0.read_var_uint, lib0.read_var_bytes, lib0.read_var_string])
@given(buffer=st.binary(max_size=64))
def test_arbitrary_bytes_raise_only_protocol_errors(
    read: Callable[[bytes, int], tuple[object, int]], buffer: bytes
) -> None:
    try:
        _, end = read(buffer, 0)
    except ProtocolError:
        return
    assert 0 < end <= len(buffer)


@given(st.binary(min_size=1, max_size=64))
def test_every_cut_of_a_byte_array_is_truncated(value: bytes) -> None:
    encoded = lib0.write_var_bytes(value)
    for end in range(len(encoded)):
        with pytest.raises(Truncated):
            lib0.read_var_bytes(encoded[:end], 0)


def test_known_encodings() -> None:
    assert lib0.write_var_uint(127) == b"\x7f"
    assert lib0.write_var_uint(128) == b"\x80\x01"
    assert lib0.write_var_string("é") == b"\x02\xc3\xa9"


@pytest.mark.parametrize("value", [-1, 2**53])
def test_integers_out_of_range_are_refused(value: int) -> None:
    with pytest.raises(ValueError, match="expected an integer"):
        lib0.write_var_uint(value)


@pytest.mark.parametrize("encoded", [b"\xff" * 12, b"\xff" * 7 + b"\x7f"])
def test_integers_of_more_than_53_bits_are_refused(encoded: bytes) -> None:
    with pytest.raises(ProtocolError, match="at most"):
        lib0.read_var_uint(encoded, 0)


def test_a_rest_is_refused() -> None:
    lib0.expect_end(b"ab", 2)
    with pytest.raises(ProtocolError, match="2 more bytes"):
        lib0.expect_end(b"abcd", 2)
