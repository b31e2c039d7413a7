"""Pairs: which characters of a document are still whole, and what comes to cut them.

See ``collab.surrogates``. The order in which things come is of no account: what cuts a pair may be
here already and wait for others, come with it, or come later.
"""

from typing import NamedTuple

from collab import state_vector
from collab.places import Places
from collab.structs import Id, Struct
from collab.surrogates import replace, survey
from collab.typed import read_typed


class Taken(NamedTuple):
    """What is to be done with an update.

    Attributes:
        update: the update, without the pairs in it that are cut.
        cut: the pairs of the document that it cuts.
    """

    update: bytes
    cut: Places


class Pairs:
    """The pairs of one document, those included that wait for what they depend on."""

    __slots__ = ("_cuts", "_whole")

    def __init__(self) -> None:
        self._whole = Places()
        self._cuts = Places()  # of what waits; and its edges, as the CRDT merges what waits

    def __bool__(self) -> bool:
        return bool(self._whole or self._cuts)

    def take(self, update: bytes, known: bytes) -> Taken:
        """Takes in an update that is about to be applied.

        Args:
            update: the update.
            known: encoded state vector of the document.

        Raises:
            ProtocolError: these bytes are no update.
        """
        typed = None if self._cuts else read_typed(update)
        if typed is not None and not self._are_parted_by(typed):
            return Taken(update, Places())
        pairs, cuts, edges = survey(update)
        cut = self._whole.common(cuts)
        if self._cuts or pairs:
            clocks = state_vector.decode(known)
            cut.add(self._whole.common(edges).unknown(clocks))
            update = self._take_new(update, pairs.unknown(clocks), cuts, clocks)
        self._whole.remove(cut)
        return Taken(update, cut)

    def expect(self, waiting: bytes) -> None:
        """Takes in what waits for its dependencies, and may cut pairs that come before those.

        Raises:
            ProtocolError: these bytes are no update.
        """
        _, cuts, edges = survey(waiting)
        self._cuts.add(cuts)
        self._cuts.add(edges)

    def expect_nothing(self) -> None:
        """Takes note that nothing waits any more."""
        self._cuts = Places()

    def are_cut_at(self, known: bytes) -> bool:
        """Whether somebody with this state vector has half of one."""
        return bool(self._whole.common(Places.of_clocks(state_vector.decode(known))))

    def _take_new(self, update: bytes, new: Places, cuts: Places, known: dict[int, int]) -> bytes:
        cut = new.common(cuts)
        cut.add(new.common(self._cuts))
        cut.add(new.common(Places.of_clocks(known)))  # The first half is here, from elsewhere.
        new.remove(cut)
        self._whole.add(new)
        return replace(update, cut) if cut else update

    def _are_parted_by(self, struct: Struct) -> bool:
        left, right = struct.origin, struct.right_origin
        return (left is not None and Id(left.client, left.clock + 1) in self._whole) or (
            right is not None and right in self._whole
        )
