"""Measures instances over one store and one bus, beside Hocuspocus on the same bus."""

import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click

from benchmarks import plot
from benchmarks.plot import Panel
from benchmarks.scale import report, sizing
from benchmarks.scale.clusters import CLUSTERS, PEER, WORKERS
from benchmarks.scale.crossing import Crossing
from benchmarks.scale.trial import measure
from benchmarks.scale.workloads import WORKLOADS
from benchmarks.servers import BenchmarkError, install

RESULTS: Final = Path(__file__).parent.parent / "results"
_BESIDE: Final = ("collab", "collab-postgres", PEER)
_CLUSTERS_OF: Final[dict[str, Sequence[str]]] = {
    "busy": _BESIDE,
    "mixed": _BESIDE,
    "pairs": _BESIDE,
    "overload": [f"workers-{count}" for count in WORKERS],
}
"""Which clusters a workload is put on; the others, on ours alone."""
PANELS: Final = (
    *(
        Panel(workload, figure, f"{workload}: {says}")
        for workload in ("busy", "mixed", "pairs")
        for figure, says in (
            ("cpu_us", "server CPU µs a delivery"),
            ("commands", "bus commands a delivery"),
            ("p99_ms", "p99 latency, ms"),
        )
    ),
    Panel("overload", "per_second", "overload: deliveries a second (more is better)"),
)


def _chosen(only: str | None) -> list[str]:
    names = only.split(",") if only else list(WORKLOADS)
    if unknown := set(names) - set(WORKLOADS):
        raise click.UsageError(f"--only: expected some of {', '.join(WORKLOADS)}, got {unknown}")
    return names


def _turns(workloads: Sequence[str], rounds: int) -> Iterator[tuple[str, str, int]]:
    """Yields workload, cluster and round, the clusters in alternation."""
    for workload in workloads:
        for number in range(1, rounds + 1):
            for cluster in _CLUSTERS_OF.get(workload, ("collab",)):
                yield workload, cluster, number


@click.command()
@click.option("--only", help="Workloads, with commas between; all by default.")
@click.option("--rounds", default=3, show_default=True, help="How often each is run.")
@click.option("--seconds", default=4.0, show_default=True, help="How long each is measured.")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="Folder to write to: benchmarks/results for a whole run, its raw/ for a part.",
)
def main(only: str | None, rounds: int, seconds: float, output: Path | None) -> None:
    """Measures instances over one store and one bus, beside Hocuspocus on the same bus.

    It writes scale.json, scale.md and scale.png, and with the results of a whole run the sizing
    in docs/explanation/several-servers.md anew.
    """
    workloads = _chosen(only)
    raw = RESULTS / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    output = output or (raw if only else RESULTS)
    crossings: dict[str, dict[str, list[Crossing]]] = {}
    failures: list[str] = []
    try:
        install(CLUSTERS[PEER].server)
    except BenchmarkError as error:
        failures.append(f"{PEER}: {error}")
    for workload, cluster, number in _turns(workloads, rounds):
        click.echo(f"{workload}, round {number} of {rounds}: {cluster}", err=True)
        try:
            crossing = measure(CLUSTERS[cluster], workload, seconds, raw)
        except BenchmarkError as error:
            failures.append(f"{workload}, round {number}, {cluster}: {error}")
            click.echo(f"  {error}", err=True)
            continue
        crossings.setdefault(workload, {}).setdefault(cluster, []).append(crossing)
    if not crossings:
        sys.exit("expected at least one outcome, got none")
    settings = {
        "date": datetime.now(UTC).date().isoformat(),
        "rounds": rounds,
        "seconds": seconds,
    }
    click.echo(report.write(output, crossings, failures, settings))
    plot.draw(report.medians(crossings), output / "scale.png", PANELS)
    if output == RESULTS:
        sizing.write()
    if failures:
        sys.exit(f"expected every run to have an outcome, got {len(failures)} without")


if __name__ == "__main__":
    main()
