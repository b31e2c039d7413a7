"""Marks: what an instance says of its changes that have become durable, and how that is written.

An instance numbers the changes it passes on of a document, from 1, each time it opens it. A mark
rides on the next change, and goes to those who wait for it before. Marks add up: one that is lost
is made good by the next.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from collab.errors import ProtocolError

_MAX_RANGES = 1_000
"""Ranges of seqs in a mark at most: those who hear of more read the store."""


@dataclass(frozen=True)
class Mark:
    """Changes of an instance up to one of them are durable.

    Attributes:
        durable: number of that one.
        since: number of the one that the mark before told of.
        seqs: seqs in the log of those between, in order; empty where they are not told.
    """

    durable: int
    since: int
    seqs: Sequence[range] = ()

    @cached_property
    def encoded(self) -> bytes:
        """The mark as it is written: no spaces are in it."""
        parts = [str(self.durable), str(self.since)]
        if len(self.seqs) <= _MAX_RANGES:
            parts += [f"{seqs.start}-{seqs.stop - 1}" for seqs in self.seqs]
        return ",".join(parts).encode()


def decode_mark(text: bytes) -> Mark:
    """Decodes a mark.

    Raises:
        ProtocolError: it is none.
    """
    try:
        durable, since, *seqs = text.decode("ascii").split(",")
        ranges = [_read_range(each) for each in seqs[:_MAX_RANGES]]
        return Mark(int(durable), int(since), ranges)
    except ValueError:
        raise ProtocolError(f"expected which changes are durable, got {text[:50]!r}") from None


def joined(ranges: Iterable[range]) -> list[range]:
    """Joins ranges that follow each other."""
    whole: list[range] = []
    for each in ranges:
        if whole and whole[-1].stop == each.start:
            whole[-1] = range(whole[-1].start, each.stop)
        elif each:
            whole.append(each)
    return whole


def _read_range(text: str) -> range:
    first, last = map(int, text.split("-"))
    if last - first >= _MAX_ENTRIES:
        raise ValueError(text)
    return range(first, last + 1)


_MAX_ENTRIES = 1_000_000
"""Entries in a range at most: they are counted one by one."""
