"""Origin: where the document of a room comes from, and what is written beside the room."""

from collections.abc import AsyncIterator

import anyio

from collab.archive import Base
from collab.server.rooms.opening import Opened, open_document
from collab.store import Entry, Store


class Origin:
    """One document in its store.

    Args:
        store: the store.
        name: document name.
    """

    __slots__ = ("_name", "_store")

    def __init__(self, store: Store, name: str) -> None:
        self._store = store
        self._name = name

    async def open(self) -> Opened:
        """Opens the document anew.

        Raises:
            StoreError: the store cannot read it.
        """
        return await open_document(self._store, self._name)

    async def base(self) -> Base:
        """Where its log begins.

        Raises:
            StoreError: the store cannot read it.
        """
        return await self._store.base(self._name)

    async def whole(self) -> Base:
        """All of it that can be read, as of now, as if its log began after it.

        Raises:
            StoreError: the store cannot read it.
        """
        opened = await self.open()
        update = await anyio.to_thread.run_sync(opened.document.encode)
        return Base(seq=opened.stored.seq, update=update)

    def entries_after(self, seq: int) -> AsyncIterator[Entry]:
        """Its log after a seq; it raises what ``Store.entries`` raises."""
        return self._store.entries(self._name, seq)
