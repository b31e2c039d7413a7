"""The plot: one small bar chart for each workload, ours beside its peers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks.report import shown

_OURS: Final = "#2563eb"
_OURS_VARIANT: Final = "#93b4f5"
_PEER: Final = "#9ca3af"
_COLUMNS: Final = 3

Figures = Mapping[str, Mapping[str, Mapping[str, float | None]]]
"""Each figure, by workload, by server, by name."""


@dataclass(frozen=True, slots=True)
class Panel:
    """What one chart shows.

    Attributes:
        workload: under which workload.
        figure: which figure of ``Outcome``.
        title: what it is called.
        scale: what the figure is multiplied by.
    """

    workload: str
    figure: str
    title: str
    scale: float = 1.0


PANELS: Final = (
    Panel("flood", "per_second", "flood: updates a second (more is better)"),
    Panel("all-write", "cpu_us", "all write: CPU µs a delivery"),
    Panel("all-write", "p99_ms", "all write: p99 latency, ms"),
    Panel("audience", "cpu_us", "audience: CPU µs a delivery"),
    Panel("many-rooms", "cpu_us", "many rooms: CPU µs a delivery"),
    Panel("presence", "cpu_us", "presence: CPU µs a delivery"),
    Panel("presence", "p99_ms", "presence: p99 latency, ms"),
    Panel("joins", "seconds", "joins: seconds until all have it"),
    Panel("joins", "peak_above_bytes", "joins: peak memory, MiB", 1 / 1024 / 1024),
    Panel("idle", "connection_bytes", "idle: KiB a connection", 1 / 1024),
    Panel("reconnect", "seconds", "reconnect: seconds until all synced"),
)


def _colour(server: str) -> str:
    if server == "collab":
        return _OURS
    return _OURS_VARIANT if server.startswith(("collab", "workers")) else _PEER


def draw(figures: Figures, path: Path, panels: Sequence[Panel] = PANELS) -> None:
    """Draws the medians as a PNG.

    Args:
        figures: the medians.
        path: file to write.
        panels: what there may be to see; those without figures are left out.
    """
    panels = [panel for panel in panels if panel.workload in figures]
    columns = min(_COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    with mpl.rc_context({"font.size": 9, "axes.titlesize": 10}):
        figure = Figure(figsize=(4.4 * columns, 1.9 * rows), layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False)
        for axes in grid.flat[len(panels) :]:
            axes.set_axis_off()
        for panel, axes in zip(panels, grid.flat, strict=False):
            bars = [
                (server, value * panel.scale)
                for server, row in reversed(list(figures[panel.workload].items()))
                if (value := row[panel.figure]) is not None
            ]
            names, widths = [name for name, _ in bars], [width for _, width in bars]
            drawn = axes.barh(names, widths, color=[_colour(name) for name in names], height=0.62)
            axes.bar_label(drawn, labels=[shown(width) for width in widths], padding=3)
            axes.set_title(panel.title, loc="left")
            axes.set_xticks([])
            axes.margins(x=0.18)
            axes.spines[["top", "right", "bottom", "left"]].set_visible(False)
            axes.tick_params(length=0)
        figure.savefig(path, dpi=160)
