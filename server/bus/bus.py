"""Bus: what carries changes and messages between the instances of one server."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from collab.server.bus.marks import Mark


class Receiver(Protocol):
    """Who hears what comes from the bus. Nothing here waits or raises."""

    def changed(self, document: str, update: bytes, instance: str, number: int | None) -> None:
        """Another instance has taken in a change, and logs it.

        Changes of one instance come in its order, may come twice, and may be missed: then
        ``missed`` is called.

        Args:
            document: document name.
            update: the change.
            instance: whose.
            number: its number among that one's changes of the document, from 1 each time it opens
                it; None where that one does not say which of them are durable.
        """
        ...

    def reopened(self, document: str, instance: str) -> None:
        """Another instance has opened the document anew: what it passed on before is durable."""
        ...

    def marked(self, document: str, mark: Mark, instance: str) -> None:
        """Changes of another instance are durable.

        It comes after those changes, and may be missed: the next one tells more.

        Args:
            document: document name.
            mark: which; without seqs where some of those changes were not heard here.
            instance: whose.
        """
        ...

    def heard(self, document: str, frame: bytes, instance: str) -> None:
        """Another instance says something; ``collab.relay`` reads it."""
        ...

    def missed(self, document: str) -> None:
        """Something may have been missed, in either direction."""
        ...

    def announced(self, frame: bytes, instance: str) -> None:
        """Another instance says something that is about no document; ``collab.relay`` reads it."""
        ...

    def unanswered(self, document: str, instance: str) -> None:
        """Another instance does not tell what is wanted, for a second or longer; see ``want``."""
        ...

    def cut_off(self) -> None:
        """The others cannot be heard any more, until ``returned``."""
        ...

    def returned(self) -> None:
        """The others can be heard, from now on or again."""
        ...

    def left(self, instance: str) -> None:
        """Another instance is not there any more; it said so, after its last commit."""
        ...

    def died(self, instance: str, *, turn: int) -> None:
        """Another instance is not there any more, and did not say so.

        Args:
            instance: which.
            turn: when it is this one's turn to look after what that one left: each of those that
                are still there has a turn of its own, from 0.
        """
        ...


class Bus(Protocol):
    """Carries what instances tell each other. What it cannot carry now it drops.

    Only documents that are subscribed to are heard of. After it was cut off it has ``missed``
    called for each of them.

    Attributes:
        instance: id of this instance, another one each time.
    """

    instance: str

    @property
    def failure(self) -> str | None:
        """Why it is cut off from the others, or None while it is not."""
        ...

    def joined(self, receiver: Receiver) -> AbstractAsyncContextManager[None]:
        """Takes part for as long as the context lasts. It does not wait for a bus that is away.

        It leaves without a word where changes that it has passed on are not durable: the others
        find that it has died, and log them.

        Raises:
            SettingsError: on entering: this bus cannot work here.
        """
        ...

    async def subscribe(self, document: str) -> None:
        """Hears of a document from here on: whatever is said after this returned.

        It returns at once while it is cut off, and has ``missed`` called later.
        """
        ...

    def unsubscribe(self, document: str) -> None:
        """Hears of it no more."""
        ...

    def change(self, document: str, update: bytes) -> None:
        """Tells all others of a change, and those that come before it is durable."""
        ...

    def committed(self, document: str, seqs: Sequence[range]) -> None:
        """The store has more of the changes, the oldest first: they need not be kept here.

        The others are told with the next change, when the document comes to rest, or when they
        want to know.

        Args:
            document: document name.
            seqs: for each of those changes, the seqs of its entries in the log.
        """
        ...

    def want(self, document: str, instance: str, number: int) -> None:
        """Has another instance tell when its changes up to a number are durable.

        ``Receiver.marked`` is called in the end, unless that instance leaves or dies, and
        ``Receiver.unanswered`` while that takes long. What a change says meanwhile needs no
        question.
        """
        ...

    def passed_on(self, document: str) -> int:
        """Number of the last change that this instance has passed on; 0 where there is none."""
        ...

    def announce(self, frame: bytes) -> None:
        """Tells all others something that is about no document; see ``collab.relay``."""
        ...

    def say(self, document: str, frame: bytes, *, to: str | None = None) -> None:
        """Tells all others something, or one of them.

        Args:
            document: document name.
            frame: what; see ``collab.relay``.
            to: id of the instance that alone is to hear it.
        """
        ...
