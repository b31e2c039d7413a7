"""The report: medians over the rounds, a table for people, JSON for machines."""

import dataclasses
import json
import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.goals import Verdict, judge
from benchmarks.load.window import Outcome

_SATURATED: Final = 0.9
_MIB: Final = 1024 * 1024

Outcomes = Mapping[str, Mapping[str, Sequence[Outcome]]]
"""Every round's outcome, by workload, then by server."""
Medians = dict[str, dict[str, dict[str, float | None]]]
"""Each figure's median, by workload, by server, by name in ``Outcome``."""


def medians(outcomes: Outcomes) -> Medians:
    """Takes each figure's median over the rounds; of ``missing`` and ``load_share`` the most."""
    figures: Medians = {}
    for workload, by_server in outcomes.items():
        figures[workload] = {}
        for server, rounds in by_server.items():
            columns = [dataclasses.asdict(outcome) for outcome in rounds]
            figures[workload][server] = {
                name: _middle(name, [column[name] for column in columns]) for name in columns[0]
            }
    return figures


def _middle(name: str, values: list[float | None]) -> float | None:
    present = [value for value in values if value is not None]
    if not present:
        return None
    return max(present) if name in ("missing", "load_share") else statistics.median(present)


def shown(value: float) -> str:
    """Writes a figure with three digits or more."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _cell(value: float | None, scale: float = 1.0) -> str:
    if value is None:
        return "–"
    return shown(value * scale)


def table(figures: Medians) -> str:
    """Draws the figures as a Markdown table, a row for each workload and server."""
    rows = [
        "| workload | server | seconds | sent/s | CPU µs/delivery | p50 ms | p95 ms | p99 ms "
        "| missing | peak MiB | above empty MiB | KiB/connection | note |",
        "| --- | --- |" + " ---: |" * 10 + " --- |",
    ]
    for workload, by_server in figures.items():
        for server, row in by_server.items():
            share = row["load_share"] or 0.0
            note = f"the load is the bottleneck ({share:.0%} of its core)"
            cells = [
                workload,
                server,
                _cell(row["seconds"]),
                _cell(row["per_second"]),
                _cell(row["cpu_us"]),
                *(_cell(row[name]) for name in ("p50_ms", "p95_ms", "p99_ms", "missing")),
                *(_cell(row[name], 1 / _MIB) for name in ("peak_bytes", "peak_above_bytes")),
                _cell(row["connection_bytes"], 1 / 1024),
                note if share > _SATURATED else "",
            ]
            rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows)


def goals_table(verdicts: Sequence[Verdict]) -> str:
    """Draws how the goals came out as a Markdown table."""
    rows = [
        "| workload | goal | server | ours ÷ better peer | bound | better peer | met |",
        "| --- | --- | --- | ---: | ---: | --- | --- |",
    ]
    for verdict in verdicts:
        goal = verdict.goal
        sign = "≥" if goal.more_is_better else "≤"
        met = "yes" if verdict.met else "NO"
        if verdict.missing:
            met += f", {verdict.missing} missing"
        rows.append(
            f"| {goal.workload} | {goal.says} | {goal.server} | {verdict.ratio:.2f} "
            f"| {sign} {goal.bound:g} | {verdict.better_peer} | {met} |"
        )
    return "\n".join(rows)


def machine() -> dict[str, str | int]:
    """Describes where the figures come from."""
    model = platform.processor()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    return {
        "processor": model,
        "cores": os.cpu_count() or 0,
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


def write(folder: Path, outcomes: Outcomes, settings: Mapping[str, Any]) -> str:
    """Writes ``latest.json`` and ``latest.md``.

    Args:
        folder: where to.
        outcomes: every round.
        settings: what the run was asked for, kept beside the figures.

    Returns:
        What ``latest.md`` says.
    """
    figures = medians(outcomes)
    verdicts = judge(figures)
    rounds = {
        workload: {server: [dataclasses.asdict(o) for o in each] for server, each in row.items()}
        for workload, row in outcomes.items()
    }
    where = machine()
    latest = {
        "settings": dict(settings),
        "machine": where,
        "medians": figures,
        "goals": [dataclasses.asdict(verdict) for verdict in verdicts],
        "rounds": rounds,
    }
    said = ", ".join(f"{name} {value}" for name, value in {**settings, **where}.items())
    parts = [f"# Benchmarks\n\n{said}", table(figures)]
    if verdicts:
        parts.append(f"## Goals\n\n{goals_table(verdicts)}")
    text = "\n\n".join(parts) + "\n"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "latest.json").write_text(json.dumps(latest, indent=1) + "\n")
    (folder / "latest.md").write_text(text)
    return text
