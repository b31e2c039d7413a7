"""Quarantine: updates that could not be taken in, kept aside with who sent them, when and why.

There are two kinds. A *refused* update came from a client and never got into the log. A *set aside*
entry is in the log, or was before a repair, and does not apply; it has the ``seq`` it stands at.

The contract, which ``tests/storage/test_conformance_quarantine.py`` runs over every store:

Bounds
    Refused updates are kept within ``IN_A_DOCUMENT`` and ``IN_ALL``: the oldest make room, and a
    single one above the bound is not kept at all. So nobody fills a disk with what is refused.
    Entries are not counted: the log had room for them.
Idempotence
    An entry is set aside once, by document, seq and bytes: what else is found at its place later is
    kept, too. Refused updates are kept as often as they come.
Documents
    A quarantine belongs to a name, not to a document: it may be all there is under that name, and
    makes no document.
Durability, cancellation, concurrency, lifetime
    As of ``append`` in ``collab.store``.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from collab.errors import PoisonedUpdate

_REASON_CHARACTERS = 200
"""How much of a reason is kept: the CRDT's own may quote what it read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """An update that could not be taken in.

    Attributes:
        update: the bytes.
        time_ms: when they were received, milliseconds since the Unix epoch.
        author: id of the identity that sent them, or None where nobody was named.
        reason: what is wrong with them.
        seq: the place of the entry in the log; None where they never got there.
    """

    update: bytes
    time_ms: int
    author: str | None
    reason: str
    seq: int | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a call of ``quarantine``.

    Attributes:
        added: how many were not there before, those that had no room included.
        dropped: how many refused updates, older ones or those of the call, had no room.
    """

    added: int
    dropped: int


@dataclass(frozen=True, slots=True)
class Bound:
    """How much is kept.

    Attributes:
        updates: at most so many.
        bytes: of at most so many bytes together.
    """

    updates: int
    bytes: int


IN_A_DOCUMENT = Bound(100, 4 << 20)
"""For one name: enough to see what a client does wrong."""

IN_ALL = Bound(5_000, 64 << 20)
"""For a store."""


class Quarantine(Protocol):
    """The part of a store that keeps what could not be taken in; see the module for the contract.

    Every method raises ``StoreUnavailable`` for a passing failure and ``StoreError`` for others.
    """

    async def quarantine(self, document: str, refused: Sequence[Refused]) -> Outcome:
        """Keeps updates aside, in one durable step.

        Args:
            document: the name they were sent to.
            refused: in the order they came.

        Raises:
            InvalidName: this cannot name a document.
            StoreError: an author is not storable.
        """
        ...

    async def quarantined(self, document: str) -> Sequence[Refused]:
        """Reads what is kept under a name, in the order it came; nothing where there is none."""
        ...


def refusal(
    error: PoisonedUpdate, *, time_ms: int, author: str | None, seq: int | None = None
) -> Refused:
    """Describes an update that the CRDT cannot apply; see ``Refused`` for the fields."""
    return Refused(
        update=error.update, time_ms=time_ms, author=author, reason=brief(error), seq=seq
    )


def brief(error: Exception) -> str:
    """What an error says, in one line of bounded length."""
    text = str(error).encode(errors="replace").decode()
    return " ".join(text.split())[:_REASON_CHARACTERS]


def surplus(kept: Sequence[tuple[str, int]]) -> list[int]:
    """Tells which refused updates are beyond the bounds.

    Args:
        kept: document and size in bytes of each, the oldest first.

    Returns:
        Their places in ``kept``.
    """
    updates: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    count = total = 0
    beyond = []
    for place in range(len(kept) - 1, -1, -1):
        document, size = kept[place]
        if (
            updates[document] < IN_A_DOCUMENT.updates
            and sizes[document] + size <= IN_A_DOCUMENT.bytes
            and count < IN_ALL.updates
            and total + size <= IN_ALL.bytes
        ):
            updates[document] += 1
            sizes[document] += size
            count += 1
            total += size
        else:
            beyond.append(place)
    return beyond
