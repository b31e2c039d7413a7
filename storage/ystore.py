"""CollabYStore: documents of the pycrdt ecosystem in a collab store.

It takes the place of pycrdt-store's SQLiteYStore in jupyter-collaboration and pycrdt-websocket.
What is different: an update is on the disk when ``write`` returns, order is that of the writes and
not of the clock, nothing is squashed by a write, and collab's commands work on the file.
"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from logging import Logger, getLogger
from pathlib import Path

import anyio
import pycrdt
from anyio import TASK_STATUS_IGNORED
from anyio.abc import TaskStatus
from pycrdt.store import BaseYStore, YDocNotFound

from collab.document import Document
from collab.errors import CollabError, DocumentNotFound, NotRunning, SettingsError, StoreError
from collab.log import Log, open_log
from collab.storage.annotation import author_of, metadata_of
from collab.storage.sqlite import SQLiteStore
from collab.storage.sqlite.shared import SharedStore, shared_store
from collab.store import Append, NewEntry, Stored


class CollabYStore(BaseYStore):
    """A YStore for one document in a collab store, which any number of documents share.

    Subclass it to say where the file is:

    ```py
    class MyYStore(CollabYStore):
        db_path = "path/to/collab.db"
    ```

    Args:
        path: the document's name.
        metadata_callback: gives what is kept with an update; it is kept as the entry's author.
        log: where to log; None for the module's own logger.

    Attributes:
        db_path: the store's file, made where there is none; relative to the working directory.
        checkpoint_interval: updates after which the whole state is written beside them, so that
            opening replays no more; None writes none.
    """

    db_path: str = "collab.db"
    checkpoint_interval: int | None = 100

    def __init__(
        self,
        path: str,
        metadata_callback: Callable[[], Awaitable[bytes] | bytes] | None = None,
        log: Logger | None = None,
    ) -> None:
        self.path = path
        self.metadata_callback = metadata_callback
        self.log = log or getLogger(__name__)
        self._shared: SharedStore | None = None
        self._lease = AsyncExitStack()
        self._failure: CollabError | None = None
        self._writes_since_checkpoint = 0

    async def start(
        self,
        *,
        task_status: TaskStatus[None] = TASK_STATUS_IGNORED,
        from_context_manager: bool = False,
    ) -> None:
        """Opens the store and keeps it open until ``stop``, or until this is cancelled.

        Args:
            task_status: told when it is open.
            from_context_manager: whether ``__aenter__`` calls; then this returns at once.

        Raises:
            StoreError: the store cannot be opened; ``read`` and ``write`` then raise it, too.
        """
        async with AsyncExitStack() as exits:
            try:
                if self.db_path == ":memory:":
                    raise SettingsError("expected db_path to name a file, got ':memory:'")
                shared = shared_store(Path(self.db_path))
                await exits.enter_async_context(shared.lease())
            except CollabError as error:
                # Whoever waits for the start would wait for ever.
                self._failure = error
                self.started.set()
                raise
            self._shared = shared
            if from_context_manager:
                self._lease = exits.pop_all()
            await super().start(task_status=task_status, from_context_manager=from_context_manager)

    async def stop(self) -> None:
        """Closes the store once no other document uses it."""
        self._shared = None
        with anyio.CancelScope(shield=True):
            await self._lease.aclose()
        await super().stop()

    async def write(self, data: bytes) -> None:
        """Stores an update; it is on the disk when this returns, also when it is cancelled.

        Args:
            data: the update.

        Raises:
            NotRunning: the store is not started.
            DocumentDeleted: the document was deleted.
            StoreUnavailable: a passing failure; nothing was stored.
        """
        shared = self._started_store()
        # A room that stops cancels its writes, and the start of this store as well.
        with anyio.CancelScope(shield=True):
            metadata = await self.get_metadata()
            entry = NewEntry(
                update=data, time_ms=time.time_ns() // 1_000_000, author=author_of(metadata)
            )
            async with shared.lease() as store:
                (written,) = await store.append([Append(document=self.path, entries=[entry])])
                self._writes_since_checkpoint += 1
                if (
                    self.checkpoint_interval is not None
                    and self._writes_since_checkpoint >= self.checkpoint_interval
                ):
                    self._writes_since_checkpoint = 0
                    try:
                        await self._checkpoint(store, written.epoch)
                    except StoreError as error:
                        # The update is stored all the same: only opening takes longer.
                        self.log.warning("no checkpoint of %r: %s", self.path, error)

    def read(self) -> AsyncIterator[tuple[bytes, bytes, float]]:
        """Streams what is stored, in the order it was written; it may be left at any time.

        Where old entries were dropped, their whole state comes first.

        Returns:
            The update, its metadata, and when it was written, in seconds since the Unix epoch.

        Raises:
            NotRunning: the store is not started.
            YDocNotFound: there is no such document; raised when the first is asked for.
        """
        return _Reading(self._started_store(), self.path)

    async def apply_updates(self, ydoc: "pycrdt.Doc[pycrdt.Text]") -> None:
        """Brings a Doc to what is stored, as one update.

        Args:
            ydoc: the Doc.

        Raises:
            NotRunning: the store is not started.
            YDocNotFound: there is no such document.
            BrokenDocument: something that is stored does not apply.
        """
        shared = self._started_store()
        async with shared.lease() as store:
            stored = await self._load(store)
        self._writes_since_checkpoint = len(stored.entries)
        # A Doc cannot cut a character in two, as some updates do; what they come to can be applied.
        document = await anyio.to_thread.run_sync(Document.load, stored)
        ydoc.apply_update(document.encode())

    def _started_store(self) -> SharedStore:
        if self._failure is not None:
            raise self._failure
        if self._shared is None:
            raise NotRunning("expected a YStore that is started, got one that is not")
        return self._shared

    async def _load(self, store: SQLiteStore) -> Stored:
        try:
            stored = await store.load(self.path)
        except DocumentNotFound:
            raise YDocNotFound from None
        if stored.seq == 0 and stored.checkpoint is None:
            raise YDocNotFound
        return stored

    async def _checkpoint(self, store: SQLiteStore, epoch: str | None) -> None:
        stored = await store.load(self.path)
        document = await anyio.to_thread.run_sync(Document.load, stored)
        await store.append(
            [
                Append(
                    document=self.path,
                    entries=(),
                    checkpoint=document.encode(),
                    base_seq=stored.seq,
                    epoch=epoch,
                )
            ]
        )


class _Reading(AsyncIterator[tuple[bytes, bytes, float]]):
    """What ``CollabYStore.read`` returns. No async generator: nobody closes one that is left."""

    def __init__(self, shared: SharedStore, path: str) -> None:
        self._shared = shared
        self._path = path
        self._log: Log | None = None

    async def __anext__(self) -> tuple[bytes, bytes, float]:
        if self._log is None:
            try:
                async with self._shared.lease() as store:
                    self._log = await open_log(store, self._path)
            except DocumentNotFound:
                raise YDocNotFound from None
        entry = await anext(self._log)
        return entry.update, metadata_of(entry.author), entry.time_ms / 1000
