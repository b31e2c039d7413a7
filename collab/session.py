"""Session: one client's protocol state in one room, without any input or output of its own."""

from dataclasses import dataclass, replace

from collab.access import Access, Identity
from collab.checking import check_update
from collab.protocol import yjs
from collab.protocol.dialect import Dialect
from collab.protocol.messages import (
    EMPTY_UPDATE,
    AwarenessUpdate,
    Message,
    QueryAwareness,
    Receipt,
    Stateless,
    SyncStep1,
    SyncStep2,
    Update,
)


@dataclass(frozen=True, slots=True)
class ReadersChange:
    """Something of somebody who may not write: refuse it (``Session.refuse``).

    But acknowledge a step 2 where the document has all of it: every step 2 repeats all deletions,
    also that of somebody who has changed nothing.

    Attributes:
        message: what they brought.
    """

    message: Update | SyncStep2


Effect = (
    SyncStep1
    | SyncStep2
    | ReadersChange
    | Update
    | AwarenessUpdate
    | QueryAwareness
    | Receipt
    | Stateless
)
"""What the room must do for a frame. Updates in it decode, and are permitted but for a
``ReadersChange``."""

READ_ONLY = "this document is read-only for you"
"""What somebody is told who may not write."""


class Session:
    """Turns a client's frames into effects, within what its identity may do.

    Attributes:
        identity: who the client speaks for.
        access: what it may do in this room.
        dialect: what it speaks.
        answered: whether the client has answered our question, and so may have heard who is here.
        asked_again: whether it was asked for what was refused, and has not answered since.
    """

    __slots__ = (
        "_asked",
        "_decode",
        "_early",
        "_refused",
        "_torn",
        "_was_idle",
        "access",
        "answered",
        "asked_again",
        "dialect",
        "identity",
    )

    def __init__(
        self, identity: Identity, access: Access, dialect: Dialect = yjs.Y_WEBSOCKET
    ) -> None:
        self.identity = identity
        self.access = access
        self.dialect = dialect
        self.answered = False
        self.asked_again = False
        self._decode = dialect.decode
        self._early: Receipt | None = None
        self._asked: Receipt | None = None
        self._was_idle = False
        self._refused = False
        self._torn = False

    @property
    def torn(self) -> bool:
        """Whether a part of a long change was refused: the rest of it is to be refused, too."""
        return self._torn

    @property
    def has_refused(self) -> bool:
        """Whether a change was refused, and the client has not brought all that it has since.

        Until then nothing is durable of which the client asks.
        """
        return self._refused

    def receive(self, frame: bytes) -> Effect | None:
        """Takes in a frame: reads it and follows it.

        Returns:
            What follows from it, or None where nothing does.

        Raises:
            ProtocolError: the frame is not of the dialect, or its update does not decode.
        """
        return self.follow(self.read(frame))

    def read(self, frame: bytes) -> Message | None:
        """Reads a frame, and changes nothing: it may be called in any thread.

        Returns:
            What the client says; an update in it can be kept. None where nothing needs to be done.

        Raises:
            ProtocolError: the frame is not of the dialect, or its update does not decode.
        """
        message = self._decode(frame)
        if isinstance(message, (Update, SyncStep2)) and message.update != EMPTY_UPDATE:
            kept = check_update(message.update)
            if kept is not message.update:
                return replace(message, update=kept)
        return message

    def follow(self, message: Message | None) -> Effect | None:
        """Tells what follows from a message that was read.

        Returns:
            What the room must do, or None where that is nothing.
        """
        if isinstance(message, (Update, SyncStep2)):
            if isinstance(message, SyncStep2) and not message.more:
                self.answered = True
                self.asked_again = False
                early, self._early = self._early, None
                if early is not None:
                    message = replace(message, receipt=early)
                if message.update == EMPTY_UPDATE:
                    self._refused = False  # It has nothing that the document lacks.
            if message.update == EMPTY_UPDATE:
                return message.receipt
            if self.access < Access.WRITE:
                return ReadersChange(message)
        elif isinstance(message, Receipt):
            if self.dialect.asks_first and not self.answered:
                # What it wrote while it was away is yet to come, with its answer to our question.
                self._early = self._asked = message
                return None
            is_idle = message == self._asked and not self._refused and not self._was_idle
            if is_idle and self.access >= Access.WRITE:
                self._was_idle = True
                return replace(message, idle=True)
            self._asked = message
        return message

    def permit(self, identity: Identity, access: Access) -> bytes | None:
        """Has the client speak for somebody, within what they may do, from now on.

        What was refused before is refused until the client brings it again.

        Returns:
            The frame that tells it so, or None where the dialect has no word.
        """
        self.identity = identity
        self.access = access
        return self.dialect.welcome(may_write=access >= Access.WRITE)

    def refuse(self, message: Update | SyncStep2, reason: str) -> bytes | None:
        """Says that a change is refused: each time, or once where nobody waits for an answer.

        Args:
            message: the change.
            reason: what people are told, where the dialect has words.

        Returns:
            The frame that the client is to be sent, or None.
        """
        self._torn = message.more
        receipt = message.whole if message.more else message.receipt
        if receipt is not None and receipt.refused is not None:
            # The last part is answered, with what became of all.
            return None if message.more else receipt.refused
        if receipt is not None:
            self.keep(receipt)
        is_first = not self._refused
        self._refused = True
        return yjs.permission_denied(reason) if is_first else None

    def keep(self, receipt: Receipt) -> None:
        """Keeps what the client asked for until it has brought all that it has."""
        self._early = receipt

    def make_good(self, answer: SyncStep2) -> SyncStep2:
        """Notes that the client's answer is taken in, with all that was refused before.

        Args:
            answer: the whole answer to our question, or its last part.

        Returns:
            The same, with the receipt that it settles.
        """
        self._refused = False
        if answer.receipt is None and self._early is not None:
            answer, self._early = replace(answer, receipt=self._early), None
        return answer
