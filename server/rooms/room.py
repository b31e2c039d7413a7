"""Room: where sessions meet over one document."""

import logging
from collections import deque
from collections.abc import Sequence
from functools import partial

import anyio
from anyio.lowlevel import checkpoint

from collab import state_vector
from collab.access import Access, Identity
from collab.close import CloseCode
from collab.document import Document
from collab.errors import (
    DocumentDeleted,
    PoisonedUpdate,
    ProtocolError,
    ServerBusy,
    TooLarge,
)
from collab.lineage import Lineage
from collab.presence import Elsewhere, Present
from collab.protocol import yjs
from collab.protocol.messages import (
    AwarenessUpdate,
    QueryAwareness,
    Receipt,
    SyncStep1,
    SyncStep2,
    Update,
)
from collab.server.connection import Nowhere
from collab.server.rooms.content import Content
from collab.server.rooms.delivery import Delivery
from collab.server.rooms.facilities import Facilities
from collab.server.rooms.farewell import Farewell
from collab.server.rooms.judge import Judge
from collab.server.rooms.long_messages import LONG_BYTES
from collab.server.rooms.member import Member
from collab.server.rooms.messaging import Messaging
from collab.server.rooms.opening import Opened
from collab.server.rooms.origin import Origin
from collab.server.rooms.programs import Programs
from collab.server.rooms.publication import Publication
from collab.server.rooms.relay import Relay
from collab.server.rooms.remote import Remote
from collab.server.rooms.showing import Showing
from collab.session import Effect, ReadersChange

logger = logging.getLogger("collab")


class Room:
    """One document, its members and their presence: what its members send comes by here.

    Attributes:
        name: document name.
        content: the document, and how changes come into it.
        programs: takes in what this server's programs change.
        remote: takes in what others have changed.
        presence: who is here.
        messaging: passes on what is said in it.
        feeds: where programs hear what happens in it.
        spawn: runs what outlives its caller.
    """

    def __init__(
        self,
        opened: Opened,
        facilities: Facilities,
        *,
        origin: Origin,
        relay: Relay | None = None,
    ) -> None:
        document, settings, metrics = opened.document, facilities.settings, facilities.metrics
        self.name = opened.stored.document
        self.spawn = facilities.spawn
        self.feeds = facilities.feeds
        self._long_messages = facilities.long_messages
        self._settings = settings
        self._metrics = metrics
        self._delivery = Delivery(document, settings, facilities.admission, self.spawn, metrics)
        seat = relay.seat if relay is not None else None
        publication = Publication(
            opened.stored,
            facilities,
            self._delivery,
            relay,
            gone=self._gone,
            overtaken=self._overtaken,
            set_back=self._set_back,
        )
        self.content = Content(
            opened,
            facilities,
            origin=origin,
            delivery=self._delivery,
            publication=publication,
            seat=seat,
            gone=self._gone,
        )
        self._judge = Judge(self.content, metrics)
        self.programs = Programs(
            self.content,
            self._judge,
            publication,
            facilities.persister,
            settings.rebuild_seconds,
        )
        self.remote = Remote(
            self.name,
            self.content,
            publication,
            facilities,
            origin=origin,
            seat=seat,
        )
        self.messaging = Messaging(self.name, self._delivery, self.feeds, settings, metrics, relay)
        self._showing = Showing(self.name, self._delivery, facilities, relay)
        self.presence = self._showing.presence
        self._lineage = Lineage(document.state_vector if opened.seeded else None)
        self._end: Farewell | None = None
        self._reading = 0
        self._was_read: anyio.Event | None = None

    @property
    def document(self) -> Document:
        """The document."""
        return self.content.document

    @property
    def members(self) -> Sequence[Member]:
        """Everyone in the room."""
        return tuple(self._delivery.members)

    @property
    def ended(self) -> bool:
        """Whether it serves nobody any more: another room is to be acquired in its place."""
        return self._end is not None

    def seats(self, member: Member) -> bool:
        """Whether a member is in the room."""
        return member in self._delivery.members

    def join(self, member: Member) -> None:
        """Lets a member in: it hears who is here and is asked what it has."""
        if self._end is not None:
            member.connection.close(self._end.code, self._end.reason)
            return
        self._delivery.add(member)
        self._showing.expect()
        if member.session.dialect.asks_first:
            member.connection.send(yjs.sync_step1(self._delivery.state_vector))
        everyone = self._showing.everyone()
        if everyone is not None:
            member.connection.send(everyone)

    def leave(self, member: Member) -> None:
        """Forgets a member whose connection has ended; the others see it go at once.

        What it has sent before is taken in all the same.
        """
        self._delivery.remove(member)
        # Its connection may have another member by the time that what it sent is taken in.
        member.connection = Nowhere()
        self._showing.hide(member)

    def receive(self, member: Member, frame: bytes) -> None:
        """Takes in a member's frame; one that breaks the protocol closes its connection."""
        if member.unread is not None:
            member.unread.append(frame)  # What is read already is bounded, and no more is read.
        elif len(frame) > LONG_BYTES:
            member.unread = deque([frame])
            member.hold_back()
            self._reading += 1
            self.spawn(partial(self._receive_unread, member, member.unread))
        else:
            try:
                self._receive(member, frame)
            except ProtocolError as error:
                self._close(member, error)

    async def heard_out(self, member: Member) -> None:
        """Waits until everything that a member has sent is taken in."""
        while member.unread is not None:
            await self._next_read()

    async def settle(self) -> None:
        """Waits until everything that members have sent is taken in, and durable."""
        while self._reading:
            await self._next_read()
        await self.content.settle()

    def _receive(self, member: Member, frame: bytes) -> None:
        effect = member.session.receive(frame)
        if effect is not None:
            self.handle(member, effect)

    async def _receive_unread(self, member: Member, unread: "deque[bytes]") -> None:
        """Takes in a long frame and those behind it, and lets others go on meanwhile."""
        try:
            while unread and member.unread is unread:
                frame = unread.popleft()
                if len(frame) <= LONG_BYTES:
                    self._receive(member, frame)
                    continue
                for message in await self._long_messages.read(member.session, frame):
                    await self.content.ready()  # What is deferred is taken in in one go.
                    if member.unread is not unread:
                        break
                    effect = member.session.follow(message)
                    if effect is not None:
                        self.handle(member, effect)
                        self.content.flush()
                    await checkpoint()
        except ProtocolError as error:
            self._close(member, error)
        finally:
            member.unread = None
            self._reading -= 1
            if self._was_read is not None:
                self._was_read.set()
                self._was_read = None
        self.content.read_on(member)

    async def _next_read(self) -> None:
        if self._was_read is None:
            self._was_read = anyio.Event()
        await self._was_read.wait()

    def _close(self, member: Member, error: ProtocolError) -> None:
        if isinstance(error, PoisonedUpdate):
            self.content.set_aside(member, error)
        member.connection.close(error.code, str(error)[:120])

    def handle(self, member: Member, effect: Effect) -> None:
        """Does what a frame asks for.

        Raises:
            ProtocolError: what it carries is malformed.
        """
        content = self.content
        if content.stopped or member.guilty:
            return
        if content.recovery.under_way:
            content.defer(member, partial(self._handle_deferred, member, effect))
            return
        if isinstance(effect, (Update, SyncStep2)):
            self._judge.take(member, effect)
        elif isinstance(effect, Receipt):
            if self._judge.promise(member, effect) and effect.idle:
                # Its device's copy may have been read only after it said what it has, and a
                # client does not send what comes from there.
                member.connection.send(yjs.sync_step1(self.document.state_vector))
        elif isinstance(effect, AwarenessUpdate):
            self._showing.receive(member, effect.payload)
        elif isinstance(effect, SyncStep1):
            self._check_clients(effect.state_vector)
            if not member.synced:
                self._look_back(member, effect.state_vector)
            self._delivery.synchronise(member, effect.state_vector)
        elif isinstance(effect, ReadersChange):
            self._judge.take_readers(member, effect.message)
        elif isinstance(effect, QueryAwareness):
            self._showing.answer(member)
        elif self.seats(member):
            self.messaging.receive(member, effect.payload)

    def _handle_deferred(self, member: Member, effect: Effect) -> None:
        try:
            self.handle(member, effect)
        except ProtocolError as error:
            self._close(member, error)

    def pause(self, member: Member) -> None:
        """A member's connection is full."""
        self._delivery.pause(member)

    def resume(self, member: Member) -> None:
        """A member's connection has drained: it gets what it missed."""
        everyone = self._showing.everyone() if member.missed_presence else None
        member.missed_presence = False
        self._delivery.resume(member, everyone)
        self.content.read_on(member)

    def sweep(self) -> None:
        """Removes presence that nobody renewed, and frees what nobody uses."""
        self._delivery.trim()
        self._showing.expire()

    def permit(self, member: Member, identity: Identity, access: Access) -> None:
        """Has a member speak for somebody, within what they may do, from now on, and tells it."""
        other = identity.id != member.session.identity.id
        told = member.session.permit(identity, access)
        if told is not None:
            member.connection.send(told)
        self.ask_again(member)
        if other or not self._showing.allows(member):
            self._showing.hide(member)

    def ask_again(self, member: Member) -> None:
        """Asks a member for what was refused of its changes, where that could be taken in now.

        Once: an answer may be long, and take a slow link minutes.
        """
        session = member.session
        if (
            session.dialect.asks_first
            and not session.asked_again
            and not self.content.recovery.under_way
            and self._judge.may_take_refused(member)
        ):
            session.asked_again = True
            member.connection.send(yjs.sync_step1(self.document.state_vector))

    def expel(self, member: Member, code: CloseCode, reason: str) -> None:
        """Ends a member's session at once, whenever its connection comes to its end.

        What it has sent and was not read yet is not taken in.
        """
        member.unread = None
        member.connection.close(code, reason)
        self.leave(member)

    def close_all(self, code: CloseCode, reason: str) -> None:
        """Closes every member's connection."""
        for member in self.members:
            member.connection.close(code, reason)

    def end(self, farewell: Farewell) -> None:
        """Serves nobody any more, neither those who are in it nor who comes late."""
        if self._end is None:
            self._end = farewell
            self.close_all(farewell.code, farewell.reason)
            self.content.end(farewell.error)
            self.feeds.end(self.name)

    def show_relayed(self, clients: Sequence[Present], owner: Elsewhere) -> Sequence[Present]:
        """Takes in presence of clients of another instance.

        Returns:
            Those it is to be told have left, as far as anybody knows here.
        """
        return () if self.content.stopped else self._showing.take(clients, owner)

    def forget_instance(self, instance: str) -> None:
        """Removes the presence of another instance's clients, which is gone."""
        self._showing.forget_instance(instance)

    def reopen(self) -> None:
        """Ends, so that everyone opens the document anew: another instance has changed it whole."""
        error = ServerBusy(f"expected {self.name!r} to stay open, got one that is opened anew")
        self.end(Farewell(CloseCode.RESTART, "the document is opened anew", error))

    def _gone(self, error: DocumentDeleted) -> None:
        """Another process has deleted the document."""
        self.end(Farewell(CloseCode.NOT_FOUND, "the document was deleted", error))

    def _overtaken(self) -> None:
        """Others have written to the document."""
        self.remote.read_back_if_behind()

    def _set_back(self) -> None:
        """The store has lost what it had, as one does that a lagging standby takes over from."""
        self.content.log_anew()

    def _check_clients(self, known: bytes) -> None:
        """Refuses a state vector of more clients beside the document's than it may have.

        Raises:
            TooLarge: it is one.
        """
        most = self.document.clients + self._settings.document_clients
        clients = state_vector.count(known)
        if clients > most:
            self._metrics.count_limit("document_clients")
            raise TooLarge(f"expected at most {most} clients, got {clients}")

    def _look_back(self, member: Member, known: bytes) -> None:
        """Says so where a client brings history along that this document never had."""
        strangers = self._lineage.strangers(known, self.document.state_vector)
        if strangers:
            self._metrics.count_foreign_history()
            logger.warning(
                "a client of %r (%s) has history that this document never had, of another life of "
                "it or of none (epoch %s): changes of %d clients, %s...",
                self.name,
                member.session.identity.author or "unnamed",
                self.content.epoch,
                len(strangers),
                ", ".join(map(str, strangers[:3])),
            )
