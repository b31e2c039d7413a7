"""The load on a real server: nothing missing is nothing missing, and what is missing shows."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.load.authors import Author
from benchmarks.load.crowd import Crowd
from benchmarks.load.dialect import YWebsocket, sync_update
from benchmarks.load.ledger import Ledger, changes_read
from benchmarks.load.window import settle
from benchmarks.load.workloads import Stage, steady
from benchmarks.measure import ProcessTree
from benchmarks.servers import SERVERS, Running, run
from benchmarks.trace import Patch, Trace, TraceError, read_trace, replay


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Running]:
    with run(SERVERS["collab"], tmp_path) as running:
        yield running


@pytest.fixture
def crowd(server: Running) -> Iterator[Crowd]:
    with Crowd(server.port, YWebsocket("/ws")) as crowd:
        yield crowd


@pytest.mark.parametrize("moves", [False, True])
def test_every_message_reaches_every_other_client_once(
    server: Running, crowd: Crowd, moves: bool
) -> None:
    stage = Stage(crowd, ProcessTree(server.pid), 0, 0.5)
    outcome = steady(stage, rooms=2, writers=3, readers=2, rate=20, moves=moves)
    assert (outcome.missing, outcome.delivered) == (0, 2 * 3 * 4 * 10)
    assert outcome.p50_ms is not None
    assert 0 < outcome.p50_ms < 10_000
    assert outcome.peak_bytes > 1_000_000


def test_an_update_that_was_never_sent_is_missing(server: Running, crowd: Crowd) -> None:
    writer, reader = (crowd.client("a", Author.id(number)) for number in range(2))
    crowd.connect([writer, reader])
    updates = Author(0).type(4)
    ledger = Ledger(changes_read, supersedes=False)
    ledger.expect(writer, 0, 4, [writer, reader])
    for number, update in enumerate(updates):
        ledger.sent(writer, 0.0)
        if number != 2:
            crowd.send(writer, writer.frame(sync_update(update)))
    settle(crowd, ProcessTree(server.pid))
    ledger.read(crowd)
    tally = ledger.tally()
    assert (tally.missing, len(tally.latencies)) == (1, 3)


def test_a_trace_is_typed_by_code_points_and_acknowledged(tmp_path: Path, server: Running) -> None:
    path = tmp_path / "trace.json.gz"
    patches = [[[0, 0, "ab"]], [[1, 0, "🙂é"]], [[2, 1, ""], [3, 0, "c"]], [[0, 1, "𝄞"]]]
    recorded = {
        "startContent": "",
        "endContent": "𝄞🙂bc",
        "txns": [{"patches": edit} for edit in patches],
    }
    path.write_bytes(gzip.compress(json.dumps(recorded).encode()))
    url = f"ws://127.0.0.1:{server.port}/ws/trace"
    done = replay(read_trace(path), url)
    assert (done.edits, done.text) == (4, "𝄞🙂bc")
    with pytest.raises(TraceError, match="to be empty"):
        replay(read_trace(path), url)


def test_a_trace_that_ends_otherwise_is_refused(server: Running) -> None:
    trace = Trace("", "b", [[Patch(0, 0, "a")]])
    with pytest.raises(TraceError, match="characters"):
        replay(trace, f"ws://127.0.0.1:{server.port}/ws/trace")


def test_a_file_that_is_no_trace_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "no-trace"
    path.write_bytes(b"hello")
    with pytest.raises(TraceError, match="expected an editing trace"):
        read_trace(path)
