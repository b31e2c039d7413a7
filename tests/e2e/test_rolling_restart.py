"""Three servers over one store, behind real balancers, restarted in turn while people type."""

import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from websockets.sync.client import connect

from tests.clients.driver import Driver
from tests.clients.kinds import KINDS
from tests.e2e.balancers import BALANCERS, Balancer
from tests.e2e.crowd import check_account, rest_all, type_all
from tests.e2e.serving import Server, serve
from tests.valkey import one_server

_SERVERS = 3
_EACH = 2
"""Clients of each kind."""
_ABSENCE_SECONDS = 5.0
"""How long a client may take from losing its connection to being in sync again."""


@pytest.fixture
def bus() -> Iterator[Sequence[str]]:
    """Options of servers that share a bus."""
    with one_server() as valkey:
        yield ("--bus", f"redis://{valkey.address}")


@pytest.fixture(params=BALANCERS)
def balancer(request: pytest.FixtureRequest) -> Balancer:
    return BALANCERS[request.param]


def rooms_of(server: Server) -> int:
    """How many documents a server has in memory."""
    page = httpx.get(f"{server.url}/metrics").text
    found = re.search(r"^collab_rooms (\d+)", page, re.MULTILINE)
    assert found is not None
    return int(found[1])


@pytest.mark.alone
@pytest.mark.node
@pytest.mark.slow
def test_a_rolling_restart_loses_nothing_and_keeps_nobody_waiting(
    driver: Driver, tmp_path: Path, bus: Sequence[str], balancer: Balancer
) -> None:
    store = tmp_path / "collab.db"
    with ExitStack() as exits:
        servers = [exits.enter_context(serve(store, options=bus)) for _ in range(_SERVERS)]
        port = exits.enter_context(balancer(tmp_path, [server.port for server in servers]))
        clients = [driver.connect(kind, port, "notes") for kind in KINDS for _ in range(_EACH)]
        for client in clients:
            client.wait_synced()
        type_all(clients, seed=1)
        for number, server in enumerate(servers):
            for client in clients:
                client.wait_acknowledged_more()
            server.terminate()
            servers[number] = exits.enter_context(serve(store, port=server.port, options=bus))
            for client in clients:
                client.wait_synced()
        for client in clients:
            client.wait_acknowledged_more()
        rest_all(clients)
        text = driver.wait_agreed(clients)
        check_account(text, clients)
        moves = [client.traffic().closes.count(1012) for client in clients]
        assert sum(moves) >= len(clients)  # Each was on one of the servers, at least once.
        waits = [client.traffic().longest_absence_ms / 1000 for client in clients]
        kinds = [str(kind) for kind in KINDS for _ in range(_EACH)]
        assert max(waits) < _ABSENCE_SECONDS, dict(zip(kinds, waits, strict=True))


def test_all_clients_of_a_document_come_to_one_server(
    tmp_path: Path, bus: Sequence[str], balancer: Balancer
) -> None:
    store = tmp_path / "collab.db"
    names = [f"plan {number}" for number in range(12)] + ["a/b", "é/ü"]
    with ExitStack() as exits:
        servers = [exits.enter_context(serve(store, options=bus)) for _ in range(_SERVERS)]
        port = exits.enter_context(balancer(tmp_path, [server.port for server in servers]))
        for name in names:
            named = httpx.URL(f"http://localhost/{name}").raw_path.decode()
            encoded = named[0] + named[1:].replace("/", "%2F")
            for path in (f"/ws{named}", f"/ws{encoded}", f"/y-sweet/ws{encoded}"):
                socket = exits.enter_context(connect(f"ws://127.0.0.1:{port}{path}"))
                socket.recv(timeout=20)
            answer = httpx.get(f"http://127.0.0.1:{port}/api/docs{encoded}/presence")
            assert answer.json() == {"present": []}
        rooms = [rooms_of(server) for server in servers]
        assert sum(rooms) == len(names)
        # By which ports they have, a server may be left out, but never all servers but one.
        assert max(rooms) < len(names)
