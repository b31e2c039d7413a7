"""A document on a server, read over a WebSocket and written over REST."""

import time

import httpx
import pycrdt
from websockets.sync.client import ClientConnection

from collab.protocol import yjs
from collab.protocol.messages import SyncStep1, SyncStep2, Update
from tests.e2e.serving import Server

_DEADLINE_SECONDS = 20.0


class Reader:
    """Reads a document on one server, as y-websocket does."""

    def __init__(self, socket: ClientConnection) -> None:
        self.doc: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc()
        self._socket = socket
        socket.send(yjs.sync_step1(self.doc.get_state()))

    def read_until(self, text: str) -> None:
        deadline = time.monotonic() + _DEADLINE_SECONDS
        while str(self.doc.get("text", type=pycrdt.Text)) != text:
            frame = self._socket.recv(timeout=deadline - time.monotonic())
            assert isinstance(frame, bytes)
            message = yjs.decode(frame)
            if isinstance(message, (SyncStep2, Update)):
                self.doc.apply_update(message.update)
            elif isinstance(message, SyncStep1):
                self._socket.send(yjs.sync_step2(self.doc.get_update(message.state_vector)))


def write(
    server: Server, doc: "pycrdt.Doc[pycrdt.Text]", word: str, *, document: str = "d"
) -> None:
    """Adds to a document over REST; it is durable when this returns."""
    text = doc.get("text", type=pycrdt.Text)
    text += word
    httpx.post(
        f"{server.url}/api/docs/{document}/updates", content=doc.get_update()
    ).raise_for_status()
