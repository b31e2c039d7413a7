"""Documents deleted and erased under real clients that hold them and come back."""

from pathlib import Path

import httpx
import pytest

from tests.clients.driver import Driver
from tests.clients.kinds import KINDS, OWN_KINDS, Kind
from tests.e2e.serving import export, serve

pytestmark = pytest.mark.node

ROOM = "team/plan"
PATH = "/api/docs/team%2Fplan"


def listed(url: str) -> list[str]:
    return [document["name"] for document in httpx.get(f"{url}/api/docs").json()["documents"]]


@pytest.mark.parametrize("version", [1, 2, 3])
def test_a_client_that_holds_a_deleted_document_cannot_bring_it_back(
    driver: Driver, store: Path, version: int, transport: str
) -> None:
    with serve(store, transport=transport) as server:
        client = driver.open(server.websockets, ROOM, version=version)
        client.wait_synced()
        client.insert(0, "kept")
        client.wait_acknowledged()
        assert httpx.delete(f"{server.url}{PATH}").status_code == 200
        client.wait_closed(4404)
        client.insert(0, "typed into nothing ")
        # One that gives up at 4404 is replaced by one that begins anew with what it held.
        latecomer = driver.open(server.websockets, ROOM, version=version)
        latecomer.insert(0, "new ")
        latecomer.wait_closed(4404)
        assert listed(server.url) == []
        assert httpx.delete(f"{server.url}{PATH}?now=true").status_code == 200
        again = driver.open(server.websockets, ROOM, version=version)
        again.insert(0, "new ")
        again.wait_closed(4404)
        assert listed(server.url) == []
        assert httpx.get(f"{server.url}{PATH}").status_code == 410
        for each in (client, latecomer, again):
            each.destroy()
    with serve(store, transport=transport) as server:  # A restart forgets nothing of it.
        client = driver.open(server.websockets, ROOM, version=version)
        client.insert(0, "new ")
        client.wait_closed(4404)
        assert listed(server.url) == []


@pytest.mark.parametrize("kind", [*KINDS, *OWN_KINDS], ids=str)
def test_no_kind_of_client_brings_a_deleted_document_back(
    driver: Driver, store: Path, kind: Kind
) -> None:
    with serve(store) as server:
        held = [driver.connect(kind, server.port, ROOM)]
        held[0].wait_synced()
        held[0].insert(0, "kept")
        held[0].wait_acknowledged()
        others = []
        for now in ("false", "true"):
            httpx.delete(f"{server.url}{PATH}?now={now}").raise_for_status()
            held.append(driver.connect(kind, server.port, ROOM))
            for client in held:
                client.insert(0, "late ")
            # What comes after them is served: they were heard.
            others.append(f"other {now}")
            other = driver.connect(kind, server.port, others[-1])
            other.wait_synced()
            other.insert(0, "x")
            other.wait_acknowledged()
            assert listed(server.url) == others
            assert not any(client.facts().synced for client in held[1:])


def test_a_client_of_version_3_stays_away_from_what_was_deleted(
    driver: Driver, store: Path
) -> None:
    with serve(store) as server:
        client = driver.open(server.websockets, ROOM)
        client.wait_synced()
        client.insert(0, "kept")
        client.wait_acknowledged()
        httpx.delete(f"{server.url}{PATH}").raise_for_status()
        client.wait_closed(4404)
        client.wait_quiet(3.0)  # It would come back within 2.5 seconds.
        assert client.traffic().closes == [4404]
        assert client.traffic().connects == 1


def test_clients_that_come_back_find_what_was_undeleted_whole(driver: Driver, store: Path) -> None:
    with serve(store) as server:
        client = driver.open(server.websockets, ROOM, version=2)  # It never gives up.
        client.wait_synced()
        client.insert(0, "kept")
        client.wait_acknowledged()
        httpx.delete(f"{server.url}{PATH}").raise_for_status()
        client.wait_closed(4404)
        client.insert(4, ", and typed while it was in the trash")
        httpx.post(f"{server.url}{PATH}/undelete").raise_for_status()
        fresh = driver.open(server.websockets, ROOM)
        text = driver.wait_agreed([client, fresh])
        assert text == "kept, and typed while it was in the trash"
        assert export(store, ROOM) == text


def test_deleting_while_clients_type_loses_nothing_that_was_acknowledged(
    driver: Driver, store: Path, transport: str
) -> None:
    with serve(store, transport=transport) as server:
        clients = [driver.open(server.websockets, ROOM) for _ in range(5)]
        for number, client in enumerate(clients):
            client.type(number, 5)
        for client in clients:
            client.wait_acknowledged_more()
        httpx.delete(f"{server.url}{PATH}").raise_for_status()
        for client in clients:
            client.wait_closed(4404)
            client.rest()
        assert listed(server.url) == []
        httpx.post(f"{server.url}{PATH}/undelete").raise_for_status()
        fresh = driver.open(server.websockets, ROOM)
        fresh.wait_synced()
        known = fresh.facts().known
        for client in clients:
            facts = client.facts()
            assert known[facts.client_id] >= facts.acknowledged > 0
