"""The bus over a real Valkey: what it keeps, how it notices gaps, and what it does then."""

import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from redis.asyncio import Redis

from collab.server.bus.deployment import Entrance, Standalone
from collab.server.bus.valkey import ValkeyBus
from tests.valkey import ValkeyProcess, one_server

pytestmark = pytest.mark.anyio

_DEADLINE_SECONDS = 20.0


@pytest.fixture
def anyio_backend() -> str:
    """The client of Valkey needs asyncio."""
    return "asyncio"


@pytest.fixture(scope="module")
def valkey() -> Iterator[ValkeyProcess]:
    with one_server() as server:
        yield server


class Ear:
    """A receiver that keeps what it hears."""

    def __init__(self) -> None:
        self.changes: list[bytes] = []
        self.frames: list[bytes] = []
        self.announcements: list[bytes] = []
        self.misses = 0
        self.returns = 0
        self.left: list[str] = []
        self._changed = anyio.Event()

    def changed(self, document: str, update: bytes, instance: str) -> None:
        self.changes.append(update)
        self._announce()

    def heard(self, document: str, frame: bytes, instance: str) -> None:
        self.frames.append(frame)
        self._announce()

    def missed(self, document: str) -> None:
        self.misses += 1
        self._announce()

    def announced(self, frame: bytes, instance: str) -> None:
        self.announcements.append(frame)
        self._announce()

    def returned(self) -> None:
        self.returns += 1
        self._announce()

    def gone(self, instance: str, *, left: bool) -> None:
        self.left.append(instance)
        self._announce()

    async def until(self, holds: Callable[[], bool]) -> None:
        with anyio.fail_after(_DEADLINE_SECONDS):
            while not holds():
                await self._changed.wait()

    def _announce(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()


class Line:
    """Several buses of one group, and a look at what the server keeps for them."""

    def __init__(self, server: ValkeyProcess) -> None:
        self._server = server
        self._prefix = secrets.token_hex(4)

    @asynccontextmanager
    async def bus(self) -> AsyncIterator[tuple[ValkeyBus, Ear]]:
        """Joins one more bus."""
        deployment = Standalone(Entrance("redis", "", ""), (self._server.host, self._server.port))
        bus, ear = ValkeyBus(deployment, prefix=self._prefix), Ear()
        async with bus.joined(ear):
            yield bus, ear

    async def kept(self, document: str) -> list[bytes]:
        """The changes in a document's stream."""
        async with self._client() as client:
            stream: Any = await client.xrange(f"{self._prefix}:d:{document}")
        return [fields[b"u"] for _, fields in stream]

    async def lose(self, document: str, change: bytes) -> None:
        """Appends a change of which nobody is told."""
        async with self._client() as client:
            await client.xadd(f"{self._prefix}:d:{document}", {"i": "lost", "u": change})

    async def trim(self, document: str) -> None:
        """Takes everything out of a document's stream."""
        async with self._client() as client:
            await client.xtrim(f"{self._prefix}:d:{document}", maxlen=0, approximate=False)

    async def publish(self, document: str, payload: bytes) -> None:
        """Says something on a document's channel."""
        async with self._client() as client:
            await client.publish(f"{self._prefix}:d:{document}", payload)

    def _client(self) -> Redis:
        return Redis(host=self._server.host, port=self._server.port)


@pytest.fixture
def line(valkey: ValkeyProcess) -> Line:
    return Line(valkey)


async def test_a_change_is_kept_until_it_is_durable_and_the_next_one_comes(line: Line) -> None:
    async with line.bus() as (one, _), line.bus() as (other, ear):
        await one.subscribe("d")
        await other.subscribe("d")
        one.change("d", b"a")
        one.change("d", b"b")
        await ear.until(lambda: ear.changes == [b"a", b"b"])
        assert await line.kept("d") == [b"a", b"b"]
        one.committed("d", 1)
        one.change("d", b"c")
        await ear.until(lambda: len(ear.changes) == 3)
        assert await line.kept("d") == [b"b", b"c"]
        one.committed("d", 2)
        other.change("d", b"d")
        one.change("d", b"e")
        await ear.until(lambda: len(ear.changes) == 4)
        assert sorted(await line.kept("d")) == [b"d", b"e"]
        assert ear.misses == 0


async def test_what_is_durable_before_it_is_sent_is_not_kept_longer_either(line: Line) -> None:
    async with line.bus() as (one, _), line.bus() as (other, ear):
        await one.subscribe("d")
        await other.subscribe("d")
        one.change("d", b"a")
        one.committed("d", 1)
        await ear.until(lambda: ear.changes == [b"a"])
        one.change("d", b"b")
        await ear.until(lambda: ear.changes == [b"a", b"b"])
        assert await line.kept("d") == [b"b"]


async def test_one_that_comes_later_hears_what_is_not_durable_yet_and_nothing_twice(
    line: Line,
) -> None:
    async with line.bus() as (one, _), line.bus() as (before, ear_before):
        await one.subscribe("d")
        await before.subscribe("d")
        for change in (b"a", b"b"):
            one.change("d", change)
        await ear_before.until(lambda: len(ear_before.changes) == 2)
        one.committed("d", 1)
        one.change("d", b"c")
        await ear_before.until(lambda: len(ear_before.changes) == 3)
        async with line.bus() as (after, ear):
            await after.subscribe("d")
            assert ear.changes == [b"b", b"c"]
            one.change("d", b"d")
            await ear.until(lambda: ear.changes == [b"b", b"c", b"d"])


async def test_a_gap_is_filled_from_the_stream(line: Line) -> None:
    async with line.bus() as (one, _), line.bus() as (other, ear):
        await one.subscribe("d")
        await other.subscribe("d")
        one.change("d", b"a")
        await ear.until(lambda: ear.changes == [b"a"])
        await line.lose("d", b"b")
        one.change("d", b"c")
        await ear.until(lambda: b"b" in ear.changes)
        assert ear.misses == 0


async def test_a_gap_that_the_stream_does_not_fill_is_told(line: Line) -> None:
    async with line.bus() as (one, _), line.bus() as (other, ear):
        await one.subscribe("d")
        await other.subscribe("d")
        one.change("d", b"a")
        await ear.until(lambda: ear.changes == [b"a"])
        await line.lose("d", b"b")
        await line.trim("d")
        one.change("d", b"c")
        await ear.until(lambda: ear.misses == 1)
        assert set(ear.changes) == {b"a", b"c"}


async def test_what_does_not_come_from_an_instance_is_left_alone(line: Line) -> None:
    async with line.bus() as (one, _), line.bus() as (other, ear):
        await one.subscribe("d")
        await other.subscribe("d")
        for payload in (b"", b"u", b"u 1", b"what?", b"u x y z w"):
            await line.publish("d", payload)
        one.change("d", b"a")
        await ear.until(lambda: ear.changes == [b"a"])


async def test_a_frame_for_one_is_heard_by_nobody_else(line: Line) -> None:
    async with line.bus() as (one, _), line.bus() as (two, second), line.bus() as (three, third):
        for bus in (one, two, three):
            await bus.subscribe("d")
        one.say("d", b"for two", to=two.instance)
        one.say("d", b"for all")
        await second.until(lambda: second.frames == [b"for two", b"for all"])
        await third.until(lambda: third.frames == [b"for all"])


async def test_what_is_about_no_document_is_heard_by_all_others(line: Line) -> None:
    async with line.bus() as (one, own), line.bus() as (_, ear):
        one.announce(b"for all, with spaces")
        await ear.until(lambda: ear.announcements == [b"for all, with spaces"])
        assert own.announcements == []
        assert own.returns == ear.returns == 1


async def test_who_leaves_says_so(line: Line) -> None:
    async with line.bus() as (_, ear):
        async with line.bus() as (other, _):
            pass
        await ear.until(lambda: ear.left == [other.instance])


async def test_a_document_opened_anew_at_once_is_heard_of(line: Line) -> None:
    async with line.bus() as (one, _), line.bus() as (other, ear):
        await one.subscribe("d")
        for number in range(20):
            await other.subscribe("d")
            one.say("d", b"%d" % number)
            await ear.until(lambda number=number: ear.frames[-1:] == [b"%d" % number])  # type: ignore[misc]  # a closure in a loop
            other.unsubscribe("d")
