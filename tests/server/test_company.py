"""Two processes that serve one store say so, unless a bus ties them together."""

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import anyio
import httpx
import pytest

from collab.server.app import Collab
from collab.server.bus.in_process import Exchange
from collab.storage.sqlite import SQLiteStore
from tests.server.asking import requests_to
from tests.server.hosts import listen

pytestmark = pytest.mark.anyio

DEADLINE_SECONDS = 30.0
ALONE = {"status": "ok"}
APART = {
    "status": "degraded",
    "store": "another process serves it, too, and no bus ties them together",
}
WARNING = "another process serves the same store"


async def until_readyz(app: Collab, expected: dict[str, str]) -> None:
    """Waits until an app says this of itself."""
    async with requests_to(app) as client:
        with anyio.fail_after(DEADLINE_SECONDS):
            while (answer := await client.get("/readyz")).json() != expected:  # noqa: ASYNC110 - over HTTP
                await anyio.sleep(0.05)
    assert answer.status_code == 200


async def test_both_say_so_and_go_on_until_one_ends(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "collab")
    path = tmp_path / "collab.db"
    async with Collab(SQLiteStore(path)) as first:
        await until_readyz(first, ALONE)
        assert WARNING not in caplog.text
        async with Collab(f"sqlite:///{path}") as second:
            await until_readyz(second, APART)
            await until_readyz(first, APART)
            assert caplog.text.count(WARNING) == 2
        await until_readyz(first, ALONE)
        assert "no other process serves the same store any more" in caplog.text


async def test_those_that_a_bus_ties_together_are_none_apart(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    exchange = Exchange()
    address = f"sqlite:///{tmp_path / 'collab.db'}"
    async with (
        Collab(address, bus=exchange.bus()) as first,
        Collab(address, bus=exchange.bus()) as second,
    ):
        await until_readyz(first, ALONE)
        await until_readyz(second, ALONE)
    assert WARNING not in caplog.text


class TestWorkers:
    @pytest.fixture
    def port(self, tmp_path: Path) -> Iterator[int]:
        """Two workers of uvicorn; their log is in ``log``."""
        with listen() as free:
            port: int = free.getsockname()[1]
        command = [sys.executable, "-m", "uvicorn", "collab.server.asgi:app", "--workers", "2"]
        with (tmp_path / "log").open("wb") as log:
            process = subprocess.Popen(
                [*command, "--port", str(port)],
                env=os.environ | {"COLLAB_STORE": f"sqlite:///{tmp_path / 'collab.db'}"},
                stdout=log,
                stderr=subprocess.STDOUT,
            )
            try:
                yield port
            finally:
                process.send_signal(signal.SIGINT)
                process.wait(DEADLINE_SECONDS)

    @pytest.mark.parametrize("anyio_backend", ["asyncio"])
    async def test_each_of_uvicorn_s_workers_says_so(self, port: int, tmp_path: Path) -> None:
        with anyio.fail_after(DEADLINE_SECONDS):
            while (tmp_path / "log").read_text().count(WARNING) < 2:  # noqa: ASYNC110 - another process's
                await anyio.sleep(0.05)
        for _ in range(10):
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
                assert (await client.get("/readyz")).json() == APART
