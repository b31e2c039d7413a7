"""The Store Protocol: where documents are kept, and what every store promises.

The contract, which ``tests/storage/test_conformance.py`` runs over every store:

Durability
    When ``append`` returns, everything in it survives the death of the process and of the machine.
    When it raises, nothing of it is in the store (all or nothing, over all documents in the call),
    and the caller may call again with the same writes. A machine that dies right after a failed
    commit may still bring the writes back; appended again, they are then there twice, which is
    harmless (see Idempotence).
Cancellation
    A cancelled ``append`` has been stored whole or not at all, by the time the next one begins.
Order
    Each document has its own ``seq``: 1, 2, 3, ... without holes, in the order of the calls and,
    within a call, in the order of its entries. Order is never taken from a clock.
Idempotence
    A store does not look into updates. Appending the same bytes twice gives two entries; the CRDT
    makes that harmless.
Creation
    A document exists from its first entry or checkpoint on. Reading never creates one, nor does an
    append without either, nor one under the name of a document that was deleted (``collab.trash``).
    What was made for a document that was erased never comes into one that was made anew in its
    place: ``Append.epoch`` guards against it, and ``append`` tells whoever begins a document which
    epoch that is. Of several who begin one with ``Append.begins`` a single one does.
Names
    Document names are those ``collab.access.check_name`` lets pass; others raise ``InvalidName``,
    and nothing of the call is written. Names that differ in letter case or Unicode form differ.
Checkpoints
    A checkpoint at seq n equals the replay of entries 1..n, those that do not apply left out.
    Loading reads the newest checkpoint and the entries after it, and no others. Writing a
    checkpoint replaces the one before and deletes no entries. One built without knowing of another
    writer's entries must not be stored: ``Append.base_seq`` guards against it. A
    document that begins with a checkpoint alone keeps it as its base (``collab.archive``).
Times
    ``time_ms`` of an entry is the caller's. A document's ``created_ms`` is that of its first entry,
    ``updated_ms`` that of its newest. A document that begins with a checkpoint alone begins with
    the store's clock in both.
Concurrency
    Calls may overlap, from several tasks and several processes (a memory store: tasks). Readers
    see whole ``append`` calls or nothing of them.
Lifetime
    A store is used inside its ``async with``; before and after it every call raises ``StoreError``.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from collab.archive import Archive, Retention
from collab.quarantine import Quarantine
from collab.revocation import RevocationStore
from collab.trash import Trash
from collab.versions import VersionStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One stored change of a document.

    Attributes:
        seq: position in the document's log, from 1.
        update: encoded Yjs update (v1).
        time_ms: when it was received, milliseconds since the Unix epoch; never for order.
        author: of the identity that sent it (``Identity.author``), or None where nobody was named.
            Text with a UTF-8 form: half a surrogate pair is refused with ``StoreError``.
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
        base_seq: the document's seq before ``entries`` that ``checkpoint`` was built on. Where the
            store has gone further (another process wrote), the entries are stored and the
            checkpoint is left out. None: nobody else writes this document.
        epoch: id of the document's life that ``entries`` and ``checkpoint`` belong to. Where the
            store has no document or one of another life, it counts as deleted. None: whichever is
            there, or a new one.
        begins: whether it must begin the document: where there is one, it is refused.
    """

    document: str
    entries: Sequence[NewEntry]
    checkpoint: bytes | None = None
    base_seq: int | None = None
    epoch: str | None = None
    begins: bool = False


class Appended(NamedTuple):
    """Where a document is after an ``append``.

    Attributes:
        seq: seq of its newest entry; 0 where there is no document, and nothing was to be written.
        epoch: id of its life in this store, or None where there is no document.
    """

    seq: int
    epoch: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What opening a document reads: one checkpoint and the entries after it.

    Attributes:
        document: document name.
        seq: seq of the newest entry; 0 where there is none.
        checkpoint: whole state at ``checkpoint_seq``, or None.
        checkpoint_seq: 0 where there is no checkpoint.
        entries: the entries after ``checkpoint_seq``, in order of seq.
        epoch: id of the document's life in this store, or None where there is no document.
    """

    document: str
    seq: int
    checkpoint: bytes | None
    checkpoint_seq: int
    entries: Sequence[Entry]
    epoch: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """One line of the list of documents.

    Attributes:
        document: document name.
        seq: seq of the newest entry.
        created_ms: when the document was first written, milliseconds since the Unix epoch.
        updated_ms: when it was last changed; a checkpoint is no change.
        bytes: length of its updates and its whole states (checkpoint and base) together, as they
            were before the store packed them.
        epoch: id of the document's life in this store.
        retention: how long its entries are kept, or None where nothing was said about it.
    """

    document: str
    seq: int
    created_ms: int
    updated_ms: int
    bytes: int
    epoch: str
    retention: Retention | None = None


class Store(Archive, Quarantine, RevocationStore, Trash, VersionStore, Protocol):
    """Where documents are kept. An async context manager; see the module for the contract.

    What it keeps beside the log has contracts of its own: ``collab.archive``,
    ``collab.quarantine``, ``collab.revocation``, ``collab.trash``, ``collab.versions``.

    Every method raises ``StoreUnavailable`` for a passing failure and ``StoreError`` for others.
    """

    async def __aenter__(self) -> "Store":
        """Opens the store."""
        ...

    async def __aexit__(self, *exception: object) -> None:
        """Closes the store; calls under way are finished first."""
        ...

    async def append(self, appends: Sequence[Append]) -> Sequence[Appended]:
        """Adds changes to any number of documents in one durable, atomic step.

        Args:
            appends: at most one for each document.

        Returns:
            For each append, in order, where its document is after it.

        Raises:
            StoreError: a document is named twice, or an author is not storable.
            InvalidName: a document that would be made cannot have this name.
            DocumentDeleted: a document with something to write was deleted, or is another one by
                now (``Append.epoch``).
            DocumentExists: a document that was to begin is there (``Append.begins``).
        """
        ...

    async def load(self, document: str) -> Stored:
        """Reads what is needed to open a document; an unknown one has seq 0 and no entries.

        Raises:
            DocumentDeleted: it was deleted.
            BrokenDocument: its checkpoint cannot be read.
        """
        ...

    def entries(self, document: str, after_seq: int = 0) -> AsyncIterator[Entry]:
        """Streams a document's log in order of seq, in bounded memory.

        It begins after the document's base where old entries were dropped, and ends at the entry
        that was the newest when the first one was asked for. It holds nothing open in the store
        between two entries: it may be left at any time.

        Args:
            document: document name.
            after_seq: where to begin: the first entry has a greater seq.

        Raises:
            DocumentNotFound: the store has no such document; raised when the first entry is asked
                for.
            BrokenEntries: the next ones cannot be read, or are missing; those after them can be
                read, from ``last_seq`` on.
            EntriesDropped: the next ones have been dropped meanwhile, or the document erased.
        """
        ...

    async def documents(
        self, prefix: str = "", after: str = "", limit: int = 1000
    ) -> Sequence[Summary]:
        """Lists documents in order of name (by Unicode code point), a page at a time.

        Args:
            prefix: only names that begin with it, letter case included.
            after: only names greater than this one: the last name of the page before.
            limit: at most so many; none where it is not positive.
        """
        ...
