"""Lineage: whether what a client knows can come from this life of the document.

A document that is seeded anew, after its file was lost or under the name of one that was erased,
gets the same first change. Clients of the life before may come back then and bring their history
along. What a client has that we have not is nothing to wonder at by itself: people write offline,
in several tabs, over several sessions. Two things are:

Too early
    It has part of the seed and more than we have, and nobody was shown the seed in this life yet.
Nothing in common
    It has changes of several clients and none that we have, though we have some. Whoever has been
    here has what was here first.

Nothing else can be told apart. A client of another life that comes back once somebody was shown the
seed looks like one that was here and wrote offline. One that began a document of its own in several
sessions, before it ever came here, has nothing in common either.
"""

from collections.abc import Sequence

from collab import state_vector
from collab.protocol.messages import EMPTY_STATE_VECTOR

_NOBODY: frozenset[int] = frozenset()
"""An empty set takes 200 bytes: there is one for all documents."""
_SEVERAL = 2
"""One client without anything in common is somebody who wrote before the first sync."""


class Lineage:
    """Looks at what clients know when they come to one document.

    Args:
        seed: encoded state vector of the seed, where the document was seeded just now; otherwise
            None.
    """

    def __init__(self, seed: bytes | None) -> None:
        self._unseen = None if seed is None else frozenset(state_vector.decode(seed))
        self._known = _NOBODY

    def strangers(self, theirs: bytes, ours: bytes) -> Sequence[int]:
        """Names the clients whose changes cannot come from this life of the document.

        Args:
            theirs: encoded state vector of a client that is about to be shown the document.
            ours: encoded state vector of the document.

        Returns:
            Their ids in order; none where nothing speaks against it.

        Raises:
            ProtocolError: ``theirs`` is no state vector.
        """
        unseen, self._unseen = self._unseen, None
        if theirs == EMPTY_STATE_VECTOR or ours == EMPTY_STATE_VECTOR:
            return ()
        clocks = state_vector.decode(theirs)
        if unseen is not None and not unseen.isdisjoint(clocks):
            here = state_vector.decode(ours)
            beyond = (each for each, clock in clocks.items() if clock > here.get(each, 0))
            return tuple(sorted(beyond))
        if len(clocks) < _SEVERAL or not self._known.isdisjoint(clocks):
            return ()
        self._known = frozenset(state_vector.decode(ours))  # It only grows.
        return tuple(sorted(clocks)) if self._known.isdisjoint(clocks) else ()
