"""Delivery: who in a room gets which frame, and when."""

import time
from collections import deque

from collab import state_vector
from collab.document import Document
from collab.protocol import yjs
from collab.protocol.dialect import Dialect
from collab.protocol.messages import EMPTY_AWARENESS
from collab.server.metrics import Metrics
from collab.server.rooms.admission import Admission
from collab.server.rooms.catch_up import CatchUp
from collab.server.rooms.member import Batch, Hold, Member
from collab.server.settings import Settings
from collab.server.tasks import Spawn


class Delivery:
    """The members of one room and what each of them gets.

    A live member gets every batch at its flush. Where the echo is the ack, the writers of a batch
    get it when it is durable, and what follows waits behind it; other dialects' writers get it at
    the flush unless it is theirs alone, and their receipts when it is durable. A member whose
    connection is full gets nothing more of the document, and one diff when it has drained.

    Attributes:
        document: what readers are brought up to date with.
        members: everyone in the room.
    """

    def __init__(
        self,
        document: Document,
        settings: Settings,
        admission: Admission,
        spawn: Spawn,
        metrics: Metrics,
    ) -> None:
        self.document = document
        self.members: dict[Member, None] = {}
        self._frozen_at: bytes | None = None
        self._catch_up = CatchUp(document, settings, admission, spawn, self._settle)
        self._direct: dict[Member, None] = {}
        self._holding: dict[Member, None] = {}
        self._owed: dict[Member, deque[tuple[Batch, bytes]]] = {}
        self._metrics = metrics

    @property
    def state_vector(self) -> bytes:
        """State vector of what readers were sent or are owed: not of a document that broke."""
        if self._frozen_at is not None:
            return self._frozen_at
        return self.document.state_vector

    def add(self, member: Member) -> None:
        """Lets a member in; it is brought up to date when it asks."""
        self.members[member] = None

    def remove(self, member: Member) -> None:
        """Forgets a member and all it is owed."""
        self.members.pop(member, None)
        self._direct.pop(member, None)
        self._holding.pop(member, None)
        self._owed.pop(member, None)
        member.live = False
        member.held.clear()
        self._catch_up.forget(member)

    def send_all(self, frame: bytes) -> None:
        """Sends a small frame that must not be missed to everyone, full connections included."""
        for member in tuple(self.members):
            member.connection.send(frame)

    def send_presence(self, frame: bytes) -> float:
        """Sends presence to everyone whose connection takes it; marks the others.

        Returns:
            What that still costs, in seconds.
        """
        for member in tuple(self.members):
            if member.paused:
                member.missed_presence = True
            else:
                member.connection.send(frame)
        self._metrics.presence_deliveries += len(self.members)
        return self._send_seconds()

    def send_stateless(
        self, payload: str, *, source: Member | None = None, to: str | None = None
    ) -> int:
        """Sends an application's message to all who can hear it and take it now.

        Args:
            payload: the message.
            source: who sent it and does not hear it again; None where that is no member.
            to: id of the identity that alone is to hear it; None for everybody.

        Returns:
            How many it was sent to.
        """
        heard = 0
        frames: dict[Dialect, bytes | None] = {}
        for member in tuple(self.members):
            session = member.session
            if member is source or member.paused or to not in (None, session.identity.id):
                continue
            dialect = session.dialect
            if dialect not in frames:
                frames[dialect] = dialect.stateless(payload)
            frame = frames[dialect]
            if frame is not None:
                member.connection.send(frame)
                heard += 1
        return heard

    def deliver(self, batch: Batch, *, wait: bool) -> float:
        """Passes a batch on.

        Args:
            batch: applied to the document already.
            wait: whether its writers wait for its commit to see what the others wrote.

        Returns:
            What that still costs, in seconds.
        """
        frame = batch.frame
        for member in tuple(self._holding):
            if member not in batch.parts and member.live:
                if any(hold.whole for hold in member.held):
                    member.held.append(Hold(batch, whole=True, own=None))
                else:
                    member.connection.send(frame)
        for writer, part in batch.parts.items():
            if writer in self.members and writer.session.dialect.echoes:
                # A lone writer misses nothing while it waits: its own echo is all there is.
                whole = writer.live and len(batch.parts) > 1
                self._hold(writer, Hold(batch, whole=whole, own=part))
        for writer, receipts in batch.receipts.items():
            for receipt in receipts:
                self.answer(writer, receipt, batch)
        lone = next(iter(batch.parts)) if len(batch.parts) == 1 else None
        for member in tuple(self._direct):
            if member is not lone:
                member.connection.send(frame)
        self._metrics.deliveries += len(self.members)
        if not wait:
            self.stop_waiting()
        return self._send_seconds()

    def acknowledge(self, writer: Member, own: bytes, batch: Batch | None) -> None:
        """Sends a writer's changes back once ``batch`` and all before it are durable.

        Args:
            writer: who made them.
            own: the changes.
            batch: the batch to wait for; None where everything is durable already.
        """
        if batch is None:
            writer.connection.send(yjs.update(own))
        elif writer in self.members:
            self._hold(writer, Hold(batch, whole=False, own=own))

    def answer(self, member: Member, receipt: bytes, batch: Batch | None) -> None:
        """Sends a receipt once ``batch`` and all before it are durable.

        Args:
            member: who wants it.
            receipt: encoded in its dialect.
            batch: the batch to wait for; None where everything is durable already.
        """
        if batch is None:
            member.connection.send(receipt)
        elif member in self.members:
            self._owed.setdefault(member, deque()).append((batch, receipt))
            if member.session.dialect.impatient:
                member.connection.send(yjs.awareness(EMPTY_AWARENESS))

    def release(self) -> None:
        """Sends what waited for batches that are durable now."""
        for member in tuple(self._holding):
            self._release(member)
        for member in tuple(self._owed):
            self._send_receipts(member)

    def stop_waiting(self) -> None:
        """Sends writers what the others wrote; their own changes' echo goes on waiting."""
        for member in tuple(self._holding):
            for hold in tuple(member.held):
                if not hold.whole:
                    continue
                hold.whole = False
                if hold.own is None:
                    member.held.remove(hold)
                    member.connection.send(hold.batch.frame)
                else:
                    self._send_others(member, hold.batch)
            self._settle(member)

    def synchronise(self, member: Member, known: bytes) -> None:
        """Brings a member up to date that has the state vector ``known``.

        Raises:
            ProtocolError: ``known`` is no state vector.
        """
        state_vector.decode(known)
        asks_back = not member.session.dialect.asks_first
        if member.live:
            if asks_back:
                member.connection.send(yjs.sync_step1(self.document.state_vector))
            member.connection.send(yjs.sync_step2(self.document.diff(known)))
        elif member in self.members:  # It may have left while its question was deferred.
            member.asked = asks_back
            self._catch_up.begin(member, known)

    def pause(self, member: Member) -> None:
        """A member's connection is full: from here on it is owed one diff."""
        if member.paused:
            return
        member.paused = True
        member.paused_at = time.monotonic()
        member.queued_bytes = member.connection.queued_bytes
        self._direct.pop(member, None)
        if member.live:
            self._fall_behind(member)

    def resume(self, member: Member, first: bytes | None) -> None:
        """A member's connection has drained: it gets what it is owed.

        Args:
            member: whose.
            first: a frame that goes before it, between the parts of a long diff; None for none.
        """
        member.paused = False
        if first is not None:
            member.connection.send(first)
        self._catch_up.go_on(member)
        self._release(member)
        self._send_receipts(member)

    def freeze(self, state_before: bytes) -> None:
        """Brings nobody up to date until ``thaw``: the document is being replaced.

        Args:
            state_before: encoded state vector of the document without what broke it.
        """
        self._frozen_at = state_before
        self._catch_up.freeze()

    def thaw(self, document: Document, *, ahead: bool) -> None:
        """Goes on with another document, which holds all that was durable in the last one.

        Args:
            document: the document.
            ahead: whether it holds more: then each reader is owed a diff.
        """
        if ahead:
            for member in tuple(self.members):
                if member.live:
                    self._fall_behind(member)
        self.document = document
        self._frozen_at = None
        self._catch_up.thaw(document, list(self.members))

    def trim(self) -> None:
        """Frees what was kept for readers to come, where none came for a while."""
        self._catch_up.trim()

    def _fall_behind(self, member: Member) -> None:
        """A live member is owed one diff from here on."""
        member.live = False
        missed = next((hold for hold in member.held if hold.whole), None)
        member.known = missed.batch.state_before if missed else self.state_vector
        for hold in tuple(member.held):
            hold.whole = False
            if hold.own is None:
                member.held.remove(hold)
        self._direct.pop(member, None)
        self._settle(member)

    def _send_seconds(self) -> float:
        """What a frame to everyone costs after it was queued: all share one transport."""
        for member in self.members:
            return member.connection.send_seconds * len(self.members)
        return 0.0

    def _send_others(self, writer: Member, batch: Batch) -> None:
        frame = batch.others_frame(writer)
        if frame is not None:
            writer.connection.send(frame)

    def _hold(self, member: Member, hold: Hold) -> None:
        member.held.append(hold)
        self._holding[member] = None
        self._direct.pop(member, None)

    def _release(self, member: Member) -> None:
        held = member.held
        while held and not member.paused:
            hold = held[0]
            if hold.own is not None and not hold.batch.durable:
                break
            del held[0]
            if hold.whole:
                member.connection.send(hold.batch.frame)
            elif hold.own is not None:
                member.connection.send(yjs.update(hold.own))
        self._settle(member)

    def _send_receipts(self, member: Member) -> None:
        receipts = self._owed.get(member)
        while receipts and receipts[0][0].durable and not member.paused:
            member.connection.send(receipts.popleft()[1])
        if not receipts:
            self._owed.pop(member, None)

    def _settle(self, member: Member) -> None:
        """Puts a member among those who wait, those who get frames as they come, or neither."""
        if member not in self.members:
            return
        if member.held:
            self._holding[member] = None
            self._direct.pop(member, None)
            return
        self._holding.pop(member, None)
        if member.live and not member.paused:
            self._direct[member] = None
