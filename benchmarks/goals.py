"""The goals: how much better than the better peer collab means to be."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

PEERS: Final = ("y-websocket", "hocuspocus")

Figures = Mapping[str, float | None]
"""The median figures of one server under one workload, by the names in ``Outcome``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Goal:
    """A bound on our figure, as a share of the better peer's.

    Attributes:
        workload: under which workload.
        figure: which figure of ``Outcome``.
        says: what it is called in the table.
        bound: the share.
        more_is_better: whether the share must be at least the bound, instead of at most.
        server: which of ours.
    """

    workload: str
    figure: str
    says: str
    bound: float
    more_is_better: bool = False
    server: str = "collab"


GOALS: Final = (
    Goal(
        workload="flood",
        figure="per_second",
        says="throughput",
        bound=4.0,
        more_is_better=True,
    ),
    Goal(workload="all-write", figure="cpu_us", says="CPU", bound=0.25),
    Goal(workload="all-write", figure="p99_ms", says="p99", bound=1.0),
    Goal(
        workload="all-write",
        figure="cpu_us",
        says="CPU under uvicorn",
        bound=0.8,
        server="collab-uvicorn",
    ),
    Goal(workload="audience", figure="cpu_us", says="CPU", bound=0.65),
    Goal(workload="many-rooms", figure="cpu_us", says="CPU", bound=0.5),
    Goal(workload="joins", figure="seconds", says="time", bound=0.3),
    Goal(workload="joins", figure="peak_above_bytes", says="peak memory", bound=0.4),
    Goal(workload="presence", figure="cpu_us", says="CPU", bound=0.35),
    Goal(workload="presence", figure="p99_ms", says="p99", bound=0.5),
    Goal(workload="idle", figure="connection_bytes", says="memory a connection", bound=0.8),
    Goal(workload="reconnect", figure="seconds", says="time to all synced", bound=0.5),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How a goal came out.

    Attributes:
        goal: which.
        ours: our figure.
        better_peer: the better peer's name.
        theirs: its figure.
        ratio: ours as a share of theirs.
        missing: deliveries of ours that never came.
        met: whether the ratio keeps the bound and nothing is missing.
    """

    goal: Goal
    ours: float
    better_peer: str
    theirs: float
    ratio: float
    missing: int
    met: bool


def judge(figures: Mapping[str, Mapping[str, Figures]]) -> list[Verdict]:
    """Compares ours with the better peer, for each goal whose figures are there.

    Args:
        figures: by workload, then by server.
    """
    verdicts = []
    for goal in GOALS:
        by_server = figures.get(goal.workload, {})
        ours = by_server.get(goal.server, {}).get(goal.figure)
        peers = {
            name: value
            for name in PEERS
            if (value := by_server.get(name, {}).get(goal.figure)) is not None
        }
        if ours is None or not peers:
            continue
        choose: Callable[..., str] = max if goal.more_is_better else min
        better = choose(peers, key=lambda name: peers[name])
        ratio = ours / peers[better]
        kept = ratio >= goal.bound if goal.more_is_better else ratio <= goal.bound
        missing = int(by_server[goal.server].get("missing") or 0)
        verdicts.append(
            Verdict(
                goal=goal,
                ours=ours,
                better_peer=better,
                theirs=peers[better],
                ratio=ratio,
                missing=missing,
                met=kept and not missing,
            )
        )
    return verdicts
