"""What stock providers send before their tokens were looked at."""

from collections.abc import Callable
from functools import partial

import anyio
import httpx
import pytest
from anyio.to_thread import run_sync
from starlette.requests import HTTPConnection

from collab.access import Identity
from collab.close import CloseCode
from collab.server.app import Collab
from collab.server.settings import Settings
from collab.storage.memory import MemoryStore
from tests.clients.driver import Driver
from tests.clients.kinds import HOCUSPOCUS, Kind
from tests.server.hosts import front_door

pytestmark = [pytest.mark.anyio, pytest.mark.node]

DEADLINE_SECONDS = 60.0


async def until(condition: Callable[[], bool]) -> None:
    with anyio.fail_after(DEADLINE_SECONDS):
        while not condition():  # noqa: ASYNC110 - another process's client
            await anyio.sleep(0.01)


@pytest.mark.parametrize("kind", HOCUSPOCUS, ids=str)
async def test_what_is_written_before_the_token_was_looked_at_comes_however_long_it_is(
    driver: Driver, kind: Kind
) -> None:
    """It is more than a stranger may send: the provider comes again, and then it is known."""
    looks = anyio.Event()

    async def authenticate(request: HTTPConnection) -> Identity:
        await looks.wait()
        return Identity(id="ana")

    settings = Settings(unauthenticated_max_bytes=100_000)
    app = Collab(MemoryStore(), settings=settings, authenticate=authenticate)
    async with front_door(app) as port:
        client = await run_sync(partial(driver.connect, kind, port, "notes", tokens=["ana"]))
        metrics = app.running.metrics
        await until(lambda: metrics.connections == 1)
        await run_sync(client.insert, 0, "x" * 300_000)
        sent_away = partial(
            metrics.registry.get_sample_value,
            "collab_connections_closed_total",
            {"code": str(int(CloseCode.TRY_AGAIN_LATER))},
        )
        await until(lambda: bool(sent_away()))
        looks.set()
        await run_sync(client.wait_acknowledged)
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
            content = await http.get("/api/docs/notes/content?format=text")
        assert content.text == "x" * 300_000
