"""Buses of one group over a real Valkey, for tests, and what receivers hear of them."""

import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.lowlevel
from redis.asyncio import Redis

from collab.server.bus.bus import Receiver
from collab.server.bus.deployment import Entrance, Standalone
from collab.server.bus.marks import Mark
from collab.server.bus.valkey import ValkeyBus
from tests.valkey import ValkeyProcess

_DEADLINE_SECONDS = 20.0


class Ear:
    """A receiver that keeps what it hears."""

    def __init__(self) -> None:
        self.changes: list[bytes] = []
        self.numbers: list[int | None] = []
        self.marks: list[Mark] = []
        self.reopenings = 0
        self.cuts = 0
        self.unanswered_questions: list[str] = []
        self.frames: list[bytes] = []
        self.announcements: list[bytes] = []
        self.misses = 0
        self.returns = 0
        self.leavers: list[str] = []
        self.dead: dict[str, int] = {}
        self._changed = anyio.Event()

    def changed(self, document: str, update: bytes, instance: str, number: int | None) -> None:
        self.changes.append(update)
        self.numbers.append(number)
        self._announce()

    def reopened(self, document: str, instance: str) -> None:
        self.reopenings += 1
        self._announce()

    def marked(self, document: str, mark: Mark, instance: str) -> None:
        self.marks.append(mark)
        self._announce()

    def unanswered(self, document: str, instance: str) -> None:
        self.unanswered_questions.append(document)
        self._announce()

    def cut_off(self) -> None:
        self.cuts += 1
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

    def left(self, instance: str) -> None:
        self.leavers.append(instance)
        self._announce()

    def died(self, instance: str, *, turn: int) -> None:
        self.dead[instance] = turn
        self._announce()

    async def until(self, holds: Callable[[], bool]) -> None:
        with anyio.fail_after(_DEADLINE_SECONDS):
            while not holds():
                await self._changed.wait()

    def _announce(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()


def _pairs(read: Any) -> Any:
    """What a read of streams brings, by stream: a mapping or pairs, as the protocol has it."""
    return read.items() if isinstance(read, dict) else read or ()


class Line:
    """Several buses of one group, and a look at what the server keeps for them."""

    def __init__(self, server: ValkeyProcess) -> None:
        self._server = server
        self._prefix = secrets.token_hex(4)

    @asynccontextmanager
    async def bus(self, *, port: int | None = None) -> AsyncIterator[tuple[ValkeyBus, Ear]]:
        """Joins one more bus.

        Args:
            port: where it finds the server; the server's own unless given.
        """
        ear = Ear()
        async with self.join(ear, port=port) as bus:
            yield bus, ear

    @asynccontextmanager
    async def join(
        self, receiver: Receiver, *, port: int | None = None
    ) -> AsyncIterator[ValkeyBus]:
        """Joins one more bus, for a receiver."""
        address = (self._server.host, port or self._server.port)
        deployment = Standalone(Entrance("redis", "", ""), address)
        bus = ValkeyBus(deployment, prefix=self._prefix)
        async with bus.joined(receiver):
            yield bus

    async def kept(self, document: str, count: int) -> list[bytes]:
        """The changes in a document's stream, once there are so many."""
        async with self._client() as client:
            with anyio.fail_after(_DEADLINE_SECONDS):
                last, changes = "0", list[bytes]()
                while len(changes) < count:
                    read: Any = await client.xread({self._key(document): last}, block=1000)
                    for id_, fields in (entry for _, entries in _pairs(read) for entry in entries):
                        last = id_
                        changes.append(fields[b"u"])
        return changes

    async def until_empty(self, document: str) -> None:
        """Waits until nothing is in a document's stream any more."""
        async with self._client() as client:
            with anyio.fail_after(_DEADLINE_SECONDS):
                while await client.xlen(self._key(document)):
                    await anyio.lowlevel.checkpoint()

    async def has_stream(self, document: str) -> bool:
        """Whether there ever was a stream, a minute back."""
        async with self._client() as client:
            return bool(await client.exists(self._key(document)))

    async def publish(self, document: str, payload: bytes) -> None:
        """Says something on a document's channel."""
        async with self._client() as client:
            await client.publish(self._key(document), payload)

    async def keep(self, document: str, fields: dict[str, bytes]) -> None:
        """Puts something into a document's stream."""
        async with self._client() as client:
            await client.xadd(self._key(document), fields)  # type: ignore[arg-type]  # its stub: a mapping of more

    async def heard_of(self) -> list[str]:
        """The documents that somebody hears of."""
        async with self._client() as client:
            channels: Any = await client.pubsub_channels(self._key("*"))
        return [channel.decode().removeprefix(self._key("")) for channel in channels]

    def _key(self, document: str) -> str:
        return f"{self._prefix}:d:{document}"

    async def say_alive(self, instance: str) -> None:
        """Says once that an instance is there."""
        async with self._client() as client:
            await client.publish(f"{self._prefix}:instances", f"alive {instance}")

    def _client(self) -> Redis:
        return Redis(host=self._server.host, port=self._server.port)
