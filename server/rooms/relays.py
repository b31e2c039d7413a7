"""Relays: the ties of all rooms of this instance to the bus."""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from collab import relay
from collab.errors import ProtocolError
from collab.revocation import Revoked
from collab.server.bus.bus import Bus
from collab.server.bus.marks import Mark
from collab.server.rooms.backlog import Backlog
from collab.server.rooms.relay import Relay

logger = logging.getLogger("collab")


class Relays:
    """Gives each room its relay, and each relay what the bus brings for it.

    Args:
        bus: the bus.
    """

    def __init__(self, bus: Bus) -> None:
        self._bus = bus
        self._relays: dict[str, Relay] = {}
        self._revoked: Callable[[Revoked], object] | None = None
        self._returned: Callable[[], None] | None = None

    @property
    def instance(self) -> str:
        """This instance's name on the bus."""
        return self._bus.instance

    @property
    def failure(self) -> str | None:
        """Why this instance is cut off from the others, or None."""
        return self._bus.failure

    @asynccontextmanager
    async def joined(self) -> AsyncIterator[None]:
        """Takes part for as long as the context lasts."""
        async with self._bus.joined(self):
            yield

    async def open(self, document: str, backlog: Backlog) -> Relay:
        """Makes a room's relay before its log is read: nothing between the two is lost.

        Args:
            document: document name.
            backlog: counts what others have passed on and not logged.
        """
        made = self._relays[document] = Relay(document, self._bus, backlog)
        try:
            await self._bus.subscribe(document)
        except BaseException:
            self.close(document, made)
            raise
        return made

    def close(self, document: str, closed: Relay) -> None:
        """The room is unloaded, or could not be loaded."""
        closed.promises.leave()
        if self._relays.get(document) is closed:
            del self._relays[document]
            self._bus.unsubscribe(document)

    def want(self) -> None:
        """Somebody waits until what others have passed on is durable, of whichever document."""
        for tie in tuple(self._relays.values()):
            tie.want()

    def end(self, document: str) -> None:
        """Has other instances open a document anew, which may not be open here."""
        self._bus.say(document, relay.encode(relay.Ended()))

    def tell(self, document: str, text: str, to: str | None, sender: str | None) -> None:
        """Passes on what an application says in a document that is not open here."""
        self._bus.say(document, relay.encode(relay.Told(text, to, sender)))

    def announce(self, revoked: Revoked) -> None:
        """Passes on whose tokens are refused from now on."""
        self._bus.announce(relay.encode(revoked))

    def follow(self, revoked: Callable[[Revoked], object], returned: Callable[[], None]) -> None:
        """Says who hears what is about no document.

        Args:
            revoked: called when another instance refuses tokens.
            returned: called when the others can be heard again, and may have said something.
        """
        self._revoked, self._returned = revoked, returned

    # What the bus calls.

    def changed(self, document: str, update: bytes, instance: str, number: int | None) -> None:
        """See ``Receiver``, and so for those below."""
        self._call(document, lambda tie: tie.changed(update, instance, number))

    def reopened(self, document: str, instance: str) -> None:
        """Likewise."""
        self._call(document, lambda tie: tie.reopened(instance))

    def marked(self, document: str, mark: Mark, instance: str) -> None:
        """Likewise."""
        self._call(document, lambda tie: tie.marked(mark, instance))

    def heard(self, document: str, frame: bytes, instance: str) -> None:
        """Likewise."""
        self._call(document, lambda tie: tie.heard(frame, instance))

    def missed(self, document: str) -> None:
        """Likewise."""
        self._call(document, lambda tie: tie.missed())

    def announced(self, frame: bytes, instance: str) -> None:
        """Likewise."""
        try:
            message = relay.decode(frame)
        except ProtocolError as error:  # An instance of another release.
            logger.error("what instance %s says: %s", instance, error)
            return
        if isinstance(message, Revoked) and self._revoked is not None:
            self._revoked(message)

    def unanswered(self, document: str, instance: str) -> None:
        """Likewise."""
        self._call(document, lambda tie: tie.unanswered(instance))

    def cut_off(self) -> None:
        """Likewise."""
        for document in tuple(self._relays):
            self._call(document, Relay.cut_off)

    def returned(self) -> None:
        """Likewise."""
        if self._returned is not None:
            self._returned()

    def left(self, instance: str) -> None:
        """Likewise."""
        for document in tuple(self._relays):
            self._call(document, lambda tie: tie.left(instance))

    def died(self, instance: str, *, turn: int) -> None:
        """Likewise."""
        for document in tuple(self._relays):
            self._call(document, lambda tie: tie.died(instance, turn=turn))

    def _call(self, document: str, call: Callable[[Relay], None]) -> None:
        """One room's fault must not end the others' bus."""
        tie = self._relays.get(document)
        if tie is not None:
            try:
                call(tie)
            except Exception:
                logger.exception("taking in what the bus brings of %r failed", document)
