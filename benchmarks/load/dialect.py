"""What the load says to each server, in the words that server understands."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Final, Protocol

from collab.lib0 import (
    read_var_bytes,
    read_var_uint,
    write_var_bytes,
    write_var_string,
    write_var_uint,
)

EMPTY_UPDATE: Final = b"\x00\x00"


class Kind(Enum):
    """What a message is, as far as the load cares."""

    STEP_1 = 0
    STEP_2 = 1
    UPDATE = 2
    PRESENCE = 3
    OTHER = 4


class Dialect(Protocol):
    """A client family's way to open a document."""

    def path(self, document: str) -> str:
        """Returns the path of the WebSocket for this document."""
        ...

    def address(self, document: str) -> bytes:
        """Returns what comes before every message about this document."""
        ...

    def hello(self, document: str) -> list[bytes]:
        """Returns what a client says before it synchronises."""
        ...


@dataclass(frozen=True)
class YWebsocket:
    """y-websocket: one document a socket, named by its path.

    Attributes:
        base: path before the document name, for instance ``/ws``.
    """

    base: str

    def path(self, document: str) -> str:
        return f"{self.base}/{document}"

    def address(self, document: str) -> bytes:
        return b""

    def hello(self, document: str) -> list[bytes]:
        return []


@dataclass(frozen=True)
class Hocuspocus:
    """Hocuspocus: every message carries the document name; a token comes first.

    Attributes:
        endpoint: path of the socket.
    """

    endpoint: str

    def path(self, document: str) -> str:
        return self.endpoint

    def address(self, document: str) -> bytes:
        return write_var_string(document)

    def hello(self, document: str) -> list[bytes]:
        return [self.address(document) + b"\x02\x00" + write_var_string("benchmark")]


def step_1(state_vector: dict[int, int]) -> bytes:
    """Encodes a sync step 1 of somebody who has seen this much of each client."""
    encoded = write_var_uint(len(state_vector))
    for client, clock in state_vector.items():
        encoded += write_var_uint(client) + write_var_uint(clock)
    return b"\x00\x00" + write_var_bytes(encoded)


def step_2(update: bytes) -> bytes:
    """Encodes a sync step 2."""
    return b"\x00\x01" + write_var_bytes(update)


def sync_update(update: bytes) -> bytes:
    """Encodes an update."""
    return b"\x00\x02" + write_var_bytes(update)


def presence(states: Iterable[tuple[int, int, str]]) -> bytes:
    """Encodes a presence message of (client, clock, JSON)."""
    entries = [write_var_uint(c) + write_var_uint(k) + write_var_string(j) for c, k, j in states]
    return b"\x01" + write_var_bytes(write_var_uint(len(entries)) + b"".join(entries))


def read_kind(message: bytes, address: bytes) -> tuple[Kind, int]:
    """Reads what a message is.

    Args:
        message: payload of a WebSocket frame.
        address: what comes before every message about the document.

    Returns:
        Its kind and where its body begins.
    """
    if not message.startswith(address) or len(message) < len(address) + 2:
        return Kind.OTHER, len(message)
    kind, position = read_var_uint(message, len(address))
    if kind == 1:
        return Kind.PRESENCE, position
    if kind not in (0, 4):  # Hocuspocus sends 4 for a sync message that wants no answer
        return Kind.OTHER, len(message)
    step, position = read_var_uint(message, position)
    return Kind(step), position


def read_body(message: bytes, position: int) -> bytes:
    """Reads a message's body: a state vector, an update or presence entries."""
    return read_var_bytes(message, position)[0]
