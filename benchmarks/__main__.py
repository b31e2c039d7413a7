"""Runs every workload on every server, in alternation, and reports the medians."""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click

from benchmarks import plot, report
from benchmarks.load.window import Outcome
from benchmarks.load.workloads import WORKLOADS
from benchmarks.scale import sizing
from benchmarks.servers import SERVERS, BenchmarkError, install
from benchmarks.trial import measure

RESULTS: Final = Path(__file__).parent / "results"


_PART: Final = {
    "collab-uvicorn": ("all-write",),
    "bare-relay": ("all-write", "audience", "many-rooms"),
}
"""Servers that play in some workloads alone: where they have a goal, or say what is possible."""


def _played(server: str, workload: str) -> bool:
    return workload in _PART.get(server, WORKLOADS)


def _split(allowed: Sequence[str], chosen: str | None, option: str) -> list[str]:
    names = chosen.split(",") if chosen else list(allowed)
    unknown = set(names) - set(allowed)
    if unknown:
        raise click.UsageError(
            f"{option}: expected some of {', '.join(allowed)}, got {', '.join(sorted(unknown))}"
        )
    return names


@click.command()
@click.option("--only", help="Workloads, with commas between; all by default.")
@click.option("--servers", help="Servers, with commas between; all by default.")
@click.option("--rounds", default=3, show_default=True, help="How often each is run.")
@click.option(
    "--seconds", default=5.0, show_default=True, help="How long workloads with a beat go on."
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="Folder to write to: benchmarks/results for a whole run, its raw/ for a part.",
)
def main(
    only: str | None, servers: str | None, rounds: int, seconds: float, output: Path | None
) -> None:
    """Runs every workload on every server, in alternation, and reports the medians.

    It writes latest.json, latest.md and latest.png, and with the results of a whole run the sizing
    in docs/explanation/several-servers.md anew, which takes unit costs from them.
    """
    workloads = _split(list(WORKLOADS), only, "--only")
    chosen = _split(list(SERVERS), servers, "--servers")
    scratch = RESULTS / "raw"
    scratch.mkdir(parents=True, exist_ok=True)
    if output is None:
        output = scratch if only or servers else RESULTS
    outcomes: dict[str, dict[str, list[Outcome]]] = {}
    failures = 0
    try:
        for name in chosen:
            install(SERVERS[name])
        for workload in workloads:
            for number in range(rounds):
                for name in chosen:
                    if not _played(name, workload):
                        continue
                    click.echo(f"{workload}, round {number + 1} of {rounds}: {name}", err=True)
                    try:
                        outcome = measure(SERVERS[name], workload, seconds, scratch)
                    except BenchmarkError as error:
                        failures += 1
                        click.echo(f"  {error}", err=True)
                        continue
                    outcomes.setdefault(workload, {}).setdefault(name, []).append(outcome)
    except BenchmarkError as error:
        sys.exit(str(error))
    if not outcomes:
        sys.exit("expected at least one outcome, got none")
    settings = {
        "date": datetime.now(UTC).date().isoformat(),
        "rounds": rounds,
        "seconds": seconds,
    }
    click.echo(report.write(output, outcomes, settings))
    plot.draw(report.medians(outcomes), output / "latest.png")
    if output == RESULTS:
        sizing.write()
    if failures:
        sys.exit(f"expected every run to have an outcome, got {failures} without")


if __name__ == "__main__":
    main()
