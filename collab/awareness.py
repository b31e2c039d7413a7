"""Awareness: how y-protocols writes who is here, and the states that every client can read.

Source: https://github.com/yjs/y-protocols, awareness.js.
"""

import json
from collections.abc import Sequence
from typing import NoReturn

from collab import lib0
from collab.access import Identity
from collab.errors import ProtocolError
from collab.render.values import Json

GONE = b"null"
"""The state of a client that has left."""

_MAX_ENTRIES = 10_000
"""Clients one message may tell of: as many as a crowded room has, who are sent on to be known."""


def encode_entries(entries: Sequence[tuple[int, int, bytes]]) -> bytes:
    """Encodes awareness clients: id, clock, and state as JSON (``GONE`` for who has left)."""
    encoded = bytearray(lib0.write_var_uint(len(entries)))
    for client_id, clock, state in entries:
        encoded += lib0.write_var_uint(client_id)
        encoded += lib0.write_var_uint(clock)
        encoded += lib0.write_var_bytes(state)
    return bytes(encoded)


def decode_entries(payload: bytes) -> list[tuple[int, int, bytes]]:
    """Decodes what ``encode_entries`` encodes.

    Raises:
        ProtocolError: it is no awareness update.
    """
    count, position = lib0.read_var_uint(payload, 0)
    if count > _MAX_ENTRIES:
        raise ProtocolError(f"expected at most {_MAX_ENTRIES} awareness clients, got {count}")
    entries = []
    for _ in range(count):
        client_id, position = lib0.read_var_uint(payload, position)
        clock, position = lib0.read_var_uint(payload, position)
        state, position = lib0.read_var_bytes(payload, position)
        _check_state(state)
        entries.append((client_id, clock, state))
    lib0.expect_end(payload, position)
    return entries


def read_states(payload: bytes) -> tuple[dict[int, Json], list[int]]:
    """Reads an awareness payload.

    Returns:
        Client ids and the states they published, and those that are gone.

    Raises:
        ProtocolError: it is no awareness update.
    """
    entries = decode_entries(payload)
    present = {client: json.loads(state) for client, _, state in entries if state != GONE}
    return present, [client for client, _, state in entries if state == GONE]


def sign(state: bytes, identity: Identity, *, vouched: bool = False) -> bytes:
    """Writes into a state who it is of.

    Args:
        state: as it was published, JSON.
        identity: of whom it is.
        vouched: whether others are known by their ids: nobody unknown can have one then. A state of
            somebody unknown is left alone otherwise.

    Raises:
        ProtocolError: it has numbers that are not finite, or lies too deeply.
    """
    if identity.id is None and not vouched:
        return state
    published = json.loads(state)
    shown = published.get("user")
    if identity.id is None:
        if not isinstance(shown, dict) or "id" not in shown:
            return state
        del shown["id"]
    else:
        published["user"] = {
            **(shown if isinstance(shown, dict) else {}),
            "id": identity.id,
            "name": identity.id if identity.name is None else identity.name,
        }
    try:
        return json.dumps(published, allow_nan=False, separators=(",", ":")).encode()
    except (ValueError, RecursionError):
        raise ProtocolError("expected an awareness state with finite numbers") from None


def _check_state(state: bytes) -> None:
    """Refuses what other clients could not read: their JSON.parse would throw in a callback."""
    try:
        value = _STRICT.decode(state.decode())
    except (ValueError, RecursionError):
        raise ProtocolError("expected an awareness state in JSON, got something else") from None
    if value is not None and not isinstance(value, dict):
        raise ProtocolError(f"expected an awareness state or null, got {type(value).__name__}")
    if value is None and state != GONE:
        raise ProtocolError("expected null without white space")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


# ``json.loads`` would make one for each state.
_STRICT = json.JSONDecoder(parse_constant=_refuse_constant)
