"""The servers: ours and its peers, how each is installed and started."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

PEERS: Final = Path(__file__).parent / "peers"
SERVER_CORE: Final = 0
LOAD_CORE: Final = 1

_START_SECONDS: Final = 20.0
_STOP_SECONDS: Final = 10.0
_ADDRESS: Final = re.compile(r"http://127\.0\.0\.1:(\d+)")


class BenchmarkError(Exception):
    """A benchmark could not be run as meant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A server to measure.

    Attributes:
        name: what it is called on the command line and in the tables.
        command: makes the command that starts it, given a directory for its files. The server
            prints ``http://127.0.0.1:PORT`` once it listens.
        dialect: what its clients speak.
        path: before the document name in its WebSocket's path, or of its one socket.
        environment: variables it needs, given the same directory.
        package: its folder in ``peers``, where npm installs it; None for ours.
    """

    name: str
    command: Callable[[Path], list[str]]
    dialect: str
    path: str
    environment: Callable[[Path], dict[str, str]] = field(default=lambda _: {})
    package: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A server that listens."""

    pid: int
    port: int


def _script(name: str) -> str:
    return str(Path(sys.executable).parent / name)


def _store(directory: Path) -> str:
    return f"sqlite:///{directory}/collab.db"


def _node(package: str) -> Callable[[Path], list[str]]:
    return lambda _: ["node", str(PEERS / package / "serve.mjs")]


SERVERS: Final[dict[str, Server]] = {
    server.name: server
    for server in (
        Server(
            name="collab",
            command=lambda directory: [
                _script("collab"),
                *("serve", "--store", _store(directory), "--bind", "127.0.0.1:0"),
            ],
            dialect="y-websocket",
            path="/ws",
        ),
        Server(
            name="collab-uvicorn",
            command=lambda _: [
                _script("uvicorn"),
                *("collab.server.asgi:app", "--host", "127.0.0.1", "--port", "0"),
                "--no-access-log",
            ],
            dialect="y-websocket",
            path="/ws",
            environment=lambda directory: {"COLLAB_STORE": _store(directory)},
        ),
        Server(
            name="bare-relay",
            command=lambda _: [sys.executable, str(Path(__file__).parent / "relay.py")],
            dialect="y-websocket",
            path="",
        ),
        Server(
            name="y-websocket",
            command=_node("y-websocket"),
            dialect="y-websocket",
            path="",
            package="y-websocket",
        ),
        Server(
            name="hocuspocus",
            command=_node("hocuspocus"),
            dialect="hocuspocus",
            path="/",
            package="hocuspocus",
        ),
    )
}


def install(server: Server) -> None:
    """Installs a peer from its lock file, where it is not yet as the lock says.

    Raises:
        BenchmarkError: npm is not there or fails.
    """
    if server.package is None:
        return
    folder = PEERS / server.package
    lock, installed = folder / "package-lock.json", folder / "node_modules" / ".package-lock.json"
    if installed.exists() and installed.stat().st_mtime >= lock.stat().st_mtime:
        return
    npm = shutil.which("npm")
    if npm is None:
        raise BenchmarkError(f"expected npm to install {server.name}, got none on the PATH")
    done = subprocess.run(
        [npm, "ci", "--no-audit", "--no-fund"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise BenchmarkError(f"expected npm to install {server.name}, got: {done.stderr.strip()}")


@contextmanager
def run(server: Server, scratch: Path) -> Iterator[Running]:
    """Starts a server on its own core with an empty store; ends it afterwards.

    Args:
        server: which one.
        scratch: where it may put files; they are removed in the end.

    Raises:
        BenchmarkError: it does not listen in time.
    """
    with (
        tempfile.TemporaryDirectory(dir=scratch) as name,
        started(server, Path(name), (SERVER_CORE,)) as running,
    ):
        yield running


@contextmanager
def started(server: Server, directory: Path, cores: Sequence[int]) -> Iterator[Running]:
    """Starts a server; ends it afterwards.

    Args:
        server: which one.
        directory: where it puts files; several may share it.
        cores: which cores it may use.

    Raises:
        BenchmarkError: it does not listen in time.
    """
    with tempfile.NamedTemporaryFile(dir=directory, suffix=".log") as log:
        process = subprocess.Popen(
            ["taskset", "-c", ",".join(map(str, cores)), *server.command(directory)],
            cwd=directory,
            env={**os.environ, "NODE_ENV": "production", **server.environment(directory)},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            yield Running(pid=process.pid, port=_await_port(server, process, Path(log.name)))
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _await_port(server: Server, process: "subprocess.Popen[bytes]", log: Path) -> int:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        found = _ADDRESS.search(log.read_text())
        if found:
            return int(found[1])
        time.sleep(0.02)
    raise BenchmarkError(f"expected {server.name} to listen, got: {log.read_text()[-500:]!r}")
