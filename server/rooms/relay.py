"""Relay: what ties one room to the rooms of the same document on other instances."""

import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial

import anyio

from collab import relay
from collab.access import ANYONE, Access
from collab.errors import CollabError, DocumentDeleted, PoisonedUpdate, ProtocolError
from collab.presence import Elsewhere, Present
from collab.protocol.messages import EMPTY_UPDATE
from collab.server.bus.bus import Bus
from collab.server.bus.marks import Mark
from collab.server.connection import Nowhere
from collab.server.failures import unforeseen
from collab.server.rooms.backlog import Backlog
from collab.server.rooms.member import Batch, Member
from collab.server.rooms.promises import Promises
from collab.server.rooms.tied import TiedRoom
from collab.session import Session

logger = logging.getLogger("collab")

_EARLY_MAX_BYTES = 16 * 1024 * 1024
"""What may come while a document is loading; beyond it, the others are asked for it afterwards."""

_CUT_OFF_SECONDS = 1.0
"""How long an instance that hears nobody any more leaves the others to commit what they passed on;
and how long one that could not look waits before it does so again."""

_TURN_SECONDS = 3.0
"""Survivors look after what a dead instance left one after the other: who comes next finds in the
store what the one before has logged. They may notice its death two seconds apart, a heartbeat."""


class Relay:
    """Passes a room's changes, presence and messages on, and takes in the others'.

    What others have taken in, they log, and acknowledgements that depend on it wait until they say
    so; this side logs it where they die before they have, or cannot be heard. In the room it is a
    source like a member, without a connection: ``seat``.

    Args:
        name: document name.
        bus: what carries it.
        backlog: counts what others have passed on and not logged.

    Attributes:
        seat: whose changes these are, in the room.
        promises: what others have taken in, and may not have logged yet.
    """

    def __init__(self, name: str, bus: Bus, backlog: Backlog) -> None:
        self.seat = Member(Nowhere(), Session(ANYONE, Access.WRITE))
        self._name = name
        self._bus = bus
        self._room: TiedRoom | None = None
        self._early: list[Callable[[], None]] = []
        self._early_bytes = 0
        self._uncommitted: deque[Batch] = deque()
        self._backlog = backlog
        self.promises = Promises(backlog)
        self._passed_on: dict[str, int] = {}
        self._wanted = 0
        self._securing: dict[str, int] = {}  # With what each had told when it was last heard of.
        self._looking_up: set[str] = set()
        self._asks = False
        self._unanswered: dict[tuple[str, type], relay.Asked | relay.Answered] = {}
        self._returns = False

    def enter(self, room: TiedRoom) -> None:
        """The room is loaded: it gets what came meanwhile, and asks for what did not."""
        self._room = room
        early, self._early = self._early, []
        for call in early:
            call()
        self.ask()

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
        """Batches are committed: others can read them from the store from now on."""
        seqs = []
        while self._uncommitted and self._uncommitted[0].committed:
            seqs.append(self._uncommitted.popleft().seqs)
        if seqs:
            self._bus.committed(self._name, seqs)

    def want(self) -> None:
        """Somebody waits until all that others have passed on so far is durable."""
        newest = self.promises.newest
        if newest <= self._wanted:
            return
        self._wanted = newest
        if self._bus.failure is not None:
            self.cut_off()
            return
        for instance, number in self.promises.wanted():
            self._bus.want(self._name, instance, number)

    def ask(self) -> None:
        """Asks the others for what the document lacks."""
        room = self._room
        assert room is not None
        room.content.flush()
        if self._asks:
            return  # It waits already.
        if room.content.postpone(self._ask_later):
            self._asks = True
            return
        self._say(relay.Asked(room.document.state_vector, room.presence.own()))

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

    def changed(self, update: bytes, instance: str, number: int | None) -> None:
        """Another instance has taken in a change."""
        room = self._room
        if room is None:
            self._wait(partial(self.changed, update, instance, number), len(update))
            return
        self.promises.add(instance, number, update, time.monotonic())
        if self._backlog.waiting:
            self.want()
        room.remote.take(update, promised=number is not None)

    def reopened(self, instance: str) -> None:
        """Another instance has opened the document anew."""
        if self._room is None:
            self._wait(partial(self.reopened, instance), 0)
        else:
            self._keep(self._room, instance)

    def marked(self, mark: Mark, instance: str) -> None:
        """Changes of another instance are durable."""
        room = self._room
        if room is None:
            # Some of them may not be waiting here, for want of space.
            self._wait(partial(self.marked, Mark(mark.durable, mark.durable), instance), 0)
            return
        self.promises.mark(instance, mark.durable)
        room.remote.mark(mark.seqs)

    def heard(self, frame: bytes, instance: str) -> None:
        """Another instance says something."""
        room = self._room
        if room is None:
            self._wait(partial(self.heard, frame, instance), len(frame))
            return
        try:
            self._take(room, relay.decode(frame), instance)
        except ProtocolError as error:
            self._complain(error, instance)

    def missed(self) -> None:
        """Something may have been missed, in either direction: both are made good."""
        self._returns = True
        if self._room is not None:
            self._room.remote.read_back()
            self.ask()

    def unanswered(self, instance: str) -> None:
        """Another instance does not say what is durable: perhaps it died when all of it was."""
        room = self._room
        if room is not None and instance not in self._looking_up:
            self._looking_up.add(instance)
            room.spawn(partial(self._look_up, room, instance))

    def cut_off(self) -> None:
        """Nobody can be heard any more: who waits for the others' changes waits for this side."""
        room = self._room
        if room is not None and not self.promises.kept(self._wanted):
            for instance in self.promises.instances:
                self._look_after(room, instance, _CUT_OFF_SECONDS)

    def left(self, instance: str) -> None:
        """Another instance has left, after its last commit."""
        room = self._room
        if room is None:
            self._wait(partial(self.left, instance), 0)
            return
        room.forget_instance(instance)
        self._keep(room, instance)

    def died(self, instance: str, *, turn: int) -> None:
        """Another instance is gone without a word; see ``Receiver.died``."""
        room = self._room
        if room is None:
            self._wait(partial(self.died, instance, turn=turn), 0)
            return
        room.forget_instance(instance)
        self._look_after(room, instance, turn * _TURN_SECONDS)

    def _take(self, room: TiedRoom, message: relay.RelayMessage, instance: str) -> None:
        if isinstance(message, relay.Shown):
            self._show(room, message.clients, instance)
        elif isinstance(message, relay.Told):
            room.messaging.hear(message.text, message.to, message.sender)
        elif isinstance(message, relay.Asked):
            self._show(room, message.clients, instance)
            self._answer(room, message, instance)
        elif isinstance(message, relay.PassedOn):
            self._passed_on[instance] = message.number
        elif isinstance(message, relay.Answered):
            self._show(room, message.clients, instance)
            number = self._passed_on.pop(instance, None)
            if number != 0 and (number is not None or message.update != EMPTY_UPDATE):
                self.promises.add(instance, number, message.update, time.monotonic())
            if message.update != EMPTY_UPDATE:
                room.remote.integrate(message.update)
            if message.state_vector is not None and self._returns:
                self._answer(room, message, instance)
        elif isinstance(message, relay.Ended):
            room.reopen()

    def _show(self, room: TiedRoom, clients: Sequence[Present], instance: str) -> None:
        unseen = room.show_relayed(clients, Elsewhere(instance))
        if unseen:
            self._say(relay.Shown(unseen), to=instance)

    def _answer(self, room: TiedRoom, message: relay.Asked | relay.Answered, instance: str) -> None:
        """Tells another instance what it lacks, and with which change all of that is durable.

        What does not apply is not to reach others. Who asks again meanwhile is answered once.
        """
        room.content.flush()
        if self._unanswered or room.content.postpone(partial(self._answer_later, room)):
            self._unanswered[instance, type(message)] = message
            return
        assert message.state_vector is not None
        try:
            lacks = room.document.diff(message.state_vector)
        except ProtocolError as error:
            self._complain(error, instance)
            return
        if isinstance(message, relay.Asked):
            answer = relay.Answered(lacks, room.document.state_vector, room.presence.own())
        elif lacks != EMPTY_UPDATE:
            answer = relay.Answered(lacks, None, ())
        else:
            return
        self._say(relay.PassedOn(self._bus.passed_on(self._name)), to=instance)
        self._say(answer, to=instance)

    def _answer_later(self, room: TiedRoom) -> None:
        unanswered, self._unanswered = self._unanswered, {}
        for (instance, _), message in unanswered.items():
            self._answer(room, message, instance)

    def _complain(self, error: ProtocolError, instance: str) -> None:
        """An instance of another release says what is not understood here."""
        logger.error("what instance %s says of %r: %s", instance, self._name, error)

    def _ask_later(self) -> None:
        self._asks = False
        self.ask()

    def _say(self, message: relay.RelayMessage, to: str | None = None) -> None:
        self._bus.say(self._name, relay.encode(message), to=to)

    def _wait(self, call: Callable[[], None], size: int) -> None:
        if self._early_bytes + size <= _EARLY_MAX_BYTES:
            self._early.append(call)
            self._early_bytes += size

    async def _look_up(self, room: TiedRoom, instance: str) -> None:
        """Sees whether the store has what an instance has passed on so far."""
        now = time.monotonic()
        left, number = self.promises.left(instance, now), self.promises.number(instance)
        try:
            if not left.whole and await room.remote.stores(left.updates):
                self.promises.mark(instance, number)
                room.remote.mark(())
        except CollabError as error:
            logger.error("looking up what an instance passed on of %r: %s", self._name, error)
        finally:
            self._looking_up.discard(instance)

    def _keep(self, room: TiedRoom, instance: str) -> None:
        """All that an instance has passed on is durable."""
        self.promises.forget(instance)
        room.remote.mark(())

    def _look_after(self, room: TiedRoom, instance: str, seconds: float) -> None:
        """Has what an instance passed on logged here, unless it is; that is seen after a while."""
        told = self.promises.durable(instance)
        if instance in self._securing:
            self._securing[instance] = told
            return
        left = self.promises.left(instance, time.monotonic())
        if left.updates or left.whole:
            self._securing[instance] = told
            room.spawn(partial(self._secure, room, instance, seconds))
        else:
            self._keep(room, instance)

    async def _secure(self, room: TiedRoom, instance: str, seconds: float) -> None:
        """Logs what an instance has passed on and not committed, unless another one has.

        More may come meanwhile, of one that was only cut off too: that is looked after likewise,
        until the instance tells itself again what is durable.
        """
        try:
            while self.promises.durable(instance) <= self._securing[instance]:
                await anyio.sleep(seconds)
                seconds = _CUT_OFF_SECONDS
                left = self.promises.left(instance, time.monotonic())
                try:
                    await room.remote.secure(left)
                except (PoisonedUpdate, DocumentDeleted) as error:  # No store takes it any more.
                    logger.error("what an instance left of %r is of no use: %s", self._name, error)
                except Exception as error:
                    if room.ended:
                        return
                    # Whatever it is, those who wait for ever would be worse than trying again.
                    logger.error(
                        "looking after what an instance left of %r: %s",
                        self._name,
                        error,
                        exc_info=unforeseen(error, CollabError),
                    )
                    continue
                self.promises.keep(instance, left.last)
                room.remote.mark(())
                if instance not in self.promises.instances:
                    return
        finally:
            del self._securing[instance]
