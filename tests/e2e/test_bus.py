"""Two servers as processes over one store, with a real Valkey between them."""

import time
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import pycrdt
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.e2e.reading import Reader, write
from tests.e2e.serving import Server, serve
from tests.server.signing import SECRET, token
from tests.valkey import one_server, wait_until

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
    with one_server() as valkey:
        options = ("--bus", f"valkey://{valkey.address}")
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
        valkey = exits.enter_context(one_server())
        options = ("--bus", f"redis://{valkey.address}")
        with serve(store, options=options) as server:
            assert ready(server) == "ok"
            exits.close()
            wait_until(lambda: ready(server) == "degraded")
            write(server, doc, "a")
            with connect(f"{server.websockets}/d") as socket:
                Reader(socket).read_until("a")


def test_a_server_whose_bus_was_never_there_says_so_once(store: Path, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with serve(store, options=("--bus", "redis://127.0.0.1:1"), log=log) as server:
        cut_off = "collab: cut off from the bus: documents are served"
        wait_until(lambda: cut_off in log.read_text())
        assert ready(server) == "degraded"
        server.terminate()
    assert log.read_text().count("cut off from the bus") == 1


def test_a_revocation_ends_sessions_on_all_servers_and_holds_for_those_that_start_later(
    store: Path,
) -> None:
    admin = {"Authorization": f"Bearer {token(user='root')}"}
    ana = token(user="ana", iat=int(time.time()) - 1)
    with one_server() as valkey:
        options = ("--bus", f"valkey://{valkey.address}", "--jwt-secret", SECRET)
        with (
            serve(store, options=options) as one,
            serve(store, options=options) as other,
            connect(f"{other.websockets}/d?token={ana}") as session,
        ):
            Reader(session)
            answer = httpx.post(
                f"{one.url}/api/sessions/revoke", json={"user": "ana"}, headers=admin
            )
            assert answer.json() == {"ended": 0}  # Here; it was over there.
            assert read_to_end(session) == 4401
        with serve(store, options=options) as later, pytest.raises(InvalidStatus, match="401"):
            connect(f"{later.websockets}/d?token={ana}")


def read_to_end(session: ClientConnection) -> int | None:
    """Reads until the server closes; tells with what."""
    with suppress(ConnectionClosed):
        while True:
            session.recv(timeout=_DEADLINE_SECONDS)
    return session.close_code
