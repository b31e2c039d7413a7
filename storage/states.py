"""Whole states of a document at points of its log."""

from collections.abc import Collection, Sequence
from itertools import pairwise

from collab.archive import Base
from collab.errors import BrokenDocument, PoisonedUpdate
from collab.replay import Replay
from collab.store import Entry


def states_at(
    document: str, base: Base, entries: Sequence[Entry], seqs: Collection[int]
) -> dict[int, bytes]:
    """Replays entries over a base and returns the whole state at each of some seqs.

    Args:
        document: document name, for errors.
        base: what the entries follow.
        entries: entries without holes, the first one with the seq after the base's.
        seqs: from the base's own to that of the last entry.

    Returns:
        The states by seq, encoded as v1 updates; entries that do not apply are left out.

    Raises:
        BrokenDocument: the base does not apply.
    """
    try:
        replay = Replay(base.update)
    except PoisonedUpdate as error:
        raise BrokenDocument(
            f"expected a state of {document!r} that applies, got: {error}", document
        ) from error
    states = {base.seq: replay.document.encode()}
    for begin, end in pairwise(sorted({base.seq, *seqs})):
        replay.take(entries[begin - base.seq : end - base.seq])
        states[end] = replay.document.encode()
    return {seq: states[seq] for seq in seqs}
