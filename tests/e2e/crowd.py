"""Many clients in one document, and the account of what they typed."""

from collections import Counter
from collections.abc import Sequence

from collab.document import Document
from collab.state_vector import decode
from collab.store import Stored
from collab.structs import read_deletions
from tests.clients.driver import Client, Driver, Facts

EVERY_MS = 60


def gather(driver: Driver, base: str, room: str, size: int) -> list[Client]:
    """Opens clients of all versions of y-websocket in one room and waits until they are in sync."""
    clients = [
        driver.open(base, room, version=1 + index % 3, presence={"user": {"name": f"{index}"}})
        for index in range(size)
    ]
    for client in clients:
        client.wait_synced()
    return clients


def type_all(clients: Sequence[Client], seed: int, every_ms: int = EVERY_MS) -> None:
    """Has everyone type from now on, a word in so many milliseconds."""
    for index, client in enumerate(clients):
        client.type(seed * 1000 + index, every_ms)


def rest_all(clients: Sequence[Client]) -> None:
    """Has everyone stop."""
    for client in clients:
        client.rest()


def check_account(text: str, clients: Sequence[Client], besides: str = "") -> None:
    """Checks that a text is made of what the clients typed: nothing lost, nothing doubled."""
    typed = Counter(besides)
    for client in clients:
        typed.update(client.facts().typed)
    shown = Counter(text)
    assert shown == typed, f"doubled: {shown - typed}, lost: {typed - shown}"


def check_holds_acknowledged(stored: Stored, facts: Sequence[Facts]) -> None:
    """Checks that what was echoed to its writers is stored: insertions and deletions."""
    state = Document.load(stored)
    clocks = decode(state.state_vector)
    deleted: dict[int, set[int]] = {}
    for deletion in read_deletions(state.encode()):
        clocks_deleted = range(deletion.clock, deletion.clock + deletion.length)
        deleted.setdefault(deletion.client, set()).update(clocks_deleted)
    for fact in facts:
        assert clocks.get(fact.client_id, 0) >= fact.acknowledged
        for clock, length in fact.acknowledged_deletions:
            assert deleted[fact.client_id].issuperset(range(clock, clock + length))


def check_holds_all_passed_on(stored: Stored, facts: Sequence[Facts]) -> None:
    """Checks that what anybody has of anybody else's typing, and so from the server, is stored."""
    check_holds_acknowledged(stored, facts)
    clocks = decode(Document.load(stored).state_vector)
    for writer in facts:
        others = (reader for reader in facts if reader.client_id != writer.client_id)
        passed_on = max(reader.known.get(writer.client_id, 0) for reader in others)
        assert clocks.get(writer.client_id, 0) >= passed_on > 0
