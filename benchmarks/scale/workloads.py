"""The workloads: who types in which document, on which instance."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from benchmarks.load.authors import Author
from benchmarks.load.beat import Room, keep
from benchmarks.load.crowd import Crowd
from benchmarks.scale.crossing import Crossing, Span

Place = Callable[[int, int, int], int]
"""Says on which instance a client is, given its document, its place among that one's clients, and
how many of them write."""


def _by_part(document: int, place: int, writers: int) -> int:
    return int(place >= writers)


def _by_turns(document: int, place: int, writers: int) -> int:
    return place


def _by_document(document: int, place: int, writers: int) -> int:
    return document


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """What happens.

    Attributes:
        says: what it is, for the tables.
        documents: how many.
        writers: how many clients in each write.
        readers: how many in each only read.
        rate: updates a second of each writer.
        place: on which instance a client is.
        part: how much of the measured time it lasts.
        quiet_seconds: how long nothing arrives when all has.
    """

    says: str
    documents: int = 1
    writers: int
    readers: int = 0
    rate: float
    place: Place
    part: float = 1.0
    quiet_seconds: float = 0.5


WORKLOADS: Final[dict[str, Workload]] = {
    "busy": Workload(
        says="1 document: 20 clients of one instance type 10 times a second, 40 of the other read",
        writers=20,
        readers=40,
        rate=10,
        place=_by_part,
    ),
    "mixed": Workload(
        says="1 document: 40 clients, half on each instance, type 5 times a second",
        writers=40,
        rate=5,
        place=_by_turns,
    ),
    "pairs": Workload(
        says="200 documents with 2 clients on different instances, each types 2 times a second",
        documents=200,
        writers=2,
        rate=2,
        place=_by_turns,
    ),
    "sticky-pairs": Workload(
        says="the same, both clients of a document on one instance",
        documents=200,
        writers=2,
        rate=2,
        place=_by_document,
    ),
    "fours": Workload(
        says="100 documents with 4 clients, 2 on each instance, each types 2 times a second",
        documents=100,
        writers=4,
        rate=2,
        place=_by_turns,
    ),
    "sticky-fours": Workload(
        says="the same, all clients of a document on one instance",
        documents=100,
        writers=4,
        rate=2,
        place=_by_document,
    ),
    "overload": Workload(
        says="100 documents with 4 clients, each types 40 times a second: more than is delivered",
        documents=100,
        writers=4,
        rate=40,
        place=_by_document,
        part=0.3,  # What is left over is delivered after it.
        quiet_seconds=3.0,
    ),
}


def put(
    workload: Workload,
    crowd: Crowd,
    ports: Sequence[int],
    span: Span,
    seconds: float,
) -> Crossing:
    """Puts a workload on a cluster.

    Args:
        workload: which.
        crowd: the load.
        ports: where the instances listen.
        span: measures.
        seconds: how long is measured.

    Raises:
        LoadError: the servers do not take part as expected.
    """
    size = workload.writers + workload.readers
    rooms = []
    for document in range(workload.documents):
        members = [
            crowd.client(
                f"document-{document}",
                Author.id(document * size + place),
                port=ports[workload.place(document, place, workload.writers) % len(ports)],
            )
            for place in range(size)
        ]
        rooms.append(Room(document * size, members, workload.writers))
    seconds *= workload.part
    settle = partial(span.settle, workload.quiet_seconds)
    ledger = keep(crowd, rooms, span, settle, rate=workload.rate, seconds=seconds)
    sent = workload.documents * workload.writers * round(workload.rate * seconds)
    return span.crossing(ledger, sent)
