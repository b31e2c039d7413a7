"""Changes: what one author did without a long pause, gathered from a log.

People who write at the same time each have a change of their own; its entries need not stand next
to each other in the log.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from collab.store import Entry

PAUSE_SECONDS = 120.0
"""How long somebody must rest before what follows is another change."""


@dataclass(slots=True, kw_only=True)
class Change:
    """What one author did without a long pause.

    Attributes:
        author: id of the identity, or None where nobody was named.
        first_seq: its first entry.
        last_seq: its last entry; entries of others may lie between.
        first_ms: the earliest time of its entries, milliseconds since the Unix epoch.
        last_ms: the latest.
        entries: how many there are.
        bytes: length of their updates together.
    """

    author: str | None
    first_seq: int
    last_seq: int
    first_ms: int
    last_ms: int
    entries: int = 1
    bytes: int = 0

    def takes(self, time_ms: int, pause_ms: float) -> bool:
        """Whether an entry of this time belongs to it: clocks may also go backwards."""
        return self.first_ms - pause_ms <= time_ms <= self.last_ms + pause_ms

    def add(self, entry: Entry) -> None:
        """Takes in an entry, before or after those it has."""
        self.first_seq = min(self.first_seq, entry.seq)
        self.last_seq = max(self.last_seq, entry.seq)
        self.first_ms = min(self.first_ms, entry.time_ms)
        self.last_ms = max(self.last_ms, entry.time_ms)
        self.entries += 1
        self.bytes += len(entry.update)


class Changes:
    """Gathers entries into changes, forwards or backwards, one author's next to another's.

    Args:
        pause_seconds: how long an author must rest before what follows is another change.

    Attributes:
        gathered: the changes, in the order in which they were begun.
    """

    def __init__(self, pause_seconds: float = PAUSE_SECONDS) -> None:
        self.gathered: list[Change] = []
        self._pause_ms = pause_seconds * 1000
        self._newest: dict[str | None, int] = {}

    def begins(self, entry: Entry) -> bool:
        """Whether an entry would begin a change."""
        index = self._newest.get(entry.author)
        return index is None or not self.gathered[index].takes(entry.time_ms, self._pause_ms)

    def add(self, entry: Entry) -> int:
        """Takes in the next entry.

        Returns:
            The index of its change in ``gathered``.
        """
        index = self._newest.get(entry.author)
        if index is not None:
            change = self.gathered[index]
            if change.takes(entry.time_ms, self._pause_ms):
                change.add(entry)
                return index
        self.gathered.append(
            Change(
                author=entry.author,
                first_seq=entry.seq,
                last_seq=entry.seq,
                first_ms=entry.time_ms,
                last_ms=entry.time_ms,
                bytes=len(entry.update),
            )
        )
        index = self._newest[entry.author] = len(self.gathered) - 1
        return index

    def take(self, entries: Iterable[Entry], limit: int) -> int | None:
        """Takes in entries until they would begin one change too many.

        Args:
            entries: entries in order of seq, or in the reverse order.
            limit: changes at most.

        Returns:
            The seq of the entry that was not taken any more, or None when all were.
        """
        for entry in entries:
            if len(self.gathered) >= limit and self.begins(entry):
                return entry.seq
            self.add(entry)
        return None
