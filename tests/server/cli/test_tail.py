"""``collab tail``, as people run it beside a server."""

import json
import os
import re
import select
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import IO

import httpx
import pytest

import collab
from collab.client.server_address import ServerAddress, read_document_address
from collab.errors import InvalidName, InvalidQuery
from tests.client.gate import gate_to
from tests.client.test_blocking import text_of, write
from tests.e2e.serving import COLLAB, Server, serve
from tests.server.signing import SECRET, token

_WITHIN_SECONDS = 30.0
_MOMENT = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  ")


class Tail:
    """A command that runs.

    Attributes:
        process: the process.
    """

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        self.process = process
        self._read = {1: b"", 2: b""}

    def line(self) -> str:
        """The next line on standard output."""
        return self._line(1, self.process.stdout)

    def error(self) -> str:
        """The next line on standard error."""
        return self._line(2, self.process.stderr)

    def told(self) -> str:
        """The next line on standard output, without its time."""
        line = self.line()
        assert _MOMENT.match(line), line
        return _MOMENT.sub("", line)

    def interrupt(self) -> int:
        """Presses Ctrl-C; returns the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(_WITHIN_SECONDS)

    def _line(self, number: int, stream: IO[bytes] | None) -> str:
        assert stream is not None
        deadline = time.monotonic() + _WITHIN_SECONDS
        while b"\n" not in self._read[number]:
            ready, _, _ = select.select([stream], [], [], deadline - time.monotonic())
            piece = os.read(stream.fileno(), 4096) if ready else b""
            assert piece, f"expected a line, got {self._read[number]!r}"
            self._read[number] += piece
        line, _, self._read[number] = self._read[number].partition(b"\n")
        return line.decode()


@contextmanager
def tailing(*arguments: str) -> Iterator[Tail]:
    """Runs the command; where it still runs at the end, it is killed."""
    with subprocess.Popen(
        [COLLAB, "tail", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            yield Tail(process)
        finally:
            process.kill()


def refused(*arguments: str, environment: dict[str, str] | None = None) -> tuple[int, str]:
    """Exit code and standard error of a command that ends by itself."""
    done = subprocess.run(
        [COLLAB, "tail", *arguments],
        capture_output=True,
        text=True,
        timeout=_WITHIN_SECONDS,
        env=os.environ | (environment or {}),
    )
    assert done.stdout == ""
    return done.returncode, done.stderr


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "collab.db"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that asks for tokens."""
    store = tmp_path_factory.mktemp("tail") / "collab.db"
    with serve(store, options=["--jwt-secret", SECRET]) as running:
        yield running


def test_it_tells_who_does_what_and_ctrl_c_ends_it(store: Path) -> None:
    options = ["--jwt-secret", SECRET]
    with serve(store, options=options) as server:
        url = f"{server.url}/team/plan"
        with (
            collab.connect_blocking(server.url, "team/plan", token=token(user="ada")) as ada,
            tailing(url, "--token", token(user="ben")) as tail,
        ):
            ada.synced(within_seconds=_WITHIN_SECONDS)
            ada.show({"user": {"name": "Ada"}})
            assert tail.told().startswith("ada  is here: ")
            write(ada, "hello 👋🏽")
            assert re.fullmatch(
                r"ada  change 1: 10 inserted, 0 deleted \(\d+ B\)", line := tail.told()
            ), line
            del text_of(ada)[:5]
            assert "0 inserted, 5 deleted" in tail.told()
            ada.show({"user": {"name": "Ada"}, "cursor": 3})
            assert tail.told().startswith("ada  shows ")
            ada.send_message("ping", {"text": "\x9b31mred"}, within_seconds=_WITHIN_SECONDS)
            assert tail.told() == r'ada  said ping: {"text": "\x9b31mred"}'
            httpx.post(
                f"{server.url}/api/docs/team%2Fplan/versions",
                json={"name": "first"},
                headers={"Authorization": f"Bearer {token(user='ada')}"},
            ).raise_for_status()
            assert tail.told() == "ada  named first: the document after change 2"
            ada.show(None)
            assert tail.told() == "ada  left"
            assert tail.interrupt() == 130
            assert tail.process.communicate() == (b"", b"")


def test_with_json_each_line_is_what_the_feed_says(store: Path) -> None:
    with (
        serve(store) as server,
        collab.connect_blocking(server.url, "notes") as ada,
        tailing(f"{server.url}/notes", "--json") as tail,
    ):
        assert json.loads(tail.line()) == {
            "type": "presence",
            "payload": {"present": [], "gone": []},
        }
        write(ada, "hello")
        change = json.loads(tail.line())
        assert change["type"] == "change"
        assert change["payload"]["seq"] == 1
        assert change["payload"]["inserted"] == 5


def test_it_comes_back_after_a_cut_and_leaves_no_change_out(store: Path) -> None:
    with (
        serve(store) as server,
        gate_to(server.port) as gate,
        collab.connect_blocking(server.url, "notes") as ada,
        collab.connect_blocking(server.url, "notes") as ben,
        tailing(f"{gate.url}/notes") as tail,
    ):
        ada.show({"user": {"name": "Ada"}})
        assert tail.told().startswith("Ada  is here")
        write(ada, "a")
        assert "change 1: " in tail.told()
        gate.cut()
        assert tail.error().startswith("collab: the connection is lost: ")
        for _ in range(3):
            write(ada, "b")
            ada.saved(within_seconds=_WITHIN_SECONDS)
        ada.show(None)
        ben.show({"user": {"name": "Ben"}})
        ben.saved(within_seconds=_WITHIN_SECONDS)
        gate.mend()
        assert tail.error() == "collab: the connection is back"
        told = [tail.told() for _ in range(5)]
        assert told[0].startswith("Ben  is here")
        assert told[1] == "Ada  left"
        assert [re.sub(r"-  (change \d+: ).*", r"\1", line) for line in told[2:]] == [
            "change 2: ",
            "change 3: ",
            "change 4: ",
        ]
        write(ada, "c")
        assert "change 5: " in tail.told()


def test_it_ends_where_the_document_is_deleted(store: Path) -> None:
    with serve(store) as server:
        with collab.connect_blocking(server.url, "notes") as ada:
            write(ada, "hello")
        with tailing(f"{server.url}/notes", "--json") as tail:
            tail.line()
            httpx.delete(f"{server.url}/api/docs/notes").raise_for_status()
            assert tail.process.wait(_WITHIN_SECONDS) == 1
            said = tail.process.stderr.read().decode() if tail.process.stderr else ""
        assert said.splitlines()[-1] == "collab: no document named 'notes': it was deleted"
        code, said = refused(f"{server.url}/notes")
        assert (code, said) == (1, "collab: no document named 'notes': it was deleted\n")


class TestRefusals:
    def test_without_a_token_that_is_good_it_says_so(self, guarded: Server) -> None:
        for arguments in ([], ["--token", "none"]):
            code, said = refused(f"{guarded.url}/notes", *arguments)
            assert code == 1
            assert re.fullmatch(r"collab: expected .*(credentials|Token).*\n", said), said

    def test_a_token_comes_from_the_environment_and_may_open_other_documents(
        self, guarded: Server
    ) -> None:
        narrow = {"COLLAB_TOKEN": token(docs={"mine": "read"})}
        code, said = refused(f"{guarded.url}/theirs", environment=narrow)
        assert code == 1
        assert "expected access" in said or "may not" in said, said

    def test_nobody_there_is_said_at_once(self) -> None:
        code, said = refused("http://127.0.0.1:1/notes")
        assert code == 1
        assert said.startswith("collab: expected a connection, got its end: ")

    def test_a_server_that_is_not_mounted_there_is_named(self, guarded: Server) -> None:
        code, said = refused(f"{guarded.url}/elsewhere/notes", "--mount", "elsewhere")
        assert code == 1
        path = "/elsewhere/api/docs/notes/events"
        assert said == f"collab: expected a path that is served here, got {path!r}\n"

    def test_a_server_that_is_not_collab_is_told_from_one_that_refuses(
        self, tmp_path: Path
    ) -> None:
        pages = partial(SimpleHTTPRequestHandler, directory=tmp_path)
        with ThreadingHTTPServer(("127.0.0.1", 0), pages) as other:
            thread = threading.Thread(target=other.serve_forever)
            thread.start()
            try:
                code, said = refused(f"http://127.0.0.1:{other.server_port}/notes")
            finally:
                other.shutdown()
                thread.join()
        assert code == 1
        got = "HTTP status 404 at /api/docs/notes/events: collab is mounted elsewhere, or not there"
        assert said == f"collab: expected an answer of collab, got {got}\n"

    @pytest.mark.parametrize(
        "address", ["notes", "ftp://host/notes", "http://host", "http://host/"]
    )
    def test_what_is_no_address_of_a_document_is_refused(self, address: str) -> None:
        code, said = refused(address)
        assert code == 2
        assert said.startswith("collab: expected http")


def test_an_address_names_a_server_and_a_document() -> None:
    read = read_document_address
    assert read("http://host:1/team/plan") == (ServerAddress("http://host:1"), "team/plan")
    assert read("https://host/%E2%82%AC%2F%3F") == (ServerAddress("https://host"), "€/?")
    assert read("ws://host/a/b/c", "/a/b/") == (ServerAddress("http://host/a/b"), "c")
    for url, mount in (("http://host/a", "b"), ("http://host/a/", "a"), ("http://host/a?b", "")):
        with pytest.raises(InvalidQuery):
            read(url, mount)
    with pytest.raises(InvalidName):
        read("http://host/%ff")
