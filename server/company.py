"""Company: whether others serve the same store with no bus between them and this server."""

import logging
from collections.abc import Callable

from collab.errors import StoreError
from collab.server.timers import Timers

logger = logging.getLogger("collab")

_LOOK_SECONDS = 2.0


class Company:
    """Looks for other processes that serve the store, and says so where there are any.

    Nothing is lost there: the store takes the changes of all. But their clients do not see each
    other's before a document is opened anew.

    Args:
        look: tells whether there is another; None where that is no fault, or cannot be told.
        timers: have it look again and again.

    Attributes:
        kept: whether there was another when it looked last.
    """

    def __init__(self, look: Callable[[], bool] | None, timers: Timers) -> None:
        self.kept = False
        self._look = look
        self._timers = timers

    def start(self) -> None:
        """Looks from now on, as long as the timers run."""
        if self._look is not None:
            self._attempt(self._look)

    def _attempt(self, look: Callable[[], bool]) -> None:
        try:
            kept = look()  # A moment's work: a file or two, and no wait.
        except StoreError as error:
            logger.warning("others that serve the same store will not be noticed: %s", error)
            return
        if kept and not self.kept:
            logger.warning(
                "another process serves the same store, and no bus ties it to this one: people who "
                "are connected to one do not see what is written at the other; run one process "
                "(--workers 1), or give all of them a bus"
            )
        elif self.kept and not kept:
            logger.info("no other process serves the same store any more")
        self.kept = kept
        self._timers.call_later(_LOOK_SECONDS, lambda: self._attempt(look))
