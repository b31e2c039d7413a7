"""Questions: which changes of other instances this one waits for to be durable."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

_AGAIN_SECONDS = 1.0
"""When a question that was not answered is asked again: the answer may have been lost."""


class Due(NamedTuple):
    """A question that is to be asked now.

    Attributes:
        document: about which document.
        number: up to which change.
        again: whether it was asked before.
    """

    document: str
    number: int
    again: bool


class Questions:
    """What is to be asked of whom. Between two looks most of it is answered unasked."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, str], _Question] = {}

    def __bool__(self) -> bool:
        return bool(self._open)

    def add(self, document: str, instance: str, number: int) -> None:
        """Wants to know when an instance's changes of a document are durable up to a number."""
        question = self._open.setdefault((document, instance), _Question(number))
        question.newest = max(question.newest, number)

    def answer(self, document: str, instance: str, durable: int) -> None:
        """They are durable up to this number."""
        question = self._open.get((document, instance))
        if question is None:
            return
        if durable >= question.newest:
            del self._open[document, instance]
        elif durable >= question.number:
            question.begin()

    def forget(self, document: str, instance: str) -> None:
        """All of an instance's changes of a document are durable."""
        self._open.pop((document, instance), None)

    def forget_instance(self, instance: str) -> None:
        """It does not answer any more."""
        self._open = {key: each for key, each in self._open.items() if key[1] != instance}

    def forget_document(self, document: str) -> None:
        """Nobody waits any more."""
        self._open = {key: each for key, each in self._open.items() if key[0] != document}

    def take_due(self, now: float) -> Mapping[str, Sequence[Due]]:
        """What the last look has found already, and is not asked.

        Args:
            now: seconds on the monotonic clock.

        Returns:
            What is to be asked, by instance.
        """
        due: dict[str, list[Due]] = {}
        for (document, instance), question in self._open.items():
            if question.seen and question.again_at <= now:
                again = question.again_at > 0
                question.again_at = now + _AGAIN_SECONDS
                due.setdefault(instance, []).append(Due(document, question.number, again))
            question.seen = True
        return due


class _Question:
    """A question; what came up after it was noted is the next one.

    Attributes:
        number: what is asked for.
        newest: what is to be known in the end.
        seen: whether a look has found it.
        again_at: when it is to be asked next.
    """

    __slots__ = ("again_at", "newest", "number", "seen")

    def __init__(self, number: int) -> None:
        self.newest = number
        self.begin()

    def begin(self) -> None:
        """Asks for the newest."""
        self.number = self.newest
        self.seen = False
        self.again_at = 0.0
