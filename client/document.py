"""RemoteDocument: a document on a server, edited from Python wherever that runs."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import anyio
import pycrdt

from collab.access import Access, check_name
from collab.app_messages import AppMessage
from collab.client.conversation import Conversation
from collab.client.credentials import Credentials, Token
from collab.client.line import Line, Status
from collab.client.pulse import Beats, Pulse
from collab.client.replica import Replica
from collab.client.server_address import read_address
from collab.client.timing import Timing
from collab.errors import AccessDenied, ConnectionEnded, NotSaved
from collab.render.values import Json


class RemoteDocument:
    """A document on a server, as one more client of it.

    ``doc`` is a pycrdt Doc of its own. What is changed in it goes to the server after the
    transaction, and what others change comes into it. Without a connection it can be edited on:
    what was changed is sent, and merged, when there is one again. Use it on the event loop on which
    it was opened: a change on another thread raises, and from then on nothing that is changed is
    sent, which ``saved`` tells as well.

    Attributes:
        name: document name.
        doc: the Doc to read and to edit.
    """

    def __init__(
        self,
        name: str,
        doc: "pycrdt.Doc[Any]",
        replica: Replica,
        conversation: Conversation,
        line: Line,
        pulse: Pulse,
    ) -> None:
        self.name = name
        self.doc = doc
        self._replica = replica
        self._conversation = conversation
        self._line = line
        self._pulse = pulse
        self._left = False

    @property
    def status(self) -> Status:
        """Where it stands with its server: ``offline``, ``connected`` or ``refused``."""
        return self._line.status

    @property
    def access(self) -> Access | None:
        """What the token allows: ``Access.READ`` or ``Access.WRITE``.

        None while there is no connection: what was allowed may have changed.
        """
        return self._replica.access

    @property
    def pending_changes(self) -> int:
        """How many changes made here are not known to be durable."""
        return self._replica.ledger.pending

    @property
    def outage(self) -> str | None:
        """Why there is no connection now, in the words of the server or the network.

        None where there is one, and before the first attempt has failed.
        """
        return self._line.outage

    async def synced(self) -> None:
        """Waits until there is a connection, and all that the server has is here.

        That is for ever where the server cannot be reached: ``anyio.fail_after`` bounds it.

        Raises:
            Unauthenticated: the token is not good, and there is no other; or the function that
                gives tokens is wrong.
            AccessDenied: it does not open the document.
            DocumentDeleted: the document was deleted.
            ConnectionEnded: the document was left.
            ProtocolError: the server does not take what this client sends.
            WrongThread: it was changed on another thread.
        """
        await self._pulse.until(lambda: self._raise_if_over() or self._replica.synced)

    async def saved(self) -> None:
        """Waits until everything that was changed here is durable on the server.

        That is for ever where the server cannot be reached: ``anyio.fail_after`` bounds it. What
        was changed goes there all the same as soon as it can.

        Raises:
            AccessDenied: it was changed with a token that may only read.
            NotSaved: the server refused a change: the document has become too large. It is brought
                again by itself, as ``Timing.full_seconds`` says.
            CollabError: what ``synced`` raises.
        """
        if self._left:  # What was changed since is unknown.
            self._raise_if_over()
        made = self._replica.ledger.made
        await self._pulse.until(lambda: self._is_durable(made))

    def show(self, state: dict[str, Json] | None) -> None:
        """Publishes presence to everyone in the document; None takes it back.

        Args:
            state: what to show, such as ``{"user": {"name": "Ada"}}``. It is renewed by itself.

        Raises:
            InvalidMessage: it is no JSON.
        """
        self._replica.send_presence(self._replica.presence.show(state))

    def presence(self) -> dict[int, Json]:
        """Who is here, oneself included: awareness client id to the state it published."""
        return self._replica.presence.states()

    def changes(self) -> AsyncIterator[None]:
        """Tells that something may have changed: the document, presence, or where it stands.

        What changes from here on is told of, also where it happens while nobody waits: then once,
        however much it was. Each call has an iterator of its own. It ends when the document is
        left, goes on when the connection comes back, and raises what ``synced`` raises.
        """
        return Beats(self._pulse, self._is_over)

    async def send_message(self, type: str, payload: Json, *, to: str | None = None) -> int:  # noqa: A002 - the wire's word
        """Says something to everyone who has the document open; it is not stored.

        Args:
            type: what kind of message it is; the application's word.
            payload: what it says: anything that JSON has.
            to: id of the identity that alone is to hear it; None for everybody.

        Returns:
            How many connections and programs it was passed on to.

        Raises:
            InvalidMessage: it is no JSON.
            ServerBusy: it is too long, or messages came too fast.
            ConnectionEnded: there is no connection now, or it ended before the server answered.
        """
        self._raise_if_over()
        if not self._replica.admitted:
            raise ConnectionEnded(None, "there is none now")
        message = self._conversation.compose(type, payload, to)
        assert message.id is not None
        self._replica.say(message.encode())
        return await self._conversation.answer(message.id)

    def messages(self) -> AsyncIterator[AppMessage]:
        """Hears what others say, from here on: messages for everybody and for this identity.

        It ends when the document is left, goes on when the connection comes back, and raises what
        ``synced`` raises, or ``ServerBusy`` where it is read too slowly.
        """
        return self._conversation.listen(self._is_over)

    def leave(self) -> None:
        """Ends what waits for the document; called when the context is left."""
        self._left = True
        self._replica.close()

    def _is_durable(self, made: int) -> bool:
        ledger = self._replica.ledger
        self._replica.thread.refuse_if_strayed()
        if ledger.refused and ledger.durable < made:
            if not self._replica.may_write:
                raise AccessDenied(f"expected no changes of {self.name!r}: read-only", self.name)
            raise NotSaved(f"expected {self.name!r} to be saved, got a refusal", self.name)
        return ledger.durable >= made or self._raise_if_over()

    def _is_over(self) -> bool:
        self._replica.thread.refuse_if_strayed()
        if self._line.refusal is not None:
            raise self._line.refusal
        return self._left

    def _raise_if_over(self) -> bool:
        if self._is_over():
            raise ConnectionEnded(None, "the document was left")
        return False


@asynccontextmanager
async def connect(
    url: str,
    name: str,
    *,
    token: Token = None,
    author: str | None = None,
    doc: "pycrdt.Doc[Any] | None" = None,
    timing: Timing | None = None,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[RemoteDocument]:
    """Opens a document on a server, to read and edit it live.

    It returns at once, and keeps connected for as long as the context lasts; wait with
    ``RemoteDocument.synced``. It begins with WebSockets, and goes on without where they are
    blocked. Leaving the context waits until what was changed is durable.

    Args:
        url: where the server is: ``http://HOST/PREFIX``, or the same with https, ws or wss.
        name: document name.
        token: what to show; or a function, async or not, that gives it, and is asked for another
            one when the server wants that. Where it raises, it is asked again later, unless that is
            a mistake in it, such as a TypeError.
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
        CollabError: on leaving: what ``RemoteDocument.saved`` raises.
    """
    timing = timing or Timing()
    server = read_address(url)
    if author is not None:
        server = replace(server, author=check_name(author))
    pulse = Pulse()
    conversation = Conversation(pulse)
    doc = pycrdt.Doc() if doc is None else doc
    replica = Replica(check_name(name), doc, conversation, pulse.beat)
    line = Line(server, name, replica, Credentials(token), pulse, timing, tls)
    document = RemoteDocument(name, doc, replica, conversation, line, pulse)
    failure: BaseException | None = None
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(line.run)
        try:
            yield document
            await _save(document, timing.leave_seconds)
        except BaseException as error:  # raised below, outside of the group
            if isinstance(error, anyio.get_cancelled_exc_class()):
                raise  # Swallowed here, it would be lost to the group that waits for it.
            failure = error
        finally:
            document.leave()
            tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure


async def _save(document: RemoteDocument, seconds: float) -> None:
    with anyio.move_on_after(seconds) as patience:
        await document.saved()
    if patience.cancelled_caught:
        pending = document.pending_changes
        raise NotSaved(
            f"expected all of {document.name!r} to be saved within {seconds:g} s, "
            f"got {pending} {'change that is' if pending == 1 else 'changes that are'} "
            f"not known to be{because_of(document.outage)}",
            document.name,
        )


def because_of(outage: str | None) -> str:
    """Ends a complaint about what did not come about with why there is no connection.

    Args:
        outage: see ``RemoteDocument.outage``.
    """
    return "" if outage is None else f", as there is no connection: {outage}"
