"""A connection that outlives its requests, without HTTP: on asyncio and on trio."""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import anyio
import anyio.lowlevel
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collab.close import CloseCode
from collab.errors import SessionEnded
from collab.event_stream import EventReader
from collab.server.connection import Connection
from collab.server.metrics import Metrics
from collab.server.settings import Settings
from collab.server.timers import make_timers
from collab.server.transports.resumable import ResumableConnection
from tests.server.wire import DEADLINE_SECONDS

pytestmark = pytest.mark.anyio

SMALL = Settings(outbox_max_bytes=100, poll_seconds=0.01)


class Recorder:
    """A peer that writes down what it is told."""

    def __init__(self) -> None:
        self.known = True
        self.calls: list[str] = []
        self.frames: list[bytes] = []
        self.is_over = anyio.Event()
        self.owed: bytes | None = None
        self._connection: Connection | None = None

    def opened(self, connection: Connection) -> None:
        self._connection = connection

    def receive(self, frame: bytes) -> None:
        self.frames.append(frame)

    def pause(self) -> None:
        self.calls.append("pause")

    def resume(self) -> None:
        self.calls.append("resume")
        assert self._connection is not None
        if self.owed is not None:
            self._connection.send(self.owed)

    def ended(self) -> None:
        self.calls.append("ended")
        self.is_over.set()


class Parts:
    """A connection, its peer, and whether anyone can come back to it."""

    def __init__(self, connection: ResumableConnection, peer: Recorder) -> None:
        self.connection = connection
        self.peer = peer


@asynccontextmanager
async def open_connection(settings: Settings = SMALL) -> AsyncIterator[tuple[Parts, anyio.Event]]:
    timers = make_timers()
    peer = Recorder()
    forgotten = anyio.Event()
    connection = ResumableConnection("abc", peer, settings, timers, Metrics(), forgotten.set)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(timers.run)
        connection.open()
        with anyio.fail_after(DEADLINE_SECONDS):
            yield Parts(connection, peer), forgotten
        tasks.cancel_scope.cancel()


async def poll(connection: ResumableConnection, number: int = 0) -> list[bytes]:
    """Polls once; returns the frames."""
    events = await connection.poll(number, resumed=True)
    assert events is not None
    read = EventReader().feed(events)
    return [base64.b64decode(event.text) for event in read if event.type == "frame"]


async def test_frames_wait_for_a_reader_and_are_kept_until_it_has_them() -> None:
    async with open_connection() as (parts, _):
        connection = parts.connection
        connection.send(b"one")
        connection.send(b"two")
        assert await poll(connection) == [b"one", b"two"]
        assert await poll(connection, 1) == [b"two"]
        assert await poll(connection, 2) == []
        assert not connection.can_resume(1)
        assert connection.can_resume(2)
        assert not connection.can_resume(3)


async def test_what_is_kept_has_a_bound_beyond_which_nobody_can_resume() -> None:
    async with open_connection() as (parts, _):
        connection = parts.connection
        for _ in range(5):
            connection.send(bytes(30))
        assert await poll(connection) == [bytes(30)] * 5
        assert not connection.can_resume(0)
        assert connection.can_resume(2)


async def test_a_full_outbox_pauses_its_peer_until_a_reader_has_come() -> None:
    async with open_connection() as (parts, _):
        parts.peer.owed = b"a diff"
        for _ in range(6):
            parts.connection.send(bytes(20))
        assert parts.peer.calls == ["pause"]
        assert await poll(parts.connection) == [bytes(20)] * 6
        assert parts.peer.calls == ["pause", "resume"]
        assert await poll(parts.connection, 6) == [b"a diff"]


async def test_what_was_written_counts_as_waiting_until_there_is_room_for_more() -> None:
    async with open_connection() as (parts, _), anyio.create_task_group() as tasks:
        written = anyio.Event()
        room = anyio.Event()

        async def write(piece: bytes) -> None:
            if b"event: frame" in piece:
                written.set()
                await room.wait()

        async def stream() -> None:
            await parts.connection.stream(0, write, resumed=True)

        tasks.start_soon(stream)
        parts.connection.send(bytes(60))
        await written.wait()
        assert parts.connection.queued_bytes == 60
        parts.connection.send(bytes(60))
        assert parts.peer.calls == ["pause"]
        room.set()
        tasks.cancel_scope.cancel()


async def test_a_newer_reader_gets_what_an_older_one_had_in_hand() -> None:
    async with open_connection() as (parts, _), anyio.create_task_group() as tasks:
        written = anyio.Event()

        async def write(piece: bytes) -> None:
            if b"event: frame" in piece:
                written.set()
                await anyio.sleep_forever()

        async def stream() -> None:
            await parts.connection.stream(0, write, resumed=True)

        tasks.start_soon(stream)
        parts.connection.send(b"one")
        await written.wait()
        assert await poll(parts.connection) == [b"one"]


async def test_what_was_written_long_ago_is_kept_no_more() -> None:
    """Who was not heard for ``dead_seconds`` does not come back to it."""
    settings = Settings(heartbeat_seconds=0.01, dead_seconds=0.05)
    async with open_connection(settings) as (parts, _), anyio.create_task_group() as tasks:
        written = 0
        connection = parts.connection

        async def write(piece: bytes) -> None:
            nonlocal written
            written += piece.count(b"event: frame")

        async def stream() -> None:
            await connection.stream(0, write, resumed=True)

        tasks.start_soon(stream)
        sent = 0
        while connection.can_resume(0):
            connection.send(b"x")
            sent += 1
            while written < sent:
                await anyio.lowlevel.checkpoint()
        assert connection.can_resume(sent)
        tasks.cancel_scope.cancel()


async def test_a_stream_that_was_cut_has_less_waiting_for_it() -> None:
    async with open_connection(Settings(outbox_max_bytes=1_000)) as (parts, _):
        connection = parts.connection
        assert await poll(connection) == []
        connection.send(bytes(400))
        assert parts.peer.calls == []
        begun = anyio.Event()

        async def write(piece: bytes) -> None:
            begun.set()
            await anyio.sleep_forever()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(partial(connection.stream, 0, write, resumed=True))
            await begun.wait()
            tasks.cancel_scope.cancel()
        assert parts.peer.calls == ["pause"]
        assert await poll(connection) == [bytes(400)]
        assert parts.peer.calls == ["pause", "resume"]


async def test_who_had_all_that_was_in_hand_when_its_stream_was_cut_gets_more() -> None:
    async with open_connection() as (parts, _):
        connection = parts.connection
        connection.send(bytes(60))
        written = anyio.Event()

        async def write(piece: bytes) -> None:
            if b"event: frame" in piece:
                written.set()
                await anyio.sleep_forever()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(partial(connection.stream, 0, write, resumed=True))
            await written.wait()
            tasks.cancel_scope.cancel()
        assert parts.peer.calls == ["pause"]
        parts.peer.owed = b"a diff"
        assert await poll(connection, 1) == [b"a diff"]
        assert parts.peer.calls == ["pause", "resume"]


async def test_without_a_reader_it_ends_after_a_while() -> None:
    async with open_connection(Settings(resume_seconds=0.01)) as (parts, forgotten):
        await forgotten.wait()
        await parts.peer.is_over.wait()
        with pytest.raises(SessionEnded):
            parts.connection.receive(1, [])


async def test_a_close_ends_its_peer_once_and_later_than_the_call() -> None:
    async with open_connection() as (parts, forgotten):
        parts.connection.close(CloseCode.FORBIDDEN, "no")
        assert parts.peer.calls == []
        await parts.peer.is_over.wait()
        assert not forgotten.is_set()
        events = await parts.connection.poll(0, resumed=True)
        assert events is not None
        assert b"4403" in events
        parts.connection.abort()
        assert forgotten.is_set()
        parts.connection.send(b"too late")
        assert parts.peer.calls == ["ended"]


async def test_posts_wait_while_nothing_is_read() -> None:
    async with open_connection() as (parts, _):
        parts.connection.pause_reading()
        with anyio.move_on_after(0.01) as patience:
            await parts.connection.readable()
        assert patience.cancelled_caught
        parts.connection.resume_reading()
        await parts.connection.readable()
        parts.connection.receive(1, [b"a", b"b"])
        assert parts.peer.frames == [b"a", b"b"]


async def test_a_newer_post_ends_an_older_one() -> None:
    async with open_connection() as (parts, _), anyio.create_task_group() as tasks:
        waiting = anyio.Event()
        gave_up = anyio.Event()

        async def post() -> None:
            with parts.connection.posting(float("inf")):
                waiting.set()
                await anyio.sleep_forever()
            gave_up.set()

        tasks.start_soon(post)
        await waiting.wait()
        with parts.connection.posting(float("inf")):
            await gave_up.wait()


async def test_who_is_too_fast_is_read_from_more_slowly() -> None:
    settings = Settings(connection_messages_per_second=1)
    async with open_connection(settings) as (parts, _):
        parts.connection.receive(1, [b""] * 2)
        await parts.connection.readable()
        parts.connection.receive(2, [b""])
        with anyio.move_on_after(0.05) as patience:
            await parts.connection.readable()
        assert patience.cancelled_caught
        assert len(parts.peer.frames) == 3


@given(st.lists(st.sampled_from(["send", "poll", "lose"]), max_size=60))
def test_whatever_gets_lost_each_frame_comes_once_and_in_order(steps: list[str]) -> None:
    anyio.run(_lose, steps)


async def _lose(steps: list[str]) -> None:
    """Sends and polls; answers that are lost are asked for again, as far as that goes."""
    sent: list[bytes] = []
    got: list[bytes] = []
    async with open_connection() as (parts, _):
        for step in [*steps, "poll", "poll"]:
            if step == "send":
                sent.append(b"%d" % len(sent))
                parts.connection.send(sent[-1])
                continue
            if not parts.connection.can_resume(len(got)):
                assert len(sent) > len(got)  # Something was lost: the client would begin anew.
                return
            events = await parts.connection.poll(len(got), resumed=False)
            assert events is not None
            if step == "poll":
                frames = [each for each in EventReader().feed(events) if each.type == "frame"]
                got += [base64.b64decode(each.text) for each in frames]
                assert [each.id for each in frames] == [
                    f"abc.{number}" for number in range(len(got) - len(frames) + 1, len(got) + 1)
                ]
            assert got == sent[: len(got)]
    assert got == sent
