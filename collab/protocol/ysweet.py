"""The y-sweet dialect: y-websocket with a question that is answered when all before it is durable.

Source: https://github.com/jamsocket/y-sweet, js-pkg/client/src/provider.ts.
"""

from collab import lib0
from collab.protocol import yjs
from collab.protocol.messages import AwarenessUpdate, Message, Receipt

_QUERY_AWARENESS = 3
_SYNC_STATUS = 102


class YSweet:
    """The y-sweet dialect; see ``collab.protocol.dialect.Dialect``."""

    echoes = False
    asks_first = True
    impatient = True

    def welcome(self, *, may_write: bool) -> None:
        """Readers are told when they try to write."""
        return

    def probe(self, state_vector: bytes) -> bytes:
        """Asks for presence."""
        return bytes((_QUERY_AWARENESS,))

    def decode(self, frame: bytes) -> Message:
        """Decodes a frame."""
        message_type, position = lib0.read_var_uint(frame, 0)
        if message_type == _SYNC_STATUS:
            _, position = lib0.read_var_bytes(frame, position)
            lib0.expect_end(frame, position)
            return Receipt(accepted=frame)
        if message_type == _QUERY_AWARENESS and position < len(frame):
            # Its answer to our question carries the question's type.
            payload, position = lib0.read_var_bytes(frame, position)
            lib0.expect_end(frame, position)
            return AwarenessUpdate(payload)
        return yjs.decode(frame)

    def ask_for_token(self) -> None:
        """A token comes with the handshake alone."""
        return

    def stateless(self, payload: str) -> None:
        """There are no application messages in this dialect."""
        return


Y_SWEET = YSweet()
