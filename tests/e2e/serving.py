"""``collab serve`` and ``collab export`` as people run them."""

import errno
import re
import select
import signal
import socket
import sqlite3
import subprocess
import sysconfig
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

import anyio
import pycrdt

from collab.document import Document
from collab.storage.sqlite import SQLiteStore
from collab.store import Stored

COLLAB = str(Path(sysconfig.get_path("scripts")) / "collab")

_START_SECONDS = 30.0
_STOP_SECONDS = 30.0


class Server:
    """A running server.

    Attributes:
        url: where it listens.
        port: the port of it.
        process: the process.
    """

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.url = _listening(process)
        self.port = int(self.url.rpartition(":")[2])

    @property
    def websockets(self) -> str:
        """Where y-websocket clients connect."""
        return websockets(self.port)

    def kill(self) -> None:
        """Ends it with SIGKILL: it gets to do nothing any more."""
        self.process.kill()
        self.process.wait()

    def tell_to_stop(self) -> None:
        """Sends SIGTERM and waits until no connection is taken any more."""
        self.process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + _STOP_SECONDS
        while True:
            assert time.monotonic() < deadline
            with closing(socket.socket()) as guest:
                outcome = guest.connect_ex(("127.0.0.1", self.port))
            if outcome == errno.ECONNREFUSED:  # Others are reset, or in line and never taken.
                return

    def terminate(self) -> float:
        """Ends it with SIGTERM and checks that it went well.

        Returns:
            How long it took, in seconds.
        """
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(_STOP_SECONDS) == 0
        return time.monotonic() - began


def websockets(port: int) -> str:
    """Where y-websocket clients connect, by port: a server's, or that of a proxy to it."""
    return f"ws://127.0.0.1:{port}/ws"


@contextmanager
def serve(
    store: Path | str,
    *,
    port: int = 0,
    transport: str = "native",
    options: Sequence[str] = (),
    log: Path | None = None,
    under: Sequence[str] = (),
) -> Iterator[Server]:
    """Runs a server; where it still runs at the end, it is ended with SIGTERM.

    Args:
        store: file of the store, or its address.
        port: where to listen; 0 picks one.
        transport: what carries WebSockets.
        options: more of the command line.
        log: where its log goes; None lets it go where the test's goes.
        under: a command that it is run by.
    """
    address = store if isinstance(store, str) else f"sqlite:///{store}"
    command = [*under, COLLAB, "serve", "--store", address]
    command += ["--bind", f"127.0.0.1:{port}", "--transport", transport, *options]
    with (
        nullcontext() if log is None else log.open("a") as errors,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True) as process,
    ):
        try:
            server = Server(process)
            yield server
            if process.poll() is None:
                server.terminate()
        finally:
            process.kill()


def export(store: Path, name: str) -> str:
    """What ``collab export`` says a document's text is."""
    command = [COLLAB, "export", name, "--format", "text", "--store", f"sqlite:///{store}"]
    return subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout.decode()


def kept(store: Path, name: str) -> str:
    """A document's text as opening it reads it: the same, without a process for it."""
    return str(Document.load(load(store, name)).doc.get("content", type=pycrdt.Text))


def load(store: Path, name: str) -> Stored:
    """What opening a document reads."""

    async def read() -> Stored:
        async with SQLiteStore(store, create=False) as opened:
            return await opened.load(name)

    return anyio.run(read)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """Rows of one document in the database.

    Attributes:
        checkpoints: its checkpoints.
        after_checkpoint: its log rows that opening reads.
        all: all its log rows.
    """

    checkpoints: int
    after_checkpoint: int
    all: int


def count_rows(store: Path, name: str) -> Rows:
    """Counts a document's rows, past all code of ours."""
    with closing(sqlite3.connect(store)) as database:
        (checkpoints,) = database.execute(
            "SELECT count(*) FROM checkpoints JOIN documents ON documents.id = document_id"
            " WHERE name = ?",
            (name,),
        ).fetchone()
        after, total = database.execute(
            "SELECT count(*) FILTER (WHERE updates.seq > coalesce(checkpoints.seq, 0)), count(*)"
            " FROM updates JOIN documents ON documents.id = updates.document_id"
            " LEFT JOIN checkpoints ON checkpoints.document_id = documents.id WHERE name = ?",
            (name,),
        ).fetchone()
    return Rows(checkpoints=checkpoints, after_checkpoint=after, all=total)


@contextmanager
def locked(store: Path) -> Iterator[None]:
    """Keeps a store's write lock, so that nobody's commit goes through."""
    with closing(sqlite3.connect(store, isolation_level=None)) as database:
        database.execute("BEGIN IMMEDIATE")
        yield
        database.execute("ROLLBACK")


def _listening(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], _START_SECONDS)
    line = process.stdout.readline() if ready else ""
    address = re.fullmatch(r"collab: listening on (https?://\S+)\n", line)
    if address is None:
        raise AssertionError(f"expected the address of a server that listens, got {line!r}")
    return address[1]
