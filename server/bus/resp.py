"""RESP3: what is said to a Valkey or Redis server and what it answers, as bytes.

https://valkey.io/topics/protocol/. Of what a server may say, it reads what this bus is told.
"""

from collections.abc import Generator, Sequence
from dataclasses import dataclass

from redis.exceptions import InvalidResponse, ResponseError


@dataclass(frozen=True, slots=True)
class Push:
    """Something that is no answer.

    Attributes:
        values: its kind, and the rest.
    """

    values: Sequence[object]


def pack(*words: bytes | str | int) -> bytes:
    """Encodes a command."""
    packed = [b"*%d\r\n" % len(words)]
    for word in words:
        if isinstance(word, int):
            word = b"%d" % word
        elif isinstance(word, str):
            word = word.encode()
        packed.append(b"$%d\r\n%b\r\n" % (len(word), word))
    return b"".join(packed)


class Reader:
    """Reads answers and pushes from bytes as they come, each byte once."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._at = 0
        self._reading = self._read()

    def feed(self, received: bytes) -> Sequence[object]:
        """Takes bytes in.

        Returns:
            What is complete with them: ``Push``, and answers. Those are bytes (text too), numbers,
            ``ResponseError``, lists (of a map, its keys and values in turn), and None.

        Raises:
            InvalidResponse: they are no RESP3.
        """
        self._buffer += received
        complete: list[object] = []
        try:
            while True:
                try:
                    next(self._reading)
                except StopIteration as end:
                    complete.append(end.value)
                    self._reading = self._read()
                else:
                    break
        except ValueError as error:
            raise InvalidResponse(f"expected a length or a number, got: {error}") from None
        del self._buffer[: self._at]
        self._at = 0
        return complete

    def _read(self) -> Generator[None, None, object]:
        buffer = self._buffer
        while (end := buffer.find(b"\r\n", self._at)) < 0:
            yield
        kind = buffer[self._at]
        rest = buffer[self._at + 1 : end]
        self._at = end + 2
        if kind in _LONG:
            size = int(rest)
            if size < 0:
                return None
            while len(buffer) < self._at + size + 2:
                yield
            begin = self._at
            self._at += size + 2
            return bytes(buffer[begin : begin + size])
        if kind in _MANY:
            values: list[object] = []
            for _ in range(int(rest) * _MANY[kind]):
                value = yield from self._read()
                if isinstance(value, Push):
                    raise InvalidResponse("expected no push inside a value, got one")
                values.append(value)
            return Push(values) if kind == _PUSH else values
        if kind == _NUMBER:
            return int(rest)
        if kind == _ERROR:
            return ResponseError(rest.decode(errors="replace"))
        if kind in _SHORT:
            return bytes(rest)
        if kind == _NULL:
            return None
        raise InvalidResponse(f"expected RESP3, got {bytes(buffer[end - len(rest) - 1 : end])!r}")


_PUSH, _NUMBER, _ERROR, _NULL = b">:-_"
_LONG = frozenset(b"$=")
_SHORT = frozenset(b"+,#(")
_MANY = {ord("*"): 1, ord("~"): 1, ord(">"): 1, ord("%"): 2}
"""Kinds of sequences, and how many values each of their items has."""
