"""Trash: documents that were deleted, until they are erased, and the lives of a document.

A deleted document is under a *tombstone*: all of it is kept, and nothing of it is found. It is
undeleted as it was, or erased; then a *mark* is left that says no more than that there was a
document of this name. The contract, which ``tests/storage/test_conformance_trash.py`` runs over
every store:

Absence
    A deleted or erased document is not listed, and whatever is asked about it raises
    ``DocumentDeleted``, which is a ``DocumentNotFound``. So does ``append``: what clients still
    hold does not bring it back. ``quarantine`` alone goes by names and takes what it is given.
Undelete
    Brings everything back as it was: log, checkpoint, versions, epoch.
Erase
    Leaves nothing of the content in the store, the quarantine of its name included. On a disk what
    is deleted is overwritten. What a reader holds in the write-ahead log goes with a later write;
    a database moves rows, and leaves copies of some where nothing reads them until it is written
    anew (``Archive.rebuild``); a database server overwrites what it deleted in its own time;
    authors' ids may stay.
Epoch
    Each document has an id of its life in this store, drawn at random when it begins and kept with
    it. A document made anew under an erased name, and a copy, have another.
Durability, cancellation, concurrency, lifetime
    As of ``append`` in ``collab.store``: each call is one step.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Tombstone:
    """What is told of a deleted document.

    Attributes:
        document: document name.
        deleted_ms: when it was deleted, milliseconds since the Unix epoch.
        author: id of the identity that deleted it, or None.
        bytes: length of its updates together.
    """

    document: str
    deleted_ms: int
    author: str | None
    bytes: int


class Trash(Protocol):
    """The part of a store that deletes and copies; see the module for the contract.

    Every method raises ``StoreUnavailable`` for a passing failure and ``StoreError`` for others.
    """

    async def delete(self, document: str, *, time_ms: int, author: str | None = None) -> Tombstone:
        """Puts a document under a tombstone; one that is under it already stays there.

        Args:
            document: document name.
            time_ms: what time it is, milliseconds since the Unix epoch.
            author: id of the identity that deletes it, or None.

        Returns:
            Its tombstone, the first one where it was deleted before.

        Raises:
            DocumentNotFound: the store has no such document; ``DocumentDeleted``: it is erased.
            StoreError: the author is not storable.
        """
        ...

    async def undelete(self, document: str) -> None:
        """Brings a deleted document back; one that is not deleted stays as it is.

        Raises:
            DocumentNotFound: the store has no such document; ``DocumentDeleted``: it is erased.
        """
        ...

    async def erase(self, document: str, *, deleted_ms: int | None = None) -> None:
        """Erases a deleted document; one that is erased stays so.

        Args:
            document: document name.
            deleted_ms: when it was deleted: one that was deleted at another time, after it had been
                undeleted, stays in the trash. None erases it in any case.

        Raises:
            DocumentNotFound: there is no tombstone of this name.
        """
        ...

    async def readmit(self, document: str) -> None:
        """Lets a name be used anew whose document was erased: the next append makes a new one.

        Other names stay as they are.

        Raises:
            DocumentDeleted: the document is deleted and not erased: undelete or erase it.
        """
        ...

    async def tombstones(
        self, prefix: str = "", after: str = "", limit: int = 1000
    ) -> Sequence[Tombstone]:
        """Lists deleted documents that are not erased; see ``Store.documents``."""
        ...

    async def duplicate(self, document: str, copy: str) -> None:
        """Copies a document with its history and its versions, under an epoch of its own.

        Args:
            document: document name.
            copy: name of the copy; where a document of this name was erased, it is used anew.

        Raises:
            InvalidName: the copy cannot have this name.
            DocumentNotFound: the store has no such document.
            DocumentExists: there is a document under the name of the copy.
            DocumentDeleted: there is a deleted one.
        """
        ...
