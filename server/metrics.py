"""Metrics: what the server counts, in the form Prometheus reads."""

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from collab import __version__
from collab.close import CloseCode

_COMMIT_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Metrics:
    """The counts of one server.

    What is counted for every change is a plain number, read when somebody asks for the page.

    Attributes:
        registry: everything, for whoever writes the page.
        connections: how many connections are open.
        updates: changes taken in from clients.
        deliveries: batches of changes times the clients they were for.
        presence_deliveries: frames of presence times the clients they were for.
        commit_seconds: how long commits took, failed ones included.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.connections = 0
        self.updates = 0
        self.deliveries = 0
        self.presence_deliveries = 0
        self.commit_seconds = Histogram(
            "collab_commit_seconds",
            "How long commits to the store took.",
            buckets=_COMMIT_SECONDS,
            registry=self.registry,
        )
        self._closes = Counter(
            "collab_connections_closed",
            "Connections that the server closed, by close code.",
            ["code"],
            registry=self.registry,
        )
        self._refusals = Counter(
            "collab_handshakes_refused",
            "Handshakes answered with an HTTP error, by status.",
            ["status"],
            registry=self.registry,
        )
        self._limits = Counter(
            "collab_limits_reached",
            "How often a limit kept somebody back, by the name of the setting.",
            ["limit"],
            registry=self.registry,
        )
        self._refused_updates = Counter(
            "collab_updates_refused", "Changes that could not be taken in.", registry=self.registry
        )
        self._foreign_histories = Counter(
            "collab_foreign_histories",
            "Connections of clients with history that their document never had.",
            registry=self.registry,
        )
        self.registry.register(_Numbers(self._numbers))
        ProcessCollector(registry=self.registry)

    def count_close(self, code: CloseCode) -> None:
        """Counts a connection, or a document on one, that the server closes."""
        self._closes.labels(str(int(code))).inc()

    def count_refusal(self, status: int) -> None:
        """Counts a handshake that is answered with an HTTP error."""
        self._refusals.labels(str(status)).inc()

    def count_limit(self, setting: str) -> None:
        """Counts that a limit kept somebody back.

        Args:
            setting: name of the setting, or ``open_files``.
        """
        self._limits.labels(setting).inc()

    def count_refused_update(self) -> None:
        """Counts a change that could not be taken in."""
        self._refused_updates.inc()

    def count_foreign_history(self) -> None:
        """Counts a client with history that its document never had."""
        self._foreign_histories.inc()

    def watch(self, name: str, explanation: str, read: Callable[[], float]) -> None:
        """Adds a number that is read when somebody asks for the page.

        Args:
            name: of the gauge.
            explanation: one sentence.
            read: returns the number.
        """
        self.registry.register(_Numbers(lambda: [_gauge(name, explanation, read())]))

    def _numbers(self) -> Iterable[Metric]:
        build = InfoMetricFamily("collab_build", "Which collab serves.")
        build.add_metric([], {"version": __version__})
        yield build
        yield _gauge("collab_connections", "Open connections.", self.connections)
        for name, explanation, number in (
            ("collab_updates", "Changes taken in from clients.", self.updates),
            ("collab_deliveries", "Batches of changes times clients.", self.deliveries),
            (
                "collab_presence_deliveries",
                "Frames of presence times clients.",
                self.presence_deliveries,
            ),
        ):
            yield CounterMetricFamily(name, explanation, number)


class _Numbers(Collector):
    """Metric families that are made when they are asked for."""

    def __init__(self, collect: Callable[[], Iterable[Metric]]) -> None:
        self._collect = collect

    def collect(self) -> Iterable[Metric]:
        return self._collect()


def _gauge(name: str, explanation: str, number: float) -> Metric:
    return GaugeMetricFamily(name, explanation, number)
