"""SharedStore: one open SQLite store for all in an event loop who use its file."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import anyio
from anyio.lowlevel import RunVar

from collab.storage.sqlite import SQLiteStore


class SharedStore:
    """A SQLite store that is open while somebody holds a lease of it.

    Its users write over one connection and take turns, instead of waiting for each other's locks.

    Args:
        path: absolute path of the file, made where there is none.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._turn = anyio.Lock()
        self._leases = 0
        self._exits = AsyncExitStack()
        self._store: SQLiteStore | None = None

    @asynccontextmanager
    async def lease(self) -> AsyncIterator[SQLiteStore]:
        """Keeps the store open for as long as the context lasts, which may end in another task.

        Raises:
            StoreError: it cannot be opened.
        """
        async with self._turn:
            if self._store is None:
                self._store = await self._exits.enter_async_context(SQLiteStore(self._path))
            self._leases += 1
        try:
            yield self._store
        finally:
            with anyio.CancelScope(shield=True):
                async with self._turn:
                    self._leases -= 1
                    if self._leases == 0:
                        self._store = None
                        await self._exits.aclose()


_SHARED: RunVar[dict[Path, SharedStore]] = RunVar("_SHARED")


def shared_store(path: Path) -> SharedStore:
    """Returns this event loop's store for a file; the same for every name that resolves to it."""
    path = path.resolve()
    try:
        stores = _SHARED.get()
    except LookupError:
        stores = {}
        _SHARED.set(stores)
    return stores.setdefault(path, SharedStore(path))
