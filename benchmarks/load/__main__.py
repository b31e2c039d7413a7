"""Puts one workload on one running server and prints the outcome as JSON."""

import dataclasses
import gc
import json
import sys

import click

from benchmarks.load.crowd import Crowd, LoadError
from benchmarks.load.dialect import Dialect, Hocuspocus, YWebsocket
from benchmarks.load.runs import UnreadableUpdate
from benchmarks.load.workloads import WORKLOADS, Stage
from benchmarks.measure import ProcessTree
from collab.errors import CollabError


@click.command()
@click.argument("workload", type=click.Choice(list(WORKLOADS)))
@click.option("--port", type=int, required=True, help="Where the server listens.")
@click.option("--pid", type=int, required=True, help="Its process, to measure.")
@click.option("--dialect", type=click.Choice(["y-websocket", "hocuspocus"]), required=True)
@click.option("--path", default="", help="Before the document name, or of the one socket.")
@click.option("--seconds", default=5.0, help="How long workloads with a beat go on.")
def main(workload: str, port: int, pid: int, dialect: str, path: str, seconds: float) -> None:
    """Puts one workload on one running server and prints the outcome as JSON."""
    spoken: Dialect = YWebsocket(path) if dialect == "y-websocket" else Hocuspocus(path or "/")
    gc.disable()  # a pause here would look like one of the server
    server = ProcessTree(pid)
    try:
        with Crowd(port, spoken) as crowd:
            stage = Stage(crowd, server, server.resident_bytes(), seconds)
            outcome = WORKLOADS[workload](stage)
    except (LoadError, UnreadableUpdate, CollabError, OSError) as error:
        sys.exit(f"{workload}: {error}")
    click.echo(json.dumps(dataclasses.asdict(outcome)))


if __name__ == "__main__":
    main()
