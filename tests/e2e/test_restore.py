"""Restore, as people who have the document open see it."""

import subprocess
from pathlib import Path

import pytest

from tests.clients.driver import Driver
from tests.e2e.crowd import gather, rest_all, type_all
from tests.e2e.serving import COLLAB, export, serve

pytestmark = pytest.mark.node


def restore(store: Path, name: str, to: str) -> None:
    command = [COLLAB, "restore", name, "--to", to, "--store", f"sqlite:///{store}"]
    subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=60)


def test_clients_of_every_version_see_a_restore_and_its_undoing(
    driver: Driver, store: Path, transport: str
) -> None:
    with serve(store, transport=transport) as server:
        clients = gather(driver, server.websockets, "plan", 3)
        clients[0].insert(0, "first 😀 ")
        for client in clients:
            client.wait_shows("first 😀 ")
        clients[1].insert(6, "second ")
        for client in clients:
            client.wait_shows("first second 😀 ")
        clients[1].wait_acknowledged()
        restore(store, "plan", "1")
        for client in clients:
            client.wait_shows("first 😀 ")
        restore(store, "plan", "2")
        for client in clients:
            client.wait_shows("first second 😀 ")
        clients[2].insert(0, "and on ")
        for client in clients:
            client.wait_shows("and on first second 😀 ")
    assert export(store, "plan") == "and on first second 😀 "


def test_clients_that_type_through_a_restore_agree_in_the_end(driver: Driver, store: Path) -> None:
    with serve(store) as server:
        clients = gather(driver, server.websockets, "plan", 3)
        clients[0].insert(0, "kept")
        for client in clients:
            client.wait_shows("kept")
        type_all(clients, seed=3)
        for _ in range(5):
            restore(store, "plan", "1")
        rest_all(clients)
        for client in clients:
            client.wait_acknowledged()
        driver.wait_agreed(clients)
        restore(store, "plan", "1")
        for client in clients:
            client.wait_shows("kept")
    assert export(store, "plan") == "kept"
