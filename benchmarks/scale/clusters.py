"""The clusters: servers that serve the same documents, and what ties them."""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from benchmarks.scale.bus import running_bus
from benchmarks.scale.pinning import on_cores
from benchmarks.servers import LOAD_CORE, PEERS, SERVER_CORE, SERVERS, Running, Server, started
from tests.postgres import running_postgres

PEER: Final = "hocuspocus-redis"
WORKERS: Final = (1, 2, 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """Servers over one bus.

    Attributes:
        name: what it is called on the command line and in the tables.
        server: one of them.
        instances: how many are started.
        cores: which cores they and the bus may use.
        on_postgres: whether they store on Postgres.
    """

    name: str
    server: Server
    instances: int = 2
    cores: tuple[int, ...] = (SERVER_CORE,)
    on_postgres: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Together:
    """A cluster that listens.

    Attributes:
        instances: its servers.
        bus_port: where its bus listens.
        store_pid: its store's process, or None where it is a file or there is none.
    """

    instances: tuple[Running, ...]
    bus_port: int
    store_pid: int | None


def _serve(*options: str) -> Callable[[Path], list[str]]:
    command = str(Path(sys.executable).parent / "collab")
    return lambda _: [command, "serve", "--bind", "127.0.0.1:0", *options]


def _ours(*options: str) -> Server:
    return replace(
        SERVERS["collab"],
        command=_serve(*options),
        environment=lambda directory: {"COLLAB_STORE": f"sqlite:///{directory}/collab.db"},
    )


CLUSTERS: Final[dict[str, Cluster]] = {
    cluster.name: cluster
    for cluster in (
        Cluster(name="collab", server=_ours()),
        Cluster(name="collab-postgres", server=_ours(), on_postgres=True),
        Cluster(
            name=PEER,
            server=Server(
                name=PEER,
                command=lambda _: ["node", str(PEERS / PEER / "serve.mjs")],
                dialect="hocuspocus",
                path="/",
                package=PEER,
            ),
        ),
        *(
            Cluster(
                name=f"workers-{count}",
                server=_ours("--workers", str(count)),
                instances=1,
                cores=(SERVER_CORE, LOAD_CORE),
            )
            for count in WORKERS
        ),
    )
}


@contextmanager
def running(cluster: Cluster, scratch: Path) -> Iterator[Together]:
    """Starts a bus, a store and the servers over them; ends them afterwards.

    Args:
        cluster: which.
        scratch: where they may put files; they are removed in the end.

    Raises:
        BenchmarkError: one of them does not start.
    """
    with ExitStack() as exits:
        directory = Path(exits.enter_context(TemporaryDirectory(dir=scratch)))
        port = exits.enter_context(running_bus(cluster.cores))
        environment = cluster.server.environment(directory)
        environment["COLLAB_BUS"] = environment["BUS"] = f"redis://127.0.0.1:{port}"
        store_pid = None
        if cluster.on_postgres:
            with on_cores(cluster.cores):
                postgres = exits.enter_context(running_postgres())
            environment["COLLAB_STORE"], store_pid = postgres.new_database(), postgres.pid
        server = replace(cluster.server, environment=lambda _: environment)
        instances = tuple(
            exits.enter_context(started(server, directory, cluster.cores))
            for _ in range(cluster.instances)
        )
        yield Together(instances=instances, bus_port=port, store_pid=store_pid)
