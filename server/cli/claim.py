"""Claim: how a server comes to own the store it serves, at once or later."""

import logging
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from collab.errors import StoreError, StoreOwned
from collab.storage.sqlite.ownership import Contact, owned

logger = logging.getLogger("collab")

_AGAIN_SECONDS = 1.0


class Claim:
    """A server's claim to own its store. A context manager; leaving it gives the store up.

    Entering it tries once. Where a command works on the store, or another server serves it, this
    one serves it all the same, as stores allow, and is the owner once the other has ended.

    Args:
        store: the store's file.
        contact: where commands are to turn to.
        others: whether other servers are tied to this one by a bus.
    """

    def __init__(self, store: Path, contact: Contact, *, others: bool) -> None:
        self._others = others
        self._store = store
        self._contact = contact
        self._exits = ExitStack()
        self._refusal: StoreError | None = None
        self._left = False

    def __enter__(self) -> "Claim":
        """Owns the store, or leaves that to ``insist``."""
        self._attempt()
        return self

    def __exit__(self, *exception: object) -> None:
        """Gives the store up."""
        self._left = True
        self._exits.close()

    def insist(self, call_later: Callable[[float, Callable[[], None]], object]) -> None:
        """Tries again and again, where the store is not owned yet.

        Args:
            call_later: calls a function in so many seconds.
        """
        if isinstance(self._refusal, StoreOwned) and self._others:
            logger.info("%s is another server's: until that ends, commands go to it", self._store)
        elif isinstance(self._refusal, StoreOwned):
            logger.warning(
                "%s is in use: until that ends, commands do not come through this server, and "
                "what others write is seen when a document is opened anew",
                self._store,
            )
        elif self._refusal is not None:
            logger.warning("commands that write will not find this server: %s", self._refusal)

        def again() -> None:
            # A moment's work: one lock, without a wait.
            if not self._left and isinstance(self._refusal, StoreOwned):
                self._attempt()
                call_later(_AGAIN_SECONDS, again)

        again()

    def _attempt(self) -> None:
        try:
            self._exits.enter_context(owned(self._store, self._contact))
        except StoreError as refusal:
            self._refusal = refusal
        else:
            self._refusal = None
