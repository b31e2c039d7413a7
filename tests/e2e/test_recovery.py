"""A server that is killed, and one that is told to stop, while people type."""

import os
import random
import signal
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.clients.driver import Driver
from tests.e2e.crowd import (
    check_account,
    check_holds_acknowledged,
    check_holds_all_passed_on,
    gather,
    rest_all,
    type_all,
)
from tests.e2e.serving import export, load, locked, serve

pytestmark = [pytest.mark.node, pytest.mark.slow]

ROOM = "crowd/kill me"
CLIENTS = 20
SOAK = os.environ.get("COLLAB_SOAK") == "1"
MARK = "¶"


@pytest.mark.timeout(3600 if SOAK else 240)
def test_after_sigkill_clients_a_fresh_one_and_export_agree_to_the_byte(
    driver: Driver, store: Path
) -> None:
    with ExitStack() as servers:
        server = servers.enter_context(serve(store))
        clients = gather(driver, server.websockets, ROOM, CLIENTS)
        for kills in range(1, (100 if SOAK else 3) + 1):
            type_all(clients, seed=kills)
            for client in clients:
                client.wait_acknowledged_more()
            server.kill()
            # They go on typing while nobody hears them.
            server = servers.enter_context(serve(store, port=server.port))
            for client in clients:
                client.wait_synced()
            rest_all(clients)
            driver.wait_agreed(clients)
            # Commits keep the order: once the echo of this is here, all before it is stored.
            clients[0].insert(0, MARK)
            clients[0].wait_acknowledged()
            fresh = driver.open(server.websockets, ROOM)
            text = driver.wait_agreed([*clients, fresh])
            fresh.destroy()
            check_account(text, clients, besides=MARK * kills)
            assert export(store, ROOM) == text


@pytest.mark.timeout(7200 if SOAK else 120)
def test_what_was_echoed_to_its_writer_survives_sigkill(driver: Driver, store: Path) -> None:
    chance = random.Random(20)
    with ExitStack() as servers:
        server = servers.enter_context(serve(store))
        clients = gather(driver, server.websockets, ROOM, CLIENTS)
        type_all(clients, seed=1)
        for _ in range(100 if SOAK else 3):
            for client in chance.sample(clients, k=chance.randint(1, CLIENTS)):
                client.wait_acknowledged_more()
            server.kill()
            check_holds_acknowledged(load(store, ROOM), [client.facts() for client in clients])
            server = servers.enter_context(serve(store, port=server.port))
            for client in clients:
                client.wait_synced()


def test_sigterm_under_load_exits_with_0_and_keeps_all_it_took_in(
    driver: Driver, store: Path, transport: str
) -> None:
    with serve(store, transport=transport) as server:
        clients = gather(driver, server.websockets, ROOM, CLIENTS)
        type_all(clients, seed=1)
        for client in clients:
            client.wait_acknowledged_more()
        assert server.terminate() < 10
    check_holds_all_passed_on(load(store, ROOM), [client.facts() for client in clients])


def test_sigterm_while_commits_wait_keeps_what_others_have_seen(
    driver: Driver, store: Path, transport: str
) -> None:
    with serve(store, transport=transport) as server:
        clients = gather(driver, server.websockets, ROOM, CLIENTS)
        with locked(store):
            type_all(clients, seed=1)
            for client in clients:
                client.wait_hears_others()
            server.process.send_signal(signal.SIGTERM)
            for client in clients:
                client.wait_disconnected()
        assert server.process.wait(30) == 0
    check_holds_all_passed_on(load(store, ROOM), [client.facts() for client in clients])
