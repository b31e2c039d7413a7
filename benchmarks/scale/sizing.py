"""Sizing: what a million connections would take, worked out from what the benchmark measured.

It is a calculation, not a measurement. ``python -m benchmarks.scale.sizing`` reads the results and
writes the table into docs/explanation/several-servers.md.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from benchmarks.report import shown
from benchmarks.scale.report import rows_of
from benchmarks.servers import BenchmarkError

_RESULTS: Final = Path(__file__).parent.parent / "results"
PAGE: Final = Path(__file__).parent.parent.parent / "docs" / "explanation" / "several-servers.md"
_BEGIN: Final = "<!-- Made by `python -m benchmarks.scale.sizing` from benchmarks/results. -->\n"
_END: Final = "<!-- The end of what was made. -->\n"

_GIB: Final = 1024**3
_MIB: Final = 1024**2


@dataclass(frozen=True, slots=True, kw_only=True)
class Crowd:
    """Who is assumed to be there.

    Attributes:
        connections: how many in all.
        clients: how many in each document.
        typing_share: share of them that type at a moment.
        rate: updates a second of each of those.
        sticky: whether all clients of a document are on one instance; else each is on another.
        use: share of a core that is planned for; the rest is for peaks and for the loss of others.
    """

    connections: int = 1_000_000
    clients: int
    typing_share: float = 0.1
    rate: float = 3.0
    sticky: bool
    use: float = 0.6


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitCosts:
    """What one update costs, in microseconds of processor time unless said otherwise.

    Attributes:
        take: to take it in, store it, pass it on and acknowledge it.
        deliver: to show it to one more client of the same instance.
        carry: to take it in on one more instance.
        bus: on the bus, where only its own instance listens.
        bus_carry: on the bus, for one more instance.
        bus_commands: calls on the bus.
        bus_bytes: bytes into the bus and out of it, where only its own instance listens.
        bus_carry_bytes: bytes for one more instance.
        store: on Postgres.
        commits: to the store.
        connection_bytes: memory of the instance for one idle connection.
    """

    take: float
    deliver: float
    carry: float
    bus: float
    bus_carry: float
    bus_commands: float
    bus_bytes: float
    bus_carry_bytes: float
    store: float
    commits: float
    connection_bytes: float

    @classmethod
    def read(cls, scale: Mapping[str, Any], latest: Mapping[str, Any]) -> Self:
        """Works unit costs out of the medians of the two benchmarks.

        Three runs tell what is what: two clients on one instance, two on different ones, and one
        that writes for hundreds of readers, whom a delivery more costs what each of them costs.

        Raises:
            BenchmarkError: a run that is needed is not there.
        """
        try:
            medians = scale["medians"]
            apart = medians["pairs"]["collab"]
            two = medians["sticky-pairs"]["collab"]
            stored = medians["pairs"]["collab-postgres"]
            deliver = latest["medians"]["audience"]["collab"]["cpu_us"]
            connection_bytes = latest["medians"]["idle"]["collab"]["connection_bytes"]
        except KeyError as error:
            raise BenchmarkError(f"expected figures of a whole run, got none of {error}") from error
        return cls(
            take=max(0.0, two["cpu_us"] - deliver),
            deliver=deliver,
            carry=max(0.0, apart["cpu_us"] - two["cpu_us"]),
            bus=two["bus_us"],
            bus_carry=max(0.0, apart["bus_us"] - two["bus_us"]),
            bus_commands=two["commands"],
            bus_bytes=two["bus_bytes"],
            bus_carry_bytes=max(0.0, apart["bus_bytes"] - two["bus_bytes"]),
            store=stored["store_us"],
            commits=stored["commits"],
            connection_bytes=connection_bytes,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """What a crowd takes.

    Attributes:
        updates: a second.
        deliveries: a second.
        instances: of one core each.
        memory_bytes: of all instances, for the connections.
        bus_commands: a second.
        bus_bytes: a second.
        bus_nodes: of one core each.
        rows: written to the store a second.
        commits: a second.
        store_cores: of Postgres.
    """

    updates: float
    deliveries: float
    instances: int
    memory_bytes: float
    bus_commands: float
    bus_bytes: float
    bus_nodes: int
    rows: float
    commits: float
    store_cores: int


def size(crowd: Crowd, costs: UnitCosts) -> Size:
    """Works out what a crowd takes."""
    updates = crowd.connections * crowd.typing_share * crowd.rate
    others = crowd.clients - 1
    further = 0 if crowd.sticky else others
    server = costs.take + others * costs.deliver + further * costs.carry
    bus = costs.bus + further * costs.bus_carry
    return Size(
        updates=updates,
        deliveries=updates * others,
        instances=_cores(updates * server, crowd.use),
        memory_bytes=crowd.connections * costs.connection_bytes,
        bus_commands=updates * costs.bus_commands,
        bus_bytes=updates * (costs.bus_bytes + further * costs.bus_carry_bytes),
        bus_nodes=_cores(updates * bus, crowd.use),
        rows=updates,
        commits=updates * costs.commits,
        store_cores=_cores(updates * costs.store, crowd.use),
    )


def _cores(microseconds: float, use: float) -> int:
    """Returns how many cores do so much work in each second."""
    return math.ceil(microseconds / 1e6 / use)


CROWDS: Final = tuple(
    Crowd(clients=clients, sticky=sticky) for clients in (4, 20) for sticky in (False, True)
)


def section(costs: UnitCosts, crowds: Sequence[Crowd] = CROWDS) -> str:
    """Draws unit costs and sizes as Markdown."""
    units = [
        ("server: take it in, store it, pass it on", f"{shown(costs.take)} µs"),
        ("server: show it to one more client", f"{shown(costs.deliver)} µs"),
        ("server: take it in on one more instance", f"{shown(costs.carry)} µs"),
        ("bus", f"{shown(costs.bus_commands)} calls, {shown(costs.bus)} µs"),
        ("bus: one more instance", f"{shown(costs.bus_carry)} µs"),
        ("Postgres", f"{shown(costs.store)} µs, {shown(costs.commits)} commits"),
    ]
    sizes = [size(crowd, costs) for crowd in crowds]
    heading = ["", *(_title(crowd) for crowd in crowds)]
    rows = [
        ("updates/s", *(shown(each.updates) for each in sizes)),
        ("deliveries/s", *(shown(each.deliveries) for each in sizes)),
        ("instances, of one core", *(shown(each.instances) for each in sizes)),
        ("their memory, GiB", *(shown(each.memory_bytes / _GIB) for each in sizes)),
        ("bus: calls/s", *(shown(each.bus_commands) for each in sizes)),
        ("bus: MiB/s", *(shown(each.bus_bytes / _MIB) for each in sizes)),
        ("bus: nodes, of one core", *(shown(each.bus_nodes) for each in sizes)),
        ("store: rows/s", *(shown(each.rows) for each in sizes)),
        ("store: commits/s", *(shown(each.commits) for each in sizes)),
        ("store: cores", *(shown(each.store_cores) for each in sizes)),
    ]
    return f"{rows_of(('an update costs', 'measured'), units)}\n\n{rows_of(heading, rows)}"


def _title(crowd: Crowd) -> str:
    where = "one instance a document" if crowd.sticky else "any instance"
    return f"{crowd.clients} a document, {where}"


def made() -> str:
    """Returns the section as the committed results have it.

    Raises:
        BenchmarkError: a run that is needed is not there.
    """
    scale, latest = (
        json.loads((_RESULTS / f"{name}.json").read_text()) for name in ("scale", "latest")
    )
    return f"{_BEGIN}\n{section(UnitCosts.read(scale, latest))}\n\n{_END}"


def found(page: str) -> str:
    """Returns the section as it stands in a page, its marks included."""
    return page[page.index(_BEGIN) : page.index(_END) + len(_END)]


def write() -> None:
    """Puts the section into the page anew."""
    page = PAGE.read_text()
    PAGE.write_text(page.replace(found(page), made()))


if __name__ == "__main__":
    write()
