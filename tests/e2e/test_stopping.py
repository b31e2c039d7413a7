"""How ``collab serve`` ends: what is under way ends with it, unless it is told twice."""

import signal
import socket
from contextlib import suppress
from pathlib import Path

import pycrdt
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from collab.close import CloseCode
from collab.protocol import yjs
from tests.e2e.reading import Reader
from tests.e2e.serving import load, locked, serve

_DEADLINE_SECONDS = 20.0


def read_to_end(connection: socket.socket) -> bytes:
    connection.settimeout(_DEADLINE_SECONDS)
    answer = b""
    while piece := connection.recv(4096):
        answer += piece
    return answer


def test_a_request_under_way_is_taken_in_and_answered(store: Path, transport: str) -> None:
    doc: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc()
    doc["text"] = pycrdt.Text("hello")
    update = doc.get_update()
    with (
        serve(store, transport=transport) as server,
        socket.create_connection(("127.0.0.1", server.port)) as connection,
    ):
        head = "POST /api/docs/notes/updates HTTP/1.1\r\nHost: localhost\r\n"
        head += f"Content-Length: {len(update)}\r\nExpect: 100-continue\r\n\r\n"
        connection.sendall(head.encode())
        assert connection.recv(4096).startswith(b"HTTP/1.1 100")  # It waits for the body.
        server.tell_to_stop()
        connection.sendall(update)
        assert read_to_end(connection).startswith(b"HTTP/1.1 204")
        assert server.process.wait(_DEADLINE_SECONDS) == 0
    assert load(store, "notes").seq == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_it_at_once(store: Path, number: signal.Signals) -> None:
    doc: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc()
    with (
        serve(store, options=("--drain-seconds", "60")) as server,
        connect(f"{server.websockets}/notes") as editor,
        connect(f"{server.websockets}/notes") as reader,
        locked(store),
    ):
        doc["text"] = pycrdt.Text("unsaved")
        editor.send(yjs.update(doc.get_update()))
        Reader(reader).read_until("unsaved")
        server.tell_to_stop()
        server.process.send_signal(number)
        assert server.process.wait(_DEADLINE_SECONDS) == -number


@pytest.mark.parametrize("then", [None, signal.SIGHUP])
def test_a_terminal_that_is_closed_ends_it_in_order(
    store: Path, then: signal.Signals | None
) -> None:
    """Shells tell it once more."""
    doc: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc()
    with (
        serve(store) as server,
        connect(f"{server.websockets}/notes") as editor,
        connect(f"{server.websockets}/notes") as reader,
    ):
        with locked(store):
            doc["text"] = pycrdt.Text("unsaved")
            editor.send(yjs.update(doc.get_update()))
            Reader(reader).read_until("unsaved")
            server.process.send_signal(signal.SIGHUP)
            with suppress(ConnectionClosed):
                while True:
                    editor.recv(_DEADLINE_SECONDS)
            assert editor.close_code == CloseCode.RESTART
            if then is not None:
                server.process.send_signal(then)
        assert server.process.wait(_DEADLINE_SECONDS) == 0
    assert load(store, "notes").seq == 1


def test_under_nohup_it_goes_on(store: Path) -> None:
    with serve(store, under=("nohup",)) as server:
        server.process.send_signal(signal.SIGHUP)
        server.terminate()
