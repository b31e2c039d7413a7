"""RowStore: what stores that keep documents in tables have in common, whatever database it is."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from functools import partial
from itertools import pairwise
from typing import Generic, NoReturn, Protocol, TypeVar

from collab.access import check_name
from collab.archive import Base, Retention
from collab.errors import BrokenDocument, BrokenEntries, DocumentNotFound, EntriesDropped
from collab.quarantine import Outcome, Refused
from collab.revocation import Revoked
from collab.storage.checks import check_bounds
from collab.storage.stream import EntryStream
from collab.store import Entry, Stored, Summary
from collab.trash import Tombstone
from collab.versions import Version

_T = TypeVar("_T")
Connection = TypeVar("Connection")
_Connection = TypeVar("_Connection", contravariant=True)


class Rows(Protocol[_Connection]):
    """How a database's rows are read and written: a module of functions.

    Those that write are called inside a transaction.
    """

    def read_stored(self, connection: _Connection, document: str) -> Stored:
        """See ``RowStore.load``."""
        ...

    def read_head(self, connection: _Connection, document: str) -> tuple[int, int, str] | None:
        """Reads a document's id, its newest seq and its epoch; None where there is none."""
        ...

    def read_batch(
        self,
        connection: _Connection,
        document_id: int,
        epoch: str,
        after_seq: int,
        newest_seq: int,
    ) -> Sequence[Entry]:
        """Reads the next entries, not too many: none where a log was cut or erased meanwhile."""
        ...

    def read_summaries(
        self, connection: _Connection, prefix: str, after: str, limit: int
    ) -> Sequence[Summary]:
        """See ``RowStore.documents``."""
        ...

    def read_base(self, connection: _Connection, document: str) -> Base:
        """See ``RowStore.base``."""
        ...

    def write_retention(
        self, connection: _Connection, document: str, retention: Retention | None
    ) -> None:
        """See ``RowStore.retain``."""
        ...

    def write_quarantine(
        self, connection: _Connection, document: str, refused: Sequence[Refused]
    ) -> Outcome:
        """See ``RowStore.quarantine``."""
        ...

    def read_quarantine(self, connection: _Connection, document: str) -> Sequence[Refused]:
        """See ``RowStore.quarantined``."""
        ...

    def write_revocation(self, connection: _Connection, revoked: Revoked) -> None:
        """See ``RowStore.revoke``."""
        ...

    def read_revocations(self, connection: _Connection) -> Sequence[Revoked]:
        """See ``RowStore.revocations``."""
        ...

    def write_tombstone(
        self, connection: _Connection, document: str, time_ms: int, author: str | None
    ) -> Tombstone:
        """See ``RowStore.delete``."""
        ...

    def remove_tombstone(self, connection: _Connection, document: str) -> None:
        """See ``RowStore.undelete``."""
        ...

    def erase_rows(self, connection: _Connection, document: str, deleted_ms: int | None) -> None:
        """See ``RowStore.erase``."""
        ...

    def remove_mark(self, connection: _Connection, document: str) -> None:
        """See ``RowStore.readmit``."""
        ...

    def read_tombstones(
        self, connection: _Connection, prefix: str, after: str, limit: int
    ) -> Sequence[Tombstone]:
        """See ``RowStore.tombstones``."""
        ...

    def copy_rows(self, connection: _Connection, document: str, copy: str) -> None:
        """See ``RowStore.duplicate``."""
        ...

    def insert_version(self, connection: _Connection, document: str, version: Version) -> None:
        """See ``RowStore.add_version``."""
        ...

    def read_versions(self, connection: _Connection, document: str) -> Sequence[Version]:
        """See ``RowStore.versions``."""
        ...

    def delete_version(self, connection: _Connection, document: str, name: str) -> None:
        """See ``RowStore.remove_version``."""
        ...

    def write_pin(self, connection: _Connection, document: str, name: str, update: bytes) -> None:
        """See ``RowStore.pin_version``."""
        ...

    def read_pin(self, connection: _Connection, document: str, name: str) -> bytes | None:
        """See ``RowStore.pinned``."""
        ...


class RowStore(ABC, Generic[Connection]):
    """The part of a Store that is one read or one transaction each.

    Args:
        rows: of its database.
    """

    def __init__(self, rows: Rows[Connection]) -> None:
        self._rows = rows

    @abstractmethod
    async def _read(self, read: Callable[[Connection], _T]) -> _T:
        """Reads in a worker thread."""

    @abstractmethod
    async def _write(self, write: Callable[[Connection], _T]) -> _T:
        """Writes in a worker thread, in a transaction of its own."""

    async def load(self, document: str) -> Stored:
        """Reads what is needed to open a document; see ``Store.load``."""
        check_name(document)
        return await self._read(partial(self._rows.read_stored, document=document))

    def entries(self, document: str, after_seq: int = 0) -> AsyncIterator[Entry]:
        """Streams a document's log in order of seq; see ``Store.entries``."""
        seq = max(after_seq, 0)
        head: tuple[int, int, str] | None = None
        begun = False

        async def read_batch() -> Sequence[Entry]:
            nonlocal seq, head, begun
            if head is None:
                check_name(document)
                head = await self._read(partial(self._rows.read_head, document=document))
            if head is None:
                raise DocumentNotFound(document)
            document_id, newest_seq, epoch = head
            batch = await self._read(
                partial(
                    self._rows.read_batch,
                    document_id=document_id,
                    epoch=epoch,
                    after_seq=seq,
                    newest_seq=newest_seq,
                )
            )
            if begun and seq < newest_seq and (not batch or batch[0].seq != seq + 1):
                last_missing = batch[0].seq - 1 if batch else newest_seq
                await self._tell_missing(document, epoch, seq + 1, last_missing)
            whole = _without_holes(batch)
            if whole:
                begun = True
                seq = whole[-1].seq
            return whole

        return EntryStream(read_batch)

    async def _tell_missing(
        self, document: str, epoch: str, first_seq: int, last_seq: int
    ) -> NoReturn:
        """Tells why entries are not there that were there a moment ago, or ought to be.

        Raises:
            EntriesDropped: they have been dropped, or the document was erased.
            BrokenEntries: they are missing.
        """
        expected = f"expected entries {first_seq}..{last_seq} of {document!r}"
        begin_seq = 0  # Nobody drops entries after a base that cannot be read.
        try:
            with suppress(BrokenDocument):
                begin_seq = (await self.base(document)).seq
            head = await self._read(partial(self._rows.read_head, document=document))
        except DocumentNotFound as error:
            raise EntriesDropped(f"{expected}, got a document that is gone") from error
        if begin_seq >= first_seq or head is None or head[2] != epoch:
            raise EntriesDropped(f"{expected}, got a log that was cut meanwhile")
        raise BrokenEntries(f"{expected}, got none", first_seq, last_seq)

    async def documents(
        self, prefix: str = "", after: str = "", limit: int = 1000
    ) -> Sequence[Summary]:
        """Lists documents in order of name; see ``Store.documents``."""
        check_bounds(prefix, after)
        return await self._read(
            partial(self._rows.read_summaries, prefix=prefix, after=after, limit=limit)
        )

    async def base(self, document: str) -> Base:
        """Reads where the history of a document begins; see ``Archive.base``."""
        return await self._read(partial(self._rows.read_base, document=document))

    async def retain(self, document: str, retention: Retention | None) -> None:
        """Sets how long a document's entries are kept; see ``Archive.retain``."""
        await self._write(
            partial(self._rows.write_retention, document=document, retention=retention)
        )

    async def quarantine(self, document: str, refused: Sequence[Refused]) -> Outcome:
        """Keeps updates aside that could not be taken in; see ``Quarantine.quarantine``."""
        check_name(document)
        return await self._write(
            partial(self._rows.write_quarantine, document=document, refused=refused)
        )

    async def quarantined(self, document: str) -> Sequence[Refused]:
        """Reads what is kept aside under a name; see ``Quarantine.quarantined``."""
        check_name(document)
        return await self._read(partial(self._rows.read_quarantine, document=document))

    async def revoke(self, revoked: Revoked) -> None:
        """Remembers a revocation durably; see ``RevocationStore.revoke``."""
        await self._write(partial(self._rows.write_revocation, revoked=revoked))

    async def revocations(self) -> Sequence[Revoked]:
        """Reads all revocations; see ``RevocationStore.revocations``."""
        return await self._read(self._rows.read_revocations)

    async def delete(self, document: str, *, time_ms: int, author: str | None = None) -> Tombstone:
        """Puts a document under a tombstone; see ``Trash.delete``."""
        return await self._write(
            partial(self._rows.write_tombstone, document=document, time_ms=time_ms, author=author)
        )

    async def undelete(self, document: str) -> None:
        """Brings a deleted document back; see ``Trash.undelete``."""
        await self._write(partial(self._rows.remove_tombstone, document=document))

    async def erase(self, document: str, *, deleted_ms: int | None = None) -> None:
        """Erases a deleted document; see ``Trash.erase``."""
        await self._write(partial(self._rows.erase_rows, document=document, deleted_ms=deleted_ms))

    async def readmit(self, document: str) -> None:
        """Lets an erased name be used anew; see ``Trash.readmit``."""
        await self._write(partial(self._rows.remove_mark, document=document))

    async def tombstones(
        self, prefix: str = "", after: str = "", limit: int = 1000
    ) -> Sequence[Tombstone]:
        """Lists deleted documents; see ``Trash.tombstones``."""
        check_bounds(prefix, after)
        return await self._read(
            partial(self._rows.read_tombstones, prefix=prefix, after=after, limit=limit)
        )

    async def duplicate(self, document: str, copy: str) -> None:
        """Copies a document with its history; see ``Trash.duplicate``."""
        await self._write(partial(self._rows.copy_rows, document=document, copy=copy))

    async def add_version(self, document: str, version: Version) -> None:
        """Names a point of a document; see ``VersionStore.add_version``."""
        await self._write(partial(self._rows.insert_version, document=document, version=version))

    async def versions(self, document: str) -> Sequence[Version]:
        """Lists a document's versions; see ``VersionStore.versions``."""
        return await self._read(partial(self._rows.read_versions, document=document))

    async def remove_version(self, document: str, name: str) -> None:
        """Forgets a version; see ``VersionStore.remove_version``."""
        await self._write(partial(self._rows.delete_version, document=document, name=name))

    async def pin_version(self, document: str, name: str, update: bytes) -> None:
        """Keeps a version's content beside the log; see ``VersionStore.pin_version``."""
        await self._write(
            partial(self._rows.write_pin, document=document, name=name, update=update)
        )

    async def pinned(self, document: str, name: str) -> bytes | None:
        """Reads a version's pinned content; see ``VersionStore.pinned``."""
        return await self._read(partial(self._rows.read_pin, document=document, name=name))


def _without_holes(entries: Sequence[Entry]) -> Sequence[Entry]:
    """The entries before the first one that does not follow the one before it."""
    for length, (entry, following) in enumerate(pairwise(entries), 1):
        if following.seq != entry.seq + 1:
            return entries[:length]
    return entries
