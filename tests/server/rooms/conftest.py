"""Buses for rooms of several instances, of each kind there is."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from collab.server.bus.bus import Bus
from collab.server.bus.deployment import Entrance, Standalone
from collab.server.bus.in_process import Exchange
from collab.server.bus.valkey import ValkeyBus
from tests.valkey import one_server

MakeBus = Callable[[], Bus]


@pytest.fixture(scope="module")
def valkey() -> Iterator[Standalone]:
    with one_server() as server:
        yield Standalone(Entrance("redis", "", ""), (server.host, server.port))


@pytest.fixture(params=["in process", "valkey"])
def make_bus(request: pytest.FixtureRequest, anyio_backend_name: str, tmp_path: Path) -> MakeBus:
    if request.param == "in process":
        return Exchange().bus
    if anyio_backend_name != "asyncio":
        pytest.skip("the client of Valkey needs asyncio")
    deployment = request.getfixturevalue("valkey")
    return lambda: ValkeyBus(deployment, prefix=str(tmp_path))
