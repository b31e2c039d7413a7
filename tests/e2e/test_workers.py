"""``collab serve --workers``: several processes on one address, with a real Valkey between them."""

import re
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path

import httpx
import pycrdt
import pytest
import trustme
from websockets.sync.client import connect

from collab.close import CloseCode
from collab.protocol import yjs
from tests.core import poison
from tests.e2e.reading import Reader, write
from tests.e2e.serving import COLLAB, Server, locked, serve
from tests.server.fallback import FallbackClient
from tests.server.signing import SECRET, token
from tests.server.transports.fallback.serving import SHOWS_ITSELF, synced
from tests.valkey import one_server

_DEADLINE_SECONDS = 20.0


@pytest.fixture(scope="module")
def bus() -> Iterator[str]:
    """Address of a bus that the tests share; each has documents of its own."""
    with one_server() as valkey:
        yield f"redis://{valkey.address}"


def options(bus: str, count: int = 2) -> Sequence[str]:
    return ("--workers", str(count), "--bus", bus)


def workers_of(server: Server) -> list[int]:
    """Process ids of a server's workers, in the order they began."""
    process = server.process.pid
    return list(map(int, Path(f"/proc/{process}/task/{process}/children").read_text().split()))


def wait_until(so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _DEADLINE_SECONDS
    while not so():
        assert time.monotonic() < deadline
        time.sleep(0.01)  # What another process does cannot be waited for in another way.


def connections_of(server: Server, process: int) -> int:
    """How many connections to a server one of its workers has."""
    sockets = {
        fields[9]
        for line in Path(f"/proc/{process}/net/tcp").read_text().splitlines()[1:]
        if (fields := line.split())[3] == "01" and int(fields[1].split(":")[1], 16) == server.port
    }
    links = (str(link.readlink()) for link in Path(f"/proc/{process}/fd").iterdir())
    return sum(link.removeprefix("socket:[").removesuffix("]") in sockets for link in links)


@pytest.mark.parametrize("transport", ["native", "asgi"])
def test_clients_of_all_workers_see_each_other_and_the_end_is_in_order(
    store: Path, bus: str, transport: str
) -> None:
    doc: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc()
    with ExitStack() as exits:
        server = exits.enter_context(serve(store, transport=transport, options=options(bus)))
        address = f"{server.websockets}/{transport}"
        readers = [Reader(exits.enter_context(connect(address))) for _ in range(16)]
        assert all(connections_of(server, process) for process in workers_of(server))
        write(server, doc, "a", document=transport)
        for reader in readers:
            reader.read_until("a")
        server.terminate()
        assert server.process.stdout is not None
        assert server.process.stdout.read() == ""  # One line for all of them, and that is read.
    assert [path.name for path in store.parent.iterdir()] == [store.name]


def test_a_worker_that_dies_is_replaced_and_commands_find_the_others(store: Path, bus: str) -> None:
    doc: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc()
    with serve(store, options=options(bus)) as server:
        write(server, doc, "a", document="killed")
        before = workers_of(server)
        for process, number in zip(before, (signal.SIGKILL, signal.SIGTERM), strict=True):
            subprocess.run(["kill", f"-{number}", str(process)], check=True)
            export = [COLLAB, "duplicate", "killed", f"copy {number}"]
            subprocess.run([*export, "--store", f"sqlite:///{store}"], check=True)
        wait_until(lambda: len(set(workers_of(server)) - set(before)) == 2)
        write(server, doc, "b", document="killed")
        with connect(f"{server.websockets}/killed") as socket:
            Reader(socket).read_until("ab")


def test_workers_end_when_their_parent_is_killed(store: Path, bus: str) -> None:
    with serve(store, options=options(bus)) as server:
        workers = workers_of(server)
        server.kill()
        wait_until(lambda: not any(Path(f"/proc/{process}").exists() for process in workers))
        with socket.create_server(("127.0.0.1", server.port)):
            pass


def test_a_second_signal_ends_all_at_once(store: Path, bus: str) -> None:
    doc: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc()
    more = ("--drain-seconds", "60")
    with ExitStack() as exits:
        server = exits.enter_context(serve(store, options=(*options(bus), *more)))
        address = f"{server.websockets}/twice"
        editor, reader = (exits.enter_context(connect(address)) for _ in range(2))
        exits.enter_context(locked(store))
        doc["text"] = pycrdt.Text("unsaved")
        editor.send(yjs.update(doc.get_update()))
        Reader(reader).read_until("unsaved")
        workers = workers_of(server)
        server.tell_to_stop()
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(_DEADLINE_SECONDS) == 128 + signal.SIGTERM
        wait_until(lambda: not any(Path(f"/proc/{process}").exists() for process in workers))


def test_tls_is_every_workers(store: Path, bus: str) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    chain, key = store.parent / "chain.pem", store.parent / "key.pem"
    issued.private_key_pem.write_to_path(key)
    issued.cert_chain_pems[0].write_to_path(chain)
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    certified = ("--certfile", str(chain), "--keyfile", str(key))
    with serve(store, options=(*options(bus), *certified)) as server:
        assert server.url.startswith("https://")
        for _ in range(8):
            assert httpx.get(f"{server.url}/readyz", verify=trust).is_success


def test_a_client_token_of_one_worker_is_good_with_all(store: Path, bus: str) -> None:
    with serve(store, options=options(bus)) as server:
        wish = {"authorization": "read-only"}
        answer = httpx.post(f"{server.url}/y-sweet/doc/plan/auth", json=wish).json()
        for _ in range(8):
            address = f"{answer['url']}/plan?token={answer['token']}"
            with connect(address) as socket:
                socket.recv(timeout=_DEADLINE_SECONDS)


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("poll", [False, True])
async def test_sessions_without_websockets_are_found_by_whichever_worker_is_asked(
    store: Path, bus: str, poll: bool
) -> None:
    strangers = httpx.Limits(max_keepalive_connections=0)  # Each request has its own connection.
    with serve(store, options=options(bus, 3)) as server:
        async with AsyncExitStack() as exits:
            http = httpx.AsyncClient(base_url=server.url, limits=strangers, timeout=20)
            await exits.enter_async_context(http)
            clients = [FallbackClient(http, f"/sse/without%2F{poll}", poll=poll) for _ in range(4)]
            for client in clients:
                await exits.enter_async_context(client)
                await synced(client)
            for client in clients:
                await client.say(yjs.sync_step1(b"\x00"))
                await client.say()
            await clients[0].say(yjs.update(poison.HELLO))
            for client in clients[1:]:
                await client.until(yjs.update(poison.HELLO))
            await clients[1].cut()
            await clients[0].say(SHOWS_ITSELF)
            await clients[1].connect()
            assert clients[1].resumed
            await clients[1].until(SHOWS_ITSELF)
            await clients[1].end()
            assert (await clients[1].post()).status_code == 410
            server.process.send_signal(signal.SIGTERM)
            if not poll:  # Who polls comes back when nobody listens any more.
                told = [await client.until_closed() for client in clients[2:]]
                assert {code for code, _ in told} == {CloseCode.RESTART}
            assert server.process.wait(_DEADLINE_SECONDS) == 0


def test_metrics_tell_of_all_workers(store: Path, bus: str) -> None:
    with serve(store, options=options(bus, 3)) as server, ExitStack() as exits:
        for _ in range(12):
            exits.enter_context(connect(f"{server.websockets}/counted")).recv(timeout=20)
        answer = httpx.get(f"{server.url}/metrics")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-type"].startswith("text/plain; version=")
        page = answer.text
        connections = re.findall(r'^collab_connections{worker="(\d)"} (\S+)$', page, re.MULTILINE)
        assert [number for number, _ in connections] == ["1", "2", "3"]
        assert sum(float(value) for _, value in connections) == 12
        assert page.count("# TYPE collab_connections gauge") == 1
    with serve(store, options=(*options(bus), "--jwt-secret", SECRET)) as server:
        assert httpx.get(f"{server.url}/metrics").status_code == 401
        admin = httpx.get(f"{server.url}/metrics", headers={"Authorization": f"Bearer {token()}"})
        assert 'worker="2"' in admin.text


def refusal(*arguments: str, code: int = 2) -> str:
    """What a server says that does not come up, and exits with a code."""
    command = [COLLAB, "serve", "--bind", "127.0.0.1:0", *arguments]
    refused = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert refused.returncode == code
    assert refused.stdout == ""
    return refused.stderr


def test_workers_without_a_bus_are_refused(store: Path) -> None:
    said = refusal("--workers", "2", "--store", f"sqlite:///{store}")
    assert said.startswith("collab: expected --bus redis://HOST:PORT for 2 workers, got none")
    assert said.count("\n") == 1
    assert not store.exists()


def test_workers_with_a_store_that_is_not_shared_are_refused() -> None:
    said = refusal("--workers", "2", "--bus", "redis://127.0.0.1:1", "--store", "memory://")
    assert said.startswith("collab: expected --store sqlite:///FILE or postgresql://... for 2")
    assert said.count("\n") == 1


def test_a_store_that_is_not_shared_is_refused_on_a_bus() -> None:
    said = refusal("--bus", "redis://127.0.0.1:1", "--store", "memory://")
    assert "expected --store sqlite:///FILE or postgresql://... for servers on a bus" in said
    assert said.count("\n") == 1


def test_workers_that_cannot_start_say_why_once(tmp_path: Path, bus: str) -> None:
    store = tmp_path / "collab.db"
    store.write_bytes(b"this is no database" * 100)
    said = refusal("--store", f"sqlite:///{store}", *options(bus), code=1)
    assert said.startswith("collab: worker 1 did not start: ")
    assert said.count("\n") == 1


def test_an_address_that_other_workers_serve_is_refused(store: Path, bus: str) -> None:
    with serve(store, options=options(bus)) as server:
        address = f"127.0.0.1:{server.port}"
        for more in (("--store", "memory://"), ("--store", f"sqlite:///{store}", *options(bus))):
            command = [COLLAB, "serve", "--bind", address, *more]
            refused = subprocess.run(command, capture_output=True, text=True, check=False)
            assert refused.stderr.startswith(f"collab: expected to listen on {address}, got: ")
