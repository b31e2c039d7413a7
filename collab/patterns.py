"""Pattern: names a set of documents, as ``team/*`` does."""

import re

_WILDCARDS = re.compile(r"(\*+)")


class Pattern:
    """A document name in which ``*`` and ``**`` stand for anything.

    ``*`` stands for any characters but ``/``, ``**`` (or more stars) for any characters at all;
    both also for none. Every other character stands for itself: case counts, nothing is
    normalised, and there is no escape. A name that itself has a star is matched by a star.

    Matching goes once over the name and keeps every possible position as one bit, so that no
    pattern and no name makes it slow.
    Source: Baeza-Yates and Gonnet, "A new approach to text searching", 1992 (shift-and).

    Attributes:
        text: the pattern as it was written.
        prefix: what every name it matches begins with.
        rank: how narrow it is; the greater, the narrower: first by the characters that stand for
            themselves, then by fewer ``**``, then by fewer ``*``.
    """

    __slots__ = ("_across", "_expected", "_length", "_within", "prefix", "rank", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.prefix = text.partition("*")[0]
        self._expected: dict[str, int] = {}
        """Bit i: the character stands at position i."""
        self._across = 0
        """Bit i: before position i, ``**`` takes any character."""
        self._within = 0
        """Bit i: before position i, a wildcard takes any character but ``/``."""
        self._length = 0
        for number, part in enumerate(_WILDCARDS.split(text)):
            here = 1 << self._length
            if number % 2:
                self._within |= here
                self._across |= here if len(part) > 1 else 0
                continue
            for character in part:
                self._expected[character] = self._expected.get(character, 0) | 1 << self._length
                self._length += 1
        across = self._across.bit_count()
        self.rank = (self._length, -across, across - self._within.bit_count())

    def matches(self, name: str) -> bool:
        """Tells whether it stands for this document name."""
        reached = 1
        for character in name:
            stays = self._across if character == "/" else self._within
            moves = self._expected.get(character, 0)
            reached = (reached & moves) << 1 | reached & stays
            if not reached:
                return False
        return bool(reached >> self._length & 1)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pattern) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return f"Pattern({self.text!r})"
