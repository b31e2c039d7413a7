"""The beat: clients that write at an even pace, each heard by all others in its document."""

import random
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Final, NamedTuple

from benchmarks.load.authors import Author, presence_states
from benchmarks.load.crowd import Client, Crowd, clock
from benchmarks.load.dialect import presence, sync_update
from benchmarks.load.ledger import Ledger, changes_read, presence_read

_WARM_SECONDS: Final = 1.0
_BURST: Final = 16
"""How many messages go out before the load looks at what came in."""


class Sending(NamedTuple):
    """One message of a score.

    Attributes:
        at: when, in seconds from its beginning.
        writer: who.
        frame: what.
    """

    at: float
    writer: Client
    frame: bytes


class Room(NamedTuple):
    """The clients in one document.

    Attributes:
        first: number of the first of them; see ``Author``.
        members: all of them.
        writers: how many of them write: the first ones.
    """

    first: int
    members: list[Client]
    writers: int


def play(crowd: Crowd, score: list[Sending], ledger: Ledger) -> None:
    """Sends messages on time, or as fast as they go where they are late."""
    start = clock()
    position = 0
    while position < len(score):
        end = min(position + _BURST, len(score))
        while position < end and score[position].at <= clock() - start:
            _, writer, frame = score[position]
            if writer.unsent:
                break
            ledger.sent(writer, clock())
            crowd.send(writer, frame)
            position += 1
        if position < len(score):
            crowd.listen(score[position].at - (clock() - start))


def keep(
    crowd: Crowd,
    rooms: Sequence[Room],
    window: AbstractContextManager[object],
    settle: Callable[[], None],
    *,
    rate: float,
    seconds: float,
    moves: bool = False,
) -> Ledger:
    """Connects the rooms' clients and has their writers write: first a second unmeasured.

    Args:
        crowd: the load.
        rooms: who is in which document.
        window: open while it is measured.
        settle: waits until all is quiet.
        rate: messages a second of each writer.
        seconds: how long.
        moves: whether they publish presence, instead of typing.

    Returns:
        What was sent and what arrived while the window was open.
    """
    warm, count = round(rate * _WARM_SECONDS), round(rate * seconds)
    bodies = _moved if moves else _typed
    first = warm + 1 if moves else warm  # presence clocks begin at 1
    reader = presence_read if moves else changes_read
    warming, ledger = (Ledger(reader, supersedes=moves) for _ in range(2))
    scores: tuple[list[Sending], list[Sending]] = ([], [])
    draw = random.Random(1)
    for room in rooms:
        for number, writer in enumerate(room.members[: room.writers], room.first):
            warming.expect(writer, first - warm, warm, [])
            ledger.expect(writer, first, count, room.members)
            frames = [writer.frame(b) for b in bodies(writer.client, warm + count, number)]
            phase = draw.random()
            for score, part in zip(scores, (frames[:warm], frames[warm:]), strict=True):
                score += [Sending((phase + i) / rate, writer, f) for i, f in enumerate(part)]
    for score in scores:
        score.sort(key=lambda sending: sending.at)
    crowd.connect(member for room in rooms for member in room.members)
    play(crowd, scores[0], warming)
    settle()
    ledger.read(crowd)
    with window:
        play(crowd, scores[1], ledger)
        settle()
    ledger.read(crowd)
    return ledger


def _typed(client: int, count: int, number: int) -> list[bytes]:
    return [sync_update(update) for update in Author(number).type(count)]


def _moved(client: int, count: int, number: int) -> list[bytes]:
    return [presence([state]) for state in presence_states(client, count)]
