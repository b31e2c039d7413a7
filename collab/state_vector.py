"""State vectors: for each client, the clock up to which its changes are known."""

from collab import lib0
from collab.errors import ProtocolError, Truncated

_ENTRY_BYTES = 2
"""The least that a client takes up: its id and its clock."""


def count(encoded: bytes) -> int:
    """How many clients a state vector says that it has; no more than it has bytes for.

    Raises:
        ProtocolError: it is not one.
    """
    clients, position = lib0.read_var_uint(encoded, 0)
    if clients * _ENTRY_BYTES > len(encoded) - position:
        raise Truncated(f"expected {clients} clients, got {len(encoded) - position} bytes")
    return clients


def decode(encoded: bytes) -> dict[int, int]:
    """Decodes a state vector.

    Returns:
        Client id to the clock after the last known change.

    Raises:
        ProtocolError: it is not one.
    """
    count, position = lib0.read_var_uint(encoded, 0)
    clocks: dict[int, int] = {}
    for _ in range(count):
        client, position = lib0.read_var_uint(encoded, position)
        clocks[client], position = lib0.read_var_uint(encoded, position)
    lib0.expect_end(encoded, position)
    if len(clocks) != count:
        raise ProtocolError(f"expected {count} different clients, got {len(clocks)}")
    return clocks


def encode(clocks: dict[int, int]) -> bytes:
    """Encodes a state vector, clients in descending order as Yjs does."""
    encoded = bytearray(lib0.write_var_uint(len(clocks)))
    for client in sorted(clocks, reverse=True):
        encoded += lib0.write_var_uint(client)
        encoded += lib0.write_var_uint(clocks[client])
    return bytes(encoded)
