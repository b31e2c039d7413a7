"""Documents on a server, as scripts without an event loop have them open."""

import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import anyio
import httpx
import pycrdt
import pytest

import collab
from collab.client import Access, BlockingDocument, Status, Timing
from collab.errors import (
    AccessDenied,
    ConnectionEnded,
    InvalidMessage,
    InvalidName,
    InvalidQuery,
    NotSaved,
    TimedOut,
    Unauthenticated,
    WrongThread,
)
from tests.client.gate import gate_to
from tests.client.writing import WITHIN_SECONDS
from tests.e2e.serving import Server, export, locked, serve
from tests.server.signing import SECRET, token

_INTERRUPTED = """
import sys

import collab

with collab.connect_blocking(sys.argv[1], "notes") as document:
    document.synced()
    print("waiting", flush=True)
    while True:
        document.next_change()
"""

_INTERRUPTED_WHILE_IT_STARTS = """
import os
import signal
import sys
import threading

import collab

program = threading.main_thread().ident


def waits():
    frame = sys._current_frames()[program]
    while frame is not None and frame.f_code.co_name != "result":
        frame = frame.f_back
    return frame is not None


def interrupt(*profiled):
    sys.setprofile(None)
    while not waits():
        pass
    os.kill(os.getpid(), signal.SIGINT)


threading.setprofile(interrupt)
with collab.connect_blocking(sys.argv[1], "notes"):
    pass
"""

_NOT_LEFT = """
import contextlib
import sys

import pycrdt

import collab
import collab.client

cells = contextlib.ExitStack()
document = cells.enter_context(
    collab.connect_blocking(sys.argv[1], "not left", timing=collab.client.Timing())
)
text = document.doc.get("content", type=pycrdt.Text)
text += "the end"
"""


def text_of(document: BlockingDocument) -> pycrdt.Text:
    text: pycrdt.Text = document.doc.get("content", type=pycrdt.Text)
    return text


def write(document: BlockingDocument, text: str) -> None:
    """Writes at the end."""
    shared = text_of(document)
    shared += text


def until(document: BlockingDocument, condition: Callable[[], bool]) -> None:
    """Takes in what others do until this is true."""
    while not condition():
        document.next_change(within_seconds=WITHIN_SECONDS)


def until_shows(document: BlockingDocument, text: str) -> None:
    until(document, lambda: str(text_of(document)) == text)


def complaint_about(document: BlockingDocument) -> str:
    """What is said of a document that does not come."""
    with pytest.raises(TimedOut) as waited:
        document.synced(within_seconds=0.1)
    return str(waited.value)


def test_what_was_written_is_durable_when_the_context_was_left(server: Server, room: str) -> None:
    with collab.connect_blocking(server.url, room) as document:
        write(document, "hello")
    with collab.connect_blocking(server.url, room) as document:
        document.synced(within_seconds=WITHIN_SECONDS)
        assert str(text_of(document)) == "hello"
        assert document.status is Status.CONNECTED


def test_the_history_knows_what_an_author_calls_itself(server: Server, room: str) -> None:
    with collab.connect_blocking(server.url, room, author="Ada") as document:
        write(document, "hello")
    path = f"{server.url}/api/docs/{room.replace('/', '%2F')}/attribution"
    assert httpx.get(path).json()["texts"][0]["runs"][0]["author"] == "~Ada"


def test_people_see_each_other_write(server: Server, room: str) -> None:
    with (
        collab.connect_blocking(server.url, room) as ada,
        collab.connect_blocking(server.url, room) as ben,
    ):
        write(ada, "hello")
        until_shows(ben, "hello")
        write(ben, " 👋🏽 world")
        until_shows(ada, "hello 👋🏽 world")
        del text_of(ada)[:5]
        until_shows(ben, " 👋🏽 world")


def test_what_others_change_comes_in_when_it_is_asked_for(server: Server, room: str) -> None:
    with (
        collab.connect_blocking(server.url, room) as ada,
        collab.connect_blocking(server.url, room) as ben,
        collab.connect_blocking(server.url, room) as witness,
    ):
        ada.synced(within_seconds=WITHIN_SECONDS)
        write(ben, "hello")
        until_shows(witness, "hello")
        assert ada.status is Status.CONNECTED
        ada.saved(within_seconds=WITHIN_SECONDS)
        assert str(text_of(ada)) == ""
        until_shows(ada, "hello")
        assert not ada.pull()


def test_a_change_of_one_s_own_is_no_news(server: Server, room: str) -> None:
    with collab.connect_blocking(server.url, room) as document:
        document.synced(within_seconds=WITHIN_SECONDS)
        document.pull()
        write(document, "hello")
        document.saved(within_seconds=WITHIN_SECONDS)
        assert not document.pull()
        with pytest.raises(TimedOut, match=r"expected it within 0\.1 s, got nothing"):
            document.next_change(within_seconds=0.1)


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("http://127.0.0.1:1", "no connection: .*connect"),
        ("{}/elsewhere", "no connection: HTTP status 404 at .*/elsewhere/sse: collab is mounted"),
    ],
)
def test_who_waits_in_vain_is_told_why_there_is_no_connection(
    server: Server, room: str, address: str, why: str
) -> None:
    with collab.connect_blocking(address.format(server.url), room) as document:
        deadline = time.monotonic() + WITHIN_SECONDS
        while not re.search(why, complaint_about(document)):
            assert time.monotonic() < deadline, complaint_about(document)
        assert re.search(why.removeprefix("no connection: "), document.outage or "")
        assert document.access is None


def test_more_changes_than_wait_for_the_connection_all_arrive(server: Server, room: str) -> None:
    with collab.connect_blocking(server.url, room) as document:
        for number in range(3000):
            write(document, f"{number} ")
        document.saved(within_seconds=WITHIN_SECONDS)
        assert document.pending_changes == 0
        written = str(text_of(document))
    with collab.connect_blocking(server.url, room) as document:
        document.synced(within_seconds=WITHIN_SECONDS)
        assert str(text_of(document)) == written


def test_nothing_is_saved_before_it_is_durable(store: Path) -> None:
    with serve(store) as server:
        with collab.connect_blocking(server.url, "notes") as document:
            write(document, "hello")
            document.saved(within_seconds=WITHIN_SECONDS)
            with locked(store):
                write(document, " world")
                with pytest.raises(TimedOut):
                    document.saved(within_seconds=0.5)
                assert document.pending_changes == 1
            document.saved(within_seconds=WITHIN_SECONDS)
        assert export(store, "notes").strip() == "hello world"


def test_edits_made_offline_are_sent_and_merged_on_return(server: Server, room: str) -> None:
    with (
        gate_to(server.port) as gate,
        collab.connect_blocking(gate.url, room) as ada,
        collab.connect_blocking(server.url, room) as ben,
    ):
        write(ada, "hello")
        until_shows(ben, "hello")
        gate.cut()
        until(ada, lambda: ada.status is Status.OFFLINE)
        write(ada, " from the train")
        text_of(ben).insert(0, "Oh, ")
        ben.saved(within_seconds=WITHIN_SECONDS)
        gate.mend()
        until_shows(ben, "Oh, hello from the train")
        until_shows(ada, "Oh, hello from the train")


def test_presence_is_shared_under_the_client_id_of_the_doc(server: Server, room: str) -> None:
    with (
        collab.connect_blocking(server.url, room) as ada,
        collab.connect_blocking(server.url, room) as ben,
    ):
        ada.show({"user": {"name": "Ada"}})
        until(ben, lambda: bool(ben.presence()))
        assert ben.presence() == {ada.doc.client_id: {"user": {"name": "Ada"}}}
        with pytest.raises(InvalidMessage):
            ada.show({"name": float("nan")})
        ada.show(None)
        until(ben, lambda: not ben.presence())


def test_messages_are_heard_by_others_and_counted(server: Server, room: str) -> None:
    with (
        collab.connect_blocking(server.url, room) as ada,
        collab.connect_blocking(server.url, room) as ben,
    ):
        ada.synced(within_seconds=WITHIN_SECONDS)
        ben.synced(within_seconds=WITHIN_SECONDS)
        heard = ben.messages()
        assert ada.send_message("ping", {"n": 1}, within_seconds=WITHIN_SECONDS) == 1
        message = next(heard)
        assert (message.type, message.payload) == ("ping", {"n": 1})
    assert list(heard) == []


def test_a_doc_that_is_given_is_kept_in_sync_with_what_is_in_it(server: Server, room: str) -> None:
    doc: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc()
    doc["content"] = pycrdt.Text("written before")
    with collab.connect_blocking(server.url, room, doc=doc) as document:
        assert document.doc is doc
        assert document.pending_changes == 1
        write(document, " and after")
    with collab.connect_blocking(server.url, room) as other:
        until_shows(other, "written before and after")


def test_it_works_where_an_event_loop_runs_already(server: Server, room: str) -> None:
    async def cell() -> str:
        with collab.connect_blocking(server.url, room) as document:
            write(document, "hello")
            document.saved(within_seconds=WITHIN_SECONDS)
            return str(text_of(document))

    assert anyio.run(cell) == "hello"


def test_a_refusal_is_raised_where_it_is_waited_for(store: Path) -> None:
    asked_in: list[str] = []

    def give() -> str:
        asked_in.append(threading.current_thread().name)
        return token(user="ben", docs={"notes": "read"})

    def write_as_a_reader(url: str) -> None:
        with collab.connect_blocking(url, "notes", token=give) as reader:
            reader.synced(within_seconds=WITHIN_SECONDS)
            assert reader.access is Access.READ
            write(reader, "hello")

    with serve(store, options=["--jwt-secret", SECRET]) as server:
        with collab.connect_blocking(server.url, "notes", token="none") as document:
            with pytest.raises(Unauthenticated):
                document.synced(within_seconds=WITHIN_SECONDS)
            assert document.status is Status.REFUSED
        with pytest.raises(AccessDenied, match="read-only"):
            write_as_a_reader(server.url)
    assert threading.current_thread().name not in asked_in
    assert not any(name.startswith("collab") for name in asked_in), "asked on the event loop"


def test_who_never_reached_a_server_is_told_on_leaving(room: str) -> None:
    def leave() -> None:
        timing = Timing(leave_seconds=0.2)
        with collab.connect_blocking("http://127.0.0.1:1", room, timing=timing) as document:
            write(document, "hello")
            with pytest.raises(TimedOut):
                document.synced(within_seconds=0.1)

    with pytest.raises(NotSaved, match="1 change that is not known to be, as there is no conn"):
        leave()


def test_what_the_program_raises_comes_out_at_once(room: str) -> None:
    def fail() -> None:
        with collab.connect_blocking("http://127.0.0.1:1", room) as document:
            write(document, "hello")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert not [thread for thread in threading.enumerate() if room in thread.name]


def test_who_has_left_is_told_so(server: Server, room: str) -> None:
    with collab.connect_blocking(server.url, room) as document:
        write(document, "hello")
    write(document, " world")
    assert str(text_of(document)) == "hello world"
    for call in (document.pull, document.saved, document.next_change, document.presence):
        with pytest.raises(ConnectionEnded, match="the document was left"):
            call()


def test_a_change_in_another_thread_raises_there_and_on_leaving_and_is_not_sent(
    server: Server, room: str
) -> None:
    def stray() -> None:
        with collab.connect_blocking(server.url, room) as document:
            write(document, "here")
            document.saved(within_seconds=WITHIN_SECONDS)
            with ThreadPoolExecutor() as elsewhere:
                failed = elsewhere.submit(text_of(document).insert, 4, " there").exception()
            assert isinstance(failed, ExceptionGroup)
            assert failed.subgroup(WrongThread) is not None
            with pytest.raises(ExceptionGroup) as following:
                write(document, " and here")
            assert following.group_contains(WrongThread)
            with pytest.raises(WrongThread):
                document.saved(within_seconds=WITHIN_SECONDS)

    with pytest.raises(WrongThread, match="thread that opened it"):
        stray()
    with collab.connect_blocking(server.url, room) as other:
        other.synced(within_seconds=WITHIN_SECONDS)
        assert str(text_of(other)) == "here"


def test_a_program_that_never_leaves_ends_when_all_is_saved(server: Server) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", _NOT_LEFT, server.url],
        capture_output=True,
        text=True,
        timeout=WITHIN_SECONDS,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    with collab.connect_blocking(server.url, "not left") as document:
        document.synced(within_seconds=WITHIN_SECONDS)
        assert str(text_of(document)).endswith("the end")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_program_that_never_leaves_says_so_where_nothing_can_be_saved(host: str) -> None:
    script = _NOT_LEFT.replace("Timing()", "Timing(leave_seconds=1)")
    ended = subprocess.run(
        [sys.executable, "-c", script, f"http://{host}:1"],
        capture_output=True,
        text=True,
        timeout=WITHIN_SECONDS,
    )
    assert "NotSaved: expected" in ended.stderr


def test_an_address_or_a_name_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidQuery), collab.connect_blocking("ftp://localhost", "notes"):
        pass
    with pytest.raises(InvalidName), collab.connect_blocking("http://localhost", ""):
        pass


def test_a_script_that_waits_can_be_interrupted(server: Server) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _INTERRUPTED, server.url],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as script:
        assert script.stdout is not None
        assert script.stdout.readline() == "waiting\n"
        script.send_signal(signal.SIGINT)
        _, said = script.communicate(timeout=WITHIN_SECONDS)
    assert said.rstrip().endswith("KeyboardInterrupt")
    assert "Exception ignored" not in said


def test_a_script_can_be_interrupted_while_its_thread_starts() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", _INTERRUPTED_WHILE_IT_STARTS, "http://127.0.0.1:1"],
        capture_output=True,
        text=True,
        timeout=WITHIN_SECONDS,
    )
    assert ended.stderr.rstrip().endswith("KeyboardInterrupt")
    assert "Exception ignored" not in ended.stderr
