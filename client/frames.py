"""What a server says in the Hocuspocus dialect, and what a client says there.

``collab.protocol.hocuspocus`` is the server's side, and cites the source.
"""

from dataclasses import dataclass

from collab import lib0
from collab.protocol import hocuspocus, yjs
from collab.protocol.messages import (
    AwarenessUpdate,
    QueryAwareness,
    Receipt,
    Stateless,
    SyncStep1,
    SyncStep2,
    Update,
)

PING, PONG = b"\x09", b"\x0a"

_SYNC_AND_AWARENESS = (0, 1, 3)
_STATELESS = 5
_SYNC_STATUS = 8
_VERSION = "collab"
"""Who tells a version hears why a document is closed, and is not denied it besides."""


@dataclass(frozen=True, slots=True)
class AskedForToken:
    """The server wants another token."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """The token opens the document.

    Attributes:
        may_write: whether changes are taken.
    """

    may_write: bool


@dataclass(frozen=True, slots=True)
class Dismissed:
    """The token does not open the document, or the server has closed it.

    Attributes:
        code: the close code that says the same; None where the server named none.
        reason: in the server's words.
    """

    code: int | None
    reason: str


@dataclass(frozen=True, slots=True)
class SyncStatus:
    """What became of a change that was sent: one for each step 2 and each update.

    Attributes:
        durable: whether it is durable; otherwise it was refused.
    """

    durable: bool


ServerMessage = (
    AskedForToken
    | Admitted
    | Dismissed
    | SyncStatus
    | SyncStep1
    | SyncStep2
    | Update
    | AwarenessUpdate
    | QueryAwareness
    | Stateless
)


def read_frame(body: bytes) -> ServerMessage | None:
    """Decodes a frame without its address.

    Returns:
        What it says; None where it is of a type that only later servers have a use for.

    Raises:
        ProtocolError: its type is known, and it is malformed.
    """
    kind, position = lib0.read_var_uint(body, 0)
    if kind in _SYNC_AND_AWARENESS:
        message = yjs.decode(body)
        assert not isinstance(message, (Receipt, Stateless))  # Not among these kinds.
        return message
    if kind == hocuspocus.AUTH:
        return _read_auth(body, position)
    if kind == hocuspocus.CLOSE:
        return _read_dismissal(body, position)
    if kind == _STATELESS:
        payload, position = lib0.read_var_string(body, position)
        lib0.expect_end(body, position)
        return Stateless(payload)
    if kind == _SYNC_STATUS:
        status, position = lib0.read_var_uint(body, position)
        lib0.expect_end(body, position)
        return SyncStatus(durable=status == 1)
    return None


def send_token(token: str) -> bytes:
    """Encodes a token, and that we hear why a document is closed."""
    return (
        bytes((hocuspocus.AUTH, 0)) + lib0.write_var_string(token) + lib0.write_var_string(_VERSION)
    )


def _read_auth(body: bytes, position: int) -> ServerMessage:
    kind, position = lib0.read_var_uint(body, position)
    if kind == 0:
        return AskedForToken()
    if kind == 1:
        return _read_dismissal(body, position)
    scope, position = lib0.read_var_string(body, position)
    lib0.expect_end(body, position)
    return Admitted(may_write=scope == "read-write")


def _read_dismissal(body: bytes, position: int) -> Dismissed:
    reason, position = lib0.read_var_string(body, position)
    if position == len(body):
        return Dismissed(None, reason)
    code, position = lib0.read_var_uint(body, position)
    lib0.expect_end(body, position)
    return Dismissed(code, reason)
