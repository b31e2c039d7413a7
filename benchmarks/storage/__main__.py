"""Measures what collab's store takes and gives, beside pycrdt-store and Hocuspocus' SQLite."""

import dataclasses
import json
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import click

from benchmarks.report import machine, shown
from benchmarks.servers import BenchmarkError, install
from benchmarks.storage import beside, history, opening, writing
from benchmarks.storage.peers import STORING
from benchmarks.trace import TraceError, read_trace

RESULTS: Final = Path(__file__).parent.parent / "results"
_PARTS: Final = ("history", "opening", "writing", "kill", "beside")
_OLD_EDITS: Final = 3000

Figures = dict[str, Any]
"""What was measured, by part."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """A bound on one figure.

    Attributes:
        part: which part it is measured in.
        says: what it is called.
        figure: works it out.
        bound: what it should be.
        more_is_better: whether at least that, instead of at most.
    """

    part: str
    says: str
    figure: Callable[[Figures], float]
    bound: float
    more_is_better: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a goal came out."""

    goal: str
    figure: float
    bound: float
    met: bool


GOALS: Final = (
    Goal(
        part="history",
        says="MB of the typed history after `collab compact`",
        figure=lambda of: of["collab"]["packed_bytes"] / 1e6,
        bound=2.0,
    ),
    Goal(
        part="history",
        says="edits an entry of the history",
        figure=lambda of: of["collab"]["edits"] / of["collab"]["entries"],
        bound=100,
    ),
    Goal(
        part="history",
        says="opening from cold ÷ replaying the log",
        figure=lambda of: of["collab"]["open_ms"] / of["collab"]["replay_ms"],
        bound=0.05,
    ),
    Goal(
        part="history",
        says="file of pycrdt-store ÷ ours",
        figure=lambda of: of["pycrdt-store"]["file_bytes"] / of["collab"]["packed_bytes"],
        bound=8,
        more_is_better=True,
    ),
    Goal(
        part="opening",
        says="opening 1 of 100,000 ÷ from its own file",
        figure=lambda of: of["among_many_ms"] / of["alone_ms"],
        bound=1.2,
    ),
    Goal(
        part="writing",
        says="durable updates/s ÷ pycrdt-store",
        figure=lambda of: of["collab"] / of["pycrdt-store"],
        bound=5,
        more_is_better=True,
    ),
    Goal(
        part="writing",
        says="durable updates/s ÷ Hocuspocus' acknowledged",
        figure=lambda of: of["collab"] / of["hocuspocus"],
        bound=1,
        more_is_better=True,
    ),
    Goal(
        part="kill",
        says="acknowledged updates that a SIGKILL loses",
        figure=lambda of: of["collab"]["lost_acknowledged"],
        bound=0,
    ),
    Goal(
        part="beside",
        says="p99 while compacting ÷ quiet",
        figure=lambda of: of["compacting"]["p99_ms"] / of["quiet"]["p99_ms"],
        bound=1.5,
    ),
)


@click.command()
@click.argument("trace", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--only", help="Parts, with commas between; all by default.")
@click.option("--rounds", default=3, show_default=True, help="How often each is run.")
@click.option("--seconds", default=5.0, show_default=True, help="How long is typed at once.")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="Folder to write to: benchmarks/results for a whole run, its raw/ for a part.",
)
def main(trace: Path, only: str | None, rounds: int, seconds: float, output: Path | None) -> None:
    """Measures the store with the editing trace at TRACE, and writes storage.json and .md."""
    parts = only.split(",") if only else list(_PARTS)
    if unknown := set(parts) - set(_PARTS):
        raise click.UsageError(f"--only: expected some of {', '.join(_PARTS)}, got {unknown}")
    raw = RESULTS / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    output = output or (raw if only else RESULTS)
    figures: Figures = {}
    try:
        for peer in STORING.values():
            install(peer.server)
        for part in parts:
            with tempfile.TemporaryDirectory(dir=raw) as scratch:
                click.echo(part, err=True)
                figures[part] = _measure(part, trace, rounds, seconds, Path(scratch))
    except (BenchmarkError, TraceError) as error:
        sys.exit(str(error))
    settings = {"date": datetime.now(UTC).date().isoformat(), "rounds": rounds}
    click.echo(write(output, figures, settings))


def _measure(part: str, path: Path, rounds: int, seconds: float, scratch: Path) -> Figures:
    if part == "history":
        trace = read_trace(path)
        return {
            "collab": dataclasses.asdict(history.in_collab(trace, scratch)),
            "pycrdt-store": dataclasses.asdict(history.in_pycrdt_store(trace, scratch)),
        }
    if part == "opening":
        return dataclasses.asdict(opening.compare(scratch))
    if part == "writing":
        runs: dict[str, list[float]] = {name: [] for name in STORING}
        for _ in range(rounds):
            for name, peer in STORING.items():
                runs[name].append(writing.durable_per_second(peer, scratch))
        return {name: statistics.median(each) for name, each in runs.items()}
    if part == "kill":
        return {
            name: dataclasses.asdict(writing.kill(peer, scratch, seconds))
            for name, peer in STORING.items()
        }
    updates = history.typed(read_trace(path))[:_OLD_EDITS]
    pairs = [beside.quiet_and_compacting(updates, seconds, scratch) for _ in range(rounds)]
    return {
        name: {"p99_ms": statistics.median(pair[place].p99_ms or 0.0 for pair in pairs)}
        for place, name in enumerate(("quiet", "compacting"))
    }


def write(folder: Path, figures: Figures, settings: Mapping[str, Any]) -> str:
    """Writes ``storage.json`` and ``storage.md``; returns what the latter says."""
    where = machine()
    verdicts = [_judge(goal, figures[goal.part]) for goal in GOALS if goal.part in figures]
    said = ", ".join(f"{name} {value}" for name, value in {**settings, **where}.items())
    parts = [f"# Storage\n\n{said}"]
    parts += [f"## {part}\n\n{_table(of)}" for part, of in figures.items()]
    rows = [
        (each.goal, _shown(each.figure), _shown(each.bound), "yes" if each.met else "NO")
        for each in verdicts
    ]
    parts.append("## Goals\n\n" + _rows(("goal", "figure", "bound", "met"), rows))
    text = "\n\n".join(parts) + "\n"
    folder.mkdir(parents=True, exist_ok=True)
    judged = [dataclasses.asdict(each) for each in verdicts]
    record = {"settings": dict(settings), "machine": where, "figures": figures, "goals": judged}
    (folder / "storage.json").write_text(json.dumps(record, indent=1) + "\n")
    (folder / "storage.md").write_text(text)
    return text


def _judge(goal: Goal, measured: Figures) -> Verdict:
    figure = goal.figure(measured)
    met = figure >= goal.bound if goal.more_is_better else figure <= goal.bound
    return Verdict(goal.says, figure, goal.bound, met)


def _table(figures: Figures) -> str:
    if not all(isinstance(value, dict) for value in figures.values()):
        return _rows(("what", "figure"), [(key, _shown(each)) for key, each in figures.items()])
    columns = list(next(iter(figures.values())))
    rows = [(name, *(_shown(of[column]) for column in columns)) for name, of in figures.items()]
    return _rows(("store", *columns), rows)


def _rows(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heading, ["---", *["---:"] * (len(heading) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _shown(value: float | None) -> str:
    return "–" if value is None else shown(value)


if __name__ == "__main__":
    main()
