"""Room: where sessions meet over one document."""

import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import anyio

from collab.access import Access, Identity
from collab.close import CloseCode
from collab.document import Document, merge
from collab.errors import (
    CollabError,
    DocumentDeleted,
    PoisonedUpdate,
    ProtocolError,
    ServerBusy,
    StoreError,
)
from collab.presence import Presence
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
from collab.quarantine import refusal
from collab.server.admission import Admission
from collab.server.delivery import Delivery
from collab.server.member import Batch, Member
from collab.server.metrics import Metrics
from collab.server.opening import Opened
from collab.server.persister import Persister, Write
from collab.server.refusals import Refusals
from collab.server.settings import Settings
from collab.server.tasks import Spawn
from collab.server.timers import Timers
from collab.server.window import Window
from collab.session import Effect, Reply
from collab.store import NewEntry

logger = logging.getLogger("collab")

_PRESENCE_SECONDS = 0.03
"""How long presence gathers at least: stock clients answer every frame of it with one of theirs."""

_CHECKPOINT_SHARE = 8
"""A checkpoint is due only when an eighth of its size was logged: a huge document's is rare."""
_ENTRY_BYTES = 32
"""What an entry costs in the log beside its update."""

_RETRY_SECONDS = 1.0

Load = Callable[[], Awaitable[Opened]]


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
        seq: the seq up to which the document has every committed entry.
    """

    def __init__(
        self,
        opened: Opened,
        *,
        load: Load,
        spawn: Spawn,
        persister: Persister,
        refusals: Refusals,
        timers: Timers,
        admission: Admission,
        settings: Settings,
        metrics: Metrics,
    ) -> None:
        stored, document = opened.stored, opened.document
        self.name = stored.document
        self.document = document
        self.presence = Presence(settings.presence_max_bytes)
        self.seq = stored.seq
        self._load = load
        self._spawn = spawn
        self._persister = persister
        self._refusals = refusals
        self._settings = settings
        self._metrics = metrics
        self._delivery = Delivery(document, settings, admission, spawn, metrics)
        self._changes = Window(timers, settings.window_max_seconds, self._flush)
        self._presence_changes = Window(
            timers,
            settings.window_max_seconds,
            self._flush_presence,
            min_seconds=_PRESENCE_SECONDS,
        )
        self._pending: list[tuple[Member, Update | Receipt]] = []
        self._uncommitted: list[Write] = []
        self._last_batch: Batch | None = None
        self._settled: anyio.Event | None = None
        self._deferred: list[tuple[Member, Effect]] | None = None
        self._stopped = False
        self._end: Farewell | None = None
        self._entries_logged = stored.seq - stored.checkpoint_seq
        self._bytes_logged = sum(len(entry.update) for entry in stored.entries)
        self._checkpoint_bytes = len(stored.checkpoint or b"")
        document.pending_max_bytes = settings.pending_max_bytes

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
        try:
            effect = member.session.receive(frame)
            if effect is not None:
                self.handle(member, effect)
        except ProtocolError as error:
            if isinstance(error, PoisonedUpdate):
                self._set_aside(member, error)
            member.connection.close(error.code, str(error)[:120])

    def handle(self, member: Member, effect: Effect) -> None:
        """Does what a frame asks for.

        Raises:
            ProtocolError: what it carries is malformed.
        """
        if self._stopped:
            return
        if self._deferred is not None:
            self._deferred.append((member, effect))
            member.hold_back()  # What is deferred is bounded by what was read already.
            return
        kind = type(effect)
        if kind is Update:
            assert isinstance(effect, Update)
            if self._is_full:
                self._refuse(member, effect)
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
                self._delivery.answer(member, effect.accepted, self._last_batch)
        elif isinstance(effect, AwarenessUpdate):
            if not self.seats(member):
                return  # It has left while this was deferred.
            if not self._may_show(member):
                return
            identity = member.session.identity
            answer = self.presence.receive(effect.payload, member, time.monotonic(), identity)
            if answer is not None:
                member.connection.send(yjs.awareness(answer))
            self._presence_changes.touch()
        elif isinstance(effect, SyncStep1):
            self._delivery.synchronise(member, effect.state_vector)
        elif isinstance(effect, SyncStep2):
            if self._is_full and effect.update[0] != 0:  # With structs, and not deletions alone.
                self._refuse(member, effect)
            else:
                self._integrate(member, effect)
        elif isinstance(effect, QueryAwareness):
            member.connection.send(yjs.awareness(self.presence.encode() or EMPTY_AWARENESS))
        elif isinstance(effect, Stateless):
            self._delivery.send_stateless(member, effect.payload)
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
        if not self._persister.full:
            member.read_on()

    def sweep(self) -> None:
        """Removes presence that nobody renewed, and frees what nobody uses."""
        self._delivery.trim()
        removal = self.presence.expire(time.monotonic())
        if removal is not None:
            self._delivery.send_all(yjs.awareness(removal))

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
            self._announce_settled()

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
            if not self._uncommitted and self._deferred is None:
                return
            await self._next_settled()

    async def saved(self) -> None:
        """Waits until every change so far is durable, however many are made meanwhile.

        Raises:
            CollabError: the room has ended.
        """
        self.refuse_if_ended()
        self.flush()
        while self._deferred is not None:
            await self._next_settled()
            self.refuse_if_ended()
            self.flush()
        newest = self._uncommitted[-1] if self._uncommitted else None
        while newest in self._uncommitted:
            await self._next_settled()
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
            author: id of the identity in whose name it is stored.

        Returns:
            Whether there was a change.

        Raises:
            PoisonedUpdate: it cannot be applied; the document goes on without it.
            ServerBusy: too much waits for the store.
        """
        await self._quiet()
        update = revision(self.document)
        if update is not None:
            time_ms = time.time_ns() // 1_000_000
            self._take(update, [NewEntry(update=update, time_ms=time_ms, author=author)])
        await self.saved()
        return update is not None

    async def _quiet(self) -> None:
        """Returns when everything that came is in the document, and changes can be made in it."""
        if self._persister.full:
            raise ServerBusy("expected the store to keep up, got too much that waits for it")
        self.flush()
        while self._deferred is not None:
            await self._next_settled()
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
            self._publish({}, {}, list(entries), news, state_before)

    def checkpoint(self) -> None:
        """Writes a checkpoint where opening the document would replay too many entries."""
        if self._entries_logged > self._settings.checkpoint_entries and not self._stopped:
            self._submit(Write(self, self.name, (), self._encode_checkpoint()))

    def committed(self, write: Write, seq: int) -> None:
        """A write is durable: sends what waited for it."""
        self.seq = seq
        del self._uncommitted[0]
        if isinstance(write, Batch):
            write.durable = True
            if write is self._last_batch:
                self._last_batch = None
            self._delivery.release()
        self._announce_settled()

    def refused(self, error: DocumentDeleted) -> None:
        """Another process has deleted the document: what waits is not committed any more."""
        self._uncommitted.clear()
        self.end(Farewell(CloseCode.NOT_FOUND, "the document was deleted", error))

    def commit_is_slow(self) -> None:
        """The store keeps writers waiting: they get what the others wrote."""
        self._delivery.stop_waiting()

    def _may_show(self, member: Member) -> bool:
        """Whether a member may publish its presence."""
        return self._settings.viewer_presence or member.session.access >= Access.WRITE

    def _hide(self, member: Member) -> None:
        """Removes what a member published; the others see it go at once."""
        removal = self.presence.leave(member)
        if removal is not None:
            self._delivery.send_all(yjs.awareness(removal))

    def _flush(self) -> float | None:
        pending, self._pending = self._pending, []
        if not pending:
            return None
        state_before = self.document.state_vector
        try:
            parts = _parts(pending)
            merged = merge(list(parts.values()))
            self.document.apply(merged)
        except PoisonedUpdate:
            self._recover(pending)
            return None
        return self._publish(parts, _receipts(pending), _entries(parts), merged, state_before)

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
            self._publish(parts, receipts, _entries({member: news}), news, state_before)
        elif receipt is not None:
            self._delivery.answer(member, receipt.accepted, self._last_batch)
        elif member.session.dialect.echoes:
            self._delivery.acknowledge(member, update, self._last_batch)

    def _publish(
        self,
        parts: dict[Member, bytes],
        receipts: dict[Member, list[bytes]],
        entries: list[NewEntry],
        merged: bytes,
        state_before: bytes,
    ) -> float:
        """Hands applied changes to the readers and to the store; returns what is still to pay."""
        self._entries_logged += len(entries)
        self._bytes_logged += len(merged)
        batch = Batch(
            self,
            self.name,
            entries,
            self._encode_checkpoint() if self._checkpoint_is_due() else None,
            parts=parts,
            receipts=receipts,
            frame=yjs.update(merged),
            state_before=state_before,
        )
        self._last_batch = batch
        starts_at_once = self._persister.idle
        self._submit(batch)
        return self._delivery.deliver(batch, wait=starts_at_once)

    @property
    def _is_full(self) -> bool:
        """Whether the document is as large as one may be."""
        return self._checkpoint_bytes + self._bytes_logged > self._settings.document_max_bytes

    def _refuse(self, member: Member, message: Update | SyncStep2) -> None:
        """Tells a writer that the document takes no more; it goes on reading."""
        self._metrics.count_limit("document_max_bytes")
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

    def _submit(self, write: Write) -> None:
        self._uncommitted.append(write)
        self._persister.submit(write)

    def _checkpoint_is_due(self) -> bool:
        entries = self._entries_logged
        logged = self._bytes_logged + entries * _ENTRY_BYTES
        return (
            entries > self._settings.checkpoint_entries
            and logged * _CHECKPOINT_SHARE > self._checkpoint_bytes
        )

    def _encode_checkpoint(self) -> bytes:
        checkpoint = self.document.encode()
        self._entries_logged = self._bytes_logged = 0
        self._checkpoint_bytes = len(checkpoint)
        return checkpoint

    def _flush_presence(self) -> float | None:
        gone = self.presence.take_gone()
        if gone is not None:
            self._delivery.send_all(yjs.awareness(gone))
        payload = self.presence.take()
        return self._delivery.send_presence(yjs.awareness(payload)) if payload else None

    def _announce_settled(self) -> None:
        if self._settled is not None:
            self._settled.set()
            self._settled = None

    async def _next_settled(self) -> None:
        if self._settled is None:
            self._settled = anyio.Event()
        await self._settled.wait()

    def _recover(self, suspects: list[tuple[Member, Update | Receipt]]) -> None:
        """Finds the update that broke the document, closes its sender, and goes on without it."""
        self._deferred = []
        self._delivery.freeze()

        async def rebuild() -> None:
            while self._uncommitted:
                await self._next_settled()
            good = await self._sift(suspects)
            self.document = await self._rebuilt()
            deferred, self._deferred = self._deferred, None
            self._delivery.thaw(self.document)
            for member, message in good:
                self.handle(member, message)
                self.flush()  # One by one, as they were tried: a merge of them may be at fault.
            for member, effect in deferred or ():
                try:
                    self.handle(member, effect)
                except ProtocolError as error:
                    member.connection.close(error.code, str(error)[:120])
                if not self._persister.full:
                    member.read_on()
            if not self._uncommitted:
                self._announce_settled()

        self._spawn(rebuild)

    async def _sift(
        self, suspects: list[tuple[Member, Update | Receipt]]
    ) -> list[tuple[Member, Update | Receipt]]:
        """Rebuilds the document from the store and tries the suspects on it one by one.

        Returns:
            Those that apply, and the receipts asked for between them.
        """
        good: list[tuple[Member, Update | Receipt]] = []
        guilty: set[Member] = set()
        trial = await self._rebuilt()
        for member, message in suspects:
            if member in guilty:
                continue
            try:
                if isinstance(message, Update):
                    trial.apply(message.update)
            except PoisonedUpdate as error:
                guilty.add(member)
                self._set_aside(member, error)
                member.connection.close(CloseCode.MALFORMED, "an update cannot be applied")
                trial = await self._rebuilt()
                for _, earlier in good:
                    if isinstance(earlier, Update):
                        trial.apply(earlier.update)
            else:
                good.append((member, message))
        return good

    def _set_aside(self, member: Member, error: PoisonedUpdate) -> None:
        """Keeps what a writer sent for whoever looks into it; readers have nothing to be kept."""
        self._metrics.count_refused_update()
        session = member.session
        if session.access >= Access.WRITE:
            refused = refusal(error, time_ms=_now_ms(), author=session.identity.id)
            self._refusals.add(self.name, refused)

    async def _rebuilt(self) -> Document:
        while True:
            try:
                document = (await self._load()).document
            except DocumentDeleted as error:
                self.refused(error)
                return Document()
            except StoreError as error:
                logger.error("rebuilding %r: %s", self.name, error)
                await anyio.sleep(_RETRY_SECONDS)
            else:
                document.pending_max_bytes = self._settings.pending_max_bytes
                return document


def _parts(pending: list[tuple[Member, Update | Receipt]]) -> dict[Member, bytes]:
    """Merges what each writer wrote."""
    by_writer: dict[Member, list[bytes]] = {}
    for writer, message in pending:
        if type(message) is Update:
            by_writer.setdefault(writer, []).append(message.update)
    return {writer: merge(updates) for writer, updates in by_writer.items()}


def _receipts(pending: list[tuple[Member, Update | Receipt]]) -> dict[Member, list[bytes]]:
    """Gathers what each writer wants to be sent when all of it is durable."""
    by_writer: dict[Member, list[bytes]] = {}
    for writer, message in pending:
        receipt = message.receipt if type(message) is Update else message
        if receipt is not None:
            assert isinstance(receipt, Receipt)
            by_writer.setdefault(writer, []).append(receipt.accepted)
    return by_writer


def _entries(parts: dict[Member, bytes]) -> list[NewEntry]:
    time_ms = _now_ms()
    return [
        NewEntry(update=part, time_ms=time_ms, author=writer.session.identity.id)
        for writer, part in parts.items()
    ]


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
