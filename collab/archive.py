"""The Archive Protocol: how a store packs its logs, and what it keeps of the past.

The contract, which ``tests/storage/test_conformance_archive.py`` runs over every store:

Lossless
    Packing changes no entry: ``entries`` gives the same bytes, authors and times before and after,
    in the same order. What is newer than the newest checkpoint is never packed, so that opening a
    document reads nothing packed.
Retention
    ``Retention`` says how long entries are kept. Entries go from the old end alone, and only those
    below a whole state; the content of the document never changes. A document's own retention goes
    before the one that ``Terms`` name. What a wrong clock has dated later than now goes with the
    next entry that is dated rightly.
Base
    Where old entries were dropped, the history begins at a base: the whole state after the entries
    that are gone. ``entries`` begins after it. A document that began with a checkpoint alone has
    that as its base, at seq 0.
Steps
    ``compact`` does a bounded piece of work in one atomic step, and says whether there is more. It
    may end anywhere, killed too: what it has not finished has not begun. Repeated on a document
    that nobody changes, it comes to an end.
Concurrency
    It may run beside appends, reads, other calls of its own and other processes. A document that is
    open elsewhere stays as it is there.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from collab.errors import SettingsError

_UNITS_MS = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_SPAN = re.compile(r"([1-9][0-9]{0,8})([smhdw])", re.ASCII)

QUIET_MS = 3_600_000
"""Silence after which a document counts as quiet, in milliseconds: an hour, longer than a break."""


@dataclass(frozen=True, slots=True)
class Retention:
    """How long entries are kept; ``str`` gives the text that ``parse`` reads.

    Attributes:
        milliseconds: at least so long, counted from ``Entry.time_ms``; 0 keeps no history beside
            what opening needs, None keeps all for ever.
    """

    milliseconds: int | None

    @classmethod
    def parse(cls, text: str) -> "Retention":
        """Reads ``all``, ``none`` or a span such as ``30d``: s, m, h, d or w after a number.

        Raises:
            SettingsError: it is something else.
        """
        if text == "all":
            return cls(None)
        if text == "none":
            return cls(0)
        span = _SPAN.fullmatch(text)
        if span is None:
            raise SettingsError(f"expected all, none or a span like 30d, got {text!r}")
        return cls(int(span[1]) * _UNITS_MS[span[2]])

    def __str__(self) -> str:
        if self.milliseconds is None:
            return "all"
        if self.milliseconds == 0:
            return "none"
        unit = max(
            (unit for unit, length in _UNITS_MS.items() if self.milliseconds % length == 0),
            key=_UNITS_MS.__getitem__,
        )
        return f"{self.milliseconds // _UNITS_MS[unit]}{unit}"


KEEP_ALL = Retention(None)
"""Every entry is kept for ever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """Where the history of a document begins.

    Attributes:
        seq: the entries up to this one are gone; 0 where all are there.
        update: whole state after them (a v1 update), or None where the history begins with nothing.
    """

    seq: int
    update: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """On which terms documents are compacted.

    Attributes:
        now_ms: what time it is, milliseconds since the Unix epoch.
        history: for documents that have no retention of their own.
        quiet_ms: how long ago a document's newest entry must be before its last entries are packed,
            too; 0 packs at once.
    """

    now_ms: int
    history: Retention = KEEP_ALL
    quiet_ms: int = QUIET_MS


@dataclass(frozen=True, slots=True)
class Step:
    """What one call of ``compact`` did.

    Attributes:
        bytes: how much was read and written, about.
        more: whether there is more to do for this document.
    """

    bytes: int
    more: bool


class Archive(Protocol):
    """The part of a store that packs logs and drops what is too old; see the module."""

    async def base(self, document: str) -> Base:
        """Reads where the history of a document begins.

        Entries may be dropped between this call and the first of ``entries``: where that has
        another seq than the one after ``Base.seq``, both are to be read again.

        Raises:
            BrokenDocument: it cannot be read.
            DocumentNotFound: the store has no such document.
        """
        ...

    async def retain(self, document: str, retention: Retention | None) -> None:
        """Sets how long a document's entries are kept; None for what ``Terms`` say.

        Raises:
            DocumentNotFound: the store has no such document.
        """
        ...

    async def due(self, terms: Terms, after: str = "") -> Sequence[str]:
        """Names documents that ``compact`` has something to do for, in order of name.

        Args:
            terms: the terms they would be compacted on.
            after: only names greater than this one.

        Returns:
            A bounded number of names, the next ones; none at the end.
        """
        ...

    async def compact(self, document: str, terms: Terms) -> Step:
        """Does a bounded piece of the work there is for a document, in one atomic step.

        Raises:
            DocumentNotFound: the store has no such document.
            StoreError: an entry or a state cannot be read or applied; nothing was changed.
        """
        ...

    async def reclaim(self, *, spare: bool = True) -> bool:
        """Gives a bounded part of the space that is free inside the store back to the system.

        A store that sees to its free space by itself leaves it as it is.

        Args:
            spare: whether some of it is left for what is written next.

        Returns:
            Whether there is more.
        """
        ...

    async def rebuild(self) -> None:
        """Writes the store anew, as small as it can be; appends wait as long as that takes.

        Raises:
            StoreUnavailable: somebody else uses it, or there is no space for a second one.
        """
        ...

    async def bytes_on_disk(self) -> int:
        """Tells how much space the store takes; 0 for one that is not on a disk."""
        ...
