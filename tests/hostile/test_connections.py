"""Connections that mean harm: slow, silent, half open, or many; nobody else notices."""

import os
import resource
import select
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import httpx
import pytest

from tests.e2e.serving import Server, serve
from tests.hostile.attacker import DEADLINE_SECONDS, Attacker
from tests.hostile.bystanders import MIB, unharmed

pytestmark = [pytest.mark.anyio, pytest.mark.slow, pytest.mark.alone]

IMPATIENT = (
    ("--handshake-seconds", "2"),
    ("--post-seconds", "2"),
    ("--heartbeat-seconds", "0.5"),
    ("--dead-seconds", "2"),
)
DRIP_SECONDS = 0.2
_RESERVED_FILES = 1000
"""Open files that the test and the server need for other things."""


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that waits for nothing for long."""
    store = tmp_path_factory.mktemp("slow") / "collab.db"
    with serve(store, options=[word for option in IMPATIENT for word in option]) as server:
        yield server


@contextmanager
def connections(port: int, count: int, said: bytes) -> Iterator[list[Attacker]]:
    """Many connections that say this, and nothing more."""
    with ExitStack() as exits:
        attackers = [exits.enter_context(Attacker(port, None)) for _ in range(count)]
        for attacker in attackers:
            attacker.send(said)
        yield attackers


def cut_all(port: int, count: int, said: bytes) -> None:
    """Waits until the server has cut every connection that says no more than this."""
    with connections(port, count, said) as attackers:
        for attacker in attackers:
            attacker.until_cut()


@pytest.mark.parametrize(
    ("said", "count"),
    [
        (b"", 500),
        (b"GET /ws/a HTTP/1.1\r\nHost: 127.0.0.1\r\n", 500),
        (b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\nGET /he", 50),
        (
            b"POST /api/docs/a/updates HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            b"Content-Length: 1000000\r\n\r\nx",
            50,
        ),
    ],
    ids=["nothing", "half a head", "half a second head", "half a body"],
)
async def test_what_never_comes_is_not_waited_for(
    impatient: Server, said: bytes, count: int
) -> None:
    await unharmed(impatient, 96 * MIB, partial(cut_all, impatient.port, count, said))


async def test_heads_that_come_a_byte_now_and_then_are_cut(impatient: Server) -> None:
    """Each byte comes long before patience ends: it is the head that has so long, not the byte."""
    said = b"GET /ws/a HTTP/1.1\r\nX-Padding: "

    def run() -> None:
        with connections(impatient.port, 100, said) as attackers:
            deadline = time.monotonic() + DEADLINE_SECONDS
            going = attackers
            while going:
                assert time.monotonic() < deadline
                gone, _, _ = select.select([each.socket for each in going], [], [], DRIP_SECONDS)
                going = [each for each in going if each.socket not in gone and each.send(b"x")]

    await unharmed(impatient, 64 * MIB, run)


async def test_heads_that_never_end_are_refused(impatient: Server) -> None:
    """What comes before the refusal is a few times the longest head, not the 64 MiB sent."""

    def run() -> None:
        with connections(impatient.port, 10, b"GET /ws/a HTTP/1.1\r\nX-Padding: ") as attackers:
            for attacker in attackers:
                taken = 0
                while taken < 64 and attacker.send(b"x" * MIB):
                    taken += 1
                assert taken < 64

    await unharmed(impatient, 64 * MIB, run)


async def test_sockets_whose_other_end_is_gone_are_dropped(impatient: Server) -> None:
    """They shake hands and answer nothing: no ping, no close."""

    def run() -> None:
        with ExitStack() as exits:
            attackers = [
                exits.enter_context(Attacker(impatient.port, "/ws/attacked")) for _ in range(200)
            ]
            for attacker in attackers:
                attacker.until_cut()

    await unharmed(impatient, 64 * MIB, run)


async def test_ten_thousand_connections_that_never_speak(tmp_path: Path, many_files: int) -> None:
    """As many as the limit on open files lets a server and an attacker have, ten thousand at most.

    They come from several addresses, because one address runs out of ports.
    """
    count = min(10_000, many_files - _RESERVED_FILES)
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == many_files

    def run(port: int) -> None:
        with ExitStack() as exits:
            sockets = []
            for number in range(count):
                address = (f"127.0.0.{2 + number % 4}", 0)
                sockets.append(
                    exits.enter_context(
                        socket.create_connection(
                            ("127.0.0.1", port), DEADLINE_SECONDS, source_address=address
                        )
                    )
                )
            for each in sockets:
                assert each.recv(1) == b""

    options = ("--handshake-seconds", "5")
    with serve(tmp_path / "collab.db", options=options) as server:
        await unharmed(server, 256 * MIB, partial(run, server.port))


async def test_more_connections_than_files_may_be_open_are_turned_away(tmp_path: Path) -> None:
    """The rest of the files is the store's; the log says it once, and the processor rests."""
    log = tmp_path / "log"
    under = ("prlimit", "--nofile=200:200")
    with serve(tmp_path / "collab.db", under=under, log=log) as server:
        process = f"/proc/{server.process.pid}"

        def run() -> tuple[int, float]:
            with connections(server.port, 300, b""):
                began = _processor_seconds(process)
                time.sleep(2.0)
                return len(list(Path(f"{process}/fd").iterdir())), _processor_seconds(
                    process
                ) - began

        files, seconds = await unharmed(server, 96 * MIB, run)
        assert 100 <= files <= 200 - 64
        assert seconds < 1.0
        with Attacker(server.port, "/ws/attacked"):
            async with httpx.AsyncClient() as client:
                page = (await client.get(f"{server.url}/metrics")).text
        assert 'collab_limits_reached_total{limit="open_files"}' in page
    assert log.read_text().count("connections are turned away") == 1


async def test_no_file_at_all_can_be_opened_for_a_while(tmp_path: Path) -> None:
    """Connections wait in the kernel; once there are files, they are taken."""
    log = tmp_path / "log"
    with serve(tmp_path / "collab.db", log=log) as server:
        process = f"/proc/{server.process.pid}"
        limits = resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE)

        def run() -> float:
            files = len(list(Path(f"{process}/fd").iterdir()))
            resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (files, limits[1]))
            with connections(server.port, 20, b"") as attackers:
                began = _processor_seconds(process)
                time.sleep(2.0)
                seconds = _processor_seconds(process) - began
                resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, limits)
                attackers[0].send(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
                attackers[0].until_answered()
            return seconds

        assert await unharmed(server, 96 * MIB, run) < 1.0
    assert log.read_text().count("connections are turned away") == 1


async def test_a_server_may_have_as_many_files_as_it_is_allowed_to_allow_itself(
    tmp_path: Path,
) -> None:
    with serve(tmp_path / "collab.db", under=("prlimit", "--nofile=64:512")) as server:
        assert resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE) == (512, 512)


async def test_event_streams_that_nobody_reads_take_little(impatient: Server) -> None:
    said = b"GET /sse/elsewhere HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"

    def run() -> None:
        with connections(impatient.port, 100, said) as attackers:
            for attacker in attackers:
                assert attacker.socket.recv(12, socket.MSG_WAITALL) == b"HTTP/1.1 200"

    await unharmed(impatient, 96 * MIB, run)


async def test_long_bodies_that_are_no_update_are_refused(impatient: Server) -> None:
    body = b"\x01\x01\x07\x00" + bytes(20 * MIB)
    head = "POST /api/docs/a/updates HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    head += f"Content-Length: {len(body)}\r\n\r\n"

    def run() -> list[bytes]:
        answers = []
        with connections(impatient.port, 4, head.encode()) as attackers:
            for attacker in attackers:
                attacker.send(body)
                answers.append(attacker.socket.recv(12, socket.MSG_WAITALL))
        return answers

    answers = await unharmed(impatient, 256 * MIB, run)
    assert answers == [b"HTTP/1.1 400"] * 4


def _processor_seconds(process: str) -> float:
    fields = Path(f"{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
