"""Catch-up: brings members up to date, in parts where that is much."""

import logging
import time
from collections.abc import Callable
from functools import partial

import anyio.to_thread

from collab.close import CloseCode
from collab.document import Document
from collab.errors import ProtocolError, ServerBusy
from collab.protocol import yjs
from collab.protocol.messages import EMPTY_STATE_VECTOR, EMPTY_UPDATE
from collab.server.rooms.admission import Admission
from collab.server.rooms.member import Member, Parts
from collab.server.settings import Settings
from collab.server.tasks import Spawn
from collab.update import split

logger = logging.getLogger("collab")

_WHOLE_SECONDS = 1.0
"""How long an encoded whole state is good for new readers; a small diff then makes up the rest."""
_KEPT_SECONDS = 10.0
"""How long it is kept for readers to come."""
_PARTS = 4
"""A diff longer than so many parts goes out in parts."""


class CatchUp:
    """Sends members what they lack: a step 2, or several updates and a step 2 at the end.

    Those who join with nothing share one encoding and its parts. A part goes out when the
    connection has drained, so that presence and pings find their way between them.
    """

    def __init__(
        self,
        document: Document,
        settings: Settings,
        admission: Admission,
        spawn: Spawn,
        went_live: Callable[[Member], None],
    ) -> None:
        self._document = document
        self._part_bytes = settings.part_bytes
        self._admission = admission
        self._spawn = spawn
        self._went_live = went_live
        self._whole: _WholeState | None = None
        self._diff: _Diff | None = None
        self._frozen = False

    def begin(self, member: Member, known: bytes) -> None:
        """Brings a member up to date that has the state vector ``known``, when it is its turn."""
        member.known = known
        member.parts = None
        if member.synced:
            self.go_on(member)
            return
        try:
            self._admission.enter(member, partial(self.go_on, member))
        except ServerBusy:
            member.connection.close(CloseCode.TRY_AGAIN_LATER, "too many clients are joining")

    def go_on(self, member: Member) -> None:
        """Sends as much of what a member lacks as its connection takes now, once it is its turn."""
        if not (member.synced or self._admission.admits(member)):
            return
        while not (member.known is None or member.live or member.paused or self._frozen):
            parts = member.parts
            if parts is None:
                self._start(member, member.known)
            elif parts.frames is None:
                return  # They are being cut; whoever cuts them comes back here.
            elif parts.sent < len(parts.frames):
                parts.sent += 1
                member.connection.send(parts.frames[parts.sent - 1])
            elif parts.version == self._document.version:
                self._finish(member, EMPTY_UPDATE)
            else:
                self._finish(member, self._document.diff(parts.state_vector))

    def forget(self, member: Member) -> None:
        """Owes a member nothing any more."""
        member.known = None
        member.parts = None
        self._admission.leave(member)

    def freeze(self) -> None:
        """Sends nothing until ``thaw``: the document is being replaced."""
        self._frozen = True

    def thaw(self, document: Document, members: list[Member]) -> None:
        """Goes on with another document."""
        self._frozen = False
        self._whole = self._diff = None
        self._document = document
        for member in members:
            member.parts = None
            self.go_on(member)

    def trim(self) -> None:
        """Frees what is encoded where nobody asked for it for a while."""
        whole, diff = self._whole, self._diff
        if whole is not None and time.monotonic() - whole.used_at > _KEPT_SECONDS:
            self._whole = None
            self._document.forget_encoding()
        if diff is not None and time.monotonic() - diff.made_at > _KEPT_SECONDS:
            self._diff = None

    def _start(self, member: Member, known: bytes) -> None:
        """Sends a short diff, or gets a long one ready to be sent in parts."""
        if not member.synced:
            if any(hold.own is not None for hold in member.held):
                # In an update its own changes would come back to it before they are durable.
                self._finish(member, self._document.diff(known))
                return
            if known == EMPTY_STATE_VECTOR:
                self._start_whole(member)
                return
        last = self._diff
        if last is None or last.known != known or last.version != self._document.version:
            last = self._diff = _Diff(self._document, known)
        diff = last.update
        if len(diff) <= self._part_bytes * _PARTS:
            self._finish(member, diff)
            return
        self._diff = None  # Megabytes are not kept for others, who seldom lack the same.
        parts = Parts(None, self._document.state_vector, self._document.version)
        member.parts = parts
        # An update would tell a writer that its changes in it are durable; a step 2 does not.
        encode = yjs.sync_step2 if member.synced else yjs.update

        async def cut() -> None:
            parts.frames = await anyio.to_thread.run_sync(_cut, diff, self._part_bytes, encode)
            self.go_on(member)

        self._spawn(cut)

    def _start_whole(self, member: Member) -> None:
        """The same for a member that has nothing."""
        now = time.monotonic()
        whole = self._whole
        if whole is None or (
            whole.version != self._document.version and now - whole.made_at > _WHOLE_SECONDS
        ):
            whole = self._whole = _WholeState(self._document, now)
        whole.used_at = now
        short = len(whole.update) <= self._part_bytes * _PARTS
        if short and whole.version == self._document.version:
            self._finish(member, whole.update)
            return
        if short and whole.frames is None:
            whole.frames = [yjs.update(whole.update)]
        parts = member.parts = Parts(whole.frames, whole.state_vector, whole.version)
        if whole.frames is None:
            whole.waiting.append((member, parts))
            if len(whole.waiting) == 1:
                self._spawn(partial(self._cut_whole, whole))

    async def _cut_whole(self, whole: "_WholeState") -> None:
        whole.frames = await anyio.to_thread.run_sync(
            _cut, whole.update, self._part_bytes, yjs.update
        )
        waiting, whole.waiting = whole.waiting, []
        for member, parts in waiting:
            parts.frames = whole.frames
            self.go_on(member)  # Unless it waits for others by now, of a document made anew.

    def _finish(self, member: Member, diff: bytes) -> None:
        """Sends the last of what a member lacks: from here on it is live."""
        member.parts = None
        member.known = None
        member.synced = True
        member.live = True
        if member.asked:
            member.asked = False
            member.connection.send(yjs.sync_step1(self._document.state_vector))
        member.connection.send(yjs.sync_step2(diff))
        self._went_live(member)
        self._admission.leave(member)


class _Diff:
    """What a member lacked: a crowd that comes back together lacks the same.

    Attributes:
        known: the state vector of what it had.
        update: what it lacked.
        version: the document's version.
        made_at: when, seconds on the monotonic clock.
    """

    __slots__ = ("known", "made_at", "update", "version")

    def __init__(self, document: Document, known: bytes) -> None:
        self.known = known
        self.update = document.diff(known)
        self.version = document.version
        self.made_at = time.monotonic()


class _WholeState:
    """An encoded whole state, shared by all who join with nothing.

    Attributes:
        update: the state.
        state_vector: what it covers.
        version: the document's version it was made of.
        made_at: when, seconds on the monotonic clock.
        used_at: when somebody was last given it.
        frames: its parts, encoded; None until they are cut.
        waiting: who waits for them, and what they are put into.
    """

    def __init__(self, document: Document, now: float) -> None:
        self.update = document.encode()
        self.state_vector = document.state_vector
        self.version = document.version
        self.made_at = self.used_at = now
        self.frames: list[bytes] | None = None
        self.waiting: list[tuple[Member, Parts]] = []


def _cut(update: bytes, part_bytes: int, encode: Callable[[bytes], bytes]) -> list[bytes]:
    try:
        return [encode(part) for part in split(update, part_bytes)]
    except ProtocolError as error:
        # What the CRDT encodes and our reader refuses must still reach the reader.
        logger.warning("sending %d bytes in one piece: %s", len(update), error)
        return [encode(update)]
