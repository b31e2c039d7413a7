"""The servers that store: how each is started, and what of a document is in its file."""

import sqlite3
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import anyio
from pycrdt import Doc, Text

from benchmarks.load.authors import ROOT
from benchmarks.load.dialect import Dialect, Hocuspocus, Kind, YWebsocket, read_body, read_kind
from benchmarks.servers import PEERS, SERVERS, Server
from collab.document import Document
from collab.errors import StoreError
from collab.storage.sqlite import SQLiteStore
from collab.structs import read_structs

_FILE: Final = "store.db"
_SYNC_STATUS: Final = 8
"""Hocuspocus' message that says whether an update was taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A server that stores.

    Attributes:
        server: how it is started.
        dialect: what its clients speak.
        file: its store, in the folder it was started in.
        acknowledged: how many of a client's updates a message acknowledges, given the message,
            what comes before each, and the client's id.
        stored: reads how many characters of each document are in the file.
        updates: how many each client sends where as many as possible are kept: some seconds' worth.
    """

    server: Server
    dialect: Dialect
    file: str
    acknowledged: Callable[[bytes, bytes, int], int]
    stored: Callable[[Path], Mapping[str, int]]
    updates: int


def characters(updates: Iterable[bytes]) -> int:
    """How long the text is that updates make."""
    doc: Doc[Text] = Doc()
    for update in updates:
        doc.apply_update(update)
    return len(str(doc.get(ROOT, type=Text)))


def _echoed(message: bytes, address: bytes, client: int) -> int:
    kind, position = read_kind(message, address)
    if kind is not Kind.UPDATE:
        return 0
    structs = read_structs(read_body(message, position))
    return max((each.clock + each.length for each in structs if each.client == client), default=0)


def _confirmed(message: bytes, address: bytes, client: int) -> int:
    rest = message[len(address) :]
    return -1 if rest[:1] == bytes([_SYNC_STATUS]) else 0


def _in_collab(file: Path) -> dict[str, int]:
    async def read() -> dict[str, int]:
        found = {}
        async with SQLiteStore(file, create=False) as store:
            for summary in await store.documents(limit=100_000):
                document = Document.load(await store.load(summary.document))
                found[summary.document] = len(str(document.doc.get(ROOT, type=Text)))
        return found

    try:
        return anyio.run(read)
    except StoreError:
        return {}


def _in_pycrdt(file: Path) -> dict[str, int]:
    with closing(sqlite3.connect(file)) as connection:
        rows = connection.execute("SELECT path, yupdate FROM yupdates").fetchall()
    by_path: dict[str, list[bytes]] = {}
    for path, update in rows:
        by_path.setdefault(path.rpartition("/")[2], []).append(update)
    return {path: characters(updates) for path, updates in by_path.items()}


def _in_hocuspocus(file: Path) -> dict[str, int]:
    with closing(sqlite3.connect(file)) as connection:
        rows = connection.execute("SELECT name, data FROM documents").fetchall()
    return {name: characters([update]) for name, update in rows}


STORING: Final[dict[str, Peer]] = {
    "collab": Peer(
        server=SERVERS["collab"],
        dialect=YWebsocket("/ws"),
        file="collab.db",
        acknowledged=_echoed,
        stored=_in_collab,
        updates=500,
    ),
    "pycrdt-store": Peer(
        server=Server(
            name="pycrdt-store",
            command=lambda directory: [
                *(sys.executable, "-m", "benchmarks.storage.pycrdt_server"),
                str(directory / _FILE),
            ],
            environment=lambda _: {"PYTHONPATH": str(Path(__file__).parent.parent.parent)},
            dialect="y-websocket",
            path="",
        ),
        dialect=YWebsocket(""),
        file=_FILE,
        acknowledged=_echoed,
        stored=_in_pycrdt,
        updates=10,
    ),
    "hocuspocus": Peer(
        server=Server(
            name="hocuspocus-sqlite",
            command=lambda directory: [
                *("node", str(PEERS / "hocuspocus-sqlite" / "serve.mjs")),
                str(directory / _FILE),
            ],
            dialect="hocuspocus",
            path="/",
            package="hocuspocus-sqlite",
        ),
        dialect=Hocuspocus("/"),
        file=_FILE,
        acknowledged=_confirmed,
        stored=_in_hocuspocus,
        updates=500,
    ),
}
