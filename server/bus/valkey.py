"""The bus over Valkey or Redis: a stream for each busy document, and publish/subscribe.

A change is one call of a script: it is appended to the document's stream and published together
with its id there and the id before. Who is subscribed needs no look into streams: a gap in the ids
tells when to read one on. Where a stream does not reach back so far, instances ask each other.
Everything goes over two connections, one for commands, pipelined, and one for what is subscribed.
"""

import logging
import secrets
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

import anyio
import sniffio
from anyio.abc import TaskGroup
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from collab import lib0
from collab.errors import ProtocolError, SettingsError
from collab.server.bus.bus import Receiver

logger = logging.getLogger("collab")

_BEAT_SECONDS = 2.0
_DEAD_SECONDS = 7.0
"""An instance whose heartbeat was not heard for so long is gone: three beats, and some."""
_CUT_SECONDS = 6.0
"""Who does not hear its own heartbeat for so long is cut off, whatever its socket says."""
_AGAIN_SECONDS = 0.5
_CONNECT_SECONDS = 3.0
_ANSWER_SECONDS = 5.0
_SUBSCRIBE_SECONDS = 2.0
"""How long opening a document waits for the bus; it is served without, and asks later."""
_QUEUE_MAX_BYTES = 32 * 1024 * 1024
"""What may wait to be sent; beyond it everything waiting is dropped, and made good later."""
_DOCUMENTS_AT_ONCE = 100

_STREAM_ENTRIES = 500
"""How far a stream reaches back, about: by then a change is durable, and its instance answers."""
_STREAM_SECONDS = 60
"""How long a quiet document's stream is kept."""

_CHANGE = f"""
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
local before = last[1] and last[1][1] or ''
local id = redis.call('XADD', KEYS[1], 'MAXLEN', '~', {_STREAM_ENTRIES}, '*',
                      'i', ARGV[2], 'u', ARGV[3])
redis.call('EXPIRE', KEYS[1], {_STREAM_SECONDS})
redis.call('PUBLISH', ARGV[1], 'u ' .. before .. ' ' .. id .. ' ' .. ARGV[2] .. ' ' .. ARGV[3])
return id
"""

_FAILURES = (RedisError, OSError, TimeoutError)

_Command = tuple[str, str, bytes]
"""What to do, on which channel or for which document, and what to send."""


class ValkeyBus:
    """A bus over one Valkey or Redis server.

    It needs asyncio.

    Args:
        url: as redis-py reads it.
        prefix: what its keys and channels begin with: instances that share it share documents.
    """

    def __init__(self, url: str, prefix: str = "collab:0") -> None:
        self.instance = secrets.token_hex(8)
        self.failure: str | None = "not connected yet"
        self._url = url
        self._prefix = prefix
        self._everyone = f"{prefix}:instances"
        self._here = f"{prefix}:i:{self.instance}"
        self._last: dict[str, bytes | None] = {}
        self._confirmations: dict[str, anyio.Event] = {}
        self._late: set[str] = set()
        self._queue: list[_Command] = []
        self._queued_bytes = 0
        self._wake = anyio.Event()
        self._heard_at: dict[str, float] = {}
        self._echo_at = 0.0
        self._receiver: Receiver | None = None
        self._tasks: TaskGroup | None = None
        self._hearing: anyio.CancelScope | None = None
        self._pubsub: PubSub | None = None
        self._commands: Redis | None = None
        self._script = ""

    @asynccontextmanager
    async def joined(self, receiver: Receiver) -> AsyncIterator[None]:
        """Takes part for as long as the context lasts."""
        if sniffio.current_async_library() != "asyncio":
            raise SettingsError("expected asyncio for a bus over Valkey, got another event loop")
        self._receiver = receiver
        self._commands = self._connect(_ANSWER_SECONDS)
        connected = anyio.Event()
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            tasks.start_soon(self._stay_connected, connected)
            tasks.start_soon(self._send)
            tasks.start_soon(self._beat)
            with anyio.move_on_after(_CONNECT_SECONDS):
                await connected.wait()
            try:
                yield
            finally:
                tasks.cancel_scope.cancel()
                with anyio.move_on_after(1, shield=True):
                    await self._leave()

    async def subscribe(self, document: str) -> None:
        """Hears of a document from here on."""
        self._last[document] = None
        pubsub = self._pubsub
        if self.failure is not None or pubsub is None:
            return
        channel = self._channel(document)
        confirmed = self._confirmations.setdefault(channel, anyio.Event())
        with anyio.move_on_after(_SUBSCRIBE_SECONDS):
            try:
                await pubsub.subscribe(channel)
                await confirmed.wait()
                await self._read_streams([document])
                return
            except _FAILURES as error:
                self._restart(error)
                return
        self._late.add(channel)

    def unsubscribe(self, document: str) -> None:
        """Hears of it no more."""
        self._last.pop(document, None)
        self._put(("unsubscribe", document, b""))

    def change(self, document: str, update: bytes) -> None:
        """Tells all others of a change."""
        self._put(("change", document, update))

    def say(self, document: str, frame: bytes, *, to: str | None = None) -> None:
        """Tells all others something, or one of them."""
        head = f"f {self.instance} ".encode()
        if to is None:
            self._put(("publish", self._channel(document), head + frame))
        else:
            name = lib0.write_var_string(document)
            self._put(("publish", f"{self._prefix}:i:{to}", head + name + frame))

    def _put(self, command: _Command) -> None:
        if self.failure is not None:
            return
        self._queue.append(command)
        self._queued_bytes += len(command[2])
        if self._queued_bytes > _QUEUE_MAX_BYTES:
            self._restart(TimeoutError("too much waits to be sent"))
        self._wake.set()

    def _channel(self, document: str) -> str:
        return f"{self._prefix}:d:{document}"

    def _stream(self, document: str) -> str:
        return f"{self._prefix}:u:{document}"

    def _connect(self, answer_seconds: float | None) -> Redis:
        client: Redis = Redis.from_url(
            self._url,
            socket_connect_timeout=_CONNECT_SECONDS,
            socket_timeout=answer_seconds,
            single_connection_client=answer_seconds is not None,
            retry=Retry(NoBackoff(), 0),
        )
        return client

    # What is heard.

    async def _stay_connected(self, connected: anyio.Event) -> None:
        while True:
            try:
                with anyio.CancelScope() as self._hearing:
                    await self._hear(connected)
            except _FAILURES as error:
                self._cut_off(error)
            await anyio.sleep(_AGAIN_SECONDS)

    async def _hear(self, connected: anyio.Event) -> None:
        assert self._commands is not None
        async with self._connect(None) as client, client.pubsub() as pubsub:
            documents = list(self._last)
            await pubsub.subscribe(self._everyone, self._here, *map(self._channel, documents))
            with anyio.fail_after(_ANSWER_SECONDS):
                unconfirmed = len(documents) + 2
                while unconfirmed:
                    message = await pubsub.get_message(timeout=_ANSWER_SECONDS)
                    if message is not None:
                        unconfirmed -= message["type"] == "subscribe"
                        self._take(message)
                self._script = await self._commands.script_load(_CHANGE)
            self._pubsub = pubsub
            self._echo_at = time.monotonic()
            self._heard_at = dict.fromkeys(self._heard_at, self._echo_at)
            if self.failure is not None and connected.is_set():
                logger.warning("the bus is there again")
            self.failure = None
            connected.set()
            try:
                assert self._tasks is not None
                # What came meanwhile waits in the connection: nothing is lost between.
                self._tasks.start_soon(self._make_good, documents)
                while True:
                    message = await pubsub.get_message(timeout=_BEAT_SECONDS)
                    if message is not None:
                        self._take(message)
                    if time.monotonic() - self._echo_at > _CUT_SECONDS:
                        raise TimeoutError("it does not answer")
            finally:
                self._pubsub = None

    async def _make_good(self, documents: Sequence[str]) -> None:
        """After it was cut off: reads streams on, and has instances ask each other."""
        try:
            for first in range(0, len(documents), _DOCUMENTS_AT_ONCE):
                some = documents[first : first + _DOCUMENTS_AT_ONCE]
                await self._read_streams(some)
                for document in some:
                    self._tell_missed(document)
            for document in self._last.keys() - set(documents):
                if self._pubsub is not None:  # Asked for while there was no connection.
                    await self._pubsub.subscribe(self._channel(document))
                    self._late.add(self._channel(document))
        except _FAILURES as error:
            self._restart(error)

    def _take(self, message: Mapping[str, object]) -> None:
        channel, payload = message["channel"], message["data"]
        assert isinstance(channel, bytes)
        if message["type"] == "subscribe":
            self._confirm(channel.decode())
        elif message["type"] == "message":
            assert isinstance(payload, bytes)
            try:
                self._take_payload(channel.decode(), payload)
            except (ValueError, ProtocolError):
                logger.error("expected what an instance publishes on %s, got %r", channel, payload)

    def _take_payload(self, channel: str, payload: bytes) -> None:
        if channel == self._everyone:
            self._take_beat(payload)
        elif channel == self._here:
            _, instance, rest = payload.split(b" ", 2)
            document, position = lib0.read_var_string(rest, 0)
            self._pass_on(document, rest[position:], instance.decode())
        else:
            self._take_news(channel.removeprefix(self._channel("")), payload)

    def _take_news(self, document: str, payload: bytes) -> None:
        if document not in self._last:
            return
        if payload.startswith(b"f "):
            _, instance, frame = payload.split(b" ", 2)
            self._pass_on(document, frame, instance.decode())
            return
        _, before, id_, instance, update = payload.split(b" ", 4)
        last = self._last[document]
        if last is not None and _order(id_) <= _order(last):
            return  # Read from the stream already.
        self._last[document] = id_
        if last is not None and before and before != last:
            assert self._tasks is not None
            self._tasks.start_soon(self._fill, document, last)
        self._pass_on_change(document, update, instance.decode())

    def _take_beat(self, payload: bytes) -> None:
        kind, beating = payload.split(b" ", 1)
        instance = beating.decode()
        if instance == self.instance:
            self._echo_at = time.monotonic()
        elif kind == b"left":
            self._heard_at.pop(instance, None)
            self._tell_gone(instance, left=True)
        else:
            self._heard_at[instance] = time.monotonic()

    def _confirm(self, channel: str) -> None:
        confirmed = self._confirmations.pop(channel, None)
        if confirmed is not None:
            confirmed.set()
        if channel in self._late:
            self._late.discard(channel)
            self._tell_missed(channel.removeprefix(self._channel("")))

    async def _fill(self, document: str, last: bytes) -> None:
        try:
            await self._read_streams([document], {document: last})
        except _FAILURES as error:
            self._restart(error)

    async def _read_streams(
        self, documents: Sequence[str], since: Mapping[str, bytes | None] | None = None
    ) -> None:
        """Reads streams on from what was heard last; has those asked about that are cut short."""
        assert self._commands is not None
        begin = {document: self._last.get(document) for document in documents}
        begin.update(since or {})
        async with self._commands.pipeline(transaction=False) as pipeline:
            for document in documents:
                pipeline.xrange(self._stream(document), min=begin[document] or "-")
            streams = await pipeline.execute()
        for document, entries in zip(documents, streams, strict=True):
            last = begin[document]
            reaches = last is None or (bool(entries) and entries[0][0] == last)
            for id_, fields in entries:
                if id_ != last:
                    self._pass_on_change(document, fields[b"u"], fields[b"i"].decode())
            if entries and document in self._last:
                newest = self._last[document]
                if newest is None or _order(entries[-1][0]) > _order(newest):
                    self._last[document] = entries[-1][0]
            if not reaches:
                self._tell_missed(document)

    def _pass_on(self, document: str, frame: bytes, instance: str) -> None:
        if instance != self.instance and document in self._last:
            self._note(instance)
            assert self._receiver is not None
            self._receiver.heard(document, frame, instance)

    def _pass_on_change(self, document: str, update: bytes, instance: str) -> None:
        if instance != self.instance and document in self._last:
            self._note(instance)
            assert self._receiver is not None
            self._receiver.changed(document, update, instance)

    def _tell_missed(self, document: str) -> None:
        if document in self._last:
            assert self._receiver is not None
            self._receiver.missed(document)

    def _tell_gone(self, instance: str, *, left: bool) -> None:
        assert self._receiver is not None
        self._receiver.gone(instance, left=left)

    def _note(self, instance: str) -> None:
        """An instance that was heard of only in a stream may be dead already."""
        self._heard_at.setdefault(instance, time.monotonic())

    # What is sent.

    async def _send(self) -> None:
        while True:
            while not self._queue:
                self._wake = anyio.Event()
                await self._wake.wait()
            queue, self._queue, self._queued_bytes = self._queue, [], 0
            try:
                await self._execute(queue)
            except _FAILURES as error:
                self._restart(error)

    async def _execute(self, queue: Sequence[_Command]) -> None:
        assert self._commands is not None
        async with self._commands.pipeline(transaction=False) as pipeline:
            for kind, where, payload in queue:
                if kind == "change":
                    stream, channel = self._stream(where), self._channel(where)
                    pipeline.evalsha(self._script, 1, stream, channel, self.instance, payload)
                elif kind == "publish":
                    pipeline.publish(where, payload)
                elif where not in self._last and self._pubsub is not None:
                    await self._pubsub.unsubscribe(self._channel(where))
            if len(pipeline):
                await pipeline.execute()

    async def _beat(self) -> None:
        while True:
            self._put(("publish", self._everyone, f"alive {self.instance}".encode()))
            await anyio.sleep(_BEAT_SECONDS)
            if self.failure is not None:
                continue  # Who is cut off cannot know who else is gone.
            limit = time.monotonic() - _DEAD_SECONDS
            for instance in [each for each, at in self._heard_at.items() if at < limit]:
                del self._heard_at[instance]
                logger.warning("instance %s is gone without a word", instance)
                self._tell_gone(instance, left=False)

    async def _leave(self) -> None:
        assert self._commands is not None
        try:
            if self.failure is None:
                if self._queue:
                    await self._execute(self._queue)
                await self._commands.publish(self._everyone, f"left {self.instance}")
        except _FAILURES as error:
            logger.warning("leaving the bus: %s", error)
        finally:
            await self._commands.aclose()

    def _restart(self, error: Exception) -> None:
        """Begins anew where commands fail: what was dropped is made good then."""
        self._cut_off(error)
        if self._hearing is not None:
            self._hearing.cancel()

    def _cut_off(self, error: Exception) -> None:
        if self.failure is None:
            logger.error("cut off from the bus: documents are served and stored: %s", error)
        self.failure = str(error) or type(error).__name__
        self._queue.clear()
        self._queued_bytes = 0
        for confirmed in self._confirmations.values():
            confirmed.set()
        self._confirmations.clear()


def _order(id_: bytes) -> tuple[int, int]:
    """What ids of stream entries are ordered by."""
    first, _, second = id_.partition(b"-")
    return int(first), int(second)
