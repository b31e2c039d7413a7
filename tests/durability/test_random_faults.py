"""Three servers over one store, and one fault after the other: nothing is lost, all agree."""

import os
import random
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path

import anyio.to_thread
import pytest

from tests.client.gate import Gate, gate_to
from tests.durability.editor import Crowd, check_account, online, words_on_disk
from tests.durability.servers import ROOM, ready, rooms, type_more
from tests.e2e.serving import Server, serve
from tests.valkey import ValkeyProcess, running

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

SERVERS = 3
EDITORS = 6
SOAK = os.environ.get("COLLAB_SOAK") == "1"
ROUNDS = 100 if SOAK else 3


class House:
    """Servers over one store, each with a way to the bus that can be cut."""

    def __init__(self, store: Path, valkey: ValkeyProcess, gates: list[Gate]) -> None:
        self.servers: list[Server] = []
        self._exits = ExitStack()
        self._store = store
        self._valkey = valkey
        self._gates = gates

    async def open(self) -> None:
        """Starts the servers."""
        for gate in self._gates:
            self.servers.append(await self._start(gate))

    async def close(self) -> None:
        """Ends them in good order."""
        await anyio.to_thread.run_sync(self._exits.close)

    async def settle(self) -> None:
        """Waits until all of them are as they should be."""
        for server in self.servers:
            await ready(server, "ok")

    async def kill(self, number: int) -> None:
        """A server dies and another one takes its place."""
        server = self.servers[number]
        server.kill()
        self.servers[number] = await self._start(self._gates[number], server.port)

    async def restart(self, number: int) -> None:
        """A server ends in good order and another one takes its place."""
        server = self.servers[number]
        await anyio.to_thread.run_sync(server.terminate)
        self.servers[number] = await self._start(self._gates[number], server.port)

    async def cut(self, number: int) -> None:
        """A server is cut off from the bus for a while."""
        self._gates[number].cut()
        await ready(self.servers[number], "degraded")
        self._gates[number].mend()

    async def cut_and_kill_another(self, number: int) -> None:
        """A server dies while another one is cut off from the bus."""
        self._gates[number].cut()
        await ready(self.servers[number], "degraded")
        await self.kill((number + 1) % SERVERS)
        self._gates[number].mend()

    async def empty_bus(self, number: int) -> None:
        """The bus dies, and comes back without what it knew."""
        self._valkey.kill()
        await ready(self.servers[number], "degraded")
        await anyio.to_thread.run_sync(self._valkey.start)

    async def _start(self, gate: Gate, port: int = 0) -> Server:
        bus = ("--bus", f"valkey://127.0.0.1:{gate.port}")
        starting = serve(self._store, port=port, options=bus)
        return await anyio.to_thread.run_sync(self._exits.enter_context, starting)


@pytest.mark.timeout(3600 if SOAK else 180)
async def test_whatever_breaks_all_that_was_typed_is_on_disk_once_and_everyone_agrees(
    store: Path, tmp_path: Path
) -> None:
    chance = random.Random(11)
    crowd = Crowd(EDITORS, seed=11)
    valkey = ValkeyProcess(tmp_path)
    with running(valkey), ExitStack() as gates:
        house = House(
            store, valkey, [gates.enter_context(gate_to(valkey.port)) for _ in range(SERVERS)]
        )
        faults: list[Callable[[int], Awaitable[None]]] = [
            house.kill,
            house.cut,
            house.restart,
            house.cut_and_kill_another,
            house.empty_bus,
        ]
        try:
            await house.open()
            async with online(crowd, *rooms(house.servers)):
                for number in range(ROUNDS):
                    await type_more(crowd, chance.randint(1, 200))
                    fault = faults[number] if number < len(faults) else chance.choice(faults)
                    await fault(chance.randrange(SERVERS))
                    await type_more(crowd, chance.randint(1, 200))
                    await house.settle()
                    words = await crowd.agree()
                    check_account(words, set(crowd.typed))
                    assert await words_on_disk(store, ROOM) == words
        finally:
            await house.close()
    assert await words_on_disk(store, ROOM) == words
