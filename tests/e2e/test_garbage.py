"""A client that sends garbage hurts nobody but itself."""

import random
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path

import pycrdt
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from collab.checking import check_update
from collab.close import CloseCode
from collab.document import Document
from collab.errors import PoisonedUpdate
from collab.lib0 import write_var_bytes, write_var_string, write_var_uint
from collab.protocol import yjs
from collab.structs import Kind, read_structs
from tests.clients.driver import Client, Driver
from tests.core.poison import update_of
from tests.e2e.crowd import check_account, gather, rest_all, type_all
from tests.e2e.serving import export, serve

pytestmark = [pytest.mark.node, pytest.mark.slow]

FRAMES = 200
QUERY_AWARENESS = b"\x03"
WITHIN_SECONDS = 20.0
SOCKET_ENDED = 0


def garbage(chance: random.Random, written: bytes) -> Iterator[bytes]:
    """Frames of all kinds that no client should send, in turns; none changes a text.

    Args:
        chance: which ones.
        written: what the room holds of the client that sends them.
    """
    while True:
        yield chance.randbytes(chance.randint(1, 200))
        yield truncated(chance, yjs.update(written))
        yield truncated(chance, yjs.awareness(awareness(b'{"user":{"name":"x"}}')))
        yield yjs.update(undecodable(chance, written))
        yield yjs.sync_step2(undecodable(chance, written))
        yield yjs.sync_step1(chance.randbytes(chance.randint(1, 20)))
        yield yjs.update(unapplicable(chance, written))
        yield yjs.sync_step2(unapplicable(chance, written))
        yield yjs.awareness(chance.randbytes(chance.randint(1, 100)))
        yield yjs.awareness(awareness(chance.choice([b"{", b"[1]", b"7", b"\xff", b"nul"])))


def truncated(chance: random.Random, frame: bytes) -> bytes:
    return frame[: chance.randint(1, len(frame) - 1)]


def awareness(state: bytes) -> bytes:
    return b"\x01" + write_var_uint(666) + write_var_uint(1) + write_var_bytes(state)


def ordinary(chance: random.Random) -> tuple[bytes, str]:
    """A real update, with formats and deletions, and the text it makes."""
    doc: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc(client_id=chance.getrandbits(32))
    text = doc.get("content", type=pycrdt.Text)
    for number in range(50):
        text.insert(0, f"garbage {number} 😀")
        text.format(0, 4, {"bold": True})
        del text[0:2]
    return doc.get_update(), str(text)


def undecodable(chance: random.Random, written: bytes) -> bytes:
    """A real update with some bytes changed, so that it does not decode."""
    while True:
        mutated = bytearray(written)
        for _ in range(chance.randint(1, 4)):
            mutated[chance.randrange(len(mutated))] = chance.randrange(256)
        try:
            check_update(bytes(mutated))
        except PoisonedUpdate:
            return bytes(mutated)


def unapplicable(chance: random.Random, written: bytes) -> bytes:
    """An update that decodes, and that the CRDT fails to apply after what is written.

    It hangs text below one of the characters there, which have no children.
    """
    characters = [struct for struct in read_structs(written) if struct.kind is Kind.STRING]
    while True:
        parent = chance.choice(characters)
        below = write_var_uint(parent.client) + write_var_uint(parent.clock)
        struct = b"\x04\x00" + below + write_var_string("child")
        update = update_of(struct, client=chance.getrandbits(32))
        check_update(update)
        document = Document()
        document.apply(written)
        try:
            document.apply(update)
        except PoisonedUpdate:
            return update


class Vandal:
    """One client that sends garbage, and comes back each time it is thrown out.

    Attributes:
        codes: the codes it was closed with; ``SOCKET_ENDED`` where none came.
    """

    def __init__(self, address: str, exits: ExitStack) -> None:
        self.codes: list[int] = []
        self._address = address
        self._exits = exits
        self._socket: ClientConnection | None = None

    def send(self, frame: bytes) -> None:
        """Sends a frame and waits until the server has dealt with it: answered, or closed.

        Where a close may be for an earlier frame, this one goes out again on a new socket.
        """
        if self._socket is not None and self._is_answered(self._socket, frame):
            return
        self._socket = self._exits.enter_context(connect(self._address, max_size=None))
        self._is_answered(self._socket, frame)

    def _is_answered(self, socket: ClientConnection, frame: bytes) -> bool:
        try:
            socket.send(frame)
            socket.send(QUERY_AWARENESS)
            while socket.recv(WITHIN_SECONDS)[:1] != b"\x01":
                pass
        except ConnectionClosed as closed:
            self.codes.append(closed.rcvd.code if closed.rcvd else SOCKET_ENDED)
            self._socket = None
            return False
        return True


def test_garbage_from_one_client_leaves_all_others_connected_and_converging(
    driver: Driver, store: Path, transport: str
) -> None:
    chance = random.Random(200)
    written, text = ordinary(chance)
    with serve(store, transport=transport) as server:
        rooms = {
            room: gather(driver, server.websockets, room, 4) for room in ("attacked", "elsewhere")
        }
        others = [client for clients in rooms.values() for client in clients]
        type_all(others, seed=3)
        with ExitStack() as exits:
            vandal = Vandal(f"{server.websockets}/attacked", exits)
            vandal.send(yjs.update(written))
            for frame in islice(garbage(chance, written), FRAMES):
                vandal.send(frame)
        for client in others:
            client.wait_acknowledged_more()
        rest_all(others)
        for room, clients in rooms.items():
            besides = text if room == "attacked" else ""
            check_converged(driver, server.websockets, room, clients, store, besides)
        for client in others:
            assert client.facts().statuses == ["connected"]
    # Most of it deserves a close, which says why. Hypercorn ends the socket with our next frame
    # unread, so that the system may throw away the close it has sent.
    assert len(vandal.codes) > FRAMES / 2
    named = {int(CloseCode.MALFORMED), int(CloseCode.TOO_LARGE)}
    expected = named if transport == "native" else {*named, SOCKET_ENDED}
    assert 4400 in vandal.codes
    assert set(vandal.codes) <= expected


def check_converged(
    driver: Driver, base: str, room: str, clients: list[Client], store: Path, besides: str
) -> None:
    driver.wait_agreed(clients)
    clients[0].insert(0, "¶")
    clients[0].wait_acknowledged()
    fresh = driver.open(base, room)
    text = driver.wait_agreed([*clients, fresh])
    check_account(text, clients, besides="¶" + besides)
    assert export(store, room) == text
