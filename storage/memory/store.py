"""MemoryStore: documents kept in this process, for tests and for trying things out."""

import time
from collections.abc import AsyncIterator, Sequence
from copy import deepcopy
from dataclasses import replace

from collab.access import check_name
from collab.archive import Base, Retention, Step, Terms
from collab.errors import DocumentDeleted, DocumentExists, DocumentNotFound, StoreError
from collab.quarantine import Outcome, Refused, surplus
from collab.revocation import MAX_REVOCATIONS, Revocation, Revoked
from collab.storage.checks import check_appends, check_author, check_bounds
from collab.storage.columns import new_epoch
from collab.storage.compaction import next_action
from collab.storage.memory.log import MemoryLog
from collab.storage.stream import EntryStream
from collab.store import Append, Appended, Entry, Stored, Summary
from collab.trash import Tombstone
from collab.versions import Version


class MemoryStore:
    """A Store whose documents live as long as this object.

    It keeps the contract of ``collab.store`` but for durability: nothing survives the process.
    Leaving it keeps the documents, so that entering it again stands for a restart.
    """

    def __init__(self) -> None:
        self._logs: dict[str, MemoryLog] = {}
        self._deleted: dict[str, tuple[Tombstone, MemoryLog]] = {}
        self._erased: set[str] = set()
        self._quarantine: list[tuple[str, Refused]] = []
        self._revoked_ms: dict[Revocation, int] = {}
        self._open = False

    async def __aenter__(self) -> "MemoryStore":
        """Opens the store."""
        if self._open:
            raise StoreError("expected a store that is not open yet, got one that is")
        self._open = True
        return self

    async def __aexit__(self, *exception: object) -> None:
        """Closes the store; no call is ever under way here, for none of them waits."""
        self._open = False

    async def append(self, appends: Sequence[Append]) -> Sequence[Appended]:
        """Adds changes to any number of documents in one step; see ``Store.append``."""
        self._check_open()
        check_appends(appends)
        for append in appends:
            check_name(append.document)
            for entry in append.entries:
                if entry.author is not None:
                    check_author(entry.author)
            log = self._logs.get(append.document)
            if append.begins and log is not None:
                raise DocumentExists(append.document)
            if append.entries or append.checkpoint is not None:
                self._refuse_deleted(append.document)
                if append.epoch not in (None, log and log.epoch):
                    raise DocumentDeleted(append.document)
        return [self._append(append) for append in appends]

    async def load(self, document: str) -> Stored:
        """Reads what is needed to open a document; see ``Store.load``."""
        self._check_open()
        check_name(document)
        log = self._logs.get(document)
        if log is None:
            self._refuse_deleted(document)
            return Stored(document=document, seq=0, checkpoint=None, checkpoint_seq=0, entries=())
        return log.stored(document)

    def entries(self, document: str, after_seq: int = 0) -> AsyncIterator[Entry]:
        """Streams a document's log in order of seq; see ``Store.entries``."""
        read = False

        async def read_batch() -> Sequence[Entry]:
            nonlocal read
            if read:
                return ()
            log = self._find(document)
            read = True
            return log.after(after_seq)

        return EntryStream(read_batch)

    async def documents(
        self, prefix: str = "", after: str = "", limit: int = 1000
    ) -> Sequence[Summary]:
        """Lists documents in order of name; see ``Store.documents``."""
        self._check_open()
        check_bounds(prefix, after)
        names = sorted(name for name in self._logs if name > after and name.startswith(prefix))
        return [self._logs[name].summary(name) for name in names[: max(limit, 0)]]

    async def base(self, document: str) -> Base:
        """Reads where the history of a document begins; see ``Archive.base``."""
        return self._find(document).base

    async def retain(self, document: str, retention: Retention | None) -> None:
        """Sets how long a document's entries are kept; see ``Archive.retain``."""
        self._find(document).retention = retention

    async def due(self, terms: Terms, after: str = "") -> Sequence[str]:
        """Names documents there is something to do for; see ``Archive.due``."""
        self._check_open()
        check_bounds("", after)
        return sorted(
            name
            for name, log in self._logs.items()
            if name > after and next_action(log.shape(terms.now_ms), terms)
        )

    async def compact(self, document: str, terms: Terms) -> Step:
        """Does a bounded piece of the work there is for a document; see ``Archive.compact``.

        Nothing is packed here: it would make what is in memory slower to read.
        """
        return self._find(document).compact(document, terms)

    async def reclaim(self, *, spare: bool = True) -> bool:
        """Has nothing to give back; see ``Archive.reclaim``."""
        self._check_open()
        return False

    async def rebuild(self) -> None:
        """Is as small as it can be; see ``Archive.rebuild``."""
        self._check_open()

    async def bytes_on_disk(self) -> int:
        """Takes no space on a disk; see ``Archive.bytes_on_disk``."""
        self._check_open()
        return 0

    async def quarantine(self, document: str, refused: Sequence[Refused]) -> Outcome:
        """Keeps updates aside that could not be taken in; see ``Quarantine.quarantine``."""
        self._check_open()
        check_name(document)
        for each in refused:
            if each.author is not None:
                check_author(each.author)
        before = len(self._quarantine)
        there = {(each.seq, each.update) for name, each in self._quarantine if name == document}
        for each in refused:
            if each.seq is None or (each.seq, each.update) not in there:
                self._quarantine.append((document, each))
                there.add((each.seq, each.update))
        added = len(self._quarantine) - before
        counted = [place for place, (_, each) in enumerate(self._quarantine) if each.seq is None]
        sizes = [(self._quarantine[at][0], len(self._quarantine[at][1].update)) for at in counted]
        beyond = {counted[place] for place in surplus(sizes)}
        self._quarantine = [
            kept for place, kept in enumerate(self._quarantine) if place not in beyond
        ]
        return Outcome(added, len(beyond))

    async def quarantined(self, document: str) -> Sequence[Refused]:
        """Reads what is kept aside under a name; see ``Quarantine.quarantined``."""
        self._check_open()
        check_name(document)
        return [each for name, each in self._quarantine if name == document]

    async def revoke(self, revoked: Revoked) -> None:
        """Remembers a revocation; see ``RevocationStore.revoke``."""
        self._check_open()
        known_ms = self._revoked_ms.pop(revoked.revocation, revoked.time_ms)
        self._revoked_ms[revoked.revocation] = max(known_ms, revoked.time_ms)
        if len(self._revoked_ms) > MAX_REVOCATIONS:
            del self._revoked_ms[min(self._revoked_ms, key=self._revoked_ms.__getitem__)]

    async def revocations(self) -> Sequence[Revoked]:
        """Reads all revocations; see ``RevocationStore.revocations``."""
        self._check_open()
        return [
            Revoked(revocation=revocation, time_ms=time_ms)
            for revocation, time_ms in sorted(self._revoked_ms.items(), key=lambda item: item[1])
        ]

    async def delete(self, document: str, *, time_ms: int, author: str | None = None) -> Tombstone:
        """Puts a document under a tombstone; see ``Trash.delete``."""
        if author is not None:
            check_author(author)
        if document not in self._deleted:
            log = self._find(document)
            tombstone = Tombstone(
                document=document, deleted_ms=time_ms, author=author, bytes=log.updates_bytes
            )
            self._deleted[document] = (tombstone, self._logs.pop(document))
        self._check_open()
        return self._deleted[document][0]

    async def undelete(self, document: str) -> None:
        """Brings a deleted document back; see ``Trash.undelete``."""
        self._check_open()
        if document in self._deleted:
            _, self._logs[document] = self._deleted.pop(document)
        self._find(document)

    async def erase(self, document: str, *, deleted_ms: int | None = None) -> None:
        """Erases a deleted document; see ``Trash.erase``."""
        self._check_open()
        if check_name(document) in self._erased:
            return
        if document not in self._deleted:
            raise DocumentNotFound(document)
        if deleted_ms not in (None, self._deleted[document][0].deleted_ms):
            return
        del self._deleted[document]
        self._quarantine = [kept for kept in self._quarantine if kept[0] != document]
        self._erased.add(document)

    async def readmit(self, document: str) -> None:
        """Lets an erased name be used anew; see ``Trash.readmit``."""
        self._check_open()
        if check_name(document) in self._deleted:
            raise DocumentDeleted(document)
        self._erased.discard(document)

    async def tombstones(
        self, prefix: str = "", after: str = "", limit: int = 1000
    ) -> Sequence[Tombstone]:
        """Lists deleted documents; see ``Trash.tombstones``."""
        self._check_open()
        check_bounds(prefix, after)
        names = sorted(name for name in self._deleted if name > after and name.startswith(prefix))
        return [self._deleted[name][0] for name in names[: max(limit, 0)]]

    async def duplicate(self, document: str, copy: str) -> None:
        """Copies a document with its history; see ``Trash.duplicate``."""
        log = self._find(document)
        if check_name(copy) in self._logs:
            raise DocumentExists(copy)
        await self.readmit(copy)
        self._logs[copy] = replace(
            log,
            entries=[*log.entries],
            versions=deepcopy(log.versions),
            epoch=new_epoch(),
        )

    async def add_version(self, document: str, version: Version) -> None:
        """Names a point of a document; see ``VersionStore.add_version``."""
        log = self._find(document)
        log.versions.add(document, version, range(log.base.seq, log.seq + 1))

    async def versions(self, document: str) -> Sequence[Version]:
        """Lists a document's versions; see ``VersionStore.versions``."""
        return self._find(document).versions.in_order()

    async def remove_version(self, document: str, name: str) -> None:
        """Forgets a version; see ``VersionStore.remove_version``."""
        self._find(document).versions.remove(document, name)

    async def pin_version(self, document: str, name: str, update: bytes) -> None:
        """Keeps a version's content beside the log; see ``VersionStore.pin_version``."""
        self._find(document).versions.pin(document, name, update)

    async def pinned(self, document: str, name: str) -> bytes | None:
        """Reads a version's pinned content; see ``VersionStore.pinned``."""
        return self._find(document).versions.pinned(document, name)

    def _find(self, document: str) -> MemoryLog:
        self._check_open()
        log = self._logs.get(check_name(document))
        if log is None:
            self._refuse_deleted(document)
            raise DocumentNotFound(document)
        return log

    def _refuse_deleted(self, document: str) -> None:
        if document in self._deleted or document in self._erased:
            raise DocumentDeleted(document)

    def _check_open(self) -> None:
        if not self._open:
            raise StoreError("expected an open store, got one that is closed")

    def _append(self, append: Append) -> Appended:
        log = self._logs.get(append.document)
        if log is None:
            if not append.entries and append.checkpoint is None:
                return Appended(0, None)
            entries = append.entries
            now_ms = time.time_ns() // 1_000_000
            created_ms = entries[0].time_ms if entries else now_ms
            log = MemoryLog(created_ms=created_ms, updated_ms=created_ms)
            self._logs[append.document] = log
        return log.append(append)
