"""Catalogue: what is done to whole documents, beside those who have them open."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import anyio.to_thread

from collab.access import check_name
from collab.close import CloseCode
from collab.errors import DocumentDeleted, DocumentExists, ServerBusy
from collab.replacing import replace_text
from collab.server.documents.admitting import Admit
from collab.server.documents.copying import copy_document
from collab.server.rooms.farewell import Farewell
from collab.server.rooms.rooms import Rooms
from collab.store import Append, NewEntry, Store
from collab.trash import Tombstone

_ATTEMPTS = 3
"""How often a text is compared anew when somebody has changed it meanwhile."""


class Catalogue:
    """Deletes documents, brings them back and copies them.

    Who has a document open is closed first where it goes, and what was taken in is durable then.
    Rooms and the store may have to be waited for; ``admit`` is asked after that, before the change.

    Args:
        store: where documents are kept.
        rooms: those that are open.
    """

    def __init__(self, store: Store, rooms: Rooms) -> None:
        self._store = store
        self._rooms = rooms
        # Of two that make one document at once, the second must not disturb who opened it.
        self._making = anyio.Lock()

    async def delete(
        self, name: str, *, author: str | None, admit: Admit, now: bool = False
    ) -> Tombstone:
        """Deletes a document; clients are closed with 4404, and get no other answer from then on.

        Args:
            name: document name.
            author: id of the identity that deletes it, or None.
            admit: asked right before whether it may still be deleted.
            now: whether to erase it at once, one that is deleted already too.

        Returns:
            Its tombstone, though it may be erased.

        Raises:
            InvalidName: this cannot name a document.
            DocumentNotFound: there is no such document; ``DocumentDeleted``: it is erased.
            StoreError: the store could not do it; clients are told to come back.
        """
        if not await self._is_stored(name):
            await admit()
            tombstone = await self._delete(name, author)
        else:
            deleted = DocumentDeleted(name)
            farewell = Farewell(CloseCode.NOT_FOUND, "the document was deleted", deleted)
            async with self._rooms.without(name, farewell):
                await admit()
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

    async def duplicate(
        self, name: str, copy: str, *, history: bool, author: str | None, admit: Admit
    ) -> None:
        """Copies a document with all that was done to it so far; see ``copy_document``.

        Raises:
            InvalidName: the copy cannot have this name.
            DocumentNotFound: there is no such document.
            DocumentExists: there is a document under the name of the copy.
            DocumentDeleted: one of the two was deleted; for the copy: and is not erased.
        """
        room = self._rooms.find(name)
        if room is not None:
            await room.programs.saved()
        anew = ServerBusy(f"expected {copy!r} to stay empty, got a copy of another document")
        async with self._made(copy, anew):
            await admit()
            await copy_document(self._store, name, copy, history=history, author=author)

    async def create(self, name: str, update: bytes, *, author: str | None, admit: Admit) -> None:
        """Makes a document, perhaps under the name of one that was erased.

        Who waits in the empty document is told to come back.

        Args:
            name: document name.
            update: what it begins with, as ``check_update`` lets it pass.
            author: id of the identity that makes it, or None.
            admit: asked right before whether it may still be made.

        Raises:
            InvalidName: this cannot name a document.
            DocumentExists: there is a document of this name.
            DocumentDeleted: there is one in the trash.
        """
        async with self._made(name, ServerBusy(f"expected {name!r} to stay empty, got content")):
            await admit()
            await self._store.readmit(name)
            await admit()
            entry = NewEntry(update=update, time_ms=_now_ms(), author=author)
            await self._store.append([Append(document=name, entries=[entry], begins=True)])

    async def replace_text(
        self, name: str, text: str, root: str, *, author: str | None, admit: Admit
    ) -> None:
        """Turns a text of a document into another one, as an ordinary change that clients see.

        Args:
            name: document name.
            text: what the text is to be.
            root: the name of its root.
            author: id of the identity that changes it, or None.
            admit: asked right before whether it may still be changed.

        Raises:
            RenderError: the root is no text.
            DocumentFull: the document is as large as one may be, and text would be added.
            DocumentDeleted: the document was deleted.
            ServerBusy: too much waits for the store.
        """
        room = await self._rooms.acquire(name, seeded=False)
        try:
            for _ in range(_ATTEMPTS):
                document = await room.programs.read()
                version = document.version
                state = document.encode()
                update = await anyio.to_thread.run_sync(replace_text, state, text, root)
                now = await room.programs.read()
                if now is document and now.version == version:
                    break  # Otherwise it is of before; the last one merges as any change does.
            await admit()
            if update is not None:
                entry = NewEntry(update=update, time_ms=_now_ms(), author=author)
                await room.programs.take_in(update, [entry])
            await room.programs.saved()
        finally:
            self._rooms.release(room)

    @asynccontextmanager
    async def _made(self, name: str, error: ServerBusy) -> AsyncIterator[None]:
        """Keeps a name free of others while a document is made under it.

        Raises:
            DocumentExists: there is one.
        """
        farewell = Farewell(CloseCode.RESTART, "the document is opened anew", error)
        async with self._making:
            if await self._is_stored(name):
                raise DocumentExists(name)
            async with self._rooms.without(name, farewell):
                yield

    async def _delete(self, name: str, author: str | None) -> Tombstone:
        return await self._store.delete(name, time_ms=_now_ms(), author=author)

    async def _is_stored(self, name: str) -> bool:
        """Whether there is such a document, once what was made of it so far is durable."""
        room = self._rooms.find(check_name(name))
        if room is not None:
            await room.programs.saved()
        page = await self._store.documents(prefix=name, limit=1)
        return bool(page) and page[0].document == name


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
