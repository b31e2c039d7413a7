"""Replica: a client's copy of a document, and what is said about it with a server.

Without any input or output: frames come in, frames to send are taken out. It outlives connections:
what is changed while there is none stays in the Doc, and goes out with the next one's sync.
"""

import logging
from collections.abc import Callable
from typing import Any

import pycrdt

from collab import lib0, state_vector
from collab.access import Access
from collab.client.conversation import Conversation
from collab.client.frames import (
    PING,
    PONG,
    Admitted,
    AskedForToken,
    Dismissed,
    ServerMessage,
    SyncStatus,
    read_frame,
    send_token,
)
from collab.client.ledger import Ledger
from collab.client.presence import PresenceView
from collab.errors import ConnectionEnded, PoisonedUpdate, ProtocolError
from collab.home_thread import HomeThread
from collab.merging import merge
from collab.protocol import hocuspocus, yjs
from collab.protocol.messages import (
    EMPTY_AWARENESS,
    EMPTY_STATE_VECTOR,
    AwarenessUpdate,
    QueryAwareness,
    Stateless,
    SyncStep1,
    SyncStep2,
    Update,
)
from collab.update import split

logger = logging.getLogger("collab")

_PART_BYTES = 256 * 1024
"""Longer changes are sent in parts of this size: servers and proxies bound what comes at once, and
what arrived before a cut need not be sent again."""


class Replica:
    """One document, as a client has it.

    Args:
        name: document name.
        doc: the Doc to keep in sync; what is in it already is a change made here.
        conversation: where what applications say is heard.
        notify: called when there is something to send, or something has changed.

    Attributes:
        ledger: which changes are durable.
        presence: who is here.
        admitted: whether the server has let us in, on this connection.
        may_write: whether it takes our changes.
        synced: whether everything that the server had when we came is here, on this connection.
        asked_for_token: whether the server wants another token.
        changes: how often the document was changed, here or by others.
        thread: the one that alone may change the Doc. Once another one has, nothing comes in any
            more, and nothing that is changed goes out.
    """

    def __init__(
        self,
        name: str,
        doc: "pycrdt.Doc[Any]",
        conversation: Conversation,
        notify: Callable[[], None],
    ) -> None:
        self.ledger = Ledger()
        self.presence = PresenceView(doc.client_id)
        self.admitted = False
        self.may_write = True
        self.synced = False
        self.asked_for_token = False
        self.changes = 0
        self.thread = HomeThread(name)
        self._doc = doc
        self._address = lib0.write_var_string(name)
        self._conversation = conversation
        self._notify = notify
        self._answered = False  # What the server lacked was sent: changes may follow.
        self._outgoing: list[bytes] = []
        self._changes: list[bytes] = []
        self._shown: bytes | None = None  # The presence to send: the latest says it all.
        self._applying = False
        self._subscription = doc.observe(self._changed)
        if doc.get_state() != EMPTY_STATE_VECTOR:
            self.ledger.make()

    @property
    def access(self) -> Access | None:
        """What the server lets us do; None while it has not said, on this connection."""
        if not self.admitted:
            return None
        return Access.WRITE if self.may_write else Access.READ

    @property
    def is_full(self) -> bool:
        """Whether the server has refused changes of somebody who may write: there is no room."""
        return self.admitted and self.may_write and self.ledger.refused

    # A connection.

    def connect(self, token: str) -> None:
        """Begins a connection: says who we are, and asks for what we lack."""
        self.disconnect()
        self.ledger.begin()
        self.send_token(token)
        self._send(yjs.sync_step1(self._doc.get_state()))

    def disconnect(self) -> None:
        """The connection ended, and what was not sent on it is not to be sent."""
        self._outgoing.clear()
        self._changes.clear()
        self._shown = None
        self._answered = self.admitted = self.synced = self.asked_for_token = False
        self.presence.forget_others()
        self._conversation.interrupt()
        self._notify()

    def receive(self, frame: bytes) -> None:
        """Takes in a frame.

        Raises:
            ProtocolError: it is none that a server sends.
            ConnectionEnded: the server will not have us, or no longer; or the Doc was changed on
                another thread: an answer to the server's question would have that in it.
        """
        if self.thread.strayed:
            raise ConnectionEnded(None, "the document was changed on another thread")
        if frame == PING:
            self._outgoing.append(PONG)
        else:
            address, body = hocuspocus.split_address(frame)
            if address == self._address:
                message = read_frame(body)
                if message is not None:
                    self._take(message)
        self._notify()

    def has_something_to_send(self) -> bool:
        """Whether ``take`` would give something."""
        return bool(self._outgoing or self._changes or self._shown)

    def take(self) -> list[bytes]:
        """Takes out what is to be sent."""
        changes, self._changes = self._changes, []
        if changes:
            self._bring(merge(changes), yjs.update)
        outgoing, self._outgoing = self._outgoing, []
        if self._shown is not None:
            # Before we answer the server's question: so it knows us for who was here before.
            outgoing.insert(0, self._address + yjs.awareness(self._shown))
            self._shown = None
        return outgoing

    def close(self) -> None:
        """Ends the connection, where there is one, and lets go of the Doc."""
        self.disconnect()
        self._doc.unobserve(self._subscription)

    # What a client says.

    def send_token(self, token: str) -> None:
        """Shows a token."""
        self.asked_for_token = False
        self._send(send_token(token))

    def bring_again(self) -> None:
        """Has what was refused go with the answer to the server's question, which follows ours."""
        self._answered = False
        self._changes.clear()
        self.ledger.begin_again()
        self._send(yjs.sync_step1(self._doc.get_state()))

    def send_presence(self, payload: bytes) -> None:
        """Says something of one's presence; who is not admitted yet does when it is."""
        if self.admitted and (self._shown is None or payload != EMPTY_AWARENESS):
            self._shown = payload
            self._notify()

    def say(self, text: str) -> None:
        """Sends an application's message."""
        self._send(hocuspocus.HOCUSPOCUS.stateless(text))

    # What happens.

    def _take(self, message: ServerMessage) -> None:
        if isinstance(message, SyncStep1):
            state_vector.decode(message.state_vector)
            # What was changed until now is in it; the server answers it, whatever it brings.
            self._changes.clear()
            self._answered = True
            self._bring(self._doc.get_update(message.state_vector), yjs.sync_step2)
            self._notify()
        elif isinstance(message, (SyncStep2, Update)):
            self._apply(message.update)
            if isinstance(message, SyncStep2):
                self.synced = True
        elif isinstance(message, SyncStatus):
            if message.durable:
                self.ledger.accept()
            else:
                self.ledger.refuse()
        elif isinstance(message, AwarenessUpdate):
            answer = self.presence.receive(message.payload)
            if answer is not None:
                self.send_presence(answer)
        elif isinstance(message, QueryAwareness):
            self.send_presence(self.presence.renew())
        elif isinstance(message, Stateless):
            self._conversation.hear(message.payload)
        elif isinstance(message, Admitted):
            if self._answered and message.may_write and not self.may_write:
                self.bring_again()
            self.admitted = True
            self.may_write = message.may_write
            self.send_presence(self.presence.renew())
        elif isinstance(message, AskedForToken):
            self.asked_for_token = True
        else:
            assert isinstance(message, Dismissed)
            raise ConnectionEnded(message.code, message.reason)

    def _apply(self, update: bytes) -> None:
        self._applying = True
        try:
            self._doc.apply_update(update)
        except ExceptionGroup:  # Observers of the application's: the update is in the Doc.
            logger.exception("an observer of a document failed")
        except BaseException as error:  # noqa: BLE001 - see PoisonedUpdate.of
            raise PoisonedUpdate.of(update, error) from None
        finally:
            self._applying = False

    def _changed(self, event: pycrdt.TransactionEvent) -> None:
        self.thread.check()
        self.changes += 1
        if self._applying:
            return
        self.thread.refuse_if_strayed()
        self.ledger.make()
        if self._answered:
            self._changes.append(event.update)
        self._notify()

    def _bring(self, update: bytes, encode: Callable[[bytes], bytes]) -> None:
        """Has everything that was changed so far sent, in parts where that is much.

        Each part of an answer is an answer: as updates, deletions that the server has would be
        logged anew, and refused to a reader.
        """
        *parts, last = _parts(update)
        for part in parts:
            self.ledger.send_part()
            self._outgoing.append(self._address + encode(part))
        self.ledger.send()
        self._outgoing.append(self._address + encode(last))

    def _send(self, body: bytes) -> None:
        self._outgoing.append(self._address + body)
        self._notify()


def _parts(update: bytes) -> list[bytes]:
    """Cuts a change so that no part waits for a later one; a single value is never cut."""
    try:
        return list(split(update, _PART_BYTES))
    except ProtocolError:  # It is for the server to say that it does not take such values.
        return [update]
