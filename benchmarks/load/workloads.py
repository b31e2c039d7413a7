"""The workloads: eight things that happen to a server, each in one function.

Those with a beat begin with a second that is not measured, so that just-in-time compilers are warm.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from benchmarks.load.authors import Author, presence_states
from benchmarks.load.beat import Room, Sending, keep, play
from benchmarks.load.crowd import Client, Crowd, clock
from benchmarks.load.dialect import Kind, presence, read_body, read_kind, sync_update
from benchmarks.load.ledger import Ledger, Tally, changes_read
from benchmarks.load.runs import Run, read_runs
from benchmarks.load.window import Outcome, Window, settle
from benchmarks.measure import ProcessTree

_FLOOD_UPDATES: Final = 2_000
_FLOOD_WARM: Final = 200
_FLOOD_CLIENTS: Final = 50

_JOINS: Final = 100
_JOIN_AUTHORS: Final = 20
_JOIN_PARAGRAPHS: Final = 2_200
_PARAGRAPH_CHARACTERS: Final = 100

_IDLE_CONNECTIONS: Final = 2_000
_IDLE_ROOMS: Final = 1_000
_IDLE_SECONDS: Final = 3.0

_RECONNECTS: Final = 1_000
_RECONNECTS_AT_ONCE: Final = 400
"""How many are under way: beyond Node's listen backlog of 511 the kernel, not the server, decides
who waits, a whole second at a time."""
_RECONNECT_ROOMS: Final = 50
_SMALL_DOCUMENT: Final = 5_000
_MISSED: Final = 20


class Stage(NamedTuple):
    """Where a workload plays.

    Attributes:
        crowd: the load.
        server: the process it is put on.
        empty_bytes: memory of the server when nobody had come yet.
        seconds: how long workloads with a beat go on.
    """

    crowd: Crowd
    server: ProcessTree
    empty_bytes: int
    seconds: float

    def window(self) -> Window:
        """Makes a window over this server."""
        return Window(self.crowd, self.server, self.empty_bytes)

    def settle(self) -> None:
        """Waits until all is quiet."""
        settle(self.crowd, self.server)


def steady(
    stage: Stage,
    *,
    rooms: int = 1,
    writers: int,
    readers: int = 0,
    rate: float,
    moves: bool = False,
) -> Outcome:
    """Writers who write at an even pace, each heard by all others in the room.

    Args:
        stage: where it plays.
        rooms: how many documents.
        writers: how many in each write.
        readers: how many in each only read.
        rate: messages a second of each writer.
        moves: whether they publish presence, instead of typing.
    """
    size = writers + readers
    made = []
    for room in range(rooms):
        numbers = range(room * size, (room + 1) * size)
        members = [stage.crowd.client(f"room-{room}", Author.id(number)) for number in numbers]
        made.append(Room(numbers.start, members, writers))
    window = stage.window()
    ledger = keep(
        stage.crowd, made, window, stage.settle, rate=rate, seconds=stage.seconds, moves=moves
    )
    return window.outcome(ledger.tally())


def flood(stage: Stage) -> Outcome:
    """One writer who pastes keystrokes as fast as the socket takes them."""
    writer, *readers = (
        stage.crowd.client("flood", Author.id(number)) for number in range(_FLOOD_CLIENTS)
    )
    typed = Author(0).type(_FLOOD_WARM + _FLOOD_UPDATES)
    frames = [writer.frame(sync_update(update)) for update in typed]
    warming, ledger = (Ledger(changes_read, supersedes=False) for _ in range(2))
    warming.expect(writer, 0, _FLOOD_WARM, [])
    ledger.expect(writer, _FLOOD_WARM, _FLOOD_UPDATES, readers)
    stage.crowd.connect([writer, *readers])
    play(stage.crowd, [Sending(0, writer, f) for f in frames[:_FLOOD_WARM]], warming)
    stage.settle()
    ledger.read(stage.crowd)
    with stage.window() as window:
        play(stage.crowd, [Sending(0, writer, f) for f in frames[_FLOOD_WARM:]], ledger)
        stage.settle()
    ledger.read(stage.crowd)
    return window.outcome(ledger.tally(), sent=_FLOOD_UPDATES)


def _synced(clients: list[Client], begun: float, expected: list[Run]) -> Tally:
    """Counts which of the expected changes each client holds after synchronising."""
    runs_of: dict[bytes, list[Run]] = {}
    missing = 0
    for client in clients:
        held: dict[int, set[Run]] = {}
        for _, message in client.messages:
            kind, position = read_kind(message, client.address)
            if kind is not Kind.STEP_2 and kind is not Kind.UPDATE:
                continue
            if message not in runs_of:
                runs_of[message] = read_runs(read_body(message, position))
            for run in runs_of[message]:
                held.setdefault(run.client, set()).add(run)
        missing += sum(not _covers(held.get(run.client, set()), run) for run in expected)
    return Tally(missing=missing, latencies=sorted(c.synced_at - begun for c in clients))


def _covers(held: set[Run], wanted: Run) -> bool:
    reached = wanted.clock
    for run in sorted(held):
        if run.clock <= reached:
            reached = max(reached, run.clock + run.length)
    return reached >= wanted.clock + wanted.length


def joins(stage: Stage) -> Outcome:
    """A class opens one big document at once, just after somebody typed in it."""
    authors = [Author(number) for number in range(_JOIN_AUTHORS)]
    keeper = stage.crowd.client("big", authors[0].client)
    stage.crowd.connect([keeper])
    for before, author in zip([None, *authors], authors, strict=False):
        if before:
            author.read(before.whole())
        written = author.prepend(_JOIN_PARAGRAPHS, _PARAGRAPH_CHARACTERS)
        stage.crowd.send(keeper, keeper.frame(sync_update(written)))
    stage.settle()
    stage.crowd.connect([stage.crowd.client("big", Author.id(_JOIN_AUTHORS))])
    for update in authors[0].type(1):
        stage.crowd.send(keeper, keeper.frame(sync_update(update)))
    stage.settle()
    expected = [Run(author.client, 0, author.clock) for author in authors]
    clients = [stage.crowd.client("big", Author.id(1000 + number)) for number in range(_JOINS)]
    with stage.window() as window:
        stage.crowd.connect(clients, at_once=_JOINS)
    return window.outcome(_synced(clients, window.begun, expected))


def idle(stage: Stage) -> Outcome:
    """Many open documents in which nobody does anything; each client has said who it is."""
    stage.crowd.connect(_present(stage, "warm", 50, 25, {}))
    stage.settle()
    before = stage.server.resident_bytes()
    with stage.window() as window:
        stage.crowd.connect(_present(stage, "idle", _IDLE_CONNECTIONS, _IDLE_ROOMS, {}))
        stage.settle()
        end = clock() + _IDLE_SECONDS
        while clock() < end:
            stage.crowd.listen(end - clock())
        held = stage.server.resident_bytes() - before
    return window.outcome(Tally(missing=0, latencies=[]), connection_bytes=held / _IDLE_CONNECTIONS)


def _present(
    stage: Stage, name: str, count: int, rooms: int, seen: dict[int, dict[int, int]]
) -> list[Client]:
    """Makes clients, spread over rooms, that publish their presence when they come."""
    clients = []
    for number in range(count):
        room, client = number % rooms, Author.id(10_000 + number)
        hello = presence(presence_states(client, 1))
        clients.append(stage.crowd.client(f"{name}-{room}", client, seen.get(room), hello))
    return clients


def reconnect(stage: Stage) -> Outcome:
    """All come back at once after a break, hold what they had, and lack the last words."""
    authors = [Author(number) for number in range(_RECONNECT_ROOMS)]
    keepers = [
        stage.crowd.client(f"small-{room}", author.client) for room, author in enumerate(authors)
    ]
    stage.crowd.connect(keepers)

    def write(characters: int) -> None:
        for author, keeper in zip(authors, keepers, strict=True):
            author.type(characters)
            stage.crowd.send(keeper, keeper.frame(sync_update(author.whole())))
        stage.settle()

    write(_SMALL_DOCUMENT)
    seen = {room: {author.client: author.clock} for room, author in enumerate(authors)}
    before = _present(stage, "small", _RECONNECTS, _RECONNECT_ROOMS, {})
    stage.crowd.connect(before)
    stage.settle()
    stage.crowd.close(before)
    write(_MISSED)
    clients = _present(stage, "small", _RECONNECTS, _RECONNECT_ROOMS, seen)
    with stage.window() as window:
        stage.crowd.connect(clients, at_once=_RECONNECTS_AT_ONCE)
    tallies = []
    for room, author in enumerate(authors):
        expected = [Run(author.client, _SMALL_DOCUMENT, _MISSED)]
        tallies.append(_synced(clients[room::_RECONNECT_ROOMS], window.begun, expected))
    return window.outcome(
        Tally(
            missing=sum(tally.missing for tally in tallies),
            latencies=sorted(value for tally in tallies for value in tally.latencies),
        )
    )


def all_write(stage: Stage) -> Outcome:
    """100 people in one document, all typing, ten keystrokes a second each."""
    return steady(stage, writers=100, rate=10)


def audience(stage: Stage) -> Outcome:
    """One person types, 500 read along."""
    return steady(stage, writers=1, readers=500, rate=10)


def many_rooms(stage: Stage) -> Outcome:
    """300 documents, two people typing in each."""
    return steady(stage, rooms=300, writers=2, rate=5)


def moving_cursors(stage: Stage) -> Outcome:
    """200 people in one document move their cursors."""
    return steady(stage, writers=200, rate=5, moves=True)


WORKLOADS: Final[dict[str, Callable[[Stage], Outcome]]] = {
    "flood": flood,
    "all-write": all_write,
    "audience": audience,
    "many-rooms": many_rooms,
    "joins": joins,
    "presence": moving_cursors,
    "idle": idle,
    "reconnect": reconnect,
}
