"""Compaction policy: what to do for a document next, told from its shape and the time alone.

Every rule looks at one ``Shape`` and names one bounded action; the next look is at the shape that
the action left. A shape that nobody else changes comes to rest.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

from collab.archive import Retention, Terms
from collab.store import Entry

BLOCK_ENTRIES = 1000
"""Entries in a full block. Larger ones hardly compress better, and one entry costs a block."""

BLOCK_BYTES = 4 << 20
"""Bytes of updates at which a block is full however few they are: it is unpacked in memory."""

FEW_ENTRIES = 20
"""Below this, packing or a checkpoint gains less than it costs."""

LAG_ENTRIES = 2000
"""Entries beyond the newest state after which a checkpoint is due also where nobody pauses."""

LAG_SHARE_BYTES = 512
"""But one entry for each so many bytes of the state: a huge document's checkpoint is rare."""

STEP_ENTRIES = 5000
"""Entries that one action replays or drops at most."""

SLACK_MS = 86_400_000
"""Entries may outstay their time by a day, or by an eighth of it: dropping rewrites the base."""

FREE_PAGES = 256
"""Free pages (1 MB) that a file may keep for what comes next, ..."""
FREE_SHARE = 10
"""... and a tenth of its pages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A packed run of entries.

    Attributes:
        first_seq: its first entry.
        last_seq: its last entry.
        bytes: length of its updates.
    """

    first_seq: int
    last_seq: int
    bytes: int

    @property
    def is_full(self) -> bool:
        """Whether nothing more belongs into it."""
        return self.last_seq - self.first_seq + 1 >= BLOCK_ENTRIES or self.bytes >= BLOCK_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What the policy knows of a document.

    Attributes:
        seq: seq of the newest entry.
        base_seq: the history begins after it.
        state_seq: where the newest whole state is, checkpoint or base; not below ``base_seq``.
        state_bytes: length of that state.
        tail: the newest block, or None.
        oldest_ms: time of the first entry there is that is not dated later than now, as far as
            blocks tell; None where there is none.
        newest_ms: time of the newest entry.
        retention: the document's own, or None.
    """

    seq: int
    base_seq: int
    state_seq: int
    state_bytes: int
    tail: Block | None
    oldest_ms: int | None
    newest_ms: int
    retention: Retention | None


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Write a checkpoint.

    Attributes:
        seq: of the state at this seq.
    """

    seq: int


@dataclass(frozen=True, slots=True)
class Drop:
    """Drop the oldest entries, as long as they are old enough, and write the base they leave.

    Attributes:
        until_ms: entries of this time or an older one go; the first younger one ends it.
        last_seq: none beyond this one.
        now_ms: what is dated later was by a clock that was wrong: such entries go with the next one
            that was not.
    """

    until_ms: int
    last_seq: int
    now_ms: int

    def of(self, entries: Sequence[Entry]) -> Sequence[Entry]:
        """Those of the oldest entries that go, one at least."""
        count = 0
        for number, entry in enumerate(entries, 1):
            if entry.time_ms <= self.until_ms:
                count = number
            elif entry.time_ms <= self.now_ms:
                break
        # What comes first is old enough: the next that is dated rightly is not among these, or it
        # was dated later than now when it was packed.
        return entries[:count] or list(takewhile(self._is_wrong, entries)) or entries[:1]

    def _is_wrong(self, entry: Entry) -> bool:
        return entry.time_ms > self.now_ms


@dataclass(frozen=True, slots=True)
class Pack:
    """Make one block of entries; it ends early where it is full by its bytes.

    Attributes:
        first_seq: the first entry: of the newest block where that is to grow.
        last_seq: the last entry.
    """

    first_seq: int
    last_seq: int


Action = Checkpoint | Drop | Pack


def next_action(shape: Shape, terms: Terms) -> Action | None:
    """Decides what to do for a document; None where it is as it should be."""
    # A checkpoint comes after what ends by itself: somebody who writes all the time would otherwise
    # keep everything else from being done. The last block comes after the checkpoint it reaches to.
    return (
        _drop(shape, terms)
        or _pack(shape, at_rest=False)
        or _checkpoint(shape, terms)
        or _pack(shape, at_rest=_is_quiet(shape, terms))
    )


def pages_to_free(free: int, total: int) -> int:
    """Decides how many of a file's free pages to give back.

    Args:
        free: pages that hold nothing.
        total: pages of the file.
    """
    return max(0, free - max(FREE_PAGES, total // FREE_SHARE))


def _checkpoint(shape: Shape, terms: Terms) -> Checkpoint | None:
    behind = shape.seq - shape.state_seq
    if behind <= 0:
        return None
    lags = behind >= LAG_ENTRIES and behind * LAG_SHARE_BYTES >= shape.state_bytes
    rests = _is_quiet(shape, terms) and (
        behind >= FEW_ENTRIES or _is_due(_newest_ms(shape, terms), shape, terms)
    )
    return Checkpoint(min(shape.seq, shape.state_seq + STEP_ENTRIES)) if lags or rests else None


def _drop(shape: Shape, terms: Terms) -> Drop | None:
    until_ms = _until_ms(shape, terms)
    if (
        until_ms is None
        or shape.oldest_ms is None
        or shape.base_seq >= shape.state_seq
        or not _is_due(shape.oldest_ms, shape, terms)
    ):
        return None
    last_seq = min(shape.state_seq, shape.base_seq + STEP_ENTRIES)
    return Drop(until_ms, last_seq, terms.now_ms)


def _pack(shape: Shape, *, at_rest: bool) -> Pack | None:
    packed_seq = shape.base_seq if shape.tail is None else shape.tail.last_seq
    loose = shape.state_seq - packed_seq
    first_seq = packed_seq + 1
    if shape.tail is not None and not shape.tail.is_full:
        first_seq = shape.tail.first_seq
    last_seq = min(shape.state_seq, first_seq + BLOCK_ENTRIES - 1)
    fills = last_seq - first_seq + 1 == BLOCK_ENTRIES
    return (
        Pack(first_seq, last_seq)
        if loose > 0 and (fills or (at_rest and loose >= FEW_ENTRIES))
        else None
    )


def _is_quiet(shape: Shape, terms: Terms) -> bool:
    # A clock that was put back must not keep whoever wants it done at once; and what is dated that
    # much later than now was not written a moment ago.
    return terms.quiet_ms == 0 or abs(terms.now_ms - shape.newest_ms) >= terms.quiet_ms


def _newest_ms(shape: Shape, terms: Terms) -> int:
    """When the newest entry was written; as early as it may be where its clock was wrong."""
    if shape.newest_ms <= terms.now_ms or shape.oldest_ms is None:
        return shape.newest_ms
    return shape.oldest_ms


def _until_ms(shape: Shape, terms: Terms) -> int | None:
    kept_ms = (shape.retention or terms.history).milliseconds
    return None if kept_ms is None else terms.now_ms - kept_ms


def _is_due(time_ms: int, shape: Shape, terms: Terms) -> bool:
    """Whether an entry has outstayed its time by more than the slack."""
    kept_ms = (shape.retention or terms.history).milliseconds
    if kept_ms is None:
        return False
    return terms.now_ms - time_ms >= kept_ms + min(kept_ms // 8, SLACK_MS)
