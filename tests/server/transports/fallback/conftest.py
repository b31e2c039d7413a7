"""What every suite of the fallback runs on: streams and polls, and every server."""

from collections.abc import AsyncIterator

import httpx
import pytest

from collab.server.app import Collab
from collab.storage.memory import MemoryStore
from tests.server.hosts import HOSTS
from tests.server.transports.fallback.serving import SMALL, authenticate, http_to


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=["native", "hypercorn", "uvicorn"])
async def http(request: pytest.FixtureRequest) -> AsyncIterator[httpx.AsyncClient]:
    app = Collab(MemoryStore(), settings=SMALL, authenticate=authenticate)
    async with HOSTS[request.param](app) as port, http_to(port) as client:
        yield client


@pytest.fixture(params=[False, True], ids=["stream", "poll"])
def poll(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)
