"""The y-websocket dialect, and the y-protocols frames that every dialect wraps.

One message a frame, a document a socket.

Sources: https://github.com/yjs/y-protocols (sync.js, awareness.js, auth.js) and
https://github.com/yjs/y-websocket (y-websocket.js).
"""

from collab import lib0
from collab.errors import ProtocolError
from collab.protocol.messages import (
    AwarenessUpdate,
    Message,
    QueryAwareness,
    SyncStep1,
    SyncStep2,
    Update,
)

_SYNC = 0
_AWARENESS = 1
AUTH = 2
_QUERY_AWARENESS = 3

_STEP_1 = 0
_STEP_2 = 1
_UPDATE = 2


def decode(frame: bytes) -> Message:
    """Decodes a frame that a client sent.

    Raises:
        ProtocolError: it is no message of this dialect, or there is a rest after it.
    """
    message_type, position = lib0.read_var_uint(frame, 0)
    if message_type == _SYNC:
        step, position = lib0.read_var_uint(frame, position)
        payload, position = lib0.read_var_bytes(frame, position)
        lib0.expect_end(frame, position)
        if step == _UPDATE:
            return Update(payload)
        if step == _STEP_1:
            return SyncStep1(payload)
        if step == _STEP_2:
            return SyncStep2(payload)
        raise ProtocolError(f"expected a sync message of type 0 to 2, got {step}")
    if message_type == _AWARENESS:
        payload, position = lib0.read_var_bytes(frame, position)
        lib0.expect_end(frame, position)
        return AwarenessUpdate(payload)
    if message_type == _QUERY_AWARENESS:
        lib0.expect_end(frame, position)
        return QueryAwareness()
    raise ProtocolError(f"expected a message of type 0, 1 or 3, got {message_type}")


def sync_step1(state_vector: bytes) -> bytes:
    """Encodes our question: what do you have beyond this state vector?"""
    return b"\x00\x00" + lib0.write_var_bytes(state_vector)


def sync_step2(update: bytes) -> bytes:
    """Encodes our answer to a step 1; it makes the client say that it is synced."""
    return b"\x00\x01" + lib0.write_var_bytes(update)


def update(update: bytes) -> bytes:
    """Encodes a change."""
    return b"\x00\x02" + lib0.write_var_bytes(update)


def awareness(payload: bytes) -> bytes:
    """Encodes awareness states."""
    return b"\x01" + lib0.write_var_bytes(payload)


def permission_denied(reason: str) -> bytes:
    """Encodes a refusal; clients print the reason and stay connected."""
    return b"\x02\x00" + lib0.write_var_string(reason)


class YWebsocket:
    """The y-websocket dialect; see ``collab.protocol.dialect.Dialect``."""

    echoes = True
    asks_first = True
    impatient = False

    def welcome(self, *, may_write: bool) -> None:
        """Readers are told when they try to write."""
        return

    def probe(self, state_vector: bytes) -> bytes:
        """Asks what the client has that we lack."""
        return sync_step1(state_vector)

    def decode(self, frame: bytes) -> Message:
        """Decodes a frame; see the function ``decode``."""
        return decode(frame)

    def ask_for_token(self) -> None:
        """A token comes with the handshake alone."""
        return

    def stateless(self, payload: str) -> None:
        """There are no application messages in this dialect."""
        return


Y_WEBSOCKET = YWebsocket()
