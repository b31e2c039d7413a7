"""The profile: each sample is counted where its time goes."""

import pytest

from benchmarks.profile import place, shares

LOOP = "uv__io_poll (linux.c:1409)"
ROOM = "Room.receive (collab/server/rooms/room.py:163)"
APPLY = "Doc.apply_update (pycrdt/_doc.py:205)"


@pytest.mark.parametrize(
    ("stack", "where"),
    [
        ([LOOP, ROOM, "WSTransport_send (picows/picows.so)", "send (libc.so.6)"], "send"),
        ([LOOP, "recv (libc.so.6)"], "reading"),
        (["WorkerThread.run (anyio/_asyncio.py:9)", "fdatasync (libc.so.6)"], "the log"),
        (["WorkerThread.run (anyio/_asyncio.py:9)", "sqlite3_step (libsqlite3.so.0)"], "SQLite"),
        ([LOOP, ROOM, APPLY, "gc_collect_main (libpython3.11.so.1.0)"], "CRDT"),
        ([LOOP, ROOM, APPLY, "_RNvMs3_NtCs (pycrdt/_pycrdt.abi3.so)"], "CRDT"),
        ([LOOP, ROOM, "malloc (libc.so.6)"], "rooms"),
        ([LOOP, ROOM, "Session.read (collab/session.py:97)"], "checking"),
        ([LOOP, "NativeConnection.send (collab/server/transports/native.py:66)"], "connections"),
        (["main (somewhere.c)"], "else"),
    ],
)
def test_a_sample_counts_where_the_innermost_known_frame_is(stack: list[str], where: str) -> None:
    found = place(stack)
    assert found is not None
    assert where in found


@pytest.mark.parametrize(
    "stack",
    [
        ["WorkerThread.run (anyio/_asyncio.py:9)", "0x7feff88a3f16 (libc.so.6)"],
        [LOOP, "epoll_pwait (libc.so.6)"],
        [LOOP, "_Guest._admit (collab/server/transports/frontdoor.py:292)", "send (libc.so.6)"],
        [LOOP, "open_document (collab/server/rooms/opening.py:54)"],
    ],
)
def test_waiting_and_arriving_do_not_count(stack: list[str]) -> None:
    assert place(stack) is None


def test_shares_are_of_all_that_counts_the_largest_first() -> None:
    samples = [f"{LOOP};{ROOM} 1", f"{LOOP};{ROOM};{APPLY} 3", "x;0x7feff88a3f16 (libc.so.6) 90"]
    assert shares(samples) == {"the CRDT (pycrdt)": 0.75, "collab: rooms": 0.25}
    assert list(shares(samples)) == ["the CRDT (pycrdt)", "collab: rooms"]
