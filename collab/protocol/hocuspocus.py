"""The Hocuspocus dialect: many documents on one socket, tokens in the protocol, a status a change.

A frame is an address, a message type and a body. The address is a document name, or in version 4 a
name, NUL and a session id; whatever it is, answers carry it unchanged. Sync and awareness messages
are y-protocols frames behind the address.

Source: https://github.com/ueberdosis/hocuspocus, packages/provider/src and packages/common/src.
"""

from collab import lib0
from collab.close import CloseCode
from collab.errors import ProtocolError, Truncated
from collab.protocol import yjs
from collab.protocol.messages import (
    Message,
    Receipt,
    Stateless,
    SyncStep2,
    Update,
)

MAX_ADDRESS_BYTES = 1024
"""Longest address: a document name of 512 bytes, and a session id."""

_SYNC = 0
_AWARENESS = 1
AUTH = 2
_QUERY_AWARENESS = 3
_STATELESS = 5
CLOSE = 7
_SYNC_STATUS = 8
_PONG = b"\x0a"
_QUESTION = b"\x00\x00"

_SEND_TOKEN = 0
_DENIED = 1
_AUTHENTICATED = 2

_ANSWER = Receipt(accepted=bytes((_SYNC_STATUS, 1)), refused=bytes((_SYNC_STATUS, 0)))


def is_pong(frame: bytes) -> bool:
    """Whether a frame answers a ping: the only one without an address."""
    return frame == _PONG


def split_address(frame: bytes) -> tuple[bytes, bytes]:
    """Takes the address off a frame.

    Returns:
        The address as it is encoded, to put before answers, and the rest.

    Raises:
        ProtocolError: there is no address, a longer one than there can be, or nothing after it.
    """
    length, position = lib0.read_var_uint(frame, 0)
    if length > MAX_ADDRESS_BYTES:
        raise ProtocolError(f"expected an address of {MAX_ADDRESS_BYTES} bytes, got {length}")
    end = position + length
    if end >= len(frame):
        raise Truncated(f"expected an address of {length} bytes and a message, got {len(frame)}")
    return frame[:end], frame[end:]


def document_of(address: bytes) -> str:
    """The document name in an encoded address.

    Raises:
        ProtocolError: it is not UTF-8.
    """
    return lib0.read_var_string(address, 0)[0].partition("\0")[0]


def is_question(body: bytes) -> bool:
    """Whether a frame after its address is a step 1: what a client says after its token."""
    return body[:2] == _QUESTION


def read_token(body: bytes) -> tuple[str, bool]:
    """Reads an authentication message.

    Args:
        body: the frame after its address.

    Returns:
        The token, and whether the client tells its version, as it does from 4 on.

    Raises:
        ProtocolError: it is something else.
    """
    message_type, position = lib0.read_var_uint(body, 0)
    kind, position = lib0.read_var_uint(body, position)
    if (message_type, kind) != (AUTH, _SEND_TOKEN):
        raise ProtocolError(f"expected a token, got message {message_type} of kind {kind}")
    token, position = lib0.read_var_string(body, position)
    tells_version = position < len(body)
    if tells_version:
        _, position = lib0.read_var_string(body, position)
    lib0.expect_end(body, position)
    return token, tells_version


def send_token() -> bytes:
    """Encodes our wish for a new token; clients of version 3 and later answer it."""
    return bytes((AUTH, _SEND_TOKEN))


def denied(code: CloseCode, reason: str) -> bytes:
    """Encodes that the token does not open this document.

    The code follows the reason, where Hocuspocus has nothing and its providers read nothing.
    """
    return bytes((AUTH, _DENIED)) + lib0.write_var_string(reason) + lib0.write_var_uint(code)


def authenticated(*, may_write: bool) -> bytes:
    """Encodes that the token opens this document, and how far."""
    scope = "read-write" if may_write else "readonly"
    return bytes((AUTH, _AUTHENTICATED)) + lib0.write_var_string(scope)


def closed(code: CloseCode, reason: str) -> bytes:
    """Encodes that this document is closed; the socket stays open.

    The code follows the reason, as in ``denied``.
    """
    return bytes((CLOSE,)) + lib0.write_var_string(reason) + lib0.write_var_uint(code)


class Hocuspocus:
    """The Hocuspocus dialect, addresses taken off; see ``collab.protocol.dialect.Dialect``."""

    echoes = False
    asks_first = False
    impatient = False

    def welcome(self, *, may_write: bool) -> bytes:
        """Encodes the scope; see ``authenticated``."""
        return authenticated(may_write=may_write)

    def probe(self, state_vector: bytes) -> bytes:
        """Asks for presence: another step 1 would be answered, and the answer counted."""
        return bytes((_QUERY_AWARENESS,))

    def decode(self, frame: bytes) -> Message | None:
        """Decodes a frame without its address."""
        message_type, position = lib0.read_var_uint(frame, 0)
        if message_type in (_SYNC, _AWARENESS):
            message = yjs.decode(frame)
            if isinstance(message, Update):
                return Update(message.update, _ANSWER)
            if isinstance(message, SyncStep2):
                return SyncStep2(message.update, _ANSWER)
            return message
        if message_type == _QUERY_AWARENESS:
            lib0.expect_end(frame, position)
            return None
        if message_type == _STATELESS:
            payload, position = lib0.read_var_string(frame, position)
            lib0.expect_end(frame, position)
            return Stateless(payload)
        raise ProtocolError(f"expected a message of type 0, 1, 3 or 5, got {message_type}")

    def ask_for_token(self) -> bytes:
        """Clients of version 3 and later answer with what they would open the document with."""
        return send_token()

    def stateless(self, payload: str) -> bytes:
        """Encodes an application's message."""
        return bytes((_STATELESS,)) + lib0.write_var_string(payload)


HOCUSPOCUS = Hocuspocus()
