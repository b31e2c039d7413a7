"""Relay: what ties one room to the rooms of the same document on other instances."""

import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

import anyio

from collab import relay
from collab.access import ANYONE, Access
from collab.close import CloseCode
from collab.errors import CollabError, ProtocolError, ServerBusy
from collab.presence import Elsewhere, Present
from collab.protocol.messages import EMPTY_UPDATE
from collab.server.bus.bus import Bus
from collab.server.rooms.member import Batch, Member
from collab.session import Session

if TYPE_CHECKING:
    from collab.server.rooms.room import Room

logger = logging.getLogger("collab")

_EARLY_MAX_BYTES = 16 * 1024 * 1024
"""What may come while a document is loading; beyond it, the others are asked for it afterwards."""

_UNCOMMITTED_SECONDS = 60.0
"""Changes of an instance that are older than that when it dies are durable: or its store failed,
and the clients that made them still wait for it."""

_UNCOMMITTED_MAX_BYTES = 4 * 1024 * 1024
"""What is kept of one instance's changes in one document for that case, the newest of it."""

_TURN_SECONDS = 0.5
"""Survivors look after what a dead instance left one after the other: who comes next finds in the
store what the one before has logged."""


class Relay:
    """Passes a room's changes, presence and messages on, and takes in the others'.

    What others have taken in, they log; this side does where they die before they have. In the room
    it is a source like a member, without a connection: ``seat``.

    Args:
        name: document name.
        bus: what carries it.

    Attributes:
        seat: whose changes these are, in the room.
    """

    def __init__(self, name: str, bus: Bus) -> None:
        self.seat = Member(_Nowhere(), Session(ANYONE, Access.WRITE))
        self._name = name
        self._bus = bus
        self._room: Room | None = None
        self._early: list[Callable[[], None]] = []
        self._early_bytes = 0
        self._uncommitted: deque[Batch] = deque()
        self._passed_on: dict[str, _PassedOn] = {}
        self._returns = False

    def enter(self, room: "Room") -> None:
        """The room is loaded: it gets what came meanwhile, and asks for what did not."""
        self._room = room
        early, self._early = self._early, []
        for call in early:
            call()
        self._ask()

    # What goes out.

    def change(self, update: bytes, batch: Batch) -> None:
        """Passes on a change that this instance logs.

        Args:
            update: the change.
            batch: what it is logged with.
        """
        self._bus.change(self._name, update)
        self._uncommitted.append(batch)

    def committed(self) -> None:
        """Batches have become durable: others can read them from the store from now on."""
        changes = 0
        while self._uncommitted and self._uncommitted[0].durable:
            self._uncommitted.popleft()
            changes += 1
        if changes:
            self._bus.committed(self._name, changes)

    def show(self, clients: Sequence[Present]) -> None:
        """Passes on presence of clients that are, or were, connected here."""
        if clients:
            self._say(relay.Shown(clients))

    def tell(self, text: str, to: str | None, sender: str | None) -> None:
        """Passes on what an application says."""
        self._say(relay.Told(text, to, sender))

    def end(self) -> None:
        """Says that the document is to be opened anew."""
        self._say(relay.Ended())

    # What comes in.

    def changed(self, update: bytes, instance: str) -> None:
        """Another instance has taken in a change."""
        room = self._room
        if room is None:
            self._wait(partial(self.changed, update, instance), len(update))
            return
        self._note(update, instance)
        room.content.take_relayed(update)

    def heard(self, frame: bytes, instance: str) -> None:
        """Another instance says something."""
        room = self._room
        if room is None:
            self._wait(partial(self.heard, frame, instance), len(frame))
            return
        try:
            self._take(room, relay.decode(frame), instance)
        except ProtocolError as error:  # An instance of another release.
            logger.error("what instance %s says of %r: %s", instance, self._name, error)

    def missed(self) -> None:
        """Something may have been missed, in either direction: both are made good."""
        self._returns = True
        if self._room is not None:
            self._room.content.read_back()
            self._ask()

    def left(self, instance: str) -> None:
        """Another instance has left, after its last commit."""
        if self._room is not None:
            self._room.forget_instance(instance)
            self._passed_on.pop(instance, None)

    def died(self, instance: str, *, turn: int) -> None:
        """Another instance is gone without a word; see ``Receiver.died``."""
        room = self._room
        if room is None:
            return
        room.forget_instance(instance)
        passed_on = self._passed_on.pop(instance, None)
        if passed_on is not None and (updates := passed_on.since(time.monotonic())):
            room.spawn(partial(self._secure, room, updates, turn))

    def _take(self, room: "Room", message: relay.RelayMessage, instance: str) -> None:
        if isinstance(message, relay.Shown):
            self._show(room, message.clients, instance)
        elif isinstance(message, relay.Told):
            room.messaging.hear(message.text, message.to, message.sender)
        elif isinstance(message, relay.Asked):
            self._show(room, message.clients, instance)
            room.content.flush()
            lacks = room.document.diff(message.state_vector)
            known = room.document.state_vector
            answer = relay.Answered(lacks, known, room.presence.own())
            self._say(answer, to=instance)
        elif isinstance(message, relay.Answered):
            self._show(room, message.clients, instance)
            if message.update != EMPTY_UPDATE:
                self._note(message.update, instance)
                room.content.integrate_relayed(message.update)
            if message.state_vector is not None and self._returns:
                back = room.document.diff(message.state_vector)
                if back != EMPTY_UPDATE:
                    self._say(relay.Answered(back, None, ()), to=instance)
        elif isinstance(message, relay.Ended):
            room.reopen()

    def _show(self, room: "Room", clients: Sequence[Present], instance: str) -> None:
        unseen = room.show_relayed(clients, Elsewhere(instance))
        if unseen:
            self._say(relay.Shown(unseen), to=instance)

    def _ask(self) -> None:
        room = self._room
        assert room is not None
        room.content.flush()
        self._say(relay.Asked(room.document.state_vector, room.presence.own()))

    def _say(self, message: relay.RelayMessage, to: str | None = None) -> None:
        self._bus.say(self._name, relay.encode(message), to=to)

    def _wait(self, call: Callable[[], None], size: int) -> None:
        if self._early_bytes + size <= _EARLY_MAX_BYTES:
            self._early.append(call)
            self._early_bytes += size

    def _note(self, update: bytes, instance: str) -> None:
        """Keeps a change for the case that its instance dies before it is durable."""
        passed_on = self._passed_on.setdefault(instance, _PassedOn())
        passed_on.add(update, time.monotonic())

    async def _secure(self, room: "Room", updates: Sequence[bytes], turn: int) -> None:
        """Logs what a dead instance has passed on and not committed, unless another one has."""
        await anyio.sleep(turn * _TURN_SECONDS)
        try:
            await room.content.secure(updates)
        except CollabError as error:
            logger.error("looking after what an instance left of %r: %s", self._name, error)
            if isinstance(error, ServerBusy):
                room.spawn(partial(self._secure, room, updates, turn + 1))


class _PassedOn:
    """The changes of another instance that may not be durable yet."""

    __slots__ = ("_bytes", "_updates")

    def __init__(self) -> None:
        self._updates: deque[tuple[float, bytes]] = deque()
        self._bytes = 0

    def add(self, update: bytes, now: float) -> None:
        """Keeps one more."""
        self._updates.append((now, update))
        self._bytes += len(update)
        self._forget(now)

    def since(self, now: float) -> Sequence[bytes]:
        """Those that are not too old."""
        self._forget(now)
        return [update for _, update in self._updates]

    def _forget(self, now: float) -> None:
        updates = self._updates
        while updates and (
            self._bytes > _UNCOMMITTED_MAX_BYTES or now - updates[0][0] > _UNCOMMITTED_SECONDS
        ):
            self._bytes -= len(updates.popleft()[1])


class _Nowhere:
    """The connection of whoever has none: the others hear of changes by the bus."""

    def __init__(self) -> None:
        self.heard = True
        self.told = True
        self.send_seconds = 0.0
        self.queued_bytes = 0

    def send(self, frame: bytes) -> None:
        """Nobody is there."""

    def close(self, code: CloseCode, reason: str = "") -> None:
        """Likewise."""

    def abort(self) -> None:
        """Likewise."""

    def pause_reading(self) -> None:
        """The bus is read from whatever happens: what it brings is logged elsewhere."""

    def resume_reading(self) -> None:
        """See ``pause_reading``."""

    def probe(self) -> bool:
        return True
