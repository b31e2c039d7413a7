"""Delivery: who in a room gets which frame, and when."""

import time
from collections.abc import Iterator
from functools import partial
from itertools import count

from collab import state_vector
from collab.close import CloseCode
from collab.document import Document
from collab.errors import ServerBusy
from collab.protocol import yjs
from collab.protocol.messages import EMPTY_STATE_VECTOR, EMPTY_UPDATE
from collab.server.admission import Admission
from collab.server.batch import Batch, Hold
from collab.server.member import Member, Parts
from collab.server.settings import Settings
from collab.update import split

_WHOLE_SECONDS = 1.0
"""How long an encoded whole state is good for new readers; a small diff then makes up the rest."""

_WHOLE_PARTS = 4
"""A diff longer than so many parts goes out in parts."""


class Delivery:
    """The members of one room and what each of them gets.

    A live member gets every batch at its flush. The writers of a batch get it when it is durable,
    because there it is their ack; what follows waits behind it. A member whose connection is full
    gets nothing more of the document, and one diff when it has drained.

    Attributes:
        document: what readers are brought up to date with.
        members: everyone in the room.
    """

    def __init__(self, document: Document, settings: Settings, admission: Admission) -> None:
        self.document = document
        self.members: dict[Member, None] = {}
        self._settings = settings
        self._admission = admission
        self._direct: dict[Member, None] = {}
        self._holding: dict[Member, None] = {}
        self._whole: _WholeState | None = None
        self._frozen = False

    def add(self, member: Member) -> None:
        """Lets a member in; it is brought up to date when it asks."""
        self.members[member] = None

    def remove(self, member: Member) -> None:
        """Forgets a member and all it is owed."""
        self.members.pop(member, None)
        self._direct.pop(member, None)
        self._holding.pop(member, None)
        member.live = False
        member.parts = None
        member.held.clear()
        self._admission.leave(member)

    def send_all(self, frame: bytes) -> None:
        """Sends a small frame that must not be missed to everyone, full connections included."""
        for member in tuple(self.members):
            member.connection.send(frame)

    def send_presence(self, frame: bytes) -> None:
        """Sends presence to everyone whose connection takes it; marks the others."""
        for member in tuple(self.members):
            if member.paused:
                member.missed_presence = True
            else:
                member.connection.send(frame)

    def deliver(self, batch: Batch, *, wait: bool) -> None:
        """Passes a batch on.

        Args:
            batch: applied to the document already.
            wait: whether its writers wait for its commit to see what the others wrote.
        """
        frame = batch.frame
        for member in tuple(self._holding):
            if member not in batch.parts and member.live:
                if any(hold.whole for hold in member.held):
                    member.held.append(Hold(batch, whole=True, own=None))
                else:
                    member.connection.send(frame)
        for writer, part in batch.parts.items():
            if writer in self.members:
                assert isinstance(writer, Member)
                # A lone writer misses nothing while it waits: its own echo is all there is.
                whole = writer.live and len(batch.parts) > 1
                self._hold(writer, Hold(batch, whole=whole, own=part))
        for member in tuple(self._direct):
            member.connection.send(frame)
        if not wait:
            self.stop_waiting()

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

    def release(self) -> None:
        """Sends what waited for batches that are durable now."""
        for member in tuple(self._holding):
            self._release(member)

    def stop_waiting(self) -> None:
        """Sends writers what the others wrote; their own changes' echo goes on waiting."""
        for member in tuple(self._holding):
            for hold in tuple(member.held):
                if not hold.whole:
                    continue
                hold.whole = False
                if hold.own is None:
                    member.held.remove(hold)
                    frame: bytes | None = hold.batch.frame
                else:
                    frame = hold.batch.others_frame(member)
                if frame is not None:
                    member.connection.send(frame)
            self._settle(member)

    def synchronise(self, member: Member, known: bytes) -> None:
        """Brings a member up to date that has the state vector ``known``.

        Raises:
            ProtocolError: ``known`` is no state vector.
        """
        state_vector.decode(known)
        if member.live:
            member.connection.send(yjs.sync_step2(self.document.diff(known)))
            return
        member.known = known
        member.parts = None
        if member.synced:
            self._advance(member)
            return
        try:
            self._admission.enter(member, partial(self._advance, member))
        except ServerBusy:
            member.connection.close(CloseCode.TRY_AGAIN_LATER, "too many clients are joining")

    def pause(self, member: Member) -> None:
        """A member's connection is full: from here on it is owed one diff."""
        if member.paused:
            return
        member.paused = True
        member.paused_at = time.monotonic()
        self._direct.pop(member, None)
        if not member.live:
            return
        member.live = False
        missed = next((hold for hold in member.held if hold.whole), None)
        member.known = missed.batch.state_before if missed else self.document.state_vector
        for hold in tuple(member.held):
            hold.whole = False
            if hold.own is None:
                member.held.remove(hold)
        self._settle(member)

    def resume(self, member: Member) -> None:
        """A member's connection has drained: it gets what it is owed."""
        member.paused = False
        if member.known is not None and not member.live:
            self._advance(member)
        self._release(member)

    def freeze(self) -> None:
        """Brings nobody up to date until ``thaw``: the document is being replaced."""
        self._frozen = True

    def thaw(self, document: Document) -> None:
        """Goes on with another document, which holds all that was durable in the last one."""
        self._frozen = False
        self._whole = None
        self.document = document
        for member in tuple(self.members):
            if member.known is not None:
                member.parts = None
                self._advance(member)

    def _advance(self, member: Member) -> None:
        """Sends as much of what a member lacks as its connection takes."""
        while not (self._frozen or member.live or member.paused) and member in self.members:
            if member.parts is None:
                self._begin(member)
                continue
            frame = next(member.parts.frames, None)
            if frame is not None:
                member.connection.send(frame)
            elif member.parts.version == self.document.version:
                self._finish(member, EMPTY_UPDATE)
            else:
                self._finish(member, self.document.diff(member.parts.state_vector))

    def _begin(self, member: Member) -> None:
        """Sends a short diff, or gets a long one ready to be sent in parts."""
        known = member.known
        assert known is not None
        if known == EMPTY_STATE_VECTOR and not member.synced:
            whole = self._whole_state()
            if whole.version != self.document.version or len(whole.update) > self._whole_bytes:
                member.parts = Parts(iter(whole), whole.state_vector, whole.version)
            else:
                self._finish(member, whole.update)
            return
        diff = self.document.diff(known)
        if len(diff) <= self._whole_bytes:
            self._finish(member, diff)
            return
        # An update would tell a writer that its changes in it are durable; a step 2 does not.
        encode = yjs.sync_step2 if member.synced else yjs.update
        frames = map(encode, split(diff, self._settings.part_bytes))
        member.parts = Parts(frames, self.document.state_vector, self.document.version)

    def _finish(self, member: Member, diff: bytes) -> None:
        """Sends the last of what a member lacks: from here on it is live."""
        member.parts = None
        member.known = None
        member.synced = True
        member.live = True
        member.connection.send(yjs.sync_step2(diff))
        self._settle(member)
        self._admission.leave(member)

    def _whole_state(self) -> "_WholeState":
        now = time.monotonic()
        whole = self._whole
        if whole is None or (
            whole.version != self.document.version and now - whole.made_at > _WHOLE_SECONDS
        ):
            whole = self._whole = _WholeState(self.document, self._settings.part_bytes, now)
        return whole

    @property
    def _whole_bytes(self) -> int:
        return self._settings.part_bytes * _WHOLE_PARTS

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


class _WholeState:
    """An encoded whole state and its parts as frames, shared by all who join with nothing."""

    def __init__(self, document: Document, part_bytes: int, made_at: float) -> None:
        self.update = document.encode()
        self.state_vector = document.state_vector
        self.version = document.version
        self.made_at = made_at
        self._frames: list[bytes] = []
        self._uncut = map(yjs.update, split(self.update, part_bytes))

    def __iter__(self) -> Iterator[bytes]:
        for index in count():
            if index == len(self._frames):
                frame = next(self._uncut, None)
                if frame is None:
                    return
                self._frames.append(frame)
            yield self._frames[index]
