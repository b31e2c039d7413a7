"""The bus between apps in one process: for several apps side by side, and for tests."""

import secrets
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial

import anyio

from collab.server.bus.bus import Receiver
from collab.server.bus.marks import Mark
from collab.server.bus.numbers import Numbers
from collab.server.tasks import spawner


class Exchange:
    """Where the buses of one process meet, all on one event loop."""

    def __init__(self) -> None:
        self.buses: dict[str, InProcessBus] = {}

    def bus(self) -> "InProcessBus":
        """Makes the bus of one more app."""
        return InProcessBus(self)


class InProcessBus:
    """A bus that calls the others' receivers, each from a task of their own. Nothing is lost.

    What waits is bounded by what the loop takes in before it turns.

    Args:
        exchange: where the others are.
    """

    def __init__(self, exchange: Exchange) -> None:
        self.instance = secrets.token_hex(8)
        self.failure: str | None = None
        self._exchange = exchange
        self._documents: set[str] = set()
        self._inbox: deque[Callable[[], None]] = deque()
        self._wake = anyio.Event()
        self._receiver: Receiver | None = None
        self._numbers: dict[str, Numbers] = {}

    @asynccontextmanager
    async def joined(self, receiver: Receiver) -> AsyncIterator[None]:
        """Takes part for as long as the context lasts."""
        self._receiver = receiver
        async with anyio.create_task_group() as tasks:
            spawner(tasks)(self._deliver)
            self._exchange.buses[self.instance] = self
            try:
                yield
            finally:
                del self._exchange.buses[self.instance]
                durable = all(numbers.durable for numbers in self._numbers.values())
                for turn, other in enumerate(self._exchange.buses.values()):
                    if durable:
                        other.put(other.take_leave, self.instance)
                    else:
                        other.put(other.take_death, self.instance, turn)
                tasks.cancel_scope.cancel()

    async def subscribe(self, document: str) -> None:
        """Hears of a document from here on."""
        self._documents.add(document)
        self._numbers[document] = Numbers()

    def unsubscribe(self, document: str) -> None:
        """Hears of it no more."""
        self._documents.discard(document)
        self._numbers.pop(document, None)

    def change(self, document: str, update: bytes) -> None:
        """Tells all others of a change."""
        numbers = self._numbers.get(document)
        if numbers is None:
            return
        number = numbers.begin_own(update)
        for other in self._others(document):
            other.put(other.take_change, document, update, self.instance, number)

    def committed(self, document: str, seqs: Sequence[range]) -> None:
        """Tells all others at once: nothing is asked for here."""
        numbers = self._numbers.get(document)
        if numbers is None:
            return
        numbers.commit_own(seqs)
        mark = numbers.take_mark()
        for other in self._others(document):
            other.put(other.take_mark, document, mark, self.instance)

    def want(self, document: str, instance: str, number: int) -> None:
        """Asks at once: who comes later has missed what was told."""
        other = self._exchange.buses.get(instance)
        if other is not None:
            other.put(other.take_question, document, number, self)

    def passed_on(self, document: str) -> int:
        """Number of the last change that this instance has passed on."""
        numbers = self._numbers.get(document)
        return numbers.passed_on if numbers is not None else 0

    def announce(self, frame: bytes) -> None:
        """Tells all others something that is about no document."""
        for other in self._exchange.buses.values():
            if other is not self:
                other.put(other.take_announcement, frame, self.instance)

    def say(self, document: str, frame: bytes, *, to: str | None = None) -> None:
        """Tells all others something, or one of them."""
        for other in self._others(document):
            if to in (None, other.instance):
                other.put(other.take_frame, document, frame, self.instance)

    def put(self, call: Callable[..., None], *arguments: object) -> None:
        """Has something done when it is this bus's turn."""
        self._inbox.append(partial(call, *arguments))
        self._wake.set()

    def take_change(self, document: str, update: bytes, instance: str, number: int) -> None:
        """Passes a change on."""
        numbers = self._numbers.get(document)
        if self._receiver is not None and numbers is not None:
            if numbers.restarts(instance, number):
                self._receiver.reopened(document, instance)
            numbers.follows(instance, number)
            self._receiver.changed(document, update, instance, number)

    def take_mark(self, document: str, mark: Mark, instance: str) -> None:
        """Passes on what is durable."""
        numbers = self._numbers.get(document)
        if self._receiver is not None and numbers is not None:
            known = numbers.knows(instance, mark)
            told = mark if known else Mark(mark.durable, mark.durable)
            self._receiver.marked(document, told, instance)

    def take_question(self, document: str, number: int, asker: "InProcessBus") -> None:
        """Tells what is durable already; what is not will be told in any case."""
        numbers = self._numbers.get(document)
        if numbers is None or numbers.reaches(number):
            asker.put(asker.take_mark, document, Mark(number, number), self.instance)

    def take_frame(self, document: str, frame: bytes, instance: str) -> None:
        """Passes on what was said."""
        if self._receiver is not None:
            self._receiver.heard(document, frame, instance)

    def take_announcement(self, frame: bytes, instance: str) -> None:
        """Passes on what is about no document."""
        if self._receiver is not None:
            self._receiver.announced(frame, instance)

    def take_leave(self, instance: str) -> None:
        """Passes on that another one has left."""
        if self._receiver is not None:
            self._receiver.left(instance)

    def take_death(self, instance: str, turn: int) -> None:
        """Passes on that another one is gone before its last commit."""
        if self._receiver is not None:
            self._receiver.died(instance, turn=turn)

    def _others(self, document: str) -> list["InProcessBus"]:
        buses = self._exchange.buses.values()
        return [bus for bus in buses if bus is not self and document in bus._documents]

    async def _deliver(self) -> None:
        while True:
            while self._inbox:
                self._inbox.popleft()()
            self._wake = anyio.Event()
            await self._wake.wait()
