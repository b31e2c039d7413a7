"""Numbers: the changes of one document that passed the bus, and which of them are durable."""

from collections import deque
from collections.abc import Sequence

from collab.server.bus.marks import Mark, joined

_WRITES_WITHIN = 20
"""An instance counts as one that writes for so many of this one's changes after its last."""


class Own:
    """A change of this instance that was not durable when it was passed on.

    Attributes:
        number: its number.
        update: the change.
        waited: whether it was looked at before.
        kept: whether it was to be put into the stream.
        id: its id there, once that is known.
        committed: whether it is durable.
    """

    __slots__ = ("committed", "id", "kept", "number", "update", "waited")

    def __init__(self, number: int, update: bytes) -> None:
        self.number = number
        self.update = update
        self.waited = False
        self.kept = False
        self.id: bytes | None = None
        self.committed = False


class Numbers:
    """What is known of the changes of one document.

    Attributes:
        passed_on: how many this instance has passed on.
        askers: the instances that wait for a mark, and the number it is to reach.
    """

    def __init__(self) -> None:
        self.passed_on = 0
        self.askers: dict[str, int] = {}
        self._heard: dict[str, tuple[int, int]] = {}
        self._newest: dict[str, int] = {}
        self._writers: dict[str, int] = {}
        self._marks: dict[str, bytes] = {}
        self._uncommitted: deque[Own] = deque()
        self._told = 0
        self._untold: list[range] = []
        self._mark: Mark | None = None
        self._rested = False
        self._withheld: int | None = None

    @property
    def durable(self) -> bool:
        """Whether all changes of this instance are."""
        return not self._uncommitted

    @property
    def marked(self) -> bool:
        """Whether the others were told of all of them that are durable."""
        return self._told == self._durable

    @property
    def _durable(self) -> int:
        return self._uncommitted[0].number - 1 if self._uncommitted else self.passed_on

    # What others say.

    def restarts(self, instance: str, number: int) -> bool:
        """Whether an instance has opened the document anew since its last change.

        Args:
            instance: which.
            number: that of its change now.
        """
        newest = self._newest.get(instance, 0)
        self._newest[instance] = number
        if number > newest:
            return False
        self._marks.pop(instance, None)
        return True

    def follows(self, instance: str, number: int) -> bool:
        """Notes a change of another instance; tells whether it comes next after what was heard.

        So does the first that is heard, and the first after that instance opened it anew.
        """
        first, last = self._heard.get(instance, (number, number - 1))
        follows = number in (1, last + 1)
        # What is durable of those before a gap is not known here before they are made good.
        self._heard[instance] = (first if number == last + 1 else number, number)
        return follows

    def knows(self, instance: str, mark: Mark) -> bool:
        """Whether everything that a mark is news of was heard here."""
        first, last = self._heard.get(instance, (0, -1))
        return first <= mark.since + 1 and mark.durable <= last

    def note_mark(self, instance: str, mark: bytes) -> None:
        """What a mark tells is known here.

        Args:
            instance: whose.
            mark: encoded.
        """
        self._marks[instance] = mark

    def is_known(self, instance: str, mark: bytes) -> bool:
        """Whether a mark tells what the one before has told."""
        return self._marks.get(instance) == mark

    def note_writer(self, instance: str) -> None:
        """Another instance takes in changes as well: what it acknowledges may wait for marks."""
        self._writers[instance] = self.passed_on

    def forget(self) -> None:
        """What was heard last is not what was said last."""
        self._heard.clear()

    # What this instance says.

    def begin_own(self, update: bytes) -> int:
        """Notes a change of this instance; returns its number."""
        self.passed_on += 1
        self._uncommitted.append(Own(self.passed_on, update))
        self._rested = False
        return self.passed_on

    def commit_own(self, seqs: Sequence[range]) -> Sequence[bytes]:
        """The oldest of them are durable.

        Args:
            seqs: the seqs of each of them.

        Returns:
            The ids of those in the stream.
        """
        kept = []
        for each in seqs:
            if not self._uncommitted:
                break
            own = self._uncommitted.popleft()
            own.committed = True
            self._untold.append(each)
            self._mark = None
            if own.id is not None:
                kept.append(own.id)
        return kept

    def take_mark(self) -> Mark:
        """What the others were not told of yet; from now on they were."""
        mark = self._untold_mark
        self._told = mark.durable
        self._untold = []
        self._mark = None
        return mark

    def mark(self, number: int) -> Mark:
        """The same for one that wants to know about a number; the others are still to be told."""
        if not self.passed_on:  # Of an earlier opening: all of those are durable.
            return Mark(number, number)
        return self._untold_mark

    @property
    def _untold_mark(self) -> Mark:
        """It is told to some before all others are told: both times it is encoded once."""
        if self._mark is None:
            self._mark = Mark(self._durable, self._told, joined(self._untold))
        return self._mark

    def take_rest(self) -> int | None:
        """Numbers a change that is none, for a mark that nothing else carries.

        Returns:
            Its number; None where it was not quiet since the last look, or there is no need.
        """
        rested, self._rested = self._rested, True
        if not rested or self._uncommitted or self.marked:
            return None
        self.passed_on += 1
        self._mark = None
        return self.passed_on

    def withhold(self) -> None:
        """Something was not passed on: when all until now is durable others are to read it."""
        self._withheld = self.passed_on

    def take_gap(self) -> Sequence[int]:
        """Numbers two changes that are none and do not follow each other, for others to read.

        Returns:
            Their numbers; nothing where nothing was withheld, or it is not durable yet.
        """
        if self._withheld is None or self._durable < self._withheld:
            return ()
        self._withheld = None
        self.passed_on += 3
        self._mark = None
        return (self.passed_on - 2, self.passed_on)

    def take_late(self) -> Sequence[Own]:
        """Those that the last look has found already, each once."""
        late = [own for own in self._uncommitted if own.waited and not own.kept]
        for own in late:
            own.kept = True
        for own in self._uncommitted:
            own.waited = True
        return late

    def keep_again(self) -> None:
        """What is not known to be in the stream may have been lost on its way there."""
        for own in self._uncommitted:
            own.kept = own.id is not None

    def reaches(self, number: int) -> bool:
        """Whether a change of this instance is durable; those of an earlier opening all are."""
        return number <= self._durable or not self.passed_on

    def take_answered(self) -> Sequence[tuple[str, int]]:
        """The instances whose wait for a mark is over, each once, with the number they wanted."""
        over = [(asker, number) for asker, number in self.askers.items() if self.reaches(number)]
        for asker, _ in over:
            del self.askers[asker]
        return over

    def writers(self) -> Sequence[str]:
        """The other instances that write: what they acknowledge waits for marks."""
        since = self.passed_on - _WRITES_WITHIN
        self._writers = {instance: at for instance, at in self._writers.items() if at >= since}
        return tuple(self._writers)
