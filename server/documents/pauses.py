"""Pauses: documents that rest after they were changed get a version by themselves."""

import logging
import time

from collab.errors import CollabError, DocumentNotFound, VersionExists
from collab.happenings import VersionNamed
from collab.server.documents.naming import name_pause
from collab.server.rooms.feeds import Feeds
from collab.server.settings import Settings
from collab.server.tasks import Spawn
from collab.server.timers import Timers
from collab.store import Store

logger = logging.getLogger("collab")


class Pauses:
    """Notices when documents rest; it remembers those that were changed since their last pause.

    Args:
        store: where versions are kept.
        timers: wake it when the next pause is long enough.
        settings: how long a pause is, and how many versions are kept.
        spawn: runs its work.
        feeds: where programs hear of the versions.
    """

    def __init__(
        self, store: Store, timers: Timers, settings: Settings, spawn: Spawn, feeds: Feeds
    ) -> None:
        self._feeds = feeds
        self._store = store
        self._timers = timers
        self._pause_seconds = settings.version_pause_seconds
        self._most = settings.automatic_versions
        self._spawn = spawn
        self._changed: dict[str, float] = {}  # in order of time

    def changed(self, document: str) -> None:
        """Hears that changes of a document were committed."""
        waiting = bool(self._changed)
        self._changed.pop(document, None)
        self._changed[document] = time.monotonic()
        if not waiting:
            self._timers.call_later(self._pause_seconds, self._wake)

    def _wake(self) -> None:
        self._spawn(self._name_rested)

    async def _name_rested(self) -> None:
        while self._changed:
            document, since = next(iter(self._changed.items()))
            left = since + self._pause_seconds - time.monotonic()
            if left > 0:
                self._timers.call_later(left, self._wake)
                return
            del self._changed[document]
            waiting = bool(self._changed)
            try:
                version = await name_pause(
                    self._store, document, self._most, time.time_ns() // 1_000_000
                )
                if version is not None:
                    self._feeds.publish(document, VersionNamed(version))
            except (DocumentNotFound, VersionExists):
                pass  # Deleted meanwhile, or named by another process.
            except CollabError as error:
                logger.warning("naming a version of %r: %s", document, error)
            except Exception:
                # Whatever it is, the others rest as well.
                logger.exception("naming a version of %r failed", document)
            if not waiting:
                return  # Who came meanwhile has set a timer of its own.
