"""Link: the connection to one server of Valkey or Redis, for commands and for what is heard."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import NamedTuple

import anyio
from hiredis import PushNotification, Reader, pack_command
from redis.exceptions import ClusterError, InvalidResponse, ReadOnlyError, ResponseError

from collab.server.bus.deployment import ANSWER_SECONDS, FAILURES, Node
from collab.server.bus.socket import Socket
from collab.server.loop_context import loop_context

_PING_SECONDS = 2.0
_CUT_SECONDS = 6.0
"""Where pings are not answered for so long nothing else comes either, whatever the socket says."""
_GATHER_SECONDS = 0.005
"""The least time between two packets: each wakes the server and every instance that hears of it."""
_QUEUE_MAX_BYTES = 32 * 1024 * 1024
"""What may wait to be sent; beyond it everything waiting is dropped, and made good later."""

_NOTHING = object()
"""What the reader gives where nothing more is complete."""

_STREAM_ENTRIES = 500
"""How far a stream reaches back at most, about, however long the store takes."""
_STREAM_SECONDS = 60
"""How long a quiet document's stream is kept."""

_APPEND = f"""
local id = redis.pcall('XADD', KEYS[1], 'MAXLEN', '~', {_STREAM_ENTRIES}, '*',
                       'i', ARGV[1], 'n', ARGV[2], 'u', ARGV[3])
if type(id) == 'table' then
  if string.find(id.err, 'OOM', 1, true) then return false end
  return id
end
redis.call('EXPIRE', KEYS[1], {_STREAM_SECONDS})
return id
"""
"""Appends a change to a stream, which goes a while after the last one; false where it is full."""

_READ = """
local from, room, entries = ARGV[1], tonumber(ARGV[2]), {}
while true do
  local next = redis.call('XRANGE', KEYS[1], from, '+', 'COUNT', 1)[1]
  if not next then return {entries, 0} end
  for _, part in ipairs(next[2]) do room = room - #part end
  if room < 0 then return {entries, 1} end
  entries[#entries + 1] = next
  from = '(' .. next[1]
end
"""
"""Reads entries of a stream, as far as so many bytes go, and whether there are more."""

LONGEST_BYTES = 8 * 1024 * 1024
"""What is longer goes by way of the store: it would fill what waits to be sent, here or there."""
_GLANCE_MAX_BYTES = 64 * 1024
"""What is read of each stream at first, together with others."""
_PAGE_MAX_BYTES = 16 * 1024 * 1024
"""What is read of a long one at once. A server ends a connection that hears channels when 32 MiB
wait to be sent on it (https://valkey.io/topics/clients/, "Output buffer limits")."""


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
        placed: called with its id in the stream; with None where the server is full.
    """

    channel: str
    instance: str
    number: int
    payload: bytes
    placed: Callable[[bytes | None], None]


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

    What is heard comes over the connection that commands go out on, which RESP3 allows: what is
    said, its answer and what is heard at the same time are one packet each way. Nobody waits for
    answers, but for those that bring something.

    It does not outlive an error, whatever the error answers: a command that nobody waits for, or a
    subscription, which is answered in another way where it is granted. It ends there and then, so
    that nothing that still comes is taken for the answer to something else; ``failed`` is called,
    and another link is to be made.

    Args:
        node: which.
        sharded: whether it is one of a cluster, whose channels belong to nodes as its keys do.
        take: called with the channel and the payload of what is published.
        failed: called once, when it has ended by itself.
    """

    def __init__(
        self,
        node: Node,
        *,
        sharded: bool,
        take: Callable[[str, bytes], None],
        failed: Callable[[Exception], None],
    ) -> None:
        self.node = node
        self._sharded = sharded
        self._take = take
        self._failed = failed
        self._context = loop_context()
        self._socket = Socket(node.url, self._receive, self._fail)
        self._reader = Reader(InvalidResponse, ResponseError, notEnoughData=_NOTHING)
        self._left: set[str] = set()
        self._append = self._read = b""
        self._queue: list[bytes] = []
        self._sent_at = 0.0
        self._awaited: deque[Callable[[object], None] | None] = deque()
        self._flushes: set[anyio.Event] = set()
        self._failure: Exception | None = None
        self._heard_at = 0.0
        self._publish = "SPUBLISH" if sharded else "PUBLISH"

    async def __aenter__(self) -> "Link":
        """Connects.

        Raises:
            RedisError: it cannot be reached, or does not do what is needed.
            OSError: likewise.
        """
        scripts = [_pack("SCRIPT", "LOAD", script) for script in (_APPEND, _READ)]
        about, self._append, self._read = await self._socket.open([_pack("HELLO", 3), *scripts])
        if _is_replica(about):
            await self._socket.close()
            raise ReadOnlyError("expected a server that takes commands, got a replica of another")
        self._heard_at = time.monotonic()
        return self

    async def __aexit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Sends nothing any more, and disconnects; what was not flushed may be lost."""
        if self._failure is None:
            self._end(ConnectionResetError("the link is given up"))
        await self._socket.close()

    def subscribe(self, channels: Sequence[str]) -> None:
        """Hears channels of its own, from when what is asked after this is answered."""
        if self._sharded:  # One command may name channels of one slot alone.
            for channel in channels:
                self._send(_pack("SSUBSCRIBE", channel))
        else:
            self._send(_pack("SUBSCRIBE", *channels))

    def unsubscribe(self, channel: str) -> None:
        """Hears of a channel no more."""
        if self._sharded:
            self._left.add(channel)
            self._send(_pack("SUNSUBSCRIBE", channel))
        else:
            self._send(_pack("UNSUBSCRIBE", channel))

    async def watch(self) -> None:
        """Sees to it that the node answers, until it does not."""
        while True:
            await anyio.sleep(_PING_SECONDS)
            if time.monotonic() - self._heard_at > _CUT_SECONDS:
                self._fail(TimeoutError("it does not answer"))
                return
            self._command(_pack("PING"))

    def put(self, command: Command) -> None:
        """Has a command sent, after those before it."""
        if isinstance(command, Published):
            self._command(_pack(self._publish, command.channel, command.payload))
        elif isinstance(command, Appended):
            own = (command.instance, command.number, command.payload)
            placed = command.placed

            def place(id_: object) -> None:
                assert id_ is None or isinstance(id_, bytes)
                placed(id_)

            self._command(_pack("EVALSHA", self._append, 1, command.channel, *own), place)
        else:
            self._command(_pack("XDEL", command.channel, *command.ids))

    async def flush(self) -> None:
        """Returns when everything before has arrived, and is answered.

        Raises:
            TimeoutError: that takes too long.
            ConnectionResetError: the link has ended.
        """
        arrived = anyio.Event()
        self._command(_pack("PING"), lambda _: arrived.set())
        self._flushes.add(arrived)
        try:
            with anyio.fail_after(ANSWER_SECONDS):
                if self._failure is None:
                    await arrived.wait()
        finally:
            self._flushes.discard(arrived)
        if self._failure is not None:
            raise ConnectionResetError(f"expected an answer, got {self._failure}")

    async def read(
        self, channels: Sequence[str]
    ) -> Sequence[Sequence[tuple[bytes, Mapping[bytes, bytes]]]]:
        """Reads streams.

        Returns:
            For each stream, in order, ids of entries and their fields.

        Raises:
            TimeoutError: that takes too long.
            ConnectionResetError: the link has ended.
        """
        glances = await self._read_pages(
            [(channel, "-") for channel in channels], _GLANCE_MAX_BYTES
        )
        streams = []
        for channel, page in zip(channels, glances, strict=True):
            entries = list(page.entries)
            while page.more:
                start = b"(" + entries[-1][0] if entries else "-"
                (page,) = await self._read_pages([(channel, start)], _PAGE_MAX_BYTES)
                if not page.entries:  # Something longer than what is kept of any instance.
                    break
                entries += page.entries
            streams.append(entries)
        return streams

    async def _read_pages(
        self, starts: Sequence[tuple[str, str | bytes]], max_bytes: int
    ) -> Sequence["_Page"]:
        pages: list[object] = []
        for channel, start in starts:
            self._command(_pack("EVALSHA", self._read, 1, channel, start, max_bytes), pages.append)
        await self.flush()
        return [_read_page(page) for page in pages]

    def _command(self, packed: bytes, answered: Callable[[object], None] | None = None) -> None:
        """Sends a command that is answered; not where the link has ended."""
        if self._failure is None:
            self._awaited.append(answered)
            self._send(packed)

    def _send(self, packed: bytes) -> None:
        if not self._queue:
            # What the loop does in this turn goes out together, and more where much is said.
            wait = self._sent_at + _GATHER_SECONDS - time.monotonic()
            asyncio.get_running_loop().call_later(
                max(wait, 0.0), self._send_queue, context=self._context
            )
        self._queue.append(packed)

    def _send_queue(self) -> None:
        queue, self._queue = self._queue, []
        self._sent_at = time.monotonic()
        self._socket.send(b"".join(queue))
        if self._socket.waiting_bytes > _QUEUE_MAX_BYTES:
            self._fail(TimeoutError("too much waits to be sent"))

    def _fail(self, error: Exception) -> None:
        if self._failure is None:
            self._end(error)
            self._failed(error)

    def _end(self, error: Exception) -> None:
        """Takes in nothing more, and has nobody wait for it."""
        self._failure = error
        self._socket.abort()
        self._awaited.clear()
        for arrived in self._flushes:
            arrived.set()

    def _receive(self, received: bytes) -> None:
        try:
            self._take_in(received)
        except FAILURES as error:
            self._fail(error)

    def _take_in(self, received: bytes) -> None:
        """Passes on what a packet brings.

        Raises:
            RedisError: the node refuses a command, or serves a channel no more.
        """
        self._heard_at = time.monotonic()
        reader = self._reader
        reader.feed(received)
        while (value := reader.gets()) is not _NOTHING:
            if isinstance(value, PushNotification):
                self._take_push(value)
                continue
            if isinstance(value, ResponseError):
                raise value
            if not self._awaited:
                raise InvalidResponse(f"expected nothing, got {value!r}")
            answered = self._awaited.popleft()
            if answered is not None:
                answered(value)

    def _take_push(self, values: Sequence[object]) -> None:
        kind, *rest = values
        if kind in _PUBLISHED:
            channel, payload = rest
            assert isinstance(channel, bytes)
            assert isinstance(payload, bytes)
            self._take(channel.decode(), payload)
        elif kind == b"sunsubscribe":
            channel = rest[0]
            assert isinstance(channel, bytes)
            if channel.decode() not in self._left:  # Nobody asked: another node serves it now.
                raise ClusterError(f"{channel!r} has moved to another node")
            self._left.discard(channel.decode())


def _pack(*words: str | bytes | int) -> bytes:
    """Encodes a command."""
    return pack_command(words)  # type: ignore[arg-type, no-any-return]  # its stub: one word


def _is_replica(about: object) -> bool:
    """Whether a server says that it is one, which takes no changes (``HELLO``)."""
    return isinstance(about, dict) and about.get(b"role") in (b"replica", b"slave")


class _Page(NamedTuple):
    """A part of a stream.

    Attributes:
        entries: ids and fields.
        more: whether others follow.
    """

    entries: Sequence[tuple[bytes, Mapping[bytes, bytes]]]
    more: bool


def _read_page(answer: object) -> _Page:
    entries = []
    assert isinstance(answer, list)
    stream, more = answer
    for id_, fields in stream:
        names = iter(fields)
        entries.append((id_, dict(zip(names, names, strict=True))))
    return _Page(entries, bool(more))


_PUBLISHED = (b"message", b"smessage")
