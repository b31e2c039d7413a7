"""A lean y-websocket client on a real socket, that keeps what it hears and when."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from functools import lru_cache, partial
from typing import ParamSpec, TypeVar, cast

import anyio
import anyio.to_thread
import pycrdt
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

from collab.lib0 import (
    read_var_bytes,
    read_var_string,
    read_var_uint,
    write_var_string,
    write_var_uint,
)
from collab.protocol import yjs
from collab.protocol.messages import EMPTY_STATE_VECTOR, EMPTY_UPDATE
from collab.structs import Kind, read_structs

P = ParamSpec("P")
T = TypeVar("T")

WITHIN_SECONDS = 30.0
"""How long anything may take that should take moments; the machine may be busy."""

STEP_1, STEP_2, UPDATE = b"\x00\x00", b"\x00\x01", b"\x00\x02"
AWARENESS = b"\x01"
QUERY_AWARENESS = b"\x03"
GONE = "null"
"""The state of a client that has left."""

CUT = 1006
"""What stands for the code of a close frame that never came."""

_FRAME_MAX_BYTES = 128 * 1024 * 1024

Heard = tuple[float, bytes]
"""When a frame came, seconds on the monotonic clock, and the frame."""


class Peer(WSListener):
    """One socket in one document.

    Attributes:
        frames: what it heard, where it keeps that.
        frames_heard: how many frames came.
        bytes_heard: their payload.
        steps_2: how many of them were a step 2.
        present: what it was told of each client last: clock and state, "null" where it is gone.
        closed: code of the close frame, ``CUT`` where the socket ended without one; None before.
        answers: whether it answers a step 1.
    """

    def __init__(self, keeps: bool, pool: dict[bytes, bytes]) -> None:
        self.frames: list[Heard] = []
        self.frames_heard = 0
        self.bytes_heard = 0
        self.steps_2 = 0
        self.present: dict[int, tuple[int, str]] = {}
        self.closed: int | None = None
        self.answers = True
        self._keeps = keeps
        self._pool = pool
        self._clocks: dict[int, int] = {}
        self._clocks_read = 0
        self._changed = asyncio.Event()
        self._transport: WSTransport | None = None
        self._close_code: int | None = None

    @property
    def transport(self) -> WSTransport:
        assert self._transport is not None
        return self._transport

    @property
    def clocks(self) -> dict[int, int]:
        """Up to where it was told of each client's changes; it must keep what it hears."""
        unread = self.frames[self._clocks_read :]
        self._clocks_read = len(self.frames)
        for _, frame in unread:
            self._clocks.update(clocks_after(frame))
        return self._clocks

    def say(self, frame: bytes) -> float:
        """Sends a frame; returns when, seconds on the monotonic clock."""
        self.transport.send(WSMsgType.BINARY, frame)
        return time.monotonic()

    def ask(self, known: bytes = EMPTY_STATE_VECTOR) -> None:
        """Asks for what it lacks."""
        self.say(yjs.sync_step1(known))

    async def until_heard(self) -> None:
        """Waits until the server has taken in everything that was said so far."""
        asked_at = len(self.frames)
        self.say(QUERY_AWARENESS)
        await self.until(
            lambda: any(frame[:1] == AWARENESS for _, frame in self.frames[asked_at:]),
            what="an answer",
        )

    def stop_reading(self) -> None:
        """Leaves what comes to the kernel, whose buffers are small."""
        self.transport.underlying_transport.pause_reading()

    def read_on(self) -> None:
        self.transport.underlying_transport.resume_reading()

    def cut(self) -> None:
        """Ends the socket without a close and without a goodbye."""
        self.transport.underlying_transport.abort()

    async def until(
        self, condition: Callable[[], object], within: float = WITHIN_SECONDS, what: str = ""
    ) -> None:
        """Waits until something that it heard makes this true."""
        try:
            with anyio.fail_after(within):
                while not condition():
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(
                f"expected {what or 'something'} within {within:g} s, got {self.frames_heard}"
                f" frames, {self.bytes_heard} bytes, {self.steps_2} steps 2, end {self.closed}"
            ) from None

    async def until_synced(self, within: float = WITHIN_SECONDS) -> None:
        await self.until(lambda: self.steps_2 > 0, within, "a step 2")

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            self._close_code = cast(int, frame.get_close_code())
            transport.disconnect()
            return
        now = time.monotonic()
        payload = frame.get_payload_as_bytes()
        if self._keeps:
            payload = self._pool.setdefault(payload, payload)
        self.frames_heard += 1
        self.bytes_heard += len(payload)
        if self._keeps:
            self.frames.append((now, payload))
        kind = payload[:2]
        if kind == STEP_1 and self.answers:
            self.say(yjs.sync_step2(EMPTY_UPDATE))
        elif kind == STEP_2:
            self.steps_2 += 1
        self.present.update(presence_in(payload))
        self._announce()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self.closed = self._close_code or CUT
        self._announce()

    def _announce(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


async def connect(
    url: str,
    *,
    keeps: bool = True,
    pool: dict[bytes, bytes] | None = None,
    receive_buffer_bytes: int | None = None,
) -> Peer:
    """Opens a socket; nothing is asked for yet.

    Args:
        url: of the document.
        keeps: whether the peer keeps what it hears.
        pool: frames that peers have in common are kept there once.
        receive_buffer_bytes: what the kernel may take in for it; None leaves it to the kernel.
    """

    def make_socket(_url: object) -> socket.socket | None:
        if receive_buffer_bytes is None:
            return None
        made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        made.setblocking(False)
        return made

    _, peer = await ws_connect(
        lambda: Peer(keeps, {} if pool is None else pool),
        url,
        websocket_handshake_timeout=WITHIN_SECONDS,
        max_frame_size=_FRAME_MAX_BYTES,
        socket_factory=make_socket,
    )
    assert isinstance(peer, Peer)
    return peer


@asynccontextmanager
async def crowd(
    url: str, size: int, *, keeps: bool = True, asks: bool = True
) -> AsyncIterator[list[Peer]]:
    """Connects many to one document; leaving cuts those that are still there."""
    peers: list[Peer] = []
    pool: dict[bytes, bytes] = {}
    try:
        for _ in range(size):
            peers.append(await connect(url, keeps=keeps, pool=pool))
            if asks:
                peers[-1].ask()
        if asks:
            for peer in peers:
                await peer.until_synced()
        yield peers
    finally:
        for peer in peers:
            if peer.closed is None:
                peer.cut()


def updates_in(frames: Sequence[Heard]) -> Iterator[tuple[float, bytes]]:
    """What document frames hold, steps 2 included, with the time each came."""
    for at, frame in frames:
        if frame[:2] in (UPDATE, STEP_2):
            yield at, read_var_bytes(frame, 2)[0]


@lru_cache(maxsize=256)
def clocks_after(frame: bytes) -> dict[int, int]:
    """Up to where a frame tells of each client's changes."""
    return {
        struct.client: struct.clock + struct.length
        for _, update in updates_in([(0.0, frame)])
        for struct in read_structs(update)
        if struct.kind is not Kind.SKIP
    }


def read(frames: Sequence[Heard]) -> "pycrdt.Doc[pycrdt.Text]":
    """The document that somebody has who heard this."""
    doc: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc()
    for _, update in updates_in(frames):
        doc.apply_update(update)
    return doc


def presence(client: int, clock: int, state: str) -> bytes:
    """Encodes what a client announces of itself."""
    entry = write_var_uint(client) + write_var_uint(clock) + write_var_string(state)
    return yjs.awareness(write_var_uint(1) + entry)


@lru_cache(maxsize=256)
def presence_in(frame: bytes) -> dict[int, tuple[int, str]]:
    """The clients that a frame tells of: clock and state by id; none where it is about others."""
    if frame[:1] != AWARENESS:
        return {}
    payload, _ = read_var_bytes(frame, 1)
    count, position = read_var_uint(payload, 0)
    present: dict[int, tuple[int, str]] = {}
    for _ in range(count):
        client, position = read_var_uint(payload, position)
        clock, position = read_var_uint(payload, position)
        state, position = read_var_string(payload, position)
        present[client] = (clock, state)
    return present


class Author:
    """Somebody who writes a line over and over, in a root text of its own.

    The document stays as small as the lines are, however much is written.

    Attributes:
        client: Yjs client id.
        line: what it wrote last.
        clock: how many characters it has written.
        sent: for each change the clock after it, and when it was sent.
    """

    def __init__(self, client: int) -> None:
        self.client = client
        self.line = ""
        self.sent: list[tuple[int, float]] = []
        self._doc: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc(client_id=client)
        self._text = self._doc.get(self.root, type=pycrdt.Text)
        self.clock = 0

    @property
    def root(self) -> str:
        """Name of its text."""
        return f"line {self.client}"

    def write(self, peer: Peer, line: str) -> bytes:
        """Replaces the line and sends the change; returns it."""
        before = self._doc.get_state()
        with self._doc.transaction():
            del self._text[:]
            self._text += line
        self.line = line
        self.clock += len(line)
        update = self._doc.get_update(before)
        self.sent.append((self.clock, peer.say(yjs.update(update))))
        return update


def latencies(frames: Sequence[Heard], authors: Sequence[Author], since: float) -> list[float]:
    """How long each change that was sent after ``since`` took to a reader, in seconds.

    Raises:
        AssertionError: one never came.
    """
    left = {author.client: [sent for sent in author.sent if sent[1] >= since] for author in authors}
    took: list[float] = []
    for at, frame in frames:
        for client, clock in clocks_after(frame).items():
            waiting = left.get(client, [])
            while waiting and waiting[0][0] <= clock:
                took.append(at - waiting.pop(0)[1])
    missing = sum(map(len, left.values()))
    assert missing == 0, f"expected every change, got all but {missing} of {missing + len(took)}"
    return took


async def pace(every_seconds: float, times: int) -> AsyncIterator[int]:
    """Beats at a rate: what comes late is made up for."""
    start = anyio.current_time()
    for beat in range(times):
        await anyio.sleep_until(start + beat * every_seconds)
        yield beat


async def in_thread(call: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """Makes a call that waits, beside the loop."""
    return await anyio.to_thread.run_sync(partial(call, *arguments, **named))
