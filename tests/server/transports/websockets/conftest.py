"""What every suite of WebSockets runs on: ours, Hypercorn and uvicorn."""

from collections.abc import AsyncIterator

import pytest

from collab.server.app import Collab
from collab.storage.memory import MemoryStore
from tests.server.hosts import HOSTS
from tests.server.transports.websockets.serving import SMALL, authenticate


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=list(HOSTS.values()), ids=list(HOSTS))
async def port(request: pytest.FixtureRequest) -> AsyncIterator[int]:
    app = Collab(
        MemoryStore(),
        settings=SMALL,
        authenticate=authenticate,
        allow_origins=["https://listed.example"],
    )
    async with request.param(app) as port:
        yield port
