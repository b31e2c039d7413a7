"""Restore: the change that brings a document back to what it was, for every type there is.

Everything since the point is undone as Yjs' undo manager does it: what was inserted is deleted,
what was deleted is inserted anew. So it is an ordinary change, which merges with what others write
at the same moment, and what others wrote since is undone with it.
Source: https://github.com/yjs/yjs (13.6), src/utils/UndoManager.js.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import pycrdt

from collab import state_vector
from collab.document import Document
from collab.errors import CollabError, HistoryError, PoisonedUpdate
from collab.history.content import put_back, read_content
from collab.merging import merge
from collab.replay import Replay
from collab.roots import root_kinds

_HERE = [pycrdt.ContentAttribute("here", True)]
"""Sets of ids can be subtracted only where they say something; what does not matter."""


class Restoration:
    """A document on its way back to a point: replayed to it, then beyond, then undone.

    Args:
        replay: what is replayed so far; it keeps what is deleted.

    Attributes:
        replay: as given; it may go on.
    """

    def __init__(self, replay: Replay) -> None:
        self.replay = replay
        self._mark: _Mark | None = None
        self._target = Document()
        self._trial = Document()
        self._changes: list[bytes] = []

    def mark(self) -> None:
        """Sets the point: what the document is now."""
        document = self.replay.document
        self._mark = _mark(document)
        self._target.apply(document.doc.get_update())

    def undo(self) -> None:
        """Undoes everything since the point, however much it is.

        Raises:
            HistoryError: the CRDT cannot undo it.
        """
        self._trial.apply(self.replay.document.doc.get_update())
        self._undo()

    def finish(self, live: Document) -> bytes | None:
        """Undoes what the live document has beyond what was replayed, and gives the whole change.

        It costs what was written since the replay, so that it can be done without a pause between
        looking at the live document and changing it.

        Returns:
            The update that takes the live document back, or None where it is there already.

        Raises:
            HistoryError: the CRDT cannot undo it.
        """
        since = live.diff(self.replay.document.state_vector)
        try:
            self.replay.document.apply(since)
            self._trial.apply(since)
        except PoisonedUpdate as error:
            raise HistoryError(f"expected a log that leads to the document: {error}") from None
        self._undo()
        return merge(self._changes) if self._changes else None

    def _undo(self) -> None:
        assert self._mark is not None, "expected a point to go back to"
        try:
            change = _undo_since(self.replay.document.doc, self._mark, _mark(self.replay.document))
            if change is not None:
                self._take(change)
                self._put_back()
        except CollabError:
            raise
        except BaseException as error:
            if isinstance(error, (KeyboardInterrupt, SystemExit)):
                raise
            # The CRDT's PanicException is no Exception.
            raise HistoryError(f"expected changes that can be undone, got: {error}") from None
        self._mark = _mark(self.replay.document)

    def _take(self, change: bytes) -> None:
        self._changes.append(change)
        self.replay.document.apply(change)
        self._trial.apply(change)

    def _put_back(self) -> None:
        """Makes up for entries of maps, attributes and characters that would be lost elsewhere.

        Where a key was written again and its map was deleted later, the CRDT ties the entry it
        brings back to the deleted map. A document that has collected the deleted map loses it.
        Characters that a change cut in two, as UTF-16 has them, stay cut when it is undone.
        """
        kinds = root_kinds([self.replay.document.doc.get_update()])
        trial = self._trial.doc
        wanted = read_content(self._target.doc, kinds)
        if read_content(trial, kinds) == wanted:
            return
        change = _change_of(trial, lambda: put_back(trial, kinds, wanted))
        if change is not None:
            self._take(change)
        if read_content(self._trial.doc, kinds) != wanted:
            raise HistoryError("expected changes that can be undone, got some that cannot")


class _Mark(NamedTuple):
    """What a Doc had at one moment: all that was inserted, and which of it was deleted."""

    clocks: dict[int, int]
    deletions: pycrdt.IdSet


def _mark(document: Document) -> _Mark:
    snapshot = pycrdt.Snapshot.from_doc(document.doc).encode()  # deletions, then a state vector
    return _Mark(state_vector.decode(document.doc.get_state()), pycrdt.IdSet.decode(snapshot))


def _undo_since(doc: "pycrdt.Doc[pycrdt.Text]", mark: _Mark, now: _Mark) -> bytes | None:
    deletions = pycrdt.IdMap.from_set(now.deletions, _HERE)
    deletions.diff_with(mark.deletions)
    insertions = pycrdt.IdMap()
    for client, clock in now.clocks.items():
        known = mark.clocks.get(client, 0)
        if known < clock:
            insertions.insert(client, known, clock - known, _HERE)
    if not deletions and not insertions:
        return None
    step: pycrdt.StackItem[None] = pycrdt.StackItem(
        doc._doc, deletions.as_id_set(), insertions.as_id_set()
    )
    # Whatever a root is, as a text it stands for all that hangs on it.
    roots = [doc.get(name, type=pycrdt.Text) for name in doc.keys()]  # noqa: SIM118 - a Doc cannot be iterated over
    undoing = pycrdt.UndoManager(scopes=[*roots], capture_timeout_millis=0, undo_stack=[step])
    return _change_of(doc, undoing.undo)


def _change_of(doc: "pycrdt.Doc[Any]", change: Callable[[], object]) -> bytes | None:
    """Makes a change and gives it as an update; None where nothing changed."""
    updates: list[bytes] = []
    subscription = doc.observe(lambda event: updates.append(event.update))
    try:
        change()
    finally:
        doc.unobserve(subscription)
    return merge(updates) if updates else None
