"""MemoryLog: one document of a memory store."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import takewhile

from collab.archive import Base, Retention, Step, Terms
from collab.storage.columns import new_epoch
from collab.storage.compaction import (
    BLOCK_BYTES,
    Block,
    Checkpoint,
    Drop,
    Pack,
    Shape,
    next_action,
)
from collab.storage.memory.version_shelf import VersionShelf
from collab.storage.states import states_at
from collab.store import Append, Appended, Entry, Stored, Summary


@dataclass(slots=True)
class MemoryLog:
    """A document's entries, states and versions.

    Attributes:
        created_ms: time of its first entry, milliseconds since the Unix epoch.
        updated_ms: time of its newest entry.
        entries: the entries after ``base``.
        base: where the history begins.
        checkpoint: the newest checkpoint above the base, as a base; None where there is none.
        retention: the document's own, or None.
        versions: its named points.
        epoch: id of its life in this store.
    """

    created_ms: int
    updated_ms: int
    entries: list[Entry] = field(default_factory=list)
    base: Base = field(default_factory=lambda: Base(seq=0, update=None))
    checkpoint: Base | None = None
    retention: Retention | None = None
    versions: VersionShelf = field(default_factory=VersionShelf)
    epoch: str = field(default_factory=new_epoch)

    @property
    def seq(self) -> int:
        """Seq of the newest entry."""
        return self.base.seq + len(self.entries)

    @property
    def updates_bytes(self) -> int:
        """Length of its updates together."""
        return _size(self.entries)

    def after(self, seq: int) -> list[Entry]:
        """The entries above a seq."""
        return self.entries[max(seq - self.base.seq, 0) :]

    def append(self, append: Append) -> Appended:
        """Adds what an ``append`` call brings."""
        base_seq = self.seq
        for seq, entry in enumerate(append.entries, base_seq + 1):
            self.entries.append(
                Entry(seq=seq, update=entry.update, time_ms=entry.time_ms, author=entry.author)
            )
            self.updated_ms = entry.time_ms
        if append.checkpoint is not None and append.base_seq in (None, base_seq):
            state = Base(seq=self.seq, update=append.checkpoint)
            if self.seq == 0:
                self.base = state
            else:
                self.checkpoint = state
        return Appended(self.seq, self.epoch)

    def stored(self, document: str) -> Stored:
        """What opening it reads."""
        state = self._state
        return Stored(
            document=document,
            seq=self.seq,
            checkpoint=state.update,
            checkpoint_seq=state.seq,
            entries=tuple(self.after(state.seq)),
            epoch=self.epoch,
        )

    def summary(self, document: str) -> Summary:
        """Its line in the list of documents."""
        states = (self.base.update, self.checkpoint and self.checkpoint.update)
        return Summary(
            document=document,
            seq=self.seq,
            created_ms=self.created_ms,
            updated_ms=self.updated_ms,
            bytes=self.updates_bytes + sum(len(state or b"") for state in states),
            epoch=self.epoch,
            retention=self.retention,
        )

    def shape(self, now_ms: int) -> Shape:
        """What the compaction policy knows of it at a time; here packing would gain nothing."""
        state = self._state
        packed = Block(first_seq=self.base.seq + 1, last_seq=state.seq, bytes=BLOCK_BYTES)
        return Shape(
            seq=self.seq,
            base_seq=self.base.seq,
            state_seq=state.seq,
            state_bytes=len(state.update or b""),
            tail=packed if state.seq > self.base.seq else None,
            oldest_ms=next(
                (entry.time_ms for entry in self.entries if entry.time_ms <= now_ms), None
            ),
            newest_ms=self.updated_ms,
            retention=self.retention,
        )

    def compact(self, document: str, terms: Terms) -> Step:
        """Takes the next step that the policy decides; see ``Archive.compact``."""
        action = next_action(self.shape(terms.now_ms), terms)
        if action is None:
            return Step(0, more=False)
        assert not isinstance(action, Pack)  # the shape says that all is packed
        if isinstance(action, Checkpoint):
            before = self._state
            entries = self.after(before.seq)
            state = states_at(document, before, entries, {action.seq})[action.seq]
            self.checkpoint = Base(seq=action.seq, update=state)
            return Step(_size(entries) + len(state), more=True)
        return self._drop(document, action)

    def _drop(self, document: str, action: Drop) -> Step:
        old = action.of(list(takewhile(lambda entry: entry.seq <= action.last_seq, self.entries)))
        seq = old[-1].seq
        wanted = self.versions.unpinned(self.base.seq, seq)
        states = states_at(document, self.base, old, {*wanted.values(), seq})
        for name, pinned_seq in wanted.items():
            self.versions.pin(document, name, states[pinned_seq])
        self.base = Base(seq=seq, update=states[seq])
        del self.entries[: len(old)]
        if self.checkpoint is not None and self.checkpoint.seq <= seq:
            self.checkpoint = None
        return Step(_size(old) + len(states[seq]), more=True)

    @property
    def _state(self) -> Base:
        return self.checkpoint or self.base


def _size(entries: Sequence[Entry]) -> int:
    return sum(len(entry.update) for entry in entries)
