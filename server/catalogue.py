"""Catalogue: what is done to whole documents, beside those who have them open."""

import time

from collab.access import check_name
from collab.close import CloseCode
from collab.errors import DocumentDeleted, DocumentExists, ServerBusy
from collab.server.copying import copy_document
from collab.server.room import Farewell
from collab.server.rooms import Rooms
from collab.store import Store
from collab.trash import Tombstone


class Catalogue:
    """Deletes documents, brings them back and copies them.

    Who has a document open is closed first where it goes, and what was taken in is durable then.

    Args:
        store: where documents are kept.
        rooms: those that are open.
    """

    def __init__(self, store: Store, rooms: Rooms) -> None:
        self._store = store
        self._rooms = rooms

    async def delete(self, name: str, *, author: str | None, now: bool = False) -> Tombstone:
        """Deletes a document; clients are closed with 4404, and get no other answer from then on.

        Args:
            name: document name.
            author: id of the identity that deletes it, or None.
            now: whether to erase it at once, one that is deleted already too.

        Returns:
            Its tombstone, though it may be erased.

        Raises:
            InvalidName: this cannot name a document.
            DocumentNotFound: there is no such document; ``DocumentDeleted``: it is erased.
            StoreError: the store could not do it; clients are told to come back.
        """
        if not await self._is_stored(name):
            tombstone = await self._delete(name, author)
        else:
            deleted = DocumentDeleted(name)
            farewell = Farewell(CloseCode.NOT_FOUND, "the document was deleted", deleted)
            async with self._rooms.without(name, farewell):
                tombstone = await self._delete(name, author)
        if now:
            await self._store.erase(name)
        return tombstone

    async def undelete(self, name: str) -> None:
        """Brings a deleted document back as it was; one that is not deleted stays as it is.

        Raises:
            InvalidName: this cannot name a document.
            DocumentNotFound: there is no such document; ``DocumentDeleted``: it is erased.
        """
        await self._store.undelete(name)

    async def duplicate(self, name: str, copy: str, *, history: bool, author: str | None) -> None:
        """Copies a document with all that was done to it so far; see ``copy_document``.

        Raises:
            InvalidName: the copy cannot have this name.
            DocumentNotFound: there is no such document.
            DocumentExists: there is a document under the name of the copy.
            DocumentDeleted: one of the two was deleted; for the copy: and is not erased.
        """
        room = self._rooms.find(name)
        if room is not None:
            await room.saved()
        if await self._is_stored(copy):
            raise DocumentExists(copy)
        anew = ServerBusy(f"expected {copy!r} to stay empty, got a copy of another document")
        async with self._rooms.without(
            copy, Farewell(CloseCode.RESTART, "the document is opened anew", anew)
        ):
            await copy_document(self._store, name, copy, history=history, author=author)

    async def _delete(self, name: str, author: str | None) -> Tombstone:
        time_ms = time.time_ns() // 1_000_000
        return await self._store.delete(name, time_ms=time_ms, author=author)

    async def _is_stored(self, name: str) -> bool:
        """Whether there is such a document, once what was made of it so far is durable."""
        room = self._rooms.find(check_name(name))
        if room is not None:
            await room.saved()
        page = await self._store.documents(prefix=name, limit=1)
        return bool(page) and page[0].document == name
