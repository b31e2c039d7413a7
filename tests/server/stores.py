"""Stores that take their time, or fail, when a test says so."""

from collections.abc import AsyncIterator, Sequence

import anyio

from collab.archive import Base, Retention, Step, Terms
from collab.quarantine import Outcome, Refused
from collab.revocation import Revoked
from collab.storage.memory import MemoryStore
from collab.store import Append, Appended, Entry, Store, Stored, Summary
from collab.trash import Tombstone
from collab.versions import Version


class SteeredStore:
    """A Store over another one; appends, deletions and loads wait while held, and raise what they
    are told.

    Attributes:
        kept: the store underneath.
        appends: the calls that were stored, in order.
        loads: names that were loaded, in order.
        failure: what appends and deletions raise; None lets them through.
        load_failure: what loads raise, likewise.
    """

    def __init__(self, kept: Store | None = None) -> None:
        self.kept = kept or MemoryStore()
        self.appends: list[Sequence[Append]] = []
        self.loads: list[str] = []
        self.failure: Exception | None = None
        self.load_failure: Exception | None = None
        self.append_began = anyio.Event()
        self._may_append = anyio.Event()
        self._may_load = anyio.Event()
        self._may_append.set()
        self._may_load.set()

    def hold_appends(self) -> None:
        if self._may_append.is_set():
            self._may_append = anyio.Event()
            self.append_began = anyio.Event()

    def let_append(self) -> None:
        self._may_append.set()

    def hold_loads(self) -> None:
        if self._may_load.is_set():
            self._may_load = anyio.Event()

    def let_load(self) -> None:
        self._may_load.set()

    async def __aenter__(self) -> "SteeredStore":
        await self.kept.__aenter__()
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.kept.__aexit__(*exception)

    async def append(self, appends: Sequence[Append]) -> Sequence[Appended]:
        self.append_began.set()
        await self._may_append.wait()
        if self.failure is not None:
            raise self.failure
        appended = await self.kept.append(appends)
        self.appends.append(appends)
        return appended

    async def load(self, document: str) -> Stored:
        self.loads.append(document)
        await self._may_load.wait()
        if self.load_failure is not None:
            raise self.load_failure
        return await self.kept.load(document)

    def entries(self, document: str, after_seq: int = 0) -> AsyncIterator[Entry]:
        return self.kept.entries(document, after_seq)

    async def documents(
        self, prefix: str = "", after: str = "", limit: int = 1000
    ) -> Sequence[Summary]:
        return await self.kept.documents(prefix, after, limit)

    async def base(self, document: str) -> Base:
        return await self.kept.base(document)

    async def retain(self, document: str, retention: Retention | None) -> None:
        await self.kept.retain(document, retention)

    async def due(self, terms: Terms, after: str = "") -> Sequence[str]:
        return await self.kept.due(terms, after)

    async def compact(self, document: str, terms: Terms) -> Step:
        return await self.kept.compact(document, terms)

    async def reclaim(self, *, spare: bool = True) -> bool:
        return await self.kept.reclaim(spare=spare)

    async def rebuild(self) -> None:
        await self.kept.rebuild()

    async def bytes_on_disk(self) -> int:
        return await self.kept.bytes_on_disk()

    async def quarantine(self, document: str, refused: Sequence[Refused]) -> Outcome:
        return await self.kept.quarantine(document, refused)

    async def revoke(self, revoked: Revoked) -> None:
        if self.failure is not None:
            raise self.failure
        await self.kept.revoke(revoked)

    async def revocations(self) -> Sequence[Revoked]:
        return await self.kept.revocations()

    async def quarantined(self, document: str) -> Sequence[Refused]:
        return await self.kept.quarantined(document)

    async def delete(self, document: str, *, time_ms: int, author: str | None = None) -> Tombstone:
        self.append_began.set()
        await self._may_append.wait()
        if self.failure is not None:
            raise self.failure
        return await self.kept.delete(document, time_ms=time_ms, author=author)

    async def undelete(self, document: str) -> None:
        await self.kept.undelete(document)

    async def erase(self, document: str, *, deleted_ms: int | None = None) -> None:
        await self.kept.erase(document, deleted_ms=deleted_ms)

    async def readmit(self, document: str) -> None:
        await self.kept.readmit(document)

    async def tombstones(
        self, prefix: str = "", after: str = "", limit: int = 1000
    ) -> Sequence[Tombstone]:
        return await self.kept.tombstones(prefix, after, limit)

    async def duplicate(self, document: str, copy: str) -> None:
        await self.kept.duplicate(document, copy)

    async def add_version(self, document: str, version: Version) -> None:
        await self.kept.add_version(document, version)

    async def versions(self, document: str) -> Sequence[Version]:
        return await self.kept.versions(document)

    async def remove_version(self, document: str, name: str) -> None:
        await self.kept.remove_version(document, name)

    async def pin_version(self, document: str, name: str, update: bytes) -> None:
        await self.kept.pin_version(document, name, update)

    async def pinned(self, document: str, name: str) -> bytes | None:
        return await self.kept.pinned(document, name)
