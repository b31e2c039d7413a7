"""A real Valkey for tests of the bus."""

from collections.abc import Iterator

import pytest

from tests.server.bus.line import Line
from tests.valkey import ValkeyProcess, one_server


@pytest.fixture
def anyio_backend() -> str:
    """The client of Valkey needs asyncio."""
    return "asyncio"


@pytest.fixture(scope="module")
def valkey() -> Iterator[ValkeyProcess]:
    with one_server() as server:
        yield server


@pytest.fixture
def line(valkey: ValkeyProcess) -> Line:
    return Line(valkey)
