"""RESP3: commands as servers read them, answers and pushes in whatever pieces they come."""

from collections.abc import Sequence
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.exceptions import InvalidResponse, ResponseError

from collab.server.bus.resp import Push, Reader, pack

_SAID = (
    b"+OK\r\n:-7\r\n$4\r\na\r\nb\r\n$0\r\n\r\n_\r\n$-1\r\n*2\r\n:1\r\n*0\r\n%1\r\n+k\r\n$1\r\nv\r\n"
    b">3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$2\r\n\r\n\r\n"
)
_READ = [
    *(b"OK", -7, b"a\r\nb", b"", None, None),
    *([1, []], [b"k", b"v"], Push([b"message", b"c", b"\r\n"])),
]


def read(pieces: Sequence[bytes]) -> list[object]:
    reader = Reader()
    return [value for piece in pieces for value in reader.feed(piece)]


def test_a_command_is_its_words_with_their_lengths() -> None:
    words = b"$4\r\nXADD\r\n", b"$2\r\n\r\n\r\n", b"$2\r\n12\r\n", b"$2\r\n\xc3\xa9\r\n"
    assert pack("XADD", b"\r\n", 12, "é") == b"*4\r\n" + b"".join(words)


def test_answers_and_pushes_are_read() -> None:
    assert read([_SAID]) == _READ


@given(st.lists(st.integers(0, len(_SAID)), max_size=12))
def test_it_does_not_matter_in_what_pieces_they_come(cuts: list[int]) -> None:
    ends = [*sorted(cuts), len(_SAID)]
    begins = [0, *ends]
    assert read([_SAID[begin:end] for begin, end in zip(begins, ends, strict=False)]) == _READ


@given(st.lists(st.binary(), min_size=1))
def test_words_are_read_as_they_were_packed(words: list[bytes]) -> None:
    assert read([pack(*words)]) == [words]


def test_a_refusal_is_an_answer_with_what_the_server_says() -> None:
    (refusal,) = read([b"-MOVED 42 h:1\r\n"])
    assert isinstance(refusal, ResponseError)
    assert str(refusal) == "MOVED 42 h:1"


@pytest.mark.parametrize("said", [b"HTTP/1.1 400\r\n", b":x\r\n", b"$y\r\n", b"*1\r\n>1\r\n:1\r\n"])
def test_what_is_no_resp_is_refused(said: bytes) -> None:
    with pytest.raises(InvalidResponse):
        read([said])


@given(st.binary())
def test_whatever_comes_is_read_or_refused(said: bytes) -> None:
    with suppress(InvalidResponse):
        read([said])
