"""Compactor: visits every document of the store, open or not, and packs what has come to rest."""

import logging
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

import anyio

from collab.archive import Retention, Terms
from collab.errors import DocumentNotFound, StoreError, StoreUnavailable
from collab.server.rooms.persister import Persister
from collab.server.settings import Settings
from collab.store import Store

logger = logging.getLogger("collab")

_T = TypeVar("_T")

_REST_SHARE = 9
"""After a step it rests nine times as long as the step took: a tenth of one core at most."""

_PATIENCE_SECONDS = 10.0
"""How long it waits for commits to come to rest; where they never do, it goes on between them."""

_MAX_BROKEN = 10_000
"""Documents remembered as broken, so that each is logged once. Forgotten when full."""


class Compactor:
    """Goes round all documents, a step at a time, while nobody's changes wait for the store.

    Args:
        store: what it compacts.
        persister: what goes before it.
        settings: how much it may read and write, and how long it rests between two rounds.
        history: how long entries are kept of documents that have no retention of their own.
    """

    def __init__(
        self, store: Store, persister: Persister, settings: Settings, history: Retention
    ) -> None:
        self._store = store
        self._persister = persister
        self._settings = settings
        self._history = history
        self._broken: set[str] = set()
        self._failing = False

    async def run(self) -> None:
        """Goes round after round until it is cancelled; a step under way is finished first."""
        while True:
            await anyio.sleep(self._settings.compaction_seconds)
            try:
                await self._round()
            except StoreError as error:
                if not self._failing:
                    logger.warning("compaction waits for the store: %s", error)
                self._failing = True
            except Exception:
                # Whatever it is, people go on typing; the next round tries again.
                logger.exception("a round of compaction failed")
            else:
                if self._failing:
                    logger.warning("compaction goes on")
                self._failing = False

    async def _round(self) -> None:
        """Visits every document once, and gives back the space that came free."""
        after = ""
        while names := await self._store.due(self._terms(), after):
            for name in names:
                await self._compact(name)
            after = names[-1]
        more = True
        while more:
            more = await self._step(self._store.reclaim)

    async def _compact(self, document: str) -> None:
        more = True
        while more:
            try:
                step = await self._step(partial(self._store.compact, document, self._terms()))
            except DocumentNotFound:  # It was deleted meanwhile.
                return
            except StoreUnavailable:
                raise
            except StoreError as error:
                self._tell(document, error)
                return
            more = step.more
            self._broken.discard(document)
            await anyio.sleep(step.bytes / self._settings.compaction_bytes)

    async def _step(self, work: Callable[[], Awaitable[_T]]) -> _T:
        """Does a bounded piece of work once nothing waits for the store, and rests."""
        with anyio.move_on_after(_PATIENCE_SECONDS):
            await self._persister.settle()
        began = time.monotonic()
        done = await work()
        await anyio.sleep((time.monotonic() - began) * _REST_SHARE)
        return done

    def _terms(self) -> Terms:
        return Terms(now_ms=time.time_ns() // 1_000_000, history=self._history)

    def _tell(self, document: str, error: StoreError) -> None:
        if document in self._broken:
            return
        logger.warning("%r cannot be compacted: %s", document, error)
        if len(self._broken) >= _MAX_BROKEN:
            self._broken.clear()
        self._broken.add(document)
