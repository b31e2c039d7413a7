"""Link: the connections to one server of Valkey or Redis, for commands and for what is heard."""

import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import TracebackType

import anyio
from redis.asyncio import Redis
from redis.asyncio.client import Pipeline, PubSub
from redis.exceptions import ClusterError

from collab.server.bus.deployment import ANSWER_SECONDS, FAILURES, Node, connect

_PING_SECONDS = 2.0
_CUT_SECONDS = 6.0
"""Where pings are not answered for so long nothing else comes either, whatever the socket says."""
_QUEUE_MAX_BYTES = 32 * 1024 * 1024
"""What may wait to be sent; beyond it everything waiting is dropped, and made good later."""

_STREAM_ENTRIES = 500
"""How far a stream reaches back at most, about, however long the store takes."""
_STREAM_SECONDS = 60
"""How long a quiet document's stream is kept."""

_APPEND = f"""
local id = redis.call('XADD', KEYS[1], 'MAXLEN', '~', {_STREAM_ENTRIES}, '*',
                      'i', ARGV[1], 'n', ARGV[2], 'u', ARGV[3])
redis.call('EXPIRE', KEYS[1], {_STREAM_SECONDS})
return id
"""
"""Appends a change to a stream, which goes a while after the last one."""


@dataclass(frozen=True, slots=True)
class Published:
    """Something that is published and not kept.

    Attributes:
        channel: where.
        payload: what.
    """

    channel: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Appended:
    """A change that is kept in a stream.

    Attributes:
        channel: the stream: it has the name of the document's channel.
        instance: whose change it is.
        number: its number among that one's.
        payload: the change.
        placed: called with its id in the stream.
    """

    channel: str
    instance: str
    number: int
    payload: bytes
    placed: Callable[[bytes], None]


@dataclass(frozen=True, slots=True)
class Removed:
    """Entries of a stream that are not needed any more.

    Attributes:
        channel: the stream.
        ids: theirs.
    """

    channel: str
    ids: Sequence[bytes]


Command = Published | Appended | Removed


class Link:
    """Sends commands to one node, all that wait in one go, and hears what it was subscribed to.

    It does not outlive an error: ``failed`` is called with it, and another link is to be made.

    Args:
        node: which.
        sharded: whether it is one of a cluster, whose channels belong to nodes as its keys do.
        take: called with the channel and the payload of what is published.
        confirmed: called with a channel once it is subscribed to.
        failed: called when it is of no use any more.
    """

    def __init__(
        self,
        node: Node,
        *,
        sharded: bool,
        take: Callable[[str, bytes], None],
        confirmed: Callable[[str], None],
        failed: Callable[[Exception], None],
    ) -> None:
        self.node = node
        self._sharded = sharded
        self._take = take
        self._confirmed = confirmed
        self._failed = failed
        self._commands: Redis = connect(node.url)
        self._pubsub: PubSub = self._commands.pubsub()
        self._left: set[str] = set()
        self._closed = False
        self._using = anyio.Lock()
        self._script = ""
        self._queue: list[Command] = []
        self._queued_bytes = 0
        self._wake = anyio.Event()

    async def __aenter__(self) -> "Link":
        """Connects.

        Raises:
            RedisError: it cannot be reached, or does not do what is needed.
            OSError: likewise.
        """
        try:
            self._script = await self._commands.script_load(_APPEND)
            await self._pubsub.connect()  # type: ignore[no-untyped-call]  # redis-py's own
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Sends nothing any more, and disconnects."""
        await self._close()

    async def subscribe(self, channels: Sequence[str]) -> None:
        """Asks to hear channels of its own; ``confirmed`` is called for each.

        Raises:
            RedisError: the node fails.
            OSError: likewise, or it was left already.
        """
        async with self._used():
            if not self._sharded:
                await self._pubsub.subscribe(*channels)
                return
            for channel in channels:  # One command may name channels of one slot alone.
                await self._pubsub.ssubscribe(channel)

    async def unsubscribe(self, channel: str) -> None:
        """Hears of a channel no more.

        Raises:
            RedisError: the node fails.
            OSError: likewise, or it was left already.
        """
        async with self._used():
            if self._sharded:
                self._left.add(channel)
                await self._pubsub.sunsubscribe(channel)
            else:
                await self._pubsub.unsubscribe(channel)

    async def hear_all(self, channels: Sequence[str]) -> None:
        """Subscribes to channels and returns once all are confirmed.

        Raises:
            TimeoutError: that takes too long.
            RedisError: the node fails.
            OSError: likewise.
        """
        if not channels:
            return
        with anyio.fail_after(ANSWER_SECONDS):
            await self.subscribe(channels)
            unconfirmed = len(channels)
            while unconfirmed:
                message = await self._pubsub.get_message(timeout=ANSWER_SECONDS)
                unconfirmed -= message is not None and message["type"] in _CONFIRMED
                self._pass_on(message)

    async def listen(self) -> None:
        """Passes on what is heard, until it fails."""
        pinged_at = heard_at = time.monotonic()
        try:
            while True:
                message = await self._pubsub.get_message(timeout=_PING_SECONDS)
                self._pass_on(message)
                now = time.monotonic()
                if message is not None:
                    heard_at = now
                elif now - heard_at > _CUT_SECONDS:
                    raise TimeoutError("it does not answer")
                if now - pinged_at >= _PING_SECONDS:
                    pinged_at = now
                    await self._pubsub.ping()
        except FAILURES as error:
            self._failed(error)

    def put(self, command: Command) -> None:
        """Has a command sent, after those before it."""
        self._queue.append(command)
        if not isinstance(command, Removed):
            self._queued_bytes += len(command.payload)
        if self._queued_bytes > _QUEUE_MAX_BYTES:
            self._failed(TimeoutError("too much waits to be sent"))
        self._wake.set()

    async def send(self) -> None:
        """Sends what is put, until it fails."""
        try:
            while True:
                while not self._queue:
                    self._wake = anyio.Event()
                    await self._wake.wait()
                await self.flush()
        except FAILURES as error:
            self._failed(error)

    async def flush(self) -> None:
        """Sends what waits.

        Raises:
            RedisError: the node fails.
            OSError: likewise.
        """
        queue, self._queue, self._queued_bytes = self._queue, [], 0
        if not queue:
            return
        async with self._used(), self._commands.pipeline(transaction=False) as pipeline:
            for command in queue:
                self._write(pipeline, command)
            answers = await pipeline.execute()
        for command, answer in zip(queue, answers, strict=True):
            if isinstance(command, Appended):
                command.placed(answer)

    async def read(
        self, channels: Sequence[str]
    ) -> Sequence[Sequence[tuple[bytes, Mapping[bytes, bytes]]]]:
        """Reads streams.

        Returns:
            For each stream, in order, ids of entries and their fields.

        Raises:
            RedisError: the node fails.
            OSError: likewise, or it was left already.
        """
        async with self._used(), self._commands.pipeline(transaction=False) as pipeline:
            for channel in channels:
                pipeline.xrange(channel)
            return await pipeline.execute()

    @asynccontextmanager
    async def _used(self) -> AsyncIterator[None]:
        """One at a time, so that there is one connection for commands, and none is made too late.

        Raises:
            OSError: it is closed: it would connect again by itself, and nobody would close it.
        """
        async with self._using:
            if self._closed:
                raise ConnectionResetError("expected an open link, got one that has failed")
            yield

    async def _close(self) -> None:
        self._closed = True
        with anyio.move_on_after(1, shield=True):
            async with self._using:
                pass  # Whoever was at it is through.
        with anyio.move_on_after(1, shield=True):
            await self._pubsub.aclose()  # type: ignore[no-untyped-call]  # redis-py's own
            await self._commands.aclose()

    def _write(self, pipeline: Pipeline, command: Command) -> None:
        if isinstance(command, Published):
            publish = "SPUBLISH" if self._sharded else "PUBLISH"
            pipeline.execute_command(publish, command.channel, command.payload)
        elif isinstance(command, Appended):
            own = (command.instance, command.number, command.payload)
            pipeline.evalsha(self._script, 1, command.channel, *own)
        else:
            pipeline.xdel(command.channel, *command.ids)

    def _pass_on(self, message: Mapping[str, object] | None) -> None:
        if message is None:
            return
        kind, channel, payload = message["type"], message["channel"], message["data"]
        if kind in _CONFIRMED:
            assert isinstance(channel, bytes)
            self._confirmed(channel.decode())
        elif kind in _PUBLISHED:
            assert isinstance(channel, bytes)
            assert isinstance(payload, bytes)
            self._take(channel.decode(), payload)
        elif kind == "sunsubscribe":
            assert isinstance(channel, bytes)
            if channel.decode() not in self._left:  # Nobody asked: another node serves it now.
                raise ClusterError(f"{channel!r} has moved to another node")
            self._left.discard(channel.decode())


_CONFIRMED = ("subscribe", "ssubscribe")
_PUBLISHED = ("message", "smessage")
