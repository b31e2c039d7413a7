"""A server without sockets, sockets in memory, and clients that speak as y-websocket does."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import anyio
import pycrdt

from collab.access import ANYONE, Identity
from collab.close import CloseCode
from collab.lib0 import write_var_string, write_var_uint
from collab.protocol import yjs
from collab.protocol.messages import EMPTY_UPDATE, AwarenessUpdate, SyncStep1, SyncStep2, Update
from collab.server.bus.bus import Bus
from collab.server.metrics import Metrics
from collab.server.rooms.feeds import Feeds
from collab.server.rooms.member import Member
from collab.server.rooms.persister import Persister
from collab.server.rooms.relays import Relays
from collab.server.rooms.room import Room
from collab.server.rooms.rooms import Rooms
from collab.server.settings import Settings
from collab.server.tasks import spawner
from collab.server.timers import Timers, make_timers
from collab.session import Session
from collab.store import Store

DEADLINE_SECONDS = 30.0


@dataclass
class House:
    """The parts of a server below the wire, running."""

    store: Store
    relays: Relays | None
    rooms: Rooms
    persister: Persister
    timers: Timers
    settings: Settings
    metrics: Metrics


@asynccontextmanager
async def house(
    store: Store,
    settings: Settings | None = None,
    *,
    windows: bool = False,
    bus: Bus | None = None,
) -> AsyncIterator[House]:
    """Runs a server below the wire; leaving it kills it, as a crash would.

    Args:
        store: where documents are kept.
        settings: bounds and times.
        windows: whether flushes may gather in windows, as the machine's load has it.
        bus: what ties it to others; leaving the server leaves it.
    """
    settings = settings or Settings()
    if not windows:
        settings = replace(settings, window_max_seconds=1e-6)
    relays = None if bus is None else Relays(bus)
    async with store, anyio.create_task_group() as tasks, AsyncExitStack() as exits:
        timers = make_timers()
        metrics = Metrics()
        persister = Persister(store, settings, timers, metrics)
        if relays is not None:
            await exits.enter_async_context(relays.joined())
        rooms = Rooms(
            store,
            persister,
            timers,
            settings,
            spawner(tasks),
            metrics,
            Feeds(settings),
            relays=relays,
        )
        tasks.start_soon(timers.run)
        tasks.start_soon(persister.run)
        with anyio.fail_after(DEADLINE_SECONDS):
            yield House(store, relays, rooms, persister, timers, settings, metrics)
        tasks.cancel_scope.cancel()


class Wire:
    """A Connection in memory.

    Attributes:
        frames: what was sent and not read yet.
        closed: code and reason it was closed with, or None.
        aborted: whether it was cut.
        reading: whether the server takes frames from it.
        pings: how often it was probed.
    """

    def __init__(
        self,
        *,
        capacity_bytes: int | None = None,
        work_seconds: float = 0.0,
        answers_pings: bool = True,
    ) -> None:
        self.heard = True
        self.told = True
        self.send_seconds = 0.0
        self.frames: list[bytes] = []
        self.closed: tuple[CloseCode, str] | None = None
        self.aborted = False
        self.reading = True
        self.pings = 0
        self._capacity_bytes = capacity_bytes
        self._work_seconds = work_seconds
        self._answers_pings = answers_pings
        self._changed = anyio.Event()
        self._full: Callable[[], None] | None = None
        self._drained: Callable[[], None] | None = None

    @property
    def queued_bytes(self) -> int:
        return sum(map(len, self.frames))

    def on_pressure(self, full: Callable[[], None], drained: Callable[[], None]) -> None:
        """Whom to tell when it is full, and when it has drained."""
        self._full, self._drained = full, drained

    def send(self, frame: bytes) -> None:
        if self.closed is not None:
            return
        until = time.monotonic() + self._work_seconds
        while time.monotonic() < until:
            pass  # A wire that takes the processor's time, so that windows open.
        self.told = True
        self.frames.append(frame)
        self._announce()
        if self._capacity_bytes is not None and self.queued_bytes > self._capacity_bytes:
            assert self._full is not None
            self._full()

    def close(self, code: CloseCode, reason: str = "") -> None:
        if self.closed is None:
            self.closed = (code, reason)
            self._announce()

    def abort(self) -> None:
        self.aborted = True
        self._announce()

    def pause_reading(self) -> None:
        self.reading = False
        self._announce()

    def resume_reading(self) -> None:
        self.reading = True
        self._announce()

    def probe(self) -> bool:
        self.pings += 1
        self._announce()
        return self._answers_pings

    def read(self) -> list[bytes]:
        """Takes what was sent; a full wire has drained then."""
        frames, self.frames = self.frames, []
        if self._capacity_bytes is not None and self._drained is not None:
            self._drained()
        return frames

    async def ended(self) -> None:
        """Waits until the server has closed it."""
        await self.until(lambda: self.closed is not None)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Waits until something that happened to the wire makes this true."""
        with anyio.fail_after(DEADLINE_SECONDS):
            while not condition():
                await self._changed.wait()

    def _announce(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()


class Client:
    """A y-websocket client in memory: a Doc, a seat in a room, a wire between them.

    Attributes:
        doc: its document.
        acknowledged: its own changes that came back.
        synced: how many step 2 it got.
    """

    def __init__(
        self,
        room: Room,
        *,
        client_id: int,
        identity: Identity = ANYONE,
        doc: "pycrdt.Doc[Any] | None" = None,
        wire: Wire | None = None,
    ) -> None:
        self.room = room
        self.client_id = client_id
        self.doc: pycrdt.Doc[Any] = doc or pycrdt.Doc(client_id=client_id)
        self.wire = wire or Wire()
        self.seat = Member(self.wire, Session(identity, identity.access))
        self.wire.on_pressure(lambda: room.pause(self.seat), lambda: room.resume(self.seat))
        self.presence: list[bytes] = []
        self.acknowledged: list[bytes] = []
        self.synced = 0
        self._clock = 0

    @property
    def text(self) -> str:
        return str(self.doc.get("text", type=pycrdt.Text))

    def connect(self) -> "Client":
        """Joins, asks for what there is, answers what it is asked."""
        self.room.join(self.seat)
        self.say(yjs.sync_step1(self.doc.get_state()))
        self.read()
        return self

    def say(self, frame: bytes) -> None:
        self.wire.heard = True
        self.room.receive(self.seat, frame)

    def type(self, word: str) -> bytes:
        """Appends to the text and sends the change; returns it."""
        text = self.doc.get("text", type=pycrdt.Text)
        before = self.doc.get_state()
        text += word
        update = self.doc.get_update(before)
        self.say(yjs.update(update))
        return update

    def delete(self, index: int, length: int) -> bytes:
        """Deletes a piece of the text and sends the change; returns it."""
        text = self.doc.get("text", type=pycrdt.Text)
        updates: list[bytes] = []
        subscription = self.doc.observe(lambda event: updates.append(event.update))
        del text[index : index + length]
        self.doc.unobserve(subscription)
        self.say(yjs.update(updates[0]))
        return updates[0]

    def show(self, state: str = "{}") -> None:
        """Announces its presence."""
        head = b"\x01" + write_var_uint(self.client_id) + write_var_uint(self._clock)
        self._clock += 1
        self.say(yjs.awareness(head + write_var_string(state)))

    async def sync(self) -> list[bytes]:
        """Joins and waits until it is synced; returns what it was sent."""
        self.room.join(self.seat)
        self.say(yjs.sync_step1(self.doc.get_state()))
        taken: list[bytes] = []
        with anyio.fail_after(DEADLINE_SECONDS):
            while not self.synced:
                frames = self.read_once()
                if not frames:
                    await self.wire.until(lambda: bool(self.wire.frames))
                taken += frames
        return taken

    def leave(self) -> None:
        self.room.leave(self.seat)
        self.wire.close(CloseCode.NORMAL)

    def read(self) -> list[bytes]:
        """Takes in what came; returns the frames."""
        taken: list[bytes] = []
        while frames := self.read_once():
            taken += frames
        return taken

    def read_once(self) -> list[bytes]:
        """The same, but leaves what comes in answer."""
        frames = self.wire.read()
        for frame in frames:
            self._take(frame)
        return frames

    async def read_until(self, condition: Callable[[], bool]) -> None:
        """Takes in what comes until this is true."""

        def done() -> bool:
            self.read()
            return condition()

        await self.wire.until(done)

    def _take(self, frame: bytes) -> None:
        if frame[0] == 2:
            return
        message = yjs.decode(frame)
        if isinstance(message, SyncStep1):
            self.say(yjs.sync_step2(self.doc.get_update(message.state_vector)))
        elif isinstance(message, AwarenessUpdate):
            self.presence.append(message.payload)
        elif isinstance(message, (SyncStep2, Update)):
            self.doc.apply_update(message.update)
            if isinstance(message, SyncStep2):
                self.synced += 1
            elif message.update != EMPTY_UPDATE:
                self.acknowledged.append(message.update)


def updates_in(frames: list[bytes]) -> list[bytes]:
    """The changes among frames."""
    return [m.update for m in map(yjs.decode, frames) if isinstance(m, Update)]


def steps_2_in(frames: list[bytes]) -> list[bytes]:
    """The answers to step 1 among frames."""
    return [m.update for m in map(yjs.decode, frames) if isinstance(m, SyncStep2)]


def presence_in(frames: list[bytes]) -> list[bytes]:
    """The presence among frames."""
    return [m.payload for m in map(yjs.decode, frames) if isinstance(m, AwarenessUpdate)]
