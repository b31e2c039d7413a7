"""Seeded documents under real clients: two servers, lost files, old states."""

from pathlib import Path

import httpx
import pytest

from tests.clients.driver import Driver
from tests.e2e.serving import export, serve

pytestmark = pytest.mark.node

ROOM = "team/plan"
SEED = "# Plan\n\n- write it\n"


@pytest.fixture
def seed(tmp_path: Path) -> Path:
    """A file that every document begins with."""
    path = tmp_path / "seed.md"
    path.write_text(SEED)
    return path


def foreign_histories(url: str) -> float:
    page = httpx.get(f"{url}/metrics").text
    (value,) = [
        line.split()[1]
        for line in page.splitlines()
        if line.startswith("collab_foreign_histories_total")
    ]
    return float(value)


def test_a_lost_file_is_seeded_anew_and_the_text_is_there_once(
    driver: Driver, tmp_path: Path, seed: Path
) -> None:
    options = ("--seed", str(seed))
    with serve(tmp_path / "first.db", options=options) as server:
        clients = [driver.open(server.websockets, ROOM) for _ in range(3)]
        for client in clients:
            client.wait_synced()
        clients[0].insert(0, "mine ")
        clients[0].wait_acknowledged()
        text = driver.wait_agreed(clients)
        assert text == f"mine {SEED}"
        assert foreign_histories(server.url) == 0
        port = server.port
        server.kill()
    with serve(tmp_path / "second.db", port=port, options=options) as server:
        fresh = driver.open(server.websockets, ROOM)
        assert driver.wait_agreed([*clients, fresh]) == text
        assert export(tmp_path / "second.db", ROOM) == text


def test_a_client_that_was_here_before_the_file_was_lost_is_counted(
    driver: Driver, tmp_path: Path, seed: Path
) -> None:
    options = ("--seed", str(seed))
    with serve(tmp_path / "first.db", options=options) as server:
        client = driver.open(server.websockets, ROOM)
        client.wait_synced()
        client.insert(0, "mine ")
        client.wait_acknowledged()
        port = server.port
        server.kill()
    with serve(tmp_path / "first.db", port=port, options=options) as server:
        client.wait_synced()
        client.insert(0, "offline or not, ")
        client.wait_acknowledged()
        assert foreign_histories(server.url) == 0  # The file is the same: nothing is foreign.
        server.kill()
    with serve(tmp_path / "second.db", port=port, options=options) as server:
        client.wait_synced()
        assert foreign_histories(server.url) == 1
        assert client.facts().text == f"offline or not, mine {SEED}"


def test_content_put_on_two_servers_is_there_once_when_they_meet(
    driver: Driver, tmp_path: Path
) -> None:
    path = "/api/docs/team%2Fplan/content"
    port = 0
    client = None
    for name in ("first.db", "second.db"):
        with serve(tmp_path / name, port=port) as server:
            port = server.port
            headers = {"Content-Type": "text/plain"}
            httpx.put(f"{server.url}{path}", content=SEED, headers=headers).raise_for_status()
            client = client or driver.open(server.websockets, ROOM)
            client.wait_synced()
            fresh = driver.open(server.websockets, ROOM)
            assert driver.wait_agreed([client, fresh]) == SEED
            fresh.destroy()
            server.kill()
