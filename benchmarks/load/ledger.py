"""The ledger: what was sent when, what reached whom when, and so what is missing."""

from array import array
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import repeat

from benchmarks.load.crowd import Client, Crowd
from benchmarks.load.dialect import Kind, read_body, read_kind
from benchmarks.load.runs import Run, read_presence, read_runs

Reader = Callable[[bytes, bytes], list[Run]]
"""Says which changes a message brings, given the address before it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What came of everything sent.

    Attributes:
        missing: deliveries that never came.
        latencies: seconds from sending to arrival, one for each delivery, in rising order.
    """

    missing: int
    latencies: list[float]


def changes_read(message: bytes, address: bytes) -> list[Run]:
    """Reads the document changes that a message brings, however many writers' are merged in it."""
    kind, position = read_kind(message, address)
    if kind is Kind.UPDATE or kind is Kind.STEP_2:
        return read_runs(read_body(message, position))
    return []


def presence_read(message: bytes, address: bytes) -> list[Run]:
    """Reads the presence that a message brings.

    A state takes the place of all older ones of its client: seeing clock 7 delivers 1 to 7.
    """
    kind, position = read_kind(message, address)
    if kind is Kind.PRESENCE:
        return [Run(c, 1, k) for c, k in read_presence(read_body(message, position))]
    return []


class Ledger:
    """Books every message of some writers, at each of their readers."""

    def __init__(self, reader: Reader, *, supersedes: bool) -> None:
        """Begins an empty ledger.

        Args:
            reader: says which changes a message brings.
            supersedes: whether a change delivers all of its writer's older ones too.
        """
        self._reader = reader
        self._supersedes = supersedes
        self._runs: dict[bytes, list[Run]] = {}
        self._writers: dict[int, Client] = {}
        self._first: dict[int, int] = {}
        self._sent: dict[int, list[float]] = {}
        self._arrived: dict[Client, dict[int, array[float]]] = {}

    def expect(self, writer: Client, first: int, count: int, readers: Iterable[Client]) -> None:
        """Opens the book for a writer.

        Args:
            writer: its own echo is no delivery.
            first: clock of its first change.
            count: how many changes.
            readers: who should get them.
        """
        self._writers[writer.client] = writer
        self._first[writer.client] = first
        self._sent[writer.client] = []
        for reader in readers:
            if reader is not writer:
                books = self._arrived.setdefault(reader, {})
                books[writer.client] = array("d", repeat(0.0, count))

    def sent(self, writer: Client, at: float) -> None:
        """Books that a writer's next change was sent."""
        self._sent[writer.client].append(at)

    def read(self, crowd: Crowd) -> None:
        """Books all that has arrived and was not yet read."""
        runs_of, reader = self._runs, self._reader
        for client, books in self._arrived.items():
            address = client.address
            for at, message in crowd.read(client):
                runs = runs_of.get(message)
                if runs is None:
                    runs = runs_of[message] = reader(message, address)
                for run in runs:
                    if run.client in books:
                        self._book(books[run.client], run, at)

    def _book(self, times: "array[float]", run: Run, at: float) -> None:
        first = self._first[run.client]
        begin, end = run.clock - first, run.clock - first + run.length
        for position in range(min(end, len(times)) - 1, max(0, begin) - 1, -1):
            if not times[position]:
                times[position] = at
            elif self._supersedes:
                break

    def tally(self, between: Callable[[Client, Client], bool] = lambda _, __: True) -> Tally:
        """Counts what is missing and how long the rest took.

        Args:
            between: whether what a writer, the first, sends to a reader is counted; all by default.
        """
        latencies: list[float] = []
        missing = 0
        for reader, books in self._arrived.items():
            for writer, times in books.items():
                if not between(self._writers[writer], reader):
                    continue
                for sent, arrived in zip(self._sent[writer], times, strict=True):
                    if arrived:
                        latencies.append(arrived - sent)
                    else:
                        missing += 1
        latencies.sort()
        return Tally(missing=missing, latencies=latencies)
