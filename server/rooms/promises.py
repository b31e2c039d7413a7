"""Promises: changes that other instances have passed on, and are to make durable."""

import math
from collections import deque
from collections.abc import Sequence

from collab.server.rooms.backlog import Backlog

_UNMARKED_SECONDS = 60.0
"""Changes of an instance that tells no marks: those that are older are durable when it dies, or its
store failed, and the clients that made them still wait for it."""

_KEPT_MAX_BYTES = 4 * 1024 * 1024
"""What is kept of one instance's changes in one document for the case that it dies, the newest of
it; what is not must be looked for in the whole document."""


class Promises:
    """What others have passed on of one document, in the order in which it came.

    Each has a place in that order. An acknowledgement given here waits for all places before it:
    it may be about such a change, or about one that depends on it.

    Args:
        backlog: counts what is kept of those that are waited for.
    """

    __slots__ = ("_backlog", "_given", "_last")

    def __init__(self, backlog: Backlog) -> None:
        self._backlog = backlog
        self._last = 0
        self._given: dict[str, _Given] = {}

    @property
    def newest(self) -> int:
        """Place of the newest one that is not kept yet; 0 where all are."""
        if not self._given:
            return 0
        return max(given.newest for given in self._given.values())

    def kept(self, place: int) -> bool:
        """Whether all up to a place are durable."""
        if not self._given:
            return True
        return all(not given.oldest or given.oldest > place for given in self._given.values())

    def add(self, instance: str, number: int | None, update: bytes, now: float) -> None:
        """Notes a change.

        Args:
            instance: whose.
            number: its number among that one's; None where that one tells no marks.
            update: the change.
            now: seconds on the monotonic clock.
        """
        given = self._given.setdefault(instance, _Given())
        if number is not None:
            if number <= given.durable:
                return
            given.number = max(given.number, number)
        self._last += 1
        before = given.awaited_bytes
        given.add(_Promise(self._last, number, update, now))
        self._backlog.passed_on_bytes += given.awaited_bytes - before

    def mark(self, instance: str, durable: int) -> None:
        """An instance's changes up to a number are durable."""
        given = self._given.setdefault(instance, _Given())
        before = given.awaited_bytes
        given.mark(durable)
        self._backlog.passed_on_bytes -= before - given.awaited_bytes
        if self._backlog.waiting:
            self._backlog.offer()

    def wanted(self) -> Sequence[tuple[str, int]]:
        """The instances that have not kept theirs, and the number of the newest of each."""
        return [(name, given.number) for name, given in self._given.items() if given.newest]

    def durable(self, instance: str) -> int:
        """Number of the last change that an instance has told to be durable."""
        given = self._given.get(instance)
        return given.durable if given is not None else 0

    def number(self, instance: str) -> int:
        """Number of the last change of an instance that came."""
        given = self._given.get(instance)
        return given.number if given is not None else 0

    def left(self, instance: str, now: float) -> "Left":
        """What may not be durable of an instance's changes."""
        given = self._given.get(instance)
        return given.left(now) if given is not None else Left((), whole=False)

    def keep(self, instance: str, place: int) -> None:
        """An instance's changes up to a place are durable: somebody else has logged them."""
        given = self._given.get(instance)
        if given is not None:
            before = given.awaited_bytes
            given.keep(place)
            self._free(before - given.awaited_bytes)

    def all_left(self, now: float) -> "Left":
        """The same of all instances."""
        lefts = [given.left(now) for given in self._given.values()]
        updates = [update for left in lefts for update in left.updates]
        return Left(updates, whole=any(left.whole for left in lefts))

    def forget(self, instance: str) -> None:
        """All of an instance's are durable."""
        given = self._given.pop(instance, None)
        if given is not None:
            self._free(given.awaited_bytes)

    def leave(self) -> None:
        """Nobody waits for them here any more: they are not counted from now on."""
        backlog, self._backlog = self._backlog, Backlog(math.inf)
        backlog.passed_on_bytes -= sum(given.awaited_bytes for given in self._given.values())
        backlog.offer()

    def _free(self, size: int) -> None:
        self._backlog.passed_on_bytes -= size
        if self._backlog.waiting:
            self._backlog.offer()

    @property
    def instances(self) -> Sequence[str]:
        """Those that have not kept theirs."""
        return [name for name, given in self._given.items() if given.newest]


class Left:
    """What an instance has left behind.

    Attributes:
        updates: the changes that may not be durable, in their order.
        whole: whether there are more, which are not known apart any more.
        last: place of the last of them; 0 where they are several instances'.
    """

    __slots__ = ("last", "updates", "whole")

    def __init__(self, updates: Sequence[bytes], *, whole: bool, last: int = 0) -> None:
        self.updates = updates
        self.whole = whole
        self.last = last


class _Promise:
    """A change of another instance.

    Attributes:
        place: when it came.
        number: its number among its instance's, or None.
        update: the change; empty where it is not kept any more.
        came_at: seconds on the monotonic clock.
    """

    __slots__ = ("came_at", "number", "place", "update")

    def __init__(self, place: int, number: int | None, update: bytes, came_at: float) -> None:
        self.place = place
        self.number = number
        self.update = update
        self.came_at = came_at


class _Given:
    """The promises of one instance.

    Attributes:
        number: that of the last change that came.
        durable: that of the last one that is known to be durable.
        awaited_bytes: what is kept of those that have a number.
    """

    __slots__ = (
        "_awaited",
        "_bytes",
        "_promises",
        "_stripped",
        "awaited_bytes",
        "durable",
        "number",
    )

    def __init__(self) -> None:
        self.number = 0
        self.durable = 0
        self._promises: deque[_Promise] = deque()
        self._awaited: deque[int] = deque()  # Places of those that have a number.
        self._stripped = 0
        self._bytes = 0
        self.awaited_bytes = 0

    @property
    def oldest(self) -> int:
        """Place of the oldest that is waited for; 0 where none is."""
        return self._awaited[0] if self._awaited else 0

    @property
    def newest(self) -> int:
        """Place of the newest, likewise."""
        return self._awaited[-1] if self._awaited else 0

    def add(self, promise: _Promise) -> None:
        self._promises.append(promise)
        if promise.number is not None:
            self._awaited.append(promise.place)
            self.awaited_bytes += len(promise.update)
        self._bytes += len(promise.update)
        self._bound(promise.came_at)

    def mark(self, durable: int) -> None:
        self.durable = max(self.durable, durable)
        while self._promises and (self._promises[0].number or 0) <= durable:
            self._drop()

    def keep(self, place: int) -> None:
        while self._promises and self._promises[0].place <= place:
            self._drop()

    def left(self, now: float) -> Left:
        self._bound(now)
        kept = [promise.update for promise in self._promises if promise.update]
        last = self._promises[-1].place if self._promises else 0
        return Left(kept, whole=self._stripped > 0, last=last)

    def _bound(self, now: float) -> None:
        promises = self._promises
        while promises and promises[0].number is None and self._is_old(promises[0], now):
            self._drop()
        while self._bytes > _KEPT_MAX_BYTES:
            stripped = promises[self._stripped]
            self._bytes -= len(stripped.update)
            if stripped.number is not None:
                self.awaited_bytes -= len(stripped.update)
            stripped.update = b""
            self._stripped += 1

    def _is_old(self, promise: _Promise, now: float) -> bool:
        return self._bytes > _KEPT_MAX_BYTES or now - promise.came_at > _UNMARKED_SECONDS

    def _drop(self) -> None:
        dropped = self._promises.popleft()
        if dropped.number is not None:
            self._awaited.popleft()
            self.awaited_bytes -= len(dropped.update)
        self._bytes -= len(dropped.update)
        self._stripped = max(self._stripped - 1, 0)
