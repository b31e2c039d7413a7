"""Replay: a document built from its log, with what does not apply left out."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import islice

from collab.checking import check_update
from collab.document import Document
from collab.errors import PoisonedUpdate
from collab.merging import merge
from collab.quarantine import Refused, refusal
from collab.store import Entry

_GROUP_ENTRIES = 100
"""Entries tried together: merging more costs more than it saves."""

_KEPT_BYTES = 4 << 20
_KEPT_UPDATES = 5_000
"""What is replayed again at most when an entry breaks the Doc; then the state is taken anew."""


class Replay:
    """Applies a log entry by entry, and goes on after one that cannot be applied.

    A Doc may be broken by an update that fails. So the state before it is kept, as one update and
    those that were applied since, and a fresh Doc is made of them.

    Args:
        base: whole state before the first entry (a v1 update); None where there is none.
        keep_deleted: see ``Document``.

    Attributes:
        document: what came out so far.
        left_out: the entries that do not apply, in order of seq.

    Raises:
        PoisonedUpdate: ``base`` does not apply.
    """

    def __init__(self, base: bytes | None = None, *, keep_deleted: bool = False) -> None:
        self._keep_deleted = keep_deleted
        self.document = Document(keep_deleted=keep_deleted)
        self.left_out: list[Refused] = []
        self._applied: list[bytes] = []
        self._applied_bytes = 0
        if base is not None:
            self._apply(base)

    def take(self, entries: Iterable[Entry]) -> None:
        """Applies entries, in order of seq."""
        remaining = iter(entries)
        while group := list(islice(remaining, _GROUP_ENTRIES)):
            self._take_group(group)
        self.left_out.sort(key=lambda refused: refused.seq or 0)

    def join(self, state: bytes) -> None:
        """Goes on from a later whole state, where the entries that led to it are not to be had.

        Args:
            state: a v1 update that knows of all that was replayed.

        Raises:
            PoisonedUpdate: it does not apply; the replay is to be given up.
        """
        self._apply(state)

    def _take_group(self, group: Sequence[Entry]) -> None:
        readable = [entry for entry in map(self._read, group) if entry is not None]
        if not readable:
            return
        try:
            self._apply(merge([entry.update for entry in readable]))
        except PoisonedUpdate:
            self._rebuild()
            for entry in readable:
                self._try(entry)

    def _read(self, entry: Entry) -> Entry | None:
        try:
            update = check_update(entry.update)
        except PoisonedUpdate as error:
            self._leave_out(entry, error)
            return None
        return entry if update is entry.update else replace(entry, update=update)

    def _try(self, entry: Entry) -> None:
        try:
            self._apply(entry.update)
        except PoisonedUpdate as error:
            self._leave_out(entry, error)
            self._rebuild()

    def _leave_out(self, entry: Entry, error: PoisonedUpdate) -> None:
        refused = refusal(error, time_ms=entry.time_ms, author=entry.author, seq=entry.seq)
        self.left_out.append(refused)

    def _apply(self, update: bytes) -> None:
        self.document.apply(update)
        self._applied.append(update)
        self._applied_bytes += len(update)
        if len(self._applied) > _KEPT_UPDATES or self._applied_bytes > _KEPT_BYTES:
            self._applied = [self.document.encode()]
            self._applied_bytes = 0  # However large it is: it is not made anew for each update.

    def _rebuild(self) -> None:
        self.document = Document(keep_deleted=self._keep_deleted)
        for update in self._applied:
            self.document.apply(update)
