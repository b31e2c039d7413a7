"""Dialect: what one client family's wire protocol needs from a session and its room.

All families wrap the same y-protocols frames for sync and awareness, which ``collab.protocol.yjs``
encodes; a dialect tells what else its clients say, and how they hear that a change is durable.
"""

from typing import Protocol

from collab.protocol.messages import Message


class Dialect(Protocol):
    """One client family's wire protocol. Instances have no changing parts and may be shared.

    Attributes:
        echoes: whether a change that is sent back to its writer tells it that it is durable. Other
            dialects use receipts, and their writers get no echo of what is theirs alone.
        asks_first: whether the server asks for what a client has as soon as it joins; otherwise
            when the client asked, at the end of the answer: then once for each question.
        impatient: whether its clients give up a connection where nothing comes for a few seconds
            after they asked for a receipt: then they are sent a sign of life at once.
    """

    @property
    def echoes(self) -> bool:
        """See ``Attributes``."""
        ...

    @property
    def asks_first(self) -> bool:
        """See ``Attributes``."""
        ...

    @property
    def impatient(self) -> bool:
        """See ``Attributes``."""
        ...

    def welcome(self, *, may_write: bool) -> bytes | None:
        """Encodes what a client may do that was let in; None where the dialect does not say.

        Where that changes later, it is sent again.
        """
        ...

    def probe(self, state_vector: bytes) -> bytes:
        """Encodes what makes a living client send something, where the transport has no pings.

        Args:
            state_vector: the document's, encoded.
        """
        ...

    def decode(self, frame: bytes) -> Message | None:
        """Decodes a frame that a client sent; None for one that needs nothing done.

        Raises:
            ProtocolError: it is no message of this dialect, or there is a rest after it.
        """
        ...

    def ask_for_token(self) -> bytes | None:
        """Encodes the question for a new token; None where only a new connection brings one."""
        ...

    def stateless(self, payload: str) -> bytes | None:
        """Encodes an application's message; None where the dialect has none."""
        ...
