"""Replays an editing trace through a running server, keystroke by keystroke.

A trace is gzipped JSON: ``{startContent, endContent, txns: [{patches: [[position, deleted,
inserted], ...]}, ...]}`` with positions in Unicode code points; each transaction is one edit.
Source of the format: https://github.com/josephg/editing-traces.
"""

import gzip
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import click
from pycrdt import Doc, Text, TransactionEvent

from benchmarks.load.authors import ROOT
from benchmarks.load.crowd import Client, Crowd, LoadError, clock
from benchmarks.load.dialect import (
    EMPTY_UPDATE,
    Kind,
    YWebsocket,
    read_body,
    read_kind,
    sync_update,
)
from collab.errors import CollabError

_LOOK_EVERY: Final = 64
"""How many edits go out before the client looks at what came in."""
_SILENCE_SECONDS: Final = 60.0
"""How long a server may send nothing back while edits are not acknowledged."""


class TraceError(Exception):
    """A trace that cannot be read, or that a server did not take as it should."""


@dataclass(frozen=True, slots=True)
class Patch:
    """One replacement.

    Attributes:
        position: where, in code points.
        deleted: how many code points go.
        inserted: what comes.
    """

    position: int
    deleted: int
    inserted: str


@dataclass(frozen=True, slots=True)
class Trace:
    """Somebody's typing.

    Attributes:
        start: text before.
        end: text after.
        edits: patches of each edit, to be made in order.
    """

    start: str
    end: str
    edits: Sequence[Sequence[Patch]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """How a replay went.

    Attributes:
        edits: how many updates were sent.
        seconds: from the first update to its last acknowledgement.
        sent_bytes: size of all updates.
        received_bytes: size of all updates that came back.
        text: what the text is at the end.
    """

    edits: int
    seconds: float
    sent_bytes: int
    received_bytes: int
    text: str


def read_trace(path: Path) -> Trace:
    """Reads a trace.

    Raises:
        TraceError: the file is not there or is no trace.
    """
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            recorded = json.load(file)
        return Trace(
            recorded["startContent"],
            recorded["endContent"],
            [[Patch(*patch) for patch in edit["patches"]] for edit in recorded["txns"]],
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TraceError(f"expected an editing trace in {path}, got {error!r}") from error


class Typist:
    """Types into a pycrdt Text by code points; pycrdt itself counts bytes.

    Attributes:
        updates: what was typed and not yet taken, an update for each edit.
    """

    def __init__(self) -> None:
        self._doc: Doc[Text] = Doc()
        self._text = self._doc.get(ROOT, type=Text)
        self._mirror = ""
        self._ascii = True
        self.updates: list[bytes] = []
        self._subscription = self._doc.observe(self._keep)

    def _keep(self, event: TransactionEvent) -> None:
        self.updates.append(event.update)

    def type(self, patches: Sequence[Patch]) -> None:
        """Makes one edit: one transaction, one update."""
        with self._doc.transaction():
            for patch in patches:
                begin, end = patch.position, patch.position + patch.deleted
                if self._ascii and not patch.inserted.isascii():
                    self._ascii = False
                    self._mirror = str(self._text)
                if not self._ascii:
                    kept, lost, rest = (
                        self._mirror[:begin],
                        self._mirror[begin:end],
                        self._mirror[end:],
                    )
                    self._mirror = kept + patch.inserted + rest
                    begin = len(kept.encode())
                    end = begin + len(lost.encode())
                if end > begin:
                    del self._text[begin:end]
                if patch.inserted:
                    self._text.insert(begin, patch.inserted)

    @property
    def client(self) -> int:
        """The Yjs client id."""
        return self._doc.client_id

    @property
    def text(self) -> str:
        """What the text is now."""
        return str(self._text)

    @property
    def seen(self) -> bytes:
        """The state vector: how much was inserted, deleted or not."""
        return self._doc.get_state()


class Echo:
    """What of our own the server has sent back, as a document; an echo is an acknowledgement.

    Attributes:
        bytes: how much came back.
    """

    def __init__(self) -> None:
        self._doc: Doc[Text] = Doc()
        self._text = self._doc.get(ROOT, type=Text)
        self.bytes = 0

    def read(self, crowd: Crowd, client: Client) -> None:
        """Takes in what came back."""
        for _, message in crowd.read(client):
            kind, position = read_kind(message, client.address)
            if kind is Kind.UPDATE or kind is Kind.STEP_2:
                update = read_body(message, position)
                self._doc.apply_update(update)
                self.bytes += len(update)

    def holds(self, typist: Typist) -> bool:
        """Tells whether everything came back, deletions too."""
        return self._doc.get_state() == typist.seen and str(self._text) == typist.text


def replay(trace: Trace, url: str, *, pace: float | None = None) -> Replay:
    """Types a trace into an empty document, one update an edit, until all is acknowledged.

    Args:
        trace: what to type.
        url: WebSocket of the document, y-websocket dialect: ``ws://127.0.0.1:PORT/ws/NAME``.
        pace: edits a second at most; None types as fast as the server takes them.

    Raises:
        TraceError: the document is not empty, an echo fails to come, or the text is wrong.
        LoadError: the server is not there, or ends or refuses the connection.
    """
    parts = urlsplit(url)
    if parts.scheme != "ws" or parts.hostname != "127.0.0.1" or parts.port is None:
        raise TraceError(f"expected ws://127.0.0.1:PORT/PATH/NAME, got {url}")
    base, _, document = parts.path.rpartition("/")
    with Crowd(parts.port, YWebsocket(base)) as crowd:
        done = _type(trace, crowd, document, pace)
    if done.text != trace.end:
        raise TraceError(f"expected {len(trace.end)} characters, got {len(done.text)} others")
    return done


def _type(trace: Trace, crowd: Crowd, document: str, pace: float | None) -> Replay:
    typist, echo = Typist(), Echo()
    client = crowd.client(document, typist.client)
    crowd.connect([client])
    _expect_empty(client)
    begun = clock()
    sent_bytes = edits = 0
    opening = [[Patch(0, 0, trace.start)]] if trace.start else []
    for number, patches in enumerate([*opening, *trace.edits]):
        typist.type(patches)
        for update in typist.updates:
            crowd.send(client, client.frame(sync_update(update)))
            sent_bytes += len(update)
            edits += 1
        typist.updates.clear()
        if pace is not None:
            while (early := begun + edits / pace - clock()) > 0:
                crowd.listen(early)
                echo.read(crowd, client)
        elif number % _LOOK_EVERY == 0:
            crowd.listen(0)
            echo.read(crowd, client)
        while client.unsent:
            crowd.listen(1.0)
            echo.read(crowd, client)
    heard = clock()
    while not echo.holds(typist):
        if crowd.listen(1.0):
            heard = clock()
        elif clock() - heard > _SILENCE_SECONDS:
            raise TraceError(f"expected all {edits} edits to come back, got {echo.bytes} bytes")
        echo.read(crowd, client)
    return Replay(
        edits=edits,
        seconds=clock() - begun,
        sent_bytes=sent_bytes,
        received_bytes=echo.bytes,
        text=typist.text,
    )


def _expect_empty(client: Client) -> None:
    for _, message in client.messages:
        kind, position = read_kind(message, client.address)
        if kind in (Kind.STEP_2, Kind.UPDATE) and read_body(message, position) != EMPTY_UPDATE:
            raise TraceError(f"expected {client.document} to be empty, got a document with content")


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.argument("url")
@click.option("--pace", type=float, help="Edits a second; as fast as it goes by default.")
def main(path: Path, url: str, pace: float | None) -> None:
    """Replays the trace at PATH into the document at URL, for instance ws://127.0.0.1:8000/ws/a."""
    try:
        done = replay(read_trace(path), url, pace=pace)
    except (TraceError, LoadError, CollabError, OSError) as error:
        sys.exit(str(error))
    click.echo(
        f"{done.edits} edits in {done.seconds:.2f} s ({done.edits / done.seconds:,.0f} a second), "
        f"{done.sent_bytes} bytes sent, {done.received_bytes} received, "
        f"{len(done.text)} characters in the end"
    )


if __name__ == "__main__":
    main()
