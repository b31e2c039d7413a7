"""Durable writes a second, and what a SIGKILL loses."""

import os
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.load.authors import Author
from benchmarks.load.crowd import Client, Crowd, clock
from benchmarks.load.dialect import sync_update
from benchmarks.servers import BenchmarkError, run
from benchmarks.storage.peers import Peer

CLIENTS: Final = 100
_LOOK_SECONDS: Final = 0.02
_LOOK_INTO_FILE_SECONDS: Final = 0.5
"""Readers and writers keep each other waiting there: rarely."""
_PATIENCE_SECONDS: Final = 10.0


class Writer:
    """A client that types in a document of its own.

    Attributes:
        document: its name.
        sent: how many updates it has sent.
        acknowledged: how many the server has acknowledged.
    """

    def __init__(self, crowd: Crowd, peer: Peer, number: int, updates: int) -> None:
        author = Author(number)
        self.document = f"document-{number}"
        self.client: Client = crowd.client(self.document, author.client)
        self.sent = 0
        self.acknowledged = 0
        self._peer = peer
        self._frames = [self.client.frame(sync_update(update)) for update in author.type(updates)]

    def send(self, crowd: Crowd, count: int) -> None:
        """Sends the next updates, one message each."""
        crowd.send(self.client, b"".join(self._frames[self.sent : self.sent + count]))
        self.sent += count

    def look(self, crowd: Crowd) -> None:
        """Takes in what was acknowledged."""
        for _, message in crowd.read(self.client):
            count = self._peer.acknowledged(message, self.client.address, self.client.client)
            if count < 0:  # one more
                self.acknowledged -= count
            else:
                self.acknowledged = max(self.acknowledged, count)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """What was gone after a SIGKILL, in updates.

    Attributes:
        sent: how many were sent.
        acknowledged: how many of these the server had acknowledged.
        lost_acknowledged: how many of the acknowledged are not in the file.
        lost: how many of all are not.
    """

    sent: int
    acknowledged: int
    lost_acknowledged: int
    lost: int


@contextmanager
def _writers(peer: Peer, scratch: Path, updates: int) -> Iterator[tuple[Crowd, list[Writer], int]]:
    with (
        run(peer.server, scratch) as running,
        Crowd(running.port, peer.dialect) as crowd,
    ):
        writers = [Writer(crowd, peer, number, updates) for number in range(CLIENTS)]
        crowd.connect([writer.client for writer in writers])
        yield crowd, writers, running.pid


def durable_per_second(peer: Peer, scratch: Path) -> float:
    """Has every client send all its updates at once; counts those that are kept, until the last.

    An update is kept when the server acknowledged it. pycrdt-store acknowledges nothing: there it
    is when the file has it, which not all of them reach.

    Raises:
        BenchmarkError: none are kept.
    """
    updates = peer.updates
    with _writers(peer, scratch, updates) as (crowd, writers, pid):
        file = _store_of(peer, pid)
        acknowledges = peer.server.name != "pycrdt-store"
        begun = clock()
        for writer in writers:
            writer.send(crowd, updates)
        kept, at = 0, begun
        while kept < CLIENTS * updates and clock() - at < _PATIENCE_SECONDS:
            end = clock() + (_LOOK_SECONDS if acknowledges else _LOOK_INTO_FILE_SECONDS)
            while clock() < end:
                crowd.listen(end - clock())
            for writer in writers:
                writer.look(crowd)
            acknowledged = sum(min(writer.acknowledged, updates) for writer in writers)
            now = acknowledged if acknowledges else _stored(peer, file, kept)
            if now > kept:
                kept, at = now, clock()
    if kept == 0:
        raise BenchmarkError(f"expected {peer.server.name} to keep updates, got none that are")
    return kept / (at - begun)


def kill(peer: Peer, scratch: Path, seconds: float = 4.0, per_second: int = 10) -> Loss:
    """Kills the server while the clients type, and counts what is in its file."""
    beats = round(seconds * per_second)
    with _writers(peer, scratch, beats) as (crowd, writers, pid):
        file = _store_of(peer, pid)
        begun = clock()
        for beat in range(beats):
            for writer in writers:
                writer.send(crowd, 1)
            while (wait := begun + (beat + 1) / per_second - clock()) > 0:
                crowd.listen(wait)
        for writer in writers:
            writer.look(crowd)
        os.kill(pid, signal.SIGKILL)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        stored = peer.stored(file)
    lost_acknowledged = lost = 0
    for writer in writers:
        kept = stored.get(writer.document, 0)
        lost += max(0, writer.sent - kept)
        # Hocuspocus acknowledges the answer to its step 1, too.
        lost_acknowledged += max(0, min(writer.acknowledged, writer.sent) - kept)
    return Loss(
        sent=sum(writer.sent for writer in writers),
        acknowledged=sum(min(writer.acknowledged, writer.sent) for writer in writers),
        lost_acknowledged=lost_acknowledged,
        lost=lost,
    )


def _store_of(peer: Peer, pid: int) -> Path:
    return Path(f"/proc/{pid}/cwd").resolve() / peer.file


def _stored(peer: Peer, file: Path, at_least: int) -> int:
    try:
        return sum(peer.stored(file).values())
    except sqlite3.OperationalError:  # Its writers hold the lock.
        return at_least
