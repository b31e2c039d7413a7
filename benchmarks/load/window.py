"""The window: the stretch of a run that is measured."""

import time
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from benchmarks.load.crowd import Crowd, clock
from benchmarks.load.ledger import Tally
from benchmarks.measure import ProcessTree, percentile

_IDLE_SHARE: Final = 0.1
"""A server that uses less than this share of its core has nothing left to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one run of one workload showed; None where the workload is not about that.

    Attributes:
        seconds: from the first message sent to the last arrival.
        server_seconds: processor time of the server.
        delivered: deliveries: updates, presences or documents, times those they reached.
        missing: deliveries that never came.
        cpu_us: processor time of the server a delivery, in microseconds.
        p50_ms, p95_ms, p99_ms: latency, in milliseconds.
        per_second: what was sent, for each of the seconds.
        peak_bytes: most memory of the server.
        peak_above_bytes: the same, above that of the server when nobody had come yet.
        connection_bytes: memory of the server for each connection.
        load_share: share of its core that the load used; beyond 0.9 the load was the bottleneck.
    """

    seconds: float
    server_seconds: float
    delivered: int
    missing: int
    cpu_us: float | None
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    per_second: float | None
    peak_bytes: int
    peak_above_bytes: int
    connection_bytes: float | None
    load_share: float


class Window:
    """Measures the server and the load while it is open.

    Attributes:
        begun: when it was opened.
    """

    def __init__(self, crowd: Crowd, server: ProcessTree, empty_bytes: int) -> None:
        """Makes a window that is not open yet.

        Args:
            crowd: the load.
            server: what is measured.
            empty_bytes: memory of the server when nobody had come yet.
        """
        self._crowd = crowd
        self._server = server
        self._empty_bytes = empty_bytes
        self.begun = 0.0
        self._server_seconds = 0.0
        self._load_seconds = 0.0
        self._peak_bytes = 0

    def __enter__(self) -> Self:
        self._server.forget_peak()
        self._server_seconds = -self._server.processor_seconds()
        self._load_seconds = -time.process_time()
        self.begun = clock()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._load_seconds += time.process_time()
        self._server_seconds += self._server.processor_seconds()
        self._peak_bytes = self._server.peak_bytes()

    def outcome(
        self, tally: Tally, *, sent: int | None = None, connection_bytes: float | None = None
    ) -> Outcome:
        """Sums up.

        Args:
            tally: what was delivered.
            sent: how many messages were sent, where their rate is what the workload is about.
            connection_bytes: memory for each connection, where it is about that.
        """
        seconds = self._crowd.last_arrival - self.begun
        ordered = tally.latencies
        p50, p95, p99 = (
            percentile(ordered, share) * 1000 if ordered else None for share in (0.5, 0.95, 0.99)
        )
        return Outcome(
            seconds=seconds,
            server_seconds=self._server_seconds,
            delivered=len(ordered),
            missing=tally.missing,
            cpu_us=self._server_seconds / len(ordered) * 1e6 if ordered else None,
            p50_ms=p50,
            p95_ms=p95,
            p99_ms=p99,
            per_second=sent / seconds if sent else None,
            peak_bytes=self._peak_bytes,
            peak_above_bytes=self._peak_bytes - self._empty_bytes,
            connection_bytes=connection_bytes,
            load_share=self._load_seconds / seconds,
        )


def settle(crowd: Crowd, server: ProcessTree, quiet_seconds: float = 0.5) -> None:
    """Takes in what arrives until nothing comes and the server has nothing left to do."""
    spent, at = server.processor_seconds(), clock()

    def busy() -> bool:
        nonlocal spent, at
        spent_before, at_before = spent, at
        spent, at = server.processor_seconds(), clock()
        return spent - spent_before > _IDLE_SHARE * (at - at_before)

    crowd.settle(busy, quiet_seconds)
