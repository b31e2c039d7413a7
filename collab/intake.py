"""Intake: what of changes made elsewhere is new to a document."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from collab.checking import check_update
from collab.document import Document
from collab.errors import PoisonedUpdate
from collab.merging import unknown_part
from collab.protocol.messages import EMPTY_STATE_VECTOR, EMPTY_UPDATE
from collab.store import Entry, NewEntry, Stored


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """An update that was left out.

    Attributes:
        position: which one of those given, from 1.
        reason: what is wrong with it.
    """

    position: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """What is left of changes made elsewhere, to be appended to a document's log.

    Attributes:
        entries: those that bring something new, in order, with their own times and authors. The
            bytes are as they came, less what the document had of them.
        effect: an update that brings the document to where ``entries`` bring it; None where
            nothing is new.
        known: how many brought nothing new.
        refused: those the CRDT cannot apply.
    """

    entries: Sequence[NewEntry]
    effect: bytes | None
    known: int
    refused: Sequence[Refused]


def take_in(state: bytes | None, changes: Iterable[NewEntry]) -> Intake:
    """Tells which of some changes a document lacks, and leaves out those that cannot be applied.

    Taking in the same changes again finds nothing new, in whatever pieces they came; only those
    that still wait for others may be kept once more.

    Args:
        state: the document as one update; None for one that is empty.
        changes: in order; each may depend on those before it.
    """
    document = _replayed(state, ())
    before = document.state_vector
    entries: list[NewEntry] = []
    refused: list[Refused] = []
    known = 0
    for position, change in enumerate(changes, 1):
        here = document.state_vector
        try:
            if change.update == EMPTY_UPDATE:
                known += 1
                continue
            update = check_update(change.update)
            news = document.integrate(update)
        except PoisonedUpdate as error:
            refused.append(Refused(position=position, reason=str(error)))
            document = _replayed(state, entries)
            continue
        if news is None:
            known += 1
        else:
            entries.append(replace(change, update=_unknown_part(update, here)))
    effect = document.diff(before) if entries else None
    return Intake(entries=entries, effect=effect, known=known, refused=refused)


def _unknown_part(update: bytes, here: bytes) -> bytes:
    """Cuts off an update what a document has of it, and leaves one as it is that is all new.

    Cut from the update, not from the document: that may have forgotten text that was deleted.
    """
    if here == EMPTY_STATE_VECTOR:
        return update
    part = unknown_part(update, here)
    return part if len(part) < len(update) else update


def _replayed(state: bytes | None, entries: Sequence[NewEntry]) -> Document:
    log = [
        Entry(seq=seq, update=entry.update, time_ms=entry.time_ms, author=entry.author)
        for seq, entry in enumerate(entries, 1)
    ]
    return Document.load(
        Stored(document="", seq=len(log), checkpoint=state, checkpoint_seq=0, entries=log)
    )
