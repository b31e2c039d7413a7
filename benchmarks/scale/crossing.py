"""The crossing: what one run showed of changes that go from instance to instance."""

import time
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from benchmarks.load.crowd import Client, Crowd, LoadError, clock
from benchmarks.load.ledger import Ledger
from benchmarks.load.window import settle
from benchmarks.measure import ProcessTree, percentile
from benchmarks.scale.bus import Meter, Work
from benchmarks.scale.commits import Commits


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossing:
    """What one run of one workload showed on one cluster.

    Attributes:
        seconds: from the first message sent to the last arrival.
        sent: how many updates were sent.
        delivered: updates times the other clients they reached, on whichever instance.
        missing: deliveries that never came.
        per_second: deliveries a second.
        cpu_us: processor time of all instances a delivery, in microseconds.
        p50_ms, p95_ms, p99_ms: latency of deliveries to clients of another instance, in
            milliseconds; of all where the load cannot tell, or none crosses.
        commands: calls on the bus a delivery.
        bus_us: processor time of the bus a delivery, in microseconds.
        bus_bytes: what went into the bus and out of it a delivery.
        store_us: processor time of the store, where it is a process, for each update sent, in
            microseconds.
        commits: to the store, for each update sent.
        servers_share: cores that the instances used.
        bus_share: share of a core that the bus used.
        load_share: share of its core that the load used; beyond 0.9 the load was the bottleneck.
        calls: how often each command ran on the bus.
    """

    seconds: float
    sent: int
    delivered: int
    missing: int
    per_second: float
    cpu_us: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    commands: float
    bus_us: float
    bus_bytes: float
    store_us: float
    commits: float
    servers_share: float
    bus_share: float
    load_share: float
    calls: dict[str, int]


class Span:
    """Measures servers, store, bus and load while it is open.

    Args:
        crowd: the load.
        servers: all instances.
        store: the store's processes.
        meter: reads the bus.
        commits: counts commits.
    """

    def __init__(
        self,
        crowd: Crowd,
        *,
        servers: ProcessTree,
        store: ProcessTree,
        meter: Meter,
        commits: Commits,
    ) -> None:
        self._crowd = crowd
        self._servers = servers
        self._store = store
        self._meter = meter
        self._commits = commits
        self._begun = 0.0
        self._committed = 0
        self._store_seconds = 0.0
        self._server_seconds = 0.0
        self._load_seconds = 0.0
        self._before: Work
        self._work: Work

    def __enter__(self) -> Self:
        self._committed = -self._commits.read()
        self._before = self._meter.read()
        self._store_seconds = -self._store.processor_seconds()
        self._server_seconds = -self._servers.processor_seconds()
        self._load_seconds = -time.process_time()
        self._begun = clock()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._load_seconds += time.process_time()
        self._server_seconds += self._servers.processor_seconds()
        self._store_seconds += self._store.processor_seconds()
        self._work = self._meter.read().since(self._before)
        self._committed += self._commits.read()

    def settle(self, quiet_seconds: float) -> None:
        """Waits until nothing has come for so long and the instances have nothing left to do."""
        settle(self._crowd, self._servers, quiet_seconds)

    def crossing(self, ledger: Ledger, sent: int) -> Crossing:
        """Sums up.

        Args:
            ledger: what was sent and what arrived.
            sent: how many updates were sent.

        Raises:
            LoadError: nothing was delivered.
        """
        whole = ledger.tally()
        crossed = ledger.tally(_apart).latencies or whole.latencies
        delivered = len(whole.latencies)
        if not delivered:
            raise LoadError(f"expected deliveries of {sent} updates, got none")
        seconds = self._crowd.last_arrival - self._begun
        p50, p95, p99 = (percentile(crossed, share) * 1000 for share in (0.5, 0.95, 0.99))
        return Crossing(
            seconds=seconds,
            sent=sent,
            delivered=delivered,
            missing=whole.missing,
            per_second=delivered / seconds,
            cpu_us=self._server_seconds / delivered * 1e6,
            p50_ms=p50,
            p95_ms=p95,
            p99_ms=p99,
            commands=sum(self._work.commands.values()) / delivered,
            bus_us=self._work.seconds / delivered * 1e6,
            bus_bytes=self._work.traffic_bytes / delivered,
            servers_share=self._server_seconds / seconds,
            bus_share=self._work.seconds / seconds,
            load_share=self._load_seconds / seconds,
            store_us=self._store_seconds / sent * 1e6,
            commits=self._committed / sent,
            calls=self._work.commands,
        )


def _apart(writer: Client, reader: Client) -> bool:
    return writer.port != reader.port
