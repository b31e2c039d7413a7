"""Refusals: what rooms refuse, on its way to the store's quarantine."""

import logging

import anyio

from collab.errors import StoreError
from collab.quarantine import IN_A_DOCUMENT, Refused
from collab.server.tasks import Spawn
from collab.store import Store

logger = logging.getLogger("collab")

_REST_SECONDS = 1.0
"""Between two writes: who sends nothing but refused updates gets a write a second, no more."""


class Refusals:
    """Writes refused updates to the quarantine, in the background and at a bounded rate.

    Nobody waits for it, and what cannot be kept is not: beyond what a document may have in the
    quarantine, what comes between two writes is counted and left out.
    """

    def __init__(self, store: Store, spawn: Spawn) -> None:
        self._store = store
        self._spawn = spawn
        self._waiting: dict[str, list[Refused]] = {}
        self._waiting_count = self._waiting_bytes = 0
        self._left_out = 0
        self._settled: anyio.Event | None = None
        self._closing: anyio.Event | None = None

    def add(self, document: str, refused: Refused) -> None:
        """Takes in a refused update."""
        size = self._waiting_bytes + len(refused.update)
        if size > IN_A_DOCUMENT.bytes or self._waiting_count == IN_A_DOCUMENT.updates:
            self._left_out += 1
        else:
            self._waiting_count += 1
            self._waiting_bytes = size
            self._waiting.setdefault(document, []).append(refused)
        if self._settled is None:
            self._settled = anyio.Event()
            self._closing = anyio.Event()
            self._spawn(self._write_all)

    async def settle(self) -> None:
        """Waits until what was refused so far is written or given up."""
        if self._settled is not None and self._closing is not None:
            self._closing.set()
            await self._settled.wait()

    async def _write_all(self) -> None:
        assert self._settled is not None
        assert self._closing is not None
        settled, closing = self._settled, self._closing
        try:
            while self._waiting or self._left_out:
                await self._write()
                with anyio.move_on_after(_REST_SECONDS):
                    await closing.wait()
        finally:
            self._settled = self._closing = None
            settled.set()

    async def _write(self) -> None:
        waiting, self._waiting = self._waiting, {}
        left_out, self._left_out = self._left_out, 0
        self._waiting_count = self._waiting_bytes = 0
        if left_out:
            logger.warning("refused %d more updates, too many to keep them aside", left_out)
        for document, refused in waiting.items():
            newest = refused[-1]
            logger.warning(
                "refused %d updates of %r, the last one from %s: %s",
                len(refused),
                document,
                newest.author or "nobody named",
                newest.reason,
            )
            try:
                outcome = await self._store.quarantine(document, refused)
            except StoreError as error:
                logger.error("setting aside refused updates of %r: %s", document, error)
                continue
            if outcome.dropped:
                logger.warning("the quarantine is full: %d updates had to go", outcome.dropped)
