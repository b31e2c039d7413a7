"""Neighbours: whether another process serves the same SQLite store.

Whoever serves a store holds one of two lock files beside it, as long as they serve it: the first to
come the one, and one of those who come later the other. So each finds out about others, whichever
of them was first. Commands hold neither, nor do servers that a bus ties together.
"""

from pathlib import Path

from collab.errors import StoreError
from collab.storage.sqlite.lock_file import is_taken, let_go, lock_file, take

_FIRST = "-serving"
_SECOND = "-beside"


class Neighbours:
    """A server's place beside others at one store. A context manager; leaving it gives it up.

    Args:
        store: the store's file.
    """

    def __init__(self, store: Path) -> None:
        self._locks = {suffix: lock_file(store, suffix) for suffix in (_FIRST, _SECOND)}
        self._held: dict[str, int] = {}

    def __enter__(self) -> "Neighbours":
        """The place is taken with the first look."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Gives the place up."""
        for suffix in tuple(self._held):
            self._leave(suffix)

    def look(self) -> bool:
        """Looks whether another process serves the store. It waits for nobody.

        Raises:
            StoreError: it cannot be told: the files cannot be locked.
        """
        try:
            if not self._take(_FIRST):
                self._take(_SECOND)
                return True
            self._leave(_SECOND)
            return is_taken(self._locks[_SECOND])
        except OSError as error:
            raise StoreError(
                f"expected to lock {self._locks[_FIRST]}, got: {error.strerror}"
            ) from error

    def _take(self, suffix: str) -> bool:
        if suffix not in self._held:
            descriptor = take(self._locks[suffix])
            if descriptor is None:
                return False
            self._held[suffix] = descriptor
        return True

    def _leave(self, suffix: str) -> None:
        descriptor = self._held.pop(suffix, None)
        if descriptor is not None:
            let_go(self._locks[suffix], descriptor)
