"""Erasing: what was in the trash for long enough is erased, by visits in the background."""

import logging
import time

import anyio

from collab.errors import DocumentNotFound, StoreError, StoreUnavailable
from collab.store import Store

logger = logging.getLogger("collab")

_PAGE = 100
_SHARE = 10
"""A document stays in the trash for at most a tenth longer than it must, ..."""
_PAUSE_MAX_SECONDS = 3600.0
"""... and at most an hour."""


class Eraser:
    """Visits the trash now and then.

    Args:
        store: where the trash is.
        trash_seconds: how long deleted documents are kept.
    """

    def __init__(self, store: Store, trash_seconds: float) -> None:
        self._store = store
        self._trash_seconds = trash_seconds

    async def run(self) -> None:
        """Visits the trash until it is cancelled, whatever comes of a visit."""
        while True:
            try:
                erased = await self.visit(time.time())
                if erased:
                    logger.info("erased %d documents that were in the trash", erased)
            except StoreError as error:
                logger.error("cannot empty the trash: %s", error)
            except Exception:
                # Whatever it is, people go on typing; the next visit tries again.
                logger.exception("a visit to the trash failed")
            await anyio.sleep(min(self._trash_seconds / _SHARE, _PAUSE_MAX_SECONDS))

    async def visit(self, now: float) -> int:
        """Erases what was deleted long enough ago.

        Args:
            now: seconds since the Unix epoch.

        Returns:
            How many documents it erased.

        Raises:
            StoreUnavailable: the store fails for now.
            StoreError: the trash cannot be read.
        """
        until_ms = (now - self._trash_seconds) * 1000
        erased = 0
        after = ""
        while page := await self._store.tombstones(after=after, limit=_PAGE):
            for tombstone in page:
                if tombstone.deleted_ms > until_ms:
                    continue
                try:
                    await self._store.erase(tombstone.document, deleted_ms=tombstone.deleted_ms)
                except DocumentNotFound:
                    continue  # Somebody has undeleted it.
                except StoreUnavailable:
                    raise
                except StoreError as error:
                    # What is wrong with one keeps no other one here.
                    logger.error("cannot erase %r: %s", tombstone.document, error)
                    continue
                erased += 1
            after = page[-1].document
        return erased
