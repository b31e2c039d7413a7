"""The Store Protocol: where documents are kept, and what every store promises.

The contract, which ``tests/storage/test_conformance.py`` runs over every store:

Durability
    When ``append`` returns, everything in it survives the death of the process and of the machine.
    When it raises, nothing of it is in the store (all or nothing, over all documents in the call),
    and the caller may call again with the same writes.
Order
    Each document has its own ``seq``: 1, 2, 3, ... without holes, in the order of the calls and,
    within a call, in the order of its entries. Order is never taken from a clock.
Idempotence
    A store does not look into updates. Appending the same bytes twice gives two entries; the CRDT
    makes that harmless.
Creation
    A document exists from its first entry or checkpoint on. Reading never creates one.
Checkpoints
    A checkpoint at seq n equals the replay of entries 1..n. Loading reads the newest checkpoint
    and the entries after it, and no others. Writing a checkpoint deletes no entries.
Concurrency
    Calls may overlap, from several tasks and several processes. Readers see whole ``append``
    calls or nothing of them.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One stored change of a document.

    Attributes:
        seq: position in the document's log, from 1.
        update: encoded Yjs update (v1).
        time_ms: when it was received, milliseconds since the Unix epoch. For people; never for order.
        author: id of the identity that sent it, or None where nobody was named.
    """

    seq: int
    update: bytes
    time_ms: int
    author: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewEntry:
    """A change to append; see ``Entry`` for the fields."""

    update: bytes
    time_ms: int
    author: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Append:
    """What one ``append`` call adds to one document.

    Attributes:
        document: document name.
        entries: changes in order; may be empty when only a checkpoint is written.
        checkpoint: whole state (a v1 update) after the last of ``entries``, or after the newest
            stored entry where ``entries`` is empty; None writes none.
    """

    document: str
    entries: Sequence[NewEntry]
    checkpoint: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What opening a document reads: one checkpoint and the entries after it.

    Attributes:
        document: document name.
        seq: seq of the newest entry; 0 where there is none.
        checkpoint: whole state at ``checkpoint_seq``, or None.
        checkpoint_seq: 0 where there is no checkpoint.
        entries: the entries after ``checkpoint_seq``, in order of seq.
    """

    document: str
    seq: int
    checkpoint: bytes | None
    checkpoint_seq: int
    entries: Sequence[Entry]


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """One line of the list of documents.

    Attributes:
        document: document name.
        seq: seq of the newest entry.
        created_ms: when the document was first written, milliseconds since the Unix epoch.
        updated_ms: when it was last written.
        bytes: what its entries and checkpoint take up, without the store's own overhead.
    """

    document: str
    seq: int
    created_ms: int
    updated_ms: int
    bytes: int


class Store(Protocol):
    """Where documents are kept. An async context manager; see the module for the contract.

    Every method raises ``StoreUnavailable`` for a passing failure and ``StoreError`` for others.
    """

    async def __aenter__(self) -> "Store":
        """Opens the store."""
        ...

    async def __aexit__(self, *exception: object) -> None:
        """Closes the store; calls under way are finished first."""
        ...

    async def append(self, appends: Sequence[Append]) -> Sequence[int]:
        """Adds changes to any number of documents in one durable, atomic step.

        Args:
            appends: at most one for each document.

        Returns:
            For each append, in order, the document's newest seq after it.
        """
        ...

    async def load(self, document: str) -> Stored:
        """Reads what is needed to open a document; an unknown one has seq 0 and no entries."""
        ...

    def entries(self, document: str, after_seq: int = 0) -> AsyncIterator[Entry]:
        """Streams a document's log in order of seq, in bounded memory.

        Args:
            document: document name.
            after_seq: where to begin: the first entry has a greater seq.

        Raises:
            DocumentNotFound: the store has no such document.
        """
        ...

    async def documents(self, prefix: str = "", after: str = "", limit: int = 1000) -> Sequence[Summary]:
        """Lists documents in order of name (by Unicode code point), a page at a time.

        Args:
            prefix: only names that begin with it, letter case included.
            after: only names greater than this one: the last name of the page before.
            limit: at most so many.
        """
        ...
