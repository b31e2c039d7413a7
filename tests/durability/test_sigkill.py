"""Servers killed at random moments: what was acknowledged is in the file, nothing is doubled."""

import os
import random
from contextlib import ExitStack
from pathlib import Path

import anyio.to_thread
import pytest

from tests.clients.driver import Driver
from tests.durability.editor import Crowd, check_account, online, words_on_disk
from tests.e2e.crowd import EVERY_MS, check_holds_acknowledged
from tests.e2e.crowd import check_account as check_typed
from tests.e2e.serving import Server, load, serve

pytestmark = [pytest.mark.anyio, pytest.mark.node, pytest.mark.slow]

ROOM = "kill/me"
EDITORS = 20
SOAK = os.environ.get("COLLAB_SOAK") == "1"
ROUNDS = 100 if SOAK else 5


@pytest.mark.timeout(3600 if SOAK else 240)
async def test_acknowledged_words_survive_sigkill_and_everyone_agrees_on_them(
    driver: Driver, store: Path
) -> None:
    chance = random.Random(4)
    crowd = Crowd(EDITORS, seed=4)
    with ExitStack() as servers:

        async def start(port: int = 0) -> Server:
            starting = serve(store, port=port)
            return await anyio.to_thread.run_sync(servers.enter_context, starting)

        server = await start()
        stock = await anyio.to_thread.run_sync(driver.open, server.websockets, ROOM)
        async with online(crowd, f"{server.websockets}/{ROOM}"):
            for seed in range(ROUNDS):
                await anyio.to_thread.run_sync(stock.wait_synced)
                await anyio.to_thread.run_sync(stock.type, seed, EVERY_MS)
                crowd.type()
                # The kill follows an ack at once: what was acknowledged last has just been written.
                enough = crowd.acknowledgements + chance.randint(1, 400)
                await crowd.until(lambda: crowd.acknowledgements >= enough, "acks")  # noqa: B023
                server.kill()
                acknowledged = crowd.acknowledged
                facts = await anyio.to_thread.run_sync(stock.facts)
                check_account(await words_on_disk(store, ROOM), acknowledged)
                stored = await anyio.to_thread.run_sync(load, store, ROOM)
                check_holds_acknowledged(stored, [facts])

                server = await start(server.port)
                await anyio.to_thread.run_sync(stock.wait_synced)
                await anyio.to_thread.run_sync(stock.rest)
                await anyio.to_thread.run_sync(stock.wait_acknowledged)
                words = await crowd.agree()
                assert sorted(words) == sorted(crowd.typed)
                check_typed((await anyio.to_thread.run_sync(stock.facts)).text, [stock])
        await anyio.to_thread.run_sync(server.terminate)
    assert await words_on_disk(store, ROOM) == words
