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

over_each_bus = pytest.mark.parametrize(
    ("anyio_backend", "make_bus"),
    [("asyncio", "in process"), ("trio", "in process"), ("asyncio", "valkey")],
    indirect=["make_bus"],
)
"""Runs a test over each kind of bus; the client of Valkey knows asyncio alone."""


@pytest.fixture(scope="module")
def valkey() -> Iterator[Standalone]:
    with one_server() as server:
        yield Standalone(Entrance("redis", "", ""), (server.host, server.port))


@pytest.fixture
def make_bus(request: pytest.FixtureRequest, tmp_path: Path) -> MakeBus:
    """Instances of the kind of bus that ``over_each_bus`` names."""
    if request.param == "in process":
        return Exchange().bus
    deployment = request.getfixturevalue("valkey")
    return lambda: ValkeyBus(deployment, prefix=str(tmp_path))
