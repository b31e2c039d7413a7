"""BlockingDocument: a document on a server, for programs without an event loop."""

import atexit
import inspect
import ssl
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, TypeVar

import anyio
import anyio.to_thread
import pycrdt
from anyio.abc import TaskStatus
from anyio.from_thread import BlockingPortal

from collab.access import Access
from collab.app_messages import AppMessage
from collab.client.credentials import Token
from collab.client.document import RemoteDocument, because_of, connect
from collab.client.line import Status
from collab.client.portal import open_portal
from collab.client.timing import Timing
from collab.errors import ConnectionEnded, NotSaved, TimedOut
from collab.home_thread import HomeThread
from collab.protocol.messages import EMPTY_STATE_VECTOR
from collab.render.values import Json

T = TypeVar("T")

_HANDED_OVER = 1000
"""Changes that wait for the event loop, before the program waits for it."""


class _Counterpart:
    """The same document in the event loop's thread, where alone its methods are called.

    A pycrdt Doc belongs to one thread. So there are two, and updates go between them.

    Attributes:
        handed_over: changes of the program that are not in it yet; filled from the other thread.
        called: whether ``take_in`` was called for, and has not begun.
    """

    def __init__(self, remote: RemoteDocument) -> None:
        self.handed_over: deque[bytes] = deque()
        self.called = False
        self._remote = remote
        self._taking_in = False
        self._has_news = False
        self._seen_status = remote.status
        self._seen_presence = remote.presence()
        self._left = anyio.Event()
        self._subscription = remote.doc.observe(self._changed)

    def take_in(self) -> None:
        """Takes in what the program has changed."""
        self.called = False
        self._taking_in = True
        try:
            while self.handed_over:
                self._remote.doc.apply_update(self.handed_over.popleft())
        finally:
            self._taking_in = False

    def ask(self, question: Callable[[], T]) -> T:
        """Answers a question about the document as the program has made it."""
        self.take_in()
        return question()

    async def wait(self, wait: Callable[[], Awaitable[T]], within_seconds: float | None) -> T:
        """Waits for something that follows from what the program has made of the document.

        Raises:
            TimedOut: it takes longer.
        """
        self.take_in()
        with anyio.move_on_after(within_seconds):
            return await wait()
        why = because_of(self._remote.outage)
        raise TimedOut(f"expected it within {within_seconds:g} s, got nothing{why}")

    def status(self) -> Status:
        """Where it stands; the program knows it now."""
        self._seen_status = self._remote.status
        return self._seen_status

    def presence(self) -> dict[int, Json]:
        """Who is here; the program knows it now."""
        self._seen_presence = self._remote.presence()
        return self._seen_presence

    async def next_change(self) -> None:
        """Waits until something is other than the program knows it.

        Raises:
            ConnectionEnded: the document was left.
        """
        changes = self._remote.changes()
        while not (
            self._has_news
            or self._seen_status != self._remote.status
            or self._seen_presence != self._remote.presence()
        ):
            try:
                await anext(changes)
            except StopAsyncIteration:
                raise ConnectionEnded(None, "the document was left") from None

    def news(self, known: bytes) -> bytes | None:
        """What others have changed since the last call: an update, or None for nothing.

        Args:
            known: the state vector of what the program has.
        """
        self.status()
        self.presence()
        if not self._has_news:
            return None
        self._has_news = False
        return self._remote.doc.get_update(known)

    async def until_left(self) -> None:
        """Waits until the program has left the document."""
        await self._left.wait()

    def leave(self) -> None:
        """Notes that the program has left, and takes in the last of what it has changed."""
        self.take_in()
        self._remote.doc.unobserve(self._subscription)
        self._left.set()

    def _changed(self, event: pycrdt.TransactionEvent) -> None:
        self._has_news = self._has_news or not self._taking_in


class BlockingDocument:
    """A document on a server, as one more client of it; its calls wait without an event loop.

    ``doc`` is a pycrdt Doc of its own. What is changed in it goes to the server after the
    transaction. What others change comes into it during ``pull``, ``synced`` and ``next_change``
    alone: between them nobody else touches it. The connection lives in a thread in the background,
    whatever the program does meanwhile. Use it in the thread in which it was opened: a change in
    another one raises, and from then on nothing that is changed is sent, which ``saved`` and
    leaving tell as well.

    Attributes:
        name: document name.
        doc: the Doc to read and to edit.
    """

    def __init__(
        self,
        name: str,
        doc: "pycrdt.Doc[Any]",
        portal: BlockingPortal,
        remote: RemoteDocument,
        counterpart: _Counterpart,
        thread: HomeThread,
    ) -> None:
        self.name = name
        self.doc = doc
        self._portal = portal
        self._remote = remote
        self._counterpart = counterpart
        self._pulling = False
        self._left = False
        self._thread = thread
        self._subscription = doc.observe(self._changed)
        if doc.get_state() != EMPTY_STATE_VECTOR:
            self._hand_over(doc.get_update())

    @property
    def status(self) -> Status:
        """Where it stands with its server: ``offline``, ``connected`` or ``refused``."""
        return self._ask(self._counterpart.status)

    @property
    def access(self) -> Access | None:
        """What the token allows; None while there is no connection."""
        return self._ask(lambda: self._remote.access)

    @property
    def outage(self) -> str | None:
        """Why there is no connection now; None where there is one, or none has failed yet."""
        return self._ask(lambda: self._remote.outage)

    @property
    def pending_changes(self) -> int:
        """How many changes made here are not known to be durable."""
        return self._ask(lambda: self._remote.pending_changes)

    def pull(self) -> bool:
        """Takes in what others have changed until now; returns whether that is anything.

        Raises:
            ConnectionEnded: the document was left.
        """
        known = self.doc.get_state()
        update = self._ask(lambda: self._counterpart.news(known))
        if update is None:
            return False
        self._pulling = True
        try:
            self.doc.apply_update(update)
        finally:
            self._pulling = False
        return True

    def synced(self, *, within_seconds: float | None = None) -> None:
        """Waits until there is a connection, and takes in all that the server has.

        Args:
            within_seconds: how long to wait; None for as long as it takes.

        Raises:
            TimedOut: it takes longer.
            Unauthenticated: the token is not good, and there is no other; or the function that
                gives tokens is wrong.
            AccessDenied: it does not open the document.
            DocumentDeleted: the document was deleted.
            ConnectionEnded: the document was left.
            ProtocolError: the server does not take what this client sends.
            WrongThread: it was changed in another thread.
        """
        self._wait(self._remote.synced, within_seconds)
        self.pull()

    def saved(self, *, within_seconds: float | None = None) -> None:
        """Waits until everything that was changed here is durable on the server.

        Args:
            within_seconds: how long to wait; None for as long as it takes.

        Raises:
            TimedOut: it takes longer.
            AccessDenied: it was changed with a token that may only read.
            NotSaved: the server refused a change: the document has become too large.
            CollabError: what ``synced`` raises.
        """
        self._wait(self._remote.saved, within_seconds)

    def next_change(self, *, within_seconds: float | None = None) -> None:
        """Waits until something is other than this program knows it, and takes it in.

        That is what others change in the document, presence, or where it stands.

        Args:
            within_seconds: how long to wait; None for as long as it takes.

        Raises:
            TimedOut: it takes longer.
            CollabError: what ``synced`` raises.
        """
        self._wait(self._counterpart.next_change, within_seconds)
        self.pull()

    def show(self, state: dict[str, Json] | None) -> None:
        """Publishes presence to everyone in the document; None takes it back.

        Args:
            state: what to show, such as ``{"user": {"name": "Ada"}}``. It is renewed by itself.

        Raises:
            InvalidMessage: it is no JSON.
            ConnectionEnded: the document was left.
        """
        self._ask(lambda: self._remote.show(state))

    def presence(self) -> dict[int, Json]:
        """Who is here, oneself included: awareness client id to the state it published."""
        return self._ask(self._counterpart.presence)

    def send_message(
        self,
        type: str,  # noqa: A002 - the wire's word
        payload: Json,
        *,
        to: str | None = None,
        within_seconds: float | None = None,
    ) -> int:
        """Says something to everyone who has the document open; it is not stored.

        Args:
            type: what kind of message it is; the application's word.
            payload: what it says: anything that JSON has.
            to: id of the identity that alone is to hear it; None for everybody.
            within_seconds: how long to wait for the answer; None for as long as it takes.

        Returns:
            How many connections and programs it was passed on to.

        Raises:
            TimedOut: it takes longer.
            InvalidMessage: it is no JSON.
            ServerBusy: it is too long, or messages came too fast.
            ConnectionEnded: there is no connection now, or it ended before the server answered.
        """
        return self._wait(lambda: self._remote.send_message(type, payload, to=to), within_seconds)

    def messages(self) -> Iterator[AppMessage]:
        """Hears what others say, from here on: messages for everybody and for this identity.

        It waits for each, and raises what ``synced`` raises, or ``ServerBusy`` where it is read too
        slowly.
        """
        heard = self._ask(self._remote.messages)

        def listen() -> Iterator[AppMessage]:
            while not self._left:
                yield self._wait(lambda: anext(heard), None)

        return listen()

    def leave(self) -> None:
        """Ends the exchange with the event loop's thread; called when the context is left."""
        if not self._left:
            self._ask(self._counterpart.leave)
            self._left = True
            self.doc.unobserve(self._subscription)

    def _ask(self, question: Callable[[], T]) -> T:
        self._raise_if_left()
        return self._portal.call(self._counterpart.ask, question)

    def _wait(self, wait: Callable[[], Awaitable[T]], within_seconds: float | None) -> T:
        self._raise_if_left()
        self._thread.refuse_if_strayed()
        waiting = self._portal.start_task_soon(self._counterpart.wait, wait, within_seconds)
        try:
            return waiting.result()
        finally:
            waiting.cancel()  # Where the program was interrupted, nobody waits for it any more.

    def _raise_if_left(self) -> None:
        if self._left:
            raise ConnectionEnded(None, "the document was left")

    def _changed(self, event: pycrdt.TransactionEvent) -> None:
        self._thread.check()
        if not self._pulling:
            self._thread.refuse_if_strayed()
            self._hand_over(event.update)

    def _hand_over(self, update: bytes) -> None:
        counterpart = self._counterpart
        counterpart.handed_over.append(update)
        if len(counterpart.handed_over) >= _HANDED_OVER:
            self._ask(lambda: None)
        elif not counterpart.called:
            counterpart.called = True
            self._portal.start_task_soon(counterpart.take_in)


@contextmanager
def connect_blocking(
    url: str,
    name: str,
    *,
    token: Token = None,
    author: str | None = None,
    doc: "pycrdt.Doc[Any] | None" = None,
    timing: Timing | None = None,
    tls: ssl.SSLContext | None = None,
) -> Iterator[BlockingDocument]:
    """Opens a document on a server, in programs without an event loop: scripts, notebooks.

    It is ``connect`` with calls that block. The connection is kept in a thread in the background
    for as long as the context lasts; leaving it waits until what was changed is durable, and so
    does the end of a program that has not left it.

    Args:
        url: where the server is: ``http://HOST/PREFIX``, or the same with https, ws or wss.
        name: document name.
        token: what to show; or a function that gives it, which is called in a thread of its own,
            or on the connection's event loop where it is async.
        author: what the history calls who writes here, on a server that authenticates nobody; it is
            a claim, and kept as one. None for nobody.
        doc: the Doc to keep in sync, with what is in it already; None for a new one.
        timing: how patient the client is; None for the defaults.
        tls: how the server's certificate is checked; None for as usual.

    Raises:
        InvalidName: this cannot name a document, or an author.
        InvalidQuery: the URL is none of a server.
        Unauthenticated: the token is no text.
        NotSaved: on leaving: changes have not become durable in time.
        CollabError: on leaving: what ``BlockingDocument.saved`` raises.
    """
    own: pycrdt.Doc[Any] = pycrdt.Doc() if doc is None else doc
    client_id = own.client_id

    async def stay(*, task_status: TaskStatus[tuple[RemoteDocument, _Counterpart]]) -> None:
        # With the same client id, which presence has too: others take both for one client.
        twin: pycrdt.Doc[Any] = pycrdt.Doc(client_id=client_id)
        shown = _in_worker(token)
        async with connect(
            url, name, token=shown, author=author, doc=twin, timing=timing, tls=tls
        ) as remote:
            counterpart = _Counterpart(remote)
            task_status.started((remote, counterpart))
            await counterpart.until_left()

    with ExitStack() as background:
        portal = background.enter_context(open_portal(f"collab {name}"))
        stayed, (remote, counterpart) = portal.start_task(stay)
        thread, opened_in = HomeThread(name), threading.current_thread()
        document = BlockingDocument(name, own, portal, remote, counterpart, thread)

        def end_with_program() -> None:
            """Leaves what was never left, before its thread in the background stands still."""
            if opened_in is threading.current_thread() or not opened_in.is_alive():
                with background:
                    document.leave()
                    try:
                        stayed.result()
                    except ExceptionGroup as error:  # Hosts are looked up in threads: too late now.
                        why = f"expected {name!r} to be saved, got the end of the program before"
                        raise NotSaved(why, name) from error

        atexit.register(end_with_program)
        try:
            yield document
            document.leave()
            stayed.result()
            thread.refuse_if_strayed()
        finally:
            atexit.unregister(end_with_program)
            document.leave()


def _in_worker(token: Token) -> Token:
    """Has the function that gives tokens called where it may block."""
    if not callable(token):
        return token
    ask = token

    async def give() -> str:
        given = await anyio.to_thread.run_sync(ask, abandon_on_cancel=True)
        return await given if inspect.isawaitable(given) else given

    return give
