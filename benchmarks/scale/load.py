"""Puts one workload on one running cluster and prints what it showed as JSON."""

import dataclasses
import gc
import json
import sys
from contextlib import closing

import click
from redis.exceptions import RedisError

from benchmarks.load.crowd import Crowd, LoadError
from benchmarks.load.dialect import Dialect, Hocuspocus, YWebsocket
from benchmarks.load.runs import UnreadableUpdate
from benchmarks.measure import ProcessTree
from benchmarks.scale.bus import Meter
from benchmarks.scale.commits import Commits
from benchmarks.scale.crossing import Span
from benchmarks.scale.workloads import WORKLOADS, put
from collab.errors import CollabError


@click.command()
@click.argument("workload", type=click.Choice(list(WORKLOADS)))
@click.option("--port", "ports", type=int, multiple=True, required=True, help="An instance's.")
@click.option("--pid", "pids", type=int, multiple=True, required=True, help="Its process.")
@click.option("--bus", type=int, required=True, help="The bus's port.")
@click.option("--store", type=int, help="The store's process, where it has one.")
@click.option("--dialect", type=click.Choice(["y-websocket", "hocuspocus"]), required=True)
@click.option("--path", default="", help="Before the document name, or of the one socket.")
@click.option("--seconds", default=5.0, help="How long is measured.")
def main(
    workload: str,
    ports: tuple[int, ...],
    pids: tuple[int, ...],
    bus: int,
    store: int | None,
    dialect: str,
    path: str,
    seconds: float,
) -> None:
    """Puts one workload on one running cluster and prints what it showed as JSON."""
    spoken: Dialect = YWebsocket(path) if dialect == "y-websocket" else Hocuspocus(path or "/")
    gc.disable()  # a pause here would look like one of the servers
    try:
        with Crowd(ports[0], spoken) as crowd, closing(Meter(bus)) as meter:
            span = Span(
                crowd,
                servers=ProcessTree(*pids),
                store=ProcessTree() if store is None else ProcessTree(store),
                meter=meter,
                # Of workers behind one port a single one would answer.
                commits=Commits(ports if len(ports) > 1 else ()),
            )
            crossing = put(WORKLOADS[workload], crowd, ports, span, seconds)
    except (LoadError, UnreadableUpdate, CollabError, RedisError, OSError) as error:
        sys.exit(f"{workload}: {error}")
    click.echo(json.dumps(dataclasses.asdict(crossing)))


if __name__ == "__main__":
    main()
