"""The scale benchmark: what it reads from a bus and from metrics, how it judges and calculates."""

import dataclasses
from pathlib import Path

import pytest
from redis import Redis

from benchmarks.scale import sizing
from benchmarks.scale.bus import Meter, running_bus
from benchmarks.scale.clusters import CLUSTERS
from benchmarks.scale.commits import counted
from benchmarks.scale.crossing import Crossing
from benchmarks.scale.report import bottleneck, judge, medians, sticky_table, write
from benchmarks.scale.sizing import Crowd, UnitCosts, section, size
from benchmarks.scale.trial import measure
from benchmarks.servers import BenchmarkError

CROSSING = Crossing(
    seconds=1.0,
    sent=100,
    delivered=100,
    missing=0,
    per_second=100.0,
    cpu_us=50.0,
    p50_ms=1.0,
    p95_ms=2.0,
    p99_ms=3.0,
    commands=2.0,
    bus_us=10.0,
    bus_bytes=300.0,
    store_us=20.0,
    commits=0.5,
    servers_share=0.2,
    bus_share=0.1,
    load_share=0.1,
    calls={"publish": 200},
)
COSTS = UnitCosts(
    take=60.0,
    deliver=10.0,
    carry=40.0,
    bus=15.0,
    bus_carry=5.0,
    bus_commands=2.0,
    bus_bytes=300.0,
    bus_carry_bytes=100.0,
    store=30.0,
    commits=0.5,
    connection_bytes=1024.0,
)


def test_a_bus_is_asked_what_clients_made_it_do_and_not_what_measuring_did() -> None:
    with running_bus({0}) as port, Redis(port=port) as client:
        meter = Meter(port)
        try:
            before = meter.read()
            client.set("key", "value")
            client.eval("return redis.call('GET', KEYS[1])", 1, "key")
            work = meter.read().since(before)
        finally:
            meter.close()
    assert work.commands == {"eval": 1, "get": 1, "set": 1}
    assert work.traffic_bytes > 0
    assert work.seconds >= 0


def test_commits_of_all_stores_on_a_page_are_counted() -> None:
    page = b"# TYPE x counter\ncollab_commit_seconds_count 7.0\ncollab_commit_seconds_sum 0.5\n"
    assert counted(page) == 7
    assert counted(b"Welcome") == 0


def test_updates_cross_from_one_instance_to_the_other(tmp_path: Path) -> None:
    crossing = measure(CLUSTERS["collab"], "mixed", 0.5, tmp_path)
    assert (crossing.missing, crossing.delivered) == (0, 40 * 39 * round(0.5 * 5))
    assert crossing.calls["publish"] > 0
    assert crossing.commits > 0


def test_a_cluster_that_does_not_start_is_reported(tmp_path: Path) -> None:
    server = dataclasses.replace(
        CLUSTERS["collab"].server, command=lambda _: ["sh", "-c", "echo no; exit 1"]
    )
    broken = dataclasses.replace(CLUSTERS["collab"], server=server)
    with pytest.raises(BenchmarkError, match=r"expected collab to listen, got: 'no\\n'"):
        measure(broken, "pairs", 0.5, tmp_path)


def test_one_bad_round_does_not_hide_missing_updates() -> None:
    rounds = [CROSSING, dataclasses.replace(CROSSING, missing=2, cpu_us=500.0), CROSSING]
    row = medians({"busy": {"collab": rounds}})["busy"]["collab"]
    assert (row["missing"], row["cpu_us"]) == (2, 50.0)


def test_goals_are_judged_beside_the_peer_and_need_every_update() -> None:
    ours = dataclasses.replace(CROSSING, cpu_us=20.0)
    figures = medians({"pairs": {"collab": [ours], "hocuspocus-redis": [CROSSING]}})
    assert [(verdict.figure, verdict.met) for verdict in judge(figures)] == [
        ("cpu_us", True),
        ("commands", False),
        ("p99_ms", True),
    ]
    lossy = dataclasses.replace(ours, missing=1)
    figures = medians({"pairs": {"collab": [lossy], "hocuspocus-redis": [CROSSING]}})
    assert not any(verdict.met for verdict in judge(figures))


def test_no_goal_is_judged_without_the_peer() -> None:
    assert judge(medians({"pairs": {"collab": [CROSSING]}})) == []


@pytest.mark.parametrize(
    ("shares", "said"),
    [
        ((0.2, 0.1, 0.95), "the load is the bottleneck (95% of a core)"),
        ((0.2, 0.95, 0.1), "the bus is the bottleneck (95% of a core)"),
        ((1.8, 0.1, 0.1), "the machine is the bottleneck: all of it uses 2.0 of 2 cores"),
        ((0.2, 0.1, 0.1), ""),
    ],
)
def test_a_row_says_what_was_used_up(shares: tuple[float, float, float], said: str) -> None:
    servers, bus, load = shares
    assert bottleneck({"servers_share": servers, "bus_share": bus, "load_share": load}) == said


def test_what_staying_together_saves_stands_beside_what_being_apart_costs() -> None:
    figures = medians(
        {
            "pairs": {"collab": [CROSSING]},
            "sticky-pairs": {"collab": [dataclasses.replace(CROSSING, cpu_us=30.0)]},
        }
    )
    assert "| pairs | server CPU a delivery | 50 | 30 |" in sticky_table(figures)
    assert sticky_table({}) == ""


def test_what_failed_is_in_the_report(tmp_path: Path) -> None:
    text = write(tmp_path, {"pairs": {"collab": [CROSSING]}}, ["pairs, round 1, x: no"], {})
    assert "- pairs, round 1, x: no" in text
    assert (tmp_path / "scale.md").read_text() == text


def test_unit_costs_are_told_apart_by_three_runs() -> None:
    def row(**figures: float) -> dict[str, float]:
        return {"cpu_us": 0.0, "bus_us": 0.0, "bus_bytes": 0.0, "commands": 2.0, **figures}

    scale = {
        "medians": {
            "pairs": {
                "collab": row(cpu_us=110.0, bus_us=20.0, bus_bytes=400.0),
                "collab-postgres": {"store_us": 30.0, "commits": 0.5},
            },
            "sticky-pairs": {"collab": row(cpu_us=70.0, bus_us=15.0, bus_bytes=300.0)},
        }
    }
    latest = {
        "medians": {
            "audience": {"collab": {"cpu_us": 10.0}},
            "idle": {"collab": {"connection_bytes": 1024.0}},
        }
    }
    assert UnitCosts.read(scale, latest) == COSTS
    del scale["medians"]["pairs"]["collab-postgres"]
    with pytest.raises(BenchmarkError, match="expected figures of a whole run"):
        UnitCosts.read(scale, latest)


def test_a_crowd_takes_what_its_updates_cost() -> None:
    apart = size(Crowd(connections=1000, clients=4, sticky=False), COSTS)
    assert (apart.updates, apart.deliveries) == (300, 900)
    # 300 updates x (60 + 3 x 10 + 3 x 40) us are 6.3 % of a core.
    assert apart.instances == 1
    assert apart.memory_bytes == 1000 * 1024
    assert (apart.bus_commands, apart.bus_bytes) == (600, 300 * (300 + 3 * 100))
    assert (apart.rows, apart.commits) == (300, 150)
    together = size(Crowd(connections=1_000_000, clients=4, sticky=True), COSTS)
    assert together.instances == 45  # 300,000 x 90 us, of which 60 % of a core does 0.6 s
    assert together.bus_nodes == 8
    assert together.store_cores == 15


def test_a_table_has_a_column_for_each_crowd() -> None:
    drawn = section(COSTS, [Crowd(clients=4, sticky=True)])
    assert "|  | 4 a document, one instance a document |" in drawn
    assert "| instances, of one core | 45 |" in drawn


def test_the_page_has_what_the_results_give() -> None:
    assert sizing.found(sizing.PAGE.read_text()) == sizing.made()
