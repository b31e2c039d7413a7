"""Room: where sessions meet over one document."""

import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from functools import partial

from anyio.lowlevel import checkpoint

from collab import state_vector
from collab.access import Access, Identity
from collab.close import CloseCode
from collab.document import Document, merge
from collab.errors import (
    CollabError,
    DocumentDeleted,
    PoisonedUpdate,
    ProtocolError,
    ServerBusy,
    TooLarge,
)
from collab.happenings import Changed, PresenceChanged
from collab.lineage import Lineage
from collab.presence import Elsewhere, Presence, Present, read_gone, read_states
from collab.protocol import yjs
from collab.protocol.messages import (
    EMPTY_AWARENESS,
    AwarenessUpdate,
    QueryAwareness,
    Receipt,
    Stateless,
    SyncStep1,
    SyncStep2,
    Update,
)
from collab.server.documents.feeds import Feeds
from collab.server.metrics import Metrics
from collab.server.rooms.admission import Admission
from collab.server.rooms.changes import Change, entries_of, now_ms, parts_of, receipts_of
from collab.server.rooms.delivery import Delivery
from collab.server.rooms.journal import Journal
from collab.server.rooms.long_messages import LONG_BYTES, LongMessages
from collab.server.rooms.member import Member
from collab.server.rooms.messaging import Messaging
from collab.server.rooms.opening import Opened
from collab.server.rooms.persister import Persister
from collab.server.rooms.readback import Readback
from collab.server.rooms.recovery import Load, Recovery
from collab.server.rooms.refusals import Refusals
from collab.server.rooms.relay import Relay
from collab.server.rooms.window import Window
from collab.server.settings import Settings
from collab.server.tasks import Spawn
from collab.server.timers import Timers
from collab.session import Effect, Reply
from collab.store import Entry, NewEntry

logger = logging.getLogger("collab")

_PRESENCE_SECONDS = 0.03
"""How long presence gathers at least: stock clients answer every frame of it with one of theirs."""


@dataclass(frozen=True, slots=True)
class Farewell:
    """How a room ends.

    Attributes:
        code: what clients are closed with.
        reason: up to 123 UTF-8 bytes for them.
        error: what others get that wait for the room.
    """

    code: CloseCode
    reason: str
    error: CollabError


class Room:
    """One document, its members and their presence: everything that changes it comes by here.

    Changes gather in a window, are merged, applied once, passed on as one frame, and handed to the
    persister as one write.

    Attributes:
        name: document name.
        document: the document.
        presence: who is here.
        messaging: passes on what is said in it.
        feeds: where programs hear what happens in it.
        spawn: runs what outlives its caller.
    """

    def __init__(
        self,
        opened: Opened,
        *,
        load: Load,
        entries_after: Callable[[int], AsyncIterator[Entry]],
        spawn: Spawn,
        persister: Persister,
        refusals: Refusals,
        timers: Timers,
        admission: Admission,
        long_messages: LongMessages,
        settings: Settings,
        metrics: Metrics,
        feeds: Feeds,
        relay: Relay | None = None,
    ) -> None:
        stored, document = opened.stored, opened.document
        self.name = stored.document
        self.document = document
        self.presence = Presence(settings.presence_max_bytes)
        self.spawn = spawn
        self._load = load
        self._relay = relay
        self._persister = persister
        self._long_messages = long_messages
        self._settings = settings
        self._metrics = metrics
        self._delivery = Delivery(document, settings, admission, spawn, metrics)
        self.feeds = feeds
        self.messaging = Messaging(self.name, self._delivery, feeds, settings, metrics, relay)
        self._changes = Window(timers, settings.window_max_seconds, self._flush)
        self._presence_changes = Window(
            timers,
            settings.window_max_seconds,
            self._flush_presence,
            min_seconds=_PRESENCE_SECONDS,
        )
        self._journal = Journal(
            stored,
            persister,
            settings,
            released=self._delivery.release,
            slow=self._delivery.stop_waiting,
            gone=self._gone,
            overtaken=self._overtaken,
        )
        self._readback = Readback(
            entries_after, lambda: self._journal.seq, self._take_stored, timers, spawn
        )
        self._recovery = Recovery(self.name, load, refusals, metrics, settings, self._gone)
        self._recovery.bound(document)
        self._pending: list[Change] = []
        self._deferred: list[tuple[Member, Effect]] | None = None
        seed = document.state_vector if opened.seeded else None
        self._lineage = Lineage(seed)
        self._epoch = stored.epoch
        self._stopped = False
        self._end: Farewell | None = None

    @property
    def seq(self) -> int:
        """The seq up to which the document has every committed entry."""
        return self._journal.seq

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
        if member.session.dialect.asks_first:
            member.connection.send(yjs.sync_step1(self.document.state_vector))
        everyone = self.presence.encode()
        if everyone is not None:
            member.connection.send(yjs.awareness(everyone))

    def leave(self, member: Member) -> None:
        """Forgets a member whose connection has ended; the others see it go at once."""
        self._delivery.remove(member)
        self._hide(member)

    def receive(self, member: Member, frame: bytes) -> None:
        """Takes in a member's frame; one that breaks the protocol closes its connection."""
        if member.unread is not None:
            member.unread.append(frame)  # What is read already is bounded, and no more is read.
        elif len(frame) > LONG_BYTES:
            member.unread = deque([frame])
            member.hold_back()
            self.spawn(partial(self._receive_unread, member, member.unread))
        else:
            self._receive(member, frame)

    def _receive(self, member: Member, frame: bytes) -> None:
        try:
            effect = member.session.receive(frame)
            if effect is not None:
                self.handle(member, effect)
        except ProtocolError as error:
            self._close(member, error)

    async def _receive_unread(self, member: Member, unread: "deque[bytes]") -> None:
        """Takes in a long frame and those behind it, and lets others go on meanwhile."""
        while unread and self.seats(member):
            frame = unread.popleft()
            if len(frame) <= LONG_BYTES:
                self._receive(member, frame)
                continue
            try:
                for message in await self._long_messages.read(member.session, frame):
                    effect = member.session.follow(message)
                    if effect is None or not self.seats(member):
                        continue
                    self.handle(member, effect)
                    self.flush()
                    await checkpoint()
            except ProtocolError as error:
                self._close(member, error)
                break
        member.unread = None
        self._read_on(member)

    def _close(self, member: Member, error: ProtocolError) -> None:
        if isinstance(error, PoisonedUpdate):
            self._recovery.set_aside(member, error)
        member.connection.close(error.code, str(error)[:120])

    def handle(self, member: Member, effect: Effect) -> None:
        """Does what a frame asks for.

        Raises:
            ProtocolError: what it carries is malformed.
        """
        relayed = self._relay is not None and member is self._relay.seat
        if self._stopped or (member.guilty and not relayed):
            return
        if self._deferred is not None:
            self._deferred.append((member, effect))
            member.hold_back()  # What is deferred is bounded by what was read already.
            return
        kind = type(effect)
        if kind is Update:
            assert isinstance(effect, Update)
            full = self._full
            if full is not None and not relayed:
                self._refuse(member, effect, full)
                return
            self._metrics.updates += 1
            self._hold_back(member)
            self._pending.append((member, effect))
            self._changes.touch()
        elif kind is Receipt:
            assert isinstance(effect, Receipt)
            if self._pending:
                self._pending.append((member, effect))
            else:
                self._delivery.answer(member, effect.accepted, self._journal.newest)
        elif isinstance(effect, AwarenessUpdate):
            if not self.seats(member):
                return  # It has left while this was deferred.
            if not self._may_show(member):
                return
            session = member.session
            answer = self.presence.receive(
                effect.payload,
                member,
                time.monotonic(),
                session.identity,
                # A client says who it is as soon as it is connected, before it answers anything.
                repeats=session.answered,
            )
            if answer is not None:
                member.connection.send(yjs.awareness(answer))
            self._presence_changes.touch()
        elif isinstance(effect, SyncStep1):
            self._check_clients(effect.state_vector)
            if not member.synced:
                self._look_back(member, effect.state_vector)
            self._delivery.synchronise(member, effect.state_vector)
        elif isinstance(effect, SyncStep2):
            full = self._full
            if full is not None and effect.update[0] != 0:  # With structs, not deletions alone.
                self._refuse(member, effect, full)
            else:
                self._integrate(member, effect)
        elif isinstance(effect, QueryAwareness):
            member.connection.send(yjs.awareness(self.presence.encode() or EMPTY_AWARENESS))
        elif isinstance(effect, Stateless):
            if self.seats(member):
                self.messaging.receive(member, effect.payload)
        elif isinstance(effect, Reply):
            member.connection.send(effect.frame)

    def pause(self, member: Member) -> None:
        """A member's connection is full."""
        self._delivery.pause(member)

    def resume(self, member: Member) -> None:
        """A member's connection has drained: it gets what it missed."""
        everyone = self.presence.encode() if member.missed_presence else None
        member.missed_presence = False
        self._delivery.resume(member, everyone and yjs.awareness(everyone))
        self._read_on(member)

    def sweep(self) -> None:
        """Removes presence that nobody renewed, and frees what nobody uses."""
        self._delivery.trim()
        expired = self.presence.expire(time.monotonic())
        self._send_removal(expired)
        if self._relay is not None and expired is not None:
            self._relay.show(read_gone(expired))

    def permit(self, member: Member, identity: Identity, access: Access) -> None:
        """Has a member speak for somebody, within what they may do, from now on, and tells it."""
        other = identity.id != member.session.identity.id
        told = member.session.permit(identity, access)
        if told is not None:
            member.connection.send(told)
        if other or not self._may_show(member):
            self._hide(member)

    def expel(self, member: Member, code: CloseCode, reason: str) -> None:
        """Ends a member's session at once, whenever its connection comes to its end."""
        member.connection.close(code, reason)
        self.leave(member)

    def close_all(self, code: CloseCode, reason: str) -> None:
        """Closes every member's connection."""
        for member in self.members:
            member.connection.close(code, reason)

    async def stop(self) -> None:
        """Takes nothing in any more, and waits until what it took in is durable."""
        self.flush()
        self._stopped = True
        await self.settle()

    def end(self, farewell: Farewell) -> None:
        """Serves nobody any more, neither those who are in it nor who comes late."""
        if self._end is None:
            self._stopped = True
            self._end = farewell
            self.close_all(farewell.code, farewell.reason)
            self._journal.announce()
            self.feeds.end(self.name)

    def refuse_if_ended(self) -> None:
        """Raises why it has ended, if it has.

        Raises:
            CollabError: it has.
        """
        if self._end is not None:
            raise self._end.error

    def flush(self) -> None:
        """Applies and passes on what has gathered."""
        self._changes.run()

    async def settle(self) -> None:
        """Waits until every change so far is durable, and those made meanwhile."""
        while True:
            self.flush()
            if self._journal.durable and self._deferred is None:
                return
            await self._journal.next_change()

    async def saved(self) -> None:
        """Waits until every change so far is durable, however many are made meanwhile.

        Raises:
            CollabError: the room has ended.
        """
        self.refuse_if_ended()
        self.flush()
        while self._deferred is not None:
            await self._journal.next_change()
            self.refuse_if_ended()
            self.flush()
        newest = self._journal.last
        while self._journal.awaits(newest):
            await self._journal.next_change()
            self.refuse_if_ended()

    async def take_in(self, effect: bytes, entries: Sequence[NewEntry]) -> None:
        """Takes in changes that were made elsewhere and waits until they are durable.

        Those that bring nothing new are not stored: taking them in again is harmless.

        Args:
            effect: what they come to, as one update that ``check_update`` lets pass.
            entries: the changes as they are to be stored.

        Raises:
            PoisonedUpdate: they cannot be applied; the document goes on without them.
            ServerBusy: too much waits for the store.
        """
        await self._quiet()
        self._take(effect, entries)
        await self.saved()

    async def revise(
        self, revision: Callable[[Document], bytes | None], author: str | None
    ) -> bool:
        """Makes a change that depends on what the document is, and waits until it is durable.

        Args:
            revision: gives the change to the document it is shown, or None for none; nothing
                changes the document between the one and the other.
            author: of the identity in whose name it is stored.

        Returns:
            Whether there was a change.

        Raises:
            PoisonedUpdate: it cannot be applied; the document goes on without it.
            ServerBusy: too much waits for the store.
        """
        await self._quiet()
        update = revision(self.document)
        if update is not None:
            self._take(update, [NewEntry(update=update, time_ms=now_ms(), author=author)])
        await self.saved()
        return update is not None

    async def _quiet(self) -> None:
        """Returns when everything that came is in the document, and changes can be made in it."""
        if self._persister.full:
            raise ServerBusy("expected the store to keep up, got too much that waits for it")
        self.flush()
        while self._deferred is not None:
            await self._journal.next_change()
            self.flush()
        self.refuse_if_ended()
        if self._stopped:
            raise ServerBusy(f"expected {self.name!r} to take changes, got one that is made anew")

    def _take(self, effect: bytes, entries: Sequence[NewEntry]) -> None:
        state_before = self.document.state_vector
        try:
            news = self.document.integrate(effect)
        except PoisonedUpdate:
            self._recover([])
            raise
        if news is not None:
            self._publish({}, {}, list(entries), news, state_before, own=news)

    def take_relayed(self, update: bytes) -> None:
        """Takes in a change that another instance has taken in, and logs."""
        assert self._relay is not None
        if self._stopped:
            return
        change = (self._relay.seat, Update(update))
        if self._deferred is not None:
            self._deferred.append(change)
            return
        self._pending.append(change)
        self._changes.touch()
        self._readback.look()

    def integrate_relayed(self, update: bytes) -> None:
        """Takes in what another instance has that may be known here for the most part."""
        assert self._relay is not None
        self.flush()
        if self._stopped:
            return
        if self._deferred is not None:
            self._deferred.append((self._relay.seat, Update(update)))
            return
        state_before = self.document.state_vector
        try:
            news = self.document.integrate(update)
        except PoisonedUpdate as error:
            logger.error("what another instance has of %r does not apply: %s", self.name, error)
            self._recover([])
            return
        if news is not None:
            self._publish({self._relay.seat: news}, {}, [], news, state_before, own=None)
            self._readback.look()

    def show_relayed(self, clients: Sequence[Present], owner: Elsewhere) -> Sequence[Present]:
        """Takes in presence of clients of another instance.

        Returns:
            Those it is to be told have left, as far as anybody knows here.
        """
        if self._stopped:
            return ()
        objections = self.presence.relay(clients, owner, time.monotonic())
        for member, payload in objections.to_owners:
            assert isinstance(member, Member)
            member.connection.send(yjs.awareness(payload))
        self._presence_changes.touch()
        return objections.unseen

    def forget_instance(self, instance: str) -> None:
        """Removes the presence of another instance's clients, which is gone."""
        self._send_removal(self.presence.leave(Elsewhere(instance)))

    def reopen(self) -> None:
        """Ends, so that everyone opens the document anew: another instance has changed it whole."""
        error = ServerBusy(f"expected {self.name!r} to stay open, got one that is opened anew")
        self.end(Farewell(CloseCode.RESTART, "the document is opened anew", error))

    async def secure(self) -> None:
        """Logs what the document has and the store has not: another instance died meanwhile.

        Raises:
            StoreError: the store cannot be read.
            ServerBusy: the document cannot be looked at now.
        """
        stored = (await self._load()).document
        await self._quiet()
        lost = stored.integrate(self.document.diff(stored.state_vector))
        if lost is not None:
            logger.warning("%r: logging what another instance did not commit any more", self.name)
            entry = NewEntry(update=lost, time_ms=now_ms())
            self._journal.write(
                self.document,
                [entry],
                parts={},
                receipts={},
                merged=lost,
                frame=yjs.update(lost),
                state_before=self.document.state_vector,
            )

    def _overtaken(self) -> None:
        """Others have written to the document: what they wrote is read."""
        self._readback.look()

    def _take_stored(self, entries: Sequence[Entry]) -> bool:
        """Takes in what the log has beyond the room; tells whether it could."""
        self.flush()
        if self._stopped:
            return True
        if self._deferred is not None or entries[0].seq > self._journal.seq + 1:
            return False
        others = self._journal.caught_up(entries)
        if not others:
            return True
        state_before = self.document.state_vector
        try:
            news = self.document.integrate(merge([entry.update for entry in others]))
        except PoisonedUpdate:
            self._recover([])  # Opens it anew, which leaves out what does not apply.
            return True
        if news is not None:
            self._publish({}, {}, [], news, state_before, own=None)
        if self.feeds.are_followed(self.name):
            for entry in others:
                self.feeds.publish(self.name, Changed(entry))
        return True

    def checkpoint(self) -> None:
        """Writes a checkpoint where opening the document would replay too many entries."""
        if not self._stopped:
            self._journal.checkpoint(self.document)

    def _gone(self, error: DocumentDeleted) -> None:
        """Another process has deleted the document."""
        self.end(Farewell(CloseCode.NOT_FOUND, "the document was deleted", error))

    def _may_show(self, member: Member) -> bool:
        """Whether a member may publish its presence."""
        return self._settings.viewer_presence or member.session.access >= Access.WRITE

    def _hide(self, member: Member) -> None:
        """Removes what a member published; the others see it go at once."""
        removal = self.presence.leave(member)
        self._send_removal(removal)
        if self._relay is not None and removal is not None:
            self._relay.show(read_gone(removal))

    def _send_removal(self, removal: bytes | None) -> None:
        if removal is not None:
            self._delivery.send_all(yjs.awareness(removal))
            self._publish_presence(removal)

    def _publish_presence(self, payload: bytes) -> None:
        if self.feeds.are_followed(self.name):
            self.feeds.publish(self.name, PresenceChanged(*read_states(payload)))

    def _flush(self) -> float | None:
        pending, self._pending = self._pending, []
        if not pending:
            return None
        state_before = self.document.state_vector
        try:
            parts = parts_of(pending)
            merged = merge(list(parts.values()))
            self.document.apply(merged)
        except PoisonedUpdate:
            self._recover(pending)
            return None
        receipts = receipts_of(pending)
        if self._relay is None or self._relay.seat not in parts:
            return self._publish(
                parts, receipts, entries_of(parts), merged, state_before, own=merged
            )
        written = {writer: part for writer, part in parts.items() if writer is not self._relay.seat}
        own = merge(list(written.values())) if written else None
        return self._publish(parts, receipts, entries_of(written), merged, state_before, own=own)

    def _integrate(self, member: Member, effect: SyncStep2) -> None:
        """Takes in a step 2: passes on what of it is new, acknowledges all of it."""
        self.flush()
        if self._deferred is not None:
            self._deferred.append((member, effect))
            return
        update, receipt = effect.update, effect.receipt
        state_before = self.document.state_vector
        try:
            news = self.document.integrate(update)
        except PoisonedUpdate:
            self._recover([(member, Update(update, receipt))])
            return
        if news is not None:
            self._hold_back(member)
            # All of it is acknowledged, the new part of it passed on.
            parts = {member: update}
            receipts = {member: [receipt.accepted]} if receipt is not None else {}
            entries = entries_of({member: news})
            self._publish(parts, receipts, entries, news, state_before, own=news)
        elif receipt is not None:
            self._delivery.answer(member, receipt.accepted, self._journal.newest)
        elif member.session.dialect.echoes:
            self._delivery.acknowledge(member, update, self._journal.newest)

    def _publish(
        self,
        parts: dict[Member, bytes],
        receipts: dict[Member, list[bytes]],
        entries: list[NewEntry],
        merged: bytes,
        state_before: bytes,
        *,
        own: bytes | None,
    ) -> float:
        """Hands applied changes to the store, to other instances and to the readers.

        Args:
            parts: each writer's changes.
            receipts: what writers want to be sent when they are durable.
            entries: what of them this instance logs.
            merged: all of them.
            state_before: encoded state vector without them.
            own: what of them other instances do not have, or None.

        Returns:
            What is still to pay, in seconds.
        """
        starts_at_once = self._persister.idle
        batch = self._journal.write(
            self.document,
            entries,
            parts=parts,
            receipts=receipts,
            merged=merged,
            frame=yjs.update(merged),
            state_before=state_before,
        )
        if self._relay is not None and own is not None:
            self._relay.change(own)
        return self._delivery.deliver(batch, wait=starts_at_once)

    def _check_clients(self, known: bytes) -> None:
        """Refuses a state vector of more clients than a document may have.

        Raises:
            TooLarge: it is one.
        """
        clients, most = state_vector.count(known), self._settings.document_clients
        if clients > most:
            self._metrics.count_limit("document_clients")
            raise TooLarge(f"expected at most {most} clients, got {clients}")

    @property
    def _full(self) -> str | None:
        """Name of the setting that says that the document takes no more; None where it does."""
        if self._journal.stored_bytes > self._settings.document_max_bytes:
            return "document_max_bytes"
        if self.document.clients >= self._settings.document_clients:
            return "document_clients"
        return None

    def _refuse(self, member: Member, message: Update | SyncStep2, setting: str) -> None:
        """Tells a writer that the document takes no more; it goes on reading."""
        self._metrics.count_limit(setting)
        refusal = member.session.refuse(message, "this document is as large as one may be")
        if refusal is not None:
            self.handle(member, refusal)

    def _hold_back(self, writer: Member) -> None:
        """Does not read from a writer while too much waits for the store, or for it to read."""
        if self._persister.full:
            writer.hold_back()
            self._persister.when_space(writer.read_on)
        elif writer.paused:
            writer.hold_back()

    def _read_on(self, member: Member) -> None:
        """Reads from a member again; what still holds it back has it read from later."""
        if self._persister.full:
            self._persister.when_space(member.read_on)
        elif self._deferred is None:
            member.read_on()

    def _flush_presence(self) -> float | None:
        if self._relay is not None:
            self._relay.show(self.presence.own_changes())
        self._send_removal(self.presence.take_gone())
        payload = self.presence.take()
        if payload is None:
            return None
        self._publish_presence(payload)
        return self._delivery.send_presence(yjs.awareness(payload))

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
                self._epoch,
                len(strangers),
                ", ".join(map(str, strangers[:3])),
            )

    def _recover(self, suspects: list[Change]) -> None:
        """Finds the update that broke the document, closes its sender, and goes on without it."""
        self._deferred = []
        self._delivery.freeze()

        async def rebuild() -> None:
            while not self._journal.durable:
                await self._journal.next_change()
            good = await self._recovery.sift(suspects)
            self.document = await self._recovery.rebuilt()
            deferred, self._deferred = self._deferred, None
            self._delivery.thaw(self.document)
            for member, message in good:
                self.handle(member, message)
                self.flush()  # One by one, as they were tried: a merge of them may be at fault.
            for member, effect in deferred or ():
                try:
                    self.handle(member, effect)
                except ProtocolError as error:
                    self._close(member, error)
            for member in self.members:
                self._read_on(member)
            if self._journal.durable:
                self._journal.announce()

        self.spawn(rebuild)
