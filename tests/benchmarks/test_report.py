"""The figures: percentiles, medians and whether a goal is met."""

from dataclasses import replace

from benchmarks.goals import judge
from benchmarks.load.window import Outcome
from benchmarks.measure import percentile
from benchmarks.report import goals_table, medians, table

OUTCOME = Outcome(
    seconds=1.0,
    server_seconds=0.5,
    delivered=100,
    missing=0,
    cpu_us=5.0,
    p50_ms=1.0,
    p95_ms=2.0,
    p99_ms=3.0,
    per_second=None,
    peak_bytes=1,
    peak_above_bytes=1,
    connection_bytes=None,
    load_share=0.1,
)


def test_a_percentile_is_a_value_that_occurred() -> None:
    values = [float(value) for value in range(1, 101)]
    assert [percentile(values, share) for share in (0.5, 0.95, 0.99, 1.0)] == [50, 95, 99, 100]
    assert percentile([7.0], 0.5) == 7.0


def test_one_bad_round_does_not_hide_missing_updates() -> None:
    rounds = [OUTCOME, replace(OUTCOME, missing=2, cpu_us=50.0), OUTCOME]
    row = medians({"audience": {"collab": rounds}})["audience"]["collab"]
    assert (row["missing"], row["cpu_us"], row["per_second"]) == (2, 5.0, None)


def test_a_busy_load_says_so_in_its_row() -> None:
    figures = medians({"audience": {"collab": [replace(OUTCOME, load_share=0.95)]}})
    assert "the load is the bottleneck (95% of its core)" in table(figures)
    figures = medians({"audience": {"collab": [OUTCOME]}})
    assert "bottleneck" not in table(figures)


def test_no_goal_is_met_while_updates_are_missing() -> None:
    figures = {
        "idle": {
            "collab": {"connection_bytes": 1.0, "missing": 3.0},
            "hocuspocus": {"connection_bytes": 100.0, "missing": 0.0},
        },
    }
    verdict = judge(figures)[0]
    assert (verdict.ratio, verdict.missing, verdict.met) == (0.01, 3, False)
    assert "NO, 3 missing" in goals_table([verdict])


def test_a_goal_is_judged_against_the_better_peer() -> None:
    figures = {
        "many-rooms": {
            "collab": {"cpu_us": 30.0},
            "y-websocket": {"cpu_us": 100.0},
            "hocuspocus": {"cpu_us": 50.0},
        },
        "flood": {
            "collab": {"per_second": 4000.0},
            "y-websocket": {"per_second": 1000.0},
            "hocuspocus": {"per_second": 900.0},
        },
    }
    verdicts = {verdict.goal.workload: verdict for verdict in judge(figures)}
    assert (verdicts["many-rooms"].better_peer, verdicts["many-rooms"].met) == ("hocuspocus", False)
    assert (verdicts["flood"].better_peer, verdicts["flood"].met) == ("y-websocket", True)
