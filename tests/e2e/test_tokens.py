"""Tokens that end or are revoked under real clients."""

from pathlib import Path

import httpx
import pytest

from tests.clients.driver import Driver
from tests.clients.kinds import HOCUSPOCUS, Y_WEBSOCKET, Family
from tests.e2e.serving import serve
from tests.server.signing import SECRET, token

pytestmark = pytest.mark.node

OPTIONS = ["--jwt-secret", SECRET, "--jwt-leeway", "0"]


@pytest.mark.slow
def test_clients_go_on_with_a_new_token_by_themselves(
    driver: Driver, store: Path, transport: str
) -> None:
    """Where the protocol can ask for one, without a break."""
    with serve(store, transport=transport, options=OPTIONS) as server:
        clients = {
            kind: driver.open(
                kind.base(server.port),
                str(kind),
                family=kind.family,
                version=kind.version,
                tokens=[token(seconds=8), token(seconds=3600)],
            )
            for kind in (*Y_WEBSOCKET, *HOCUSPOCUS)
        }
        for client in clients.values():
            client.wait_synced()
            client.insert(0, "before ")
            client.wait_acknowledged()
        for kind, client in clients.items():
            if kind.family is Family.Y_WEBSOCKET:
                client.wait_closed(4500)
                client.wait_synced()
                assert 4500 in client.traffic().closes
        for kind, client in clients.items():
            client.insert(0, "after ")
            client.wait_acknowledged()
            if kind.family is Family.HOCUSPOCUS and kind.version > 2:
                assert client.traffic().connects == 1
                assert client.traffic().closes == []


def test_a_revoked_client_stays_away(driver: Driver, store: Path, transport: str) -> None:
    with serve(store, transport=transport, options=OPTIONS) as server:
        client = driver.open(server.websockets, "notes", tokens=[token(user="eve", jti="t1")])
        client.wait_synced()
        admin = {"Authorization": f"Bearer {token(user='root')}"}
        revoke = f"{server.url}/api/sessions/revoke"
        answer = httpx.post(revoke, json={"user": "eve"}, headers=admin)
        assert answer.json() == {"ended": 1}
        client.wait_closed(4401, within=5.0)
        client.wait_quiet(3.0)  # It would come back within 2.5 seconds.
        assert client.traffic().connects == 1
        eve = {"Authorization": f"Bearer {token(user='eve', jti='t1')}"}
        assert httpx.get(f"{server.url}/api/docs/notes", headers=eve).status_code == 401
