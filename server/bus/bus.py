"""Bus: what carries changes and messages between the instances of one server."""

from contextlib import AbstractAsyncContextManager
from typing import Protocol


class Receiver(Protocol):
    """Who hears what comes from the bus. Nothing here waits or raises."""

    def changed(self, document: str, update: bytes, instance: str) -> None:
        """Another instance has taken in a change, and logs it.

        Changes of one instance come in its order, may come twice, and may be missed: then
        ``missed`` is called.

        Args:
            document: document name.
            update: the change.
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
        failure: why it is cut off from the others, or None while it is not.
    """

    instance: str
    failure: str | None

    def joined(self, receiver: Receiver) -> AbstractAsyncContextManager[None]:
        """Takes part for as long as the context lasts. It does not wait for a bus that is away.

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

    def committed(self, document: str, changes: int) -> None:
        """The store has so many more of the changes, in their order: they need not be kept here."""
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
