"""The report: medians over the rounds, how the goals came out, what staying together saves."""

import dataclasses
import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.report import machine, shown
from benchmarks.scale.clusters import PEER
from benchmarks.scale.crossing import Crossing
from benchmarks.scale.workloads import WORKLOADS

Crossings = Mapping[str, Mapping[str, Sequence[Crossing]]]
"""Every round's outcome, by workload, then by cluster."""
Figures = dict[str, dict[str, dict[str, float]]]
"""Each figure's median, by workload, by cluster, by name in ``Crossing``."""

_BUSY: Final = 0.9
"""Who uses more than this share of what it may use is the bottleneck."""
_CORES: Final = 2
_WORST: Final = ("missing", "load_share")
_BOUNDS: Final = {"cpu_us": 0.5, "commands": 0.5, "p99_ms": 1.0}
_SAYS: Final = {
    "cpu_us": "server CPU a delivery",
    "commands": "bus commands a delivery",
    "p99_ms": "p99",
    "bus_us": "bus CPU a delivery",
    "bus_bytes": "bus bytes a delivery",
}
_COMPARED: Final = ("busy", "mixed", "pairs")
_STICKY: Final = {"sticky-pairs": "pairs", "sticky-fours": "fours"}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How a goal came out.

    Attributes:
        workload: under which workload.
        figure: which figure of ``Crossing``.
        ratio: ours as a share of the peer's.
        bound: what it may be.
        missing: deliveries of ours that never came.
        met: whether the ratio keeps the bound and nothing is missing.
    """

    workload: str
    figure: str
    ratio: float
    bound: float
    missing: int
    met: bool


def medians(crossings: Crossings) -> Figures:
    """Takes each figure's median over the rounds; of ``missing`` and ``load_share`` the most."""
    return {
        workload: {cluster: _middle(rounds) for cluster, rounds in by_cluster.items()}
        for workload, by_cluster in crossings.items()
    }


def _middle(rounds: Sequence[Crossing]) -> dict[str, float]:
    columns = [dataclasses.asdict(crossing) for crossing in rounds]
    return {
        name: (max if name in _WORST else statistics.median)(column[name] for column in columns)
        for name in columns[0]
        if name != "calls"
    }


def judge(figures: Figures) -> list[Verdict]:
    """Compares ours with the peer, for each workload that both took part in."""
    verdicts = []
    for workload in _COMPARED:
        by_cluster = figures.get(workload, {})
        if "collab" not in by_cluster or PEER not in by_cluster:
            continue
        ours, theirs = by_cluster["collab"], by_cluster[PEER]
        for figure, bound in _BOUNDS.items():
            ratio, missing = ours[figure] / theirs[figure], int(ours["missing"])
            verdicts.append(
                Verdict(
                    workload=workload,
                    figure=figure,
                    ratio=ratio,
                    bound=bound,
                    missing=missing,
                    met=ratio <= bound and not missing,
                )
            )
    return verdicts


def bottleneck(row: Mapping[str, float]) -> str:
    """Says what was used to its limit, or nothing.

    Args:
        row: the figures of one run.
    """
    used = {"load": row["load_share"], "bus": row["bus_share"]}
    for name, share in used.items():
        if share > _BUSY:
            return f"the {name} is the bottleneck ({share:.0%} of a core)"
    cores = sum(used.values()) + row["servers_share"]
    if cores > _BUSY * _CORES:
        return f"the machine is the bottleneck: all of it uses {cores:.1f} of {_CORES} cores"
    return ""


def table(figures: Figures) -> str:
    """Draws the figures as a Markdown table, a row for each workload and cluster."""
    heading = (
        *("workload", "cluster", "deliveries/s", "server CPU µs/delivery", "p50 ms", "p95 ms"),
        *("p99 ms", "missing", "bus commands/delivery", "bus CPU µs/delivery"),
        *("bus bytes/delivery", "store CPU µs/update", "commits/update", "servers' cores"),
        *("bus's core", "load's core", "note"),
    )
    names = (
        *("per_second", "cpu_us", "p50_ms", "p95_ms", "p99_ms", "missing", "commands", "bus_us"),
        *("bus_bytes", "store_us", "commits", "servers_share", "bus_share", "load_share"),
    )
    rows = [
        (workload, cluster, *(shown(row[name]) for name in names), bottleneck(row))
        for workload, by_cluster in figures.items()
        for cluster, row in by_cluster.items()
    ]
    return rows_of(heading, rows)


def rows_of(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Draws a Markdown table."""
    lines = [heading, ["---"] * len(heading), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def goals_table(verdicts: Sequence[Verdict]) -> str:
    """Draws how the goals came out as a Markdown table."""
    rows = []
    for verdict in verdicts:
        met = "yes" if verdict.met else "NO"
        if verdict.missing:
            met += f", {verdict.missing} missing"
        says = _SAYS[verdict.figure]
        rows.append((verdict.workload, says, f"{verdict.ratio:.2f}", f"≤ {verdict.bound:g}", met))
    return rows_of(("workload", "goal", f"collab ÷ {PEER}", "bound", "met"), rows)


def sticky_table(figures: Figures) -> str:
    """Draws what it saves that a document's clients are on one instance; empty where unknown."""
    rows = []
    for together, apart in _STICKY.items():
        one = figures.get(together, {}).get("collab")
        other = figures.get(apart, {}).get("collab")
        if one is not None and other is not None:
            rows += [
                (apart, _SAYS[name], shown(other[name]), shown(one[name]))
                for name in ("cpu_us", "commands", "bus_us", "bus_bytes")
            ]
    heading = ("workload", "figure", "any instance", "one instance a document")
    return rows_of(heading, rows) if rows else ""


def write(
    folder: Path, crossings: Crossings, failures: Sequence[str], settings: Mapping[str, Any]
) -> str:
    """Writes ``scale.json`` and ``scale.md``.

    Args:
        folder: where to.
        crossings: every round.
        failures: what could not be measured, and why.
        settings: what the run was asked for, kept beside the figures.

    Returns:
        What ``scale.md`` says.
    """
    figures, where = medians(crossings), machine()
    verdicts = judge(figures)
    rounds = {
        workload: {name: [dataclasses.asdict(o) for o in each] for name, each in row.items()}
        for workload, row in crossings.items()
    }
    record = {
        "settings": dict(settings),
        "machine": where,
        "medians": figures,
        "goals": [dataclasses.asdict(verdict) for verdict in verdicts],
        "failures": list(failures),
        "rounds": rounds,
    }
    said = ", ".join(f"{name} {value}" for name, value in {**settings, **where}.items())
    played = [(name, WORKLOADS[name].says) for name in figures]
    parts = [f"# Scale\n\n{said}", table(figures), rows_of(("workload", "what happens"), played)]
    if verdicts:
        parts.append(f"## Goals\n\n{goals_table(verdicts)}")
    if sticky := sticky_table(figures):
        parts.append(f"## Clients of a document on one instance\n\n{sticky}")
    if failures:
        lines = "\n".join(f"- {failure}" for failure in failures)
        parts.append(f"## What could not be measured\n\n{lines}")
    text = "\n\n".join(parts) + "\n"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "scale.json").write_text(json.dumps(record, indent=1) + "\n")
    (folder / "scale.md").write_text(text)
    return text
