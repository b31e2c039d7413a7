"""LiveDocument: a document edited from Python while clients edit it too."""

import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import anyio
import pycrdt

from collab.access import Access
from collab.app_messages import AppMessage
from collab.close import CloseCode
from collab.errors import AccessDenied, NotRunning, NotSaved, ServerBusy
from collab.happenings import Happening, Said
from collab.history.point import Point
from collab.home_thread import HomeThread
from collab.merging import merge
from collab.protocol import yjs
from collab.protocol.messages import AwarenessUpdate, SyncStep2, Update
from collab.render.values import Json
from collab.server.auth.guard import Permit
from collab.server.documents.history import History
from collab.server.documents.restoring import restore
from collab.server.rooms.feeds import Subscription
from collab.server.rooms.member import Member
from collab.server.rooms.room import Room
from collab.server.timers import Timers
from collab.session import Session

logger = logging.getLogger("collab")


class LiveDocument:
    """A document in a room, as one more client of it.

    ``doc`` is a pycrdt Doc of its own. What is changed in it goes to the room after the
    transaction, and what others change comes into it, both without an await in between. Use it on
    the server's event loop alone: a change on another thread raises, and from then on nothing that
    is changed is stored, which ``saved`` tells as well.

    Attributes:
        name: document name.
        doc: the Doc to read and to edit.
    """

    def __init__(self, room: Room, permit: Permit, timers: Timers, history: History) -> None:
        self._history = history
        self.name = room.name
        self.doc: pycrdt.Doc[Any] = pycrdt.Doc()
        self._room = room
        self._timers = timers
        self._follows = ExitStack()
        self._connection = _InProcessConnection(self.doc, self._follows.close)
        self._seat = Member(self._connection, Session(permit.identity, permit.access))
        self._outgoing: list[bytes] = []
        self._refused = False
        self._dropped = False
        self._thread = HomeThread(self.name)

    async def saved(self) -> None:
        """Waits until everything in the document is durable.

        Raises:
            AccessDenied: it was changed by an identity that may only read.
            DocumentDeleted: it was deleted meanwhile.
            NotRunning: the server has closed it, or it was left.
            NotSaved: a change was refused: the document has become too large.
            ServerBusy: it was changed while it was made anew.
            WrongThread: it was changed on another thread.
        """
        self._pass_on()
        await self._heard_out()
        self._thread.refuse_if_strayed()
        if self._refused:
            raise AccessDenied(f"expected no changes of {self.name!r}: read-only", self.name)
        if self._connection.closed is not None:
            self._room.content.refuse_if_ended()
            raise NotRunning(f"{self.name!r} was closed: {self._connection.closed}")
        if self._dropped:
            raise ServerBusy(f"expected {self.name!r} to take changes, got one that is made anew")
        await self._room.programs.saved()
        if self._connection.refused:
            raise NotSaved(f"expected {self.name!r} to be saved, got a refusal", self.name)

    async def synced(self) -> None:
        """Waits until everything of the document is here.

        Raises:
            DocumentDeleted: it was deleted meanwhile.
            ServerBusy: too many clients are joining, or it is being rebuilt for long.
        """
        await self._room.programs.read()
        while not self._seat.synced:
            if self._connection.closed is not None:
                self._room.content.refuse_if_ended()
                raise ServerBusy(f"{self.name!r} was closed: {self._connection.closed}")
            await self._connection.next_event()

    async def restore(self, to: Point) -> bool:
        """Takes the document back to what it was, as one change that every client sees at once.

        What anybody wrote since is undone. Restoring to the seq before it undoes the restore.

        Args:
            to: a seq; a time, for the last change that is not later; or the name of a version.

        Returns:
            Whether anything had to be changed; it is durable then.

        Raises:
            AccessDenied: the identity may only read.
            DocumentNotFound: nobody ever changed the document.
            PointNotFound: its history has no such point.
            VersionNotFound: it has no such version.
            HistoryError: the CRDT cannot undo what came since.
            ServerBusy: too much waits for the store.
        """

        async def admit() -> None:
            if self._seat.session.access < Access.WRITE:
                raise AccessDenied(f"expected no changes of {self.name!r}: read-only", self.name)

        await admit()
        self._pass_on()
        await self._heard_out()
        author = self._seat.session.identity.author
        return await restore(self._history, self._room, to, author, admit)

    def changes(self) -> AsyncIterator[None]:
        """Tells that others may have changed something: the document, or who is here.

        What they change from here on is told of, also where it happens while nobody waits: then
        once, however much it was. Each call has an iterator of its own. It ends when the document
        is left or closed.
        """
        return _Changes(self._connection)

    def presence(self) -> dict[int, Json]:
        """Who is here: awareness client id to the state it published."""
        return self._room.presence.states()

    def send_message(self, type: str, payload: Json, *, to: str | None = None) -> int:  # noqa: A002 - the wire's word
        """Says something to everyone who has the document open; it is not stored.

        Args:
            type: what kind of message it is; the application's word.
            payload: what it says: anything that JSON has.
            to: id of the identity that alone is to hear it; None for everybody.

        Returns:
            How many connections and programs it was passed on to.

        Raises:
            InvalidMessage: it is no JSON, or too long.
            NotRunning: the document was closed, or left.
        """
        if self._connection.closed is not None:
            raise NotRunning(f"{self.name!r} was closed: {self._connection.closed}")
        sender = self._seat.session.identity.id
        message = AppMessage(type=type, payload=payload, to=to, sender=sender)
        return self._room.messaging.say(message, self._seat)

    def messages(self) -> AsyncIterator[AppMessage]:
        """Hears what others say, from here on: messages for everybody and for this identity.

        It ends when the document is left or closed, and raises ``ServerBusy`` where it is read too
        slowly.
        """

        def wants(happening: Happening) -> bool:
            return (
                isinstance(happening, Said)
                and happening.source is not self._seat
                and happening.message.to in (None, self._seat.session.identity.id)
            )

        feed = self._follows.enter_context(self._room.feeds.follow(self.name, wants))
        if self._connection.closed is not None:
            self._follows.close()
        return _Messages(feed)

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Takes a seat in the room for as long as the context lasts."""
        self._room.join(self._seat)
        self._room.receive(self._seat, yjs.sync_step1(self.doc.get_state()))
        subscription = self.doc.observe(self._changed)
        try:
            yield
        finally:
            self.doc.unobserve(subscription)
            self._pass_on()
            self._connection.close(CloseCode.NORMAL, "left")
            self._room.leave(self._seat)

    def _changed(self, event: pycrdt.TransactionEvent) -> None:
        """Called in the middle of a commit, where the Doc can take nothing in: so later."""
        self._thread.check()
        if self._connection.applying:
            self._connection.changes += 1
            return
        self._thread.refuse_if_strayed()
        if not self._outgoing:
            self._timers.call_later(0, self._pass_on)
        self._outgoing.append(event.update)

    async def _heard_out(self) -> None:
        """Waits until what was passed on is taken in; a long change takes the room a while."""
        if self._seat.unread is not None:
            await self._room.heard_out(self._seat)
            self._dropped = self._dropped or self._room.content.stopped

    def _pass_on(self) -> None:
        outgoing, self._outgoing = self._outgoing, []
        if not outgoing or self._connection.closed is not None:
            return
        if self._seat.session.access < Access.WRITE:
            self._refused = True
            return
        self._dropped = self._dropped or self._room.content.stopped
        self._room.receive(self._seat, yjs.update(merge(outgoing)))


class _Messages(AsyncIterator[AppMessage]):
    """The messages of a subscription to nothing else."""

    def __init__(self, subscription: Subscription) -> None:
        self._subscription = subscription

    async def __anext__(self) -> AppMessage:
        happening = await anext(self._subscription)
        assert isinstance(happening, Said)
        return happening.message


class _Changes(AsyncIterator[None]):
    """The changes that a connection brings from here on; several at once are one."""

    def __init__(self, connection: "_InProcessConnection") -> None:
        self._connection = connection
        self._seen = connection.changes

    async def __anext__(self) -> None:
        while self._connection.closed is None and self._connection.changes == self._seen:
            await self._connection.next_event()
        if self._connection.closed is not None:
            raise StopAsyncIteration
        self._seen = self._connection.changes


class _InProcessConnection:
    """What a room sends to a LiveDocument goes into its Doc at once; nothing is ever queued.

    Args:
        doc: where it goes.
        ended: called when it is closed.

    Attributes:
        applying: whether the Doc is just taking something in.
        changes: how often others changed the Doc, or presence did.
        closed: why nothing comes any more, or None.
        refused: whether a change of the Doc was refused: what follows builds on it.
    """

    def __init__(self, doc: "pycrdt.Doc[Any]", ended: Callable[[], None]) -> None:
        self.heard = True
        self.told = True
        self.send_seconds = 0.0
        self.queued_bytes = 0
        self.applying = False
        self.changes = 0
        self.closed: str | None = None
        self.refused = False
        self._doc = doc
        self._ended = ended
        self._changed: anyio.Event | None = None

    async def next_event(self) -> None:
        """Waits until something is sent, or until it is closed."""
        if self._changed is None:
            self._changed = anyio.Event()
        await self._changed.wait()

    def _announce(self) -> None:
        if self._changed is not None:
            self._changed.set()
            self._changed = None

    def send(self, frame: bytes) -> None:
        if self.closed is not None:
            return
        if frame[0] > 1:  # Neither sync nor awareness.
            self.refused = self.refused or frame[0] == yjs.AUTH
            return
        message = yjs.decode(frame)
        if isinstance(message, AwarenessUpdate):
            self.changes += 1
            self._announce()
        elif isinstance(message, (Update, SyncStep2)):
            self.applying = True
            try:
                self._doc.apply_update(message.update)
            except Exception:  # An observer of the application's: its fault, not the room's.
                logger.exception("an observer of a live document failed")
            finally:
                self.applying = False
            self._announce()

    def close(self, code: CloseCode, reason: str = "") -> None:
        if self.closed is None:
            self.closed = reason or code.name
            self._ended()
            self._announce()

    def abort(self) -> None:
        self.close(CloseCode.GOING_AWAY)

    def pause_reading(self) -> None:
        """The one who writes is the one who waits: ``saved`` is there for it."""

    def resume_reading(self) -> None:
        """See ``pause_reading``."""

    def probe(self) -> bool:
        self.heard = True
        return True
