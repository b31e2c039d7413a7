"""Merging: several updates as one, and what of one is new, without a document."""

from collections.abc import Sequence

import pycrdt

from collab import state_vector
from collab.errors import PoisonedUpdate
from collab.joining import join_pieces
from collab.marks import MARKS, PAIR
from collab.places import Places
from collab.surrogates import agree, replace

_MERGE_AT_ONCE = 32
"""Updates that one call merges: the call's cost grows with the square of their number."""


def merge(updates: Sequence[bytes]) -> bytes:
    """Merges updates into one, at a cost that grows with their number alone (0.8 us each).

    The pieces of a long change become one again, which the CRDT applies in one step.

    Raises:
        PoisonedUpdate: one of them cannot be merged.
    """
    merged = updates
    try:
        if len(updates) > 1 and b"".join(updates).translate(MARKS).find(PAIR) >= 0:
            merged = agree(updates)
        while len(merged) > 1:
            merged = [
                pycrdt.merge_updates(*merged[first : first + _MERGE_AT_ONCE])
                for first in range(0, len(merged), _MERGE_AT_ONCE)
            ]
    except BaseException as error:  # noqa: BLE001 - see PoisonedUpdate.of
        raise PoisonedUpdate.of(b"".join(updates), error) from None
    return join_pieces(merged[0]) if len(updates) > 1 else merged[0]


def unknown_part(update: bytes, known: bytes) -> bytes:
    """Cuts off an update what a state vector covers.

    Raises:
        ProtocolError: it is no update.
    """
    if update.translate(MARKS).find(PAIR) >= 0:
        update = replace(update, Places.of_clocks(state_vector.decode(known)))
    part: bytes = pycrdt.get_update(update, known)
    return part
