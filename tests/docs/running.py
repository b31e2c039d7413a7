"""Apps from the documentation under a real server, and somebody who edits over a WebSocket."""

import os
import re
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pycrdt
from websockets.sync.client import ClientConnection, connect

from collab import lib0
from collab.protocol import yjs
from collab.protocol.messages import SyncStep1, SyncStep2, Update

SERVERS = {
    "uvicorn": ["uvicorn", "--port", "0"],
    "hypercorn": ["hypercorn", "--bind", "127.0.0.1:0"],
    "hypercorn on trio": ["hypercorn", "--bind", "127.0.0.1:0", "--worker-class", "trio"],
}
DEADLINE_SECONDS = 20.0


@contextmanager
def run(code: str, folder: Path, server: str = "uvicorn") -> Iterator[str]:
    """Runs an app from a page, named ``app`` there; gives the address it listens on."""
    (folder / "example.py").write_text(code)
    command = [sys.executable, "-m", *SERVERS[server], "example:app"]
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE) as process:
        try:
            yield _address(process)
        finally:
            process.terminate()
            try:
                process.communicate(timeout=DEADLINE_SECONDS)
            finally:
                process.kill()


def _address(process: "subprocess.Popen[bytes]") -> str:
    assert process.stderr is not None
    until = time.monotonic() + DEADLINE_SECONDS
    said = ""
    while select.select([process.stderr], [], [], max(0, until - time.monotonic()))[0]:
        # Not readline: it takes in more than it gives back, and select knows nothing of that.
        read = os.read(process.stderr.fileno(), 4096)
        said += read.decode()
        found = re.search(r"[Rr]unning on (http://\S+) ", said)
        if found:
            return found[1]
        if not read:
            break
    raise AssertionError(f"expected a server that listens, got {said!r}")


class Editor:
    """Somebody who has a document open over a WebSocket.

    Attributes:
        doc: their copy.
    """

    def __init__(self, socket: ClientConnection, doc: "pycrdt.Doc[Any]") -> None:
        self.doc = doc
        self._socket = socket
        self._echoed = 0
        socket.send(yjs.sync_step1(doc.get_state()))

    def text(self, root: str = "content") -> str:
        """What they see."""
        return str(self.doc.get(root, type=pycrdt.Text))

    def sees(self, text: str, root: str = "content") -> bool:
        """Waits until they see this text; False where they do not in time."""
        return self.until(lambda: self.text(root) == text)

    def send(self) -> None:
        """Sends all they have, and waits until the server says that it is durable."""
        echoed = self._echoed
        self._socket.send(yjs.update(self.doc.get_update()))
        assert self.until(lambda: self._echoed > echoed)

    def refused(self) -> str:
        """Sends all they have, and waits for the server's reason to refuse it."""
        self._socket.send(yjs.update(self.doc.get_update()))
        while True:
            frame = self._socket.recv(timeout=DEADLINE_SECONDS)
            assert isinstance(frame, bytes)
            if frame[:2] == b"\x02\x00":  # auth: permission denied
                reason, _ = lib0.read_var_bytes(frame, 2)
                return reason.decode()

    def until(self, condition: Callable[[], bool]) -> bool:
        """Takes in what comes until a condition holds; False where it does not in time."""
        until = time.monotonic() + DEADLINE_SECONDS
        while not condition():
            try:
                frame = self._socket.recv(timeout=max(0, until - time.monotonic()))
            except TimeoutError:
                return False
            assert isinstance(frame, bytes)
            if frame[0] != 0:
                continue
            message = yjs.decode(frame)
            if isinstance(message, SyncStep1):
                self._socket.send(yjs.sync_step2(b"\x00\x00"))
            elif isinstance(message, (SyncStep2, Update)):
                self._echoed += isinstance(message, Update)
                self.doc.apply_update(message.update)
        return True


@contextmanager
def edit(
    url: str,
    *,
    doc: "pycrdt.Doc[Any] | None" = None,
    headers: Mapping[str, str] | None = None,
) -> Iterator[Editor]:
    """Opens the document at ``http://HOST/ws/NAME``."""
    with connect(url.replace("http://", "ws://"), additional_headers=headers) as socket:
        yield Editor(socket, doc if doc is not None else pycrdt.Doc())
