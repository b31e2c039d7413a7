"""Relay: what instances of a server tell each other about one document, as bytes.

Changes travel by themselves (``collab.server.bus``); everything else is one of these messages.
Whoever can send them is trusted as an instance is: they are checked for their form alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from collab import lib0
from collab.errors import ProtocolError
from collab.presence import Present
from collab.revocation import Revocation, Revoked, decode_revocation


@dataclass(frozen=True, slots=True)
class Shown:
    """Clients of the sender that came, moved or left.

    Attributes:
        clients: each of them.
    """

    clients: Sequence[Present]


@dataclass(frozen=True, slots=True)
class Told:
    """An application said something.

    Attributes:
        text: what, as clients hear it.
        to: id of the identity that alone is to hear it; None for everybody.
        sender: id of the identity it is from, where that is known.
    """

    text: str
    to: str | None
    sender: str | None


@dataclass(frozen=True, slots=True)
class Asked:
    """The sender tells what it has and who is there, and asks for the rest.

    Attributes:
        state_vector: encoded state vector of its document.
        clients: its own clients.
    """

    state_vector: bytes
    clients: Sequence[Present]


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer to that, for the one who asked.

    Attributes:
        update: what it lacks.
        state_vector: encoded state vector of the answering instance's document; None where nothing
            is wanted in return.
        clients: the answering instance's own clients.
    """

    update: bytes
    state_vector: bytes | None
    clients: Sequence[Present]


@dataclass(frozen=True, slots=True)
class PassedOn:
    """How many changes the sender has passed on so far: what it answers next holds all of them.

    Attributes:
        number: how many, since it opened the document.
    """

    number: int


@dataclass(frozen=True, slots=True)
class Ended:
    """The document was deleted or put in another's place: it is to be opened anew."""


RelayMessage = Shown | Told | Asked | Answered | Ended | Revoked | PassedOn
"""All of them are about one document but ``Revoked``."""

_SHOWN, _TOLD, _ASKED, _ANSWERED, _ENDED, _REVOKED, _PASSED_ON = range(7)


def encode(message: RelayMessage) -> bytes:
    """Encodes a message."""
    if isinstance(message, Shown):
        return bytes([_SHOWN]) + _write_clients(message.clients)
    if isinstance(message, Told):
        told = lib0.write_var_string(message.text)
        return bytes([_TOLD]) + told + _write_name(message.to) + _write_name(message.sender)
    if isinstance(message, Asked):
        known = lib0.write_var_bytes(message.state_vector)
        return bytes([_ASKED]) + known + _write_clients(message.clients)
    if isinstance(message, Answered):
        known = lib0.write_var_bytes(message.state_vector or b"")
        update = lib0.write_var_bytes(message.update)
        return bytes([_ANSWERED]) + update + known + _write_clients(message.clients)
    if isinstance(message, Revoked):
        about = lib0.write_var_string(message.revocation.encode())
        return bytes([_REVOKED]) + about + lib0.write_var_uint(message.time_ms)
    if isinstance(message, PassedOn):
        return bytes([_PASSED_ON]) + lib0.write_var_uint(message.number)
    return bytes([_ENDED])


def decode(frame: bytes) -> RelayMessage:
    """Decodes a message.

    Raises:
        ProtocolError: it is none.
    """
    kind, position = lib0.read_var_uint(frame, 0)
    message: RelayMessage
    if kind == _SHOWN:
        clients, position = _read_clients(frame, position)
        message = Shown(clients)
    elif kind == _TOLD:
        text, position = lib0.read_var_string(frame, position)
        to, position = _read_name(frame, position)
        sender, position = _read_name(frame, position)
        message = Told(text, to, sender)
    elif kind == _ASKED:
        known, position = lib0.read_var_bytes(frame, position)
        clients, position = _read_clients(frame, position)
        message = Asked(known, clients)
    elif kind == _ANSWERED:
        update, position = lib0.read_var_bytes(frame, position)
        known, position = lib0.read_var_bytes(frame, position)
        clients, position = _read_clients(frame, position)
        message = Answered(update, known or None, clients)
    elif kind == _ENDED:
        message = Ended()
    elif kind == _PASSED_ON:
        number, position = lib0.read_var_uint(frame, position)
        message = PassedOn(number)
    elif kind == _REVOKED:
        about, position = lib0.read_var_string(frame, position)
        time_ms, position = lib0.read_var_uint(frame, position)
        message = Revoked(revocation=_read_revocation(about), time_ms=time_ms)
    else:
        raise ProtocolError(f"expected a message between instances, got kind {kind}")
    lib0.expect_end(frame, position)
    return message


def _read_revocation(about: str) -> Revocation:
    try:
        return decode_revocation(about)
    except ValueError:
        raise ProtocolError(f"expected whose tokens to refuse, got {about!r}") from None


def _write_name(name: str | None) -> bytes:
    return b"\x00" if name is None else b"\x01" + lib0.write_var_string(name)


def _read_name(frame: bytes, position: int) -> tuple[str | None, int]:
    given, position = lib0.read_var_uint(frame, position)
    if not given:
        return None, position
    return lib0.read_var_string(frame, position)


def _write_clients(clients: Sequence[Present]) -> bytes:
    encoded = bytearray(lib0.write_var_uint(len(clients)))
    for client in clients:
        encoded += lib0.write_var_uint(client.client_id)
        encoded += lib0.write_var_uint(client.clock)
        encoded += lib0.write_var_bytes(client.state)
        encoded += _write_name(client.user)
    return bytes(encoded)


def _read_clients(frame: bytes, position: int) -> tuple[Sequence[Present], int]:
    count, position = lib0.read_var_uint(frame, position)
    clients = []
    for _ in range(count):
        client_id, position = lib0.read_var_uint(frame, position)
        clock, position = lib0.read_var_uint(frame, position)
        state, position = lib0.read_var_bytes(frame, position)
        user, position = _read_name(frame, position)
        clients.append(Present(client_id, clock, state, user))
    return clients, position
