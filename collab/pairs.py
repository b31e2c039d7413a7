"""Pairs: which characters of a document are still whole, and what comes to cut them.

See ``collab.surrogates``. The order in which things come is of no account: what cuts a pair may be
here already and wait for others, come with it, or come later.
"""

from collections.abc import Collection, Iterable, Mapping
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
        new: the pairs that are whole in it; None where there are none.
        cut: the pairs of the document that it cuts; None where there are none.
    """

    update: bytes
    new: Places | None
    cut: Places | None


class Pairs:
    """The pairs of one document, those included that wait for what they depend on."""

    __slots__ = ("_cuts", "_whole")

    def __init__(self) -> None:
        self._whole = Places()
        self._cuts: dict[bytes, Places] = {}  # by what waits, as far as it had to be looked at

    def __bool__(self) -> bool:
        return bool(self._whole)

    def take(self, update: bytes, known: bytes, waiting: Collection[bytes]) -> Taken:
        """Tells what is to be done with an update; ``keep`` follows when it is about to be applied.

        Args:
            update: the update.
            known: encoded state vector of the document.
            waiting: updates that wait for what they depend on.

        Raises:
            ProtocolError: one of them is no update.
        """
        if not waiting:
            self._cuts = {}
        typed = None if waiting else read_typed(update)
        if typed is not None and not self._are_parted_by(typed):
            return Taken(update, None, None)
        pairs, cuts, edges = survey(update, deleted_of=self._whole.clients)
        cut = self._whole.common(cuts)
        if pairs or waiting:
            clocks = state_vector.decode(known)
            if waiting:  # The CRDT merges what waits.
                cut.add(self._whole.common(edges).unknown(clocks))
            new = pairs.unknown(clocks)
            if new:
                ways = [cuts, *self._look_through(waiting)]
                return Taken(self._cut_new(update, new, ways, clocks), new, cut or None)
        return Taken(update, None, cut or None)

    def keep(self, taken: Taken) -> None:
        """Keeps in mind which pairs are whole with an update."""
        if taken.new is not None:
            self._whole.add(taken.new)
        if taken.cut is not None:
            self.forget(taken.cut)

    def forget(self, cut: Places) -> None:
        """Has some pairs be whole no longer."""
        self._whole.remove(cut)

    def are_cut_at(self, known: bytes) -> bool:
        """Whether somebody with this state vector has half of one."""
        return bool(self._whole.common(Places.of_clocks(state_vector.decode(known))))

    def _cut_new(
        self, update: bytes, new: Places, cuts: Iterable[Places], known: Mapping[int, int]
    ) -> bytes:
        cut = new.common(Places.of_clocks(known))  # The first half is here, from elsewhere.
        for each in cuts:
            cut.add(new.common(each))
        new.remove(cut)
        return replace(update, cut) if cut else update

    def _look_through(self, waiting: Collection[bytes]) -> Iterable[Places]:
        """Where what waits cuts pairs; its edges too, as the CRDT merges what waits."""
        earlier, self._cuts = self._cuts, {}
        for update in waiting:
            cuts = earlier.get(update)
            if cuts is None:
                _, cuts, edges = survey(update)
                cuts.add(edges)
            self._cuts[update] = cuts
        return self._cuts.values()

    def _are_parted_by(self, struct: Struct) -> bool:
        left, right = struct.origin, struct.right_origin
        return (left is not None and Id(left.client, left.clock + 1) in self._whole) or (
            right is not None and right in self._whole
        )
