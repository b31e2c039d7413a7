"""Every kind of client in one room."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.clients.driver import Driver
from tests.clients.kinds import KINDS, OWN_KINDS
from tests.e2e.crowd import check_account, rest_all, type_all
from tests.e2e.serving import export, serve

pytestmark = [pytest.mark.node, pytest.mark.slow]

ROOM = "everyone"
EVERYONE = (*KINDS, *OWN_KINDS)


def test_all_dialects_in_one_room_converge_see_each_other_and_count_once(
    driver: Driver, store: Path, transport: str
) -> None:
    with serve(store, transport=transport) as server:

        def described() -> dict[str, Any]:
            return dict(httpx.get(f"{server.url}/api/docs/{ROOM}").raise_for_status().json())

        clients = [
            driver.connect(kind, server.port, ROOM, presence={"user": {"name": str(kind)}})
            for kind in EVERYONE
        ]
        for client in clients:
            client.wait_synced()
        ids = [client.id for client in clients]
        for client in clients:
            for each in ids:
                client.wait_sees(each)
            assert sorted(client.facts().present) == sorted(ids)
        type_all(clients, seed=6, every_ms=250)
        for client in clients:
            client.wait_acknowledged_more()
            client.wait_hears_others()
        rest_all(clients)
        for client in clients:
            client.wait_acknowledged()
        text = driver.wait_agreed(clients)
        check_account(text, clients)
        assert export(store, ROOM) == text
        assert described()["connections"] == len(EVERYONE)
        leaving, *staying = clients
        leaving.cut()
        for client in staying:
            client.wait_told_gone(ids[0])
        assert described()["connections"] == len(EVERYONE) - 1
