"""Bystanders: two people in another room, who must not notice that the server is attacked."""

import asyncio
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import anyio.to_thread
import pycrdt
from websockets.asyncio.client import ClientConnection, connect

from collab.protocol import yjs
from collab.protocol.messages import SyncStep2, Update
from collab.state_vector import decode
from tests.e2e.serving import Server

MIB = 1024 * 1024
_PERIOD_SECONDS = 0.01
_LEAST_UPDATES = 100
_FLOOR_SECONDS = 0.3
"""What is no harm whatever they take otherwise: the machine runs other things as well."""
_ARRIVE_SECONDS = 20.0
_ATTACKS = 3
"""How often an attack is made at most."""

T = TypeVar("T")


async def unharmed(server: Server, memory_bytes: int, attack: Callable[[], T]) -> T:
    """Has two people type in another room during an attack, and checks that it was no harm.

    All their updates arrive; 99 of 100 take no more than three times what they take otherwise; the
    server takes no more memory on top than it may; and it lives. What an attack holds up it holds
    up every time, and what else the machine does only now and then: where they were late, it is
    made again. What it takes is measured the first time: later it would have what was left before.

    Args:
        server: the server.
        memory_bytes: what it may take beside what it has.
        attack: makes the attack, in a thread, as often as it is called.

    Returns:
        What the attack returned, the last time.
    """
    for attempt in range(_ATTACKS):
        outcome, attacked, bound, taken = await _watch(server, attack)
        if attempt == 0:
            assert taken <= memory_bytes, f"{taken / MIB:.0f} MiB"
        if attacked <= bound:
            return outcome
    raise AssertionError(f"expected {bound:.3f} s at most, got {attacked:.3f} s, each time")


async def _watch(server: Server, attack: Callable[[], T]) -> tuple[T, float, float, int]:
    """Makes an attack once.

    Returns:
        What the attack returned, how long typing took, how long it may take without harm, and how
        many bytes of memory the server took beside what it had.
    """
    room = f"{server.websockets}/elsewhere"
    async with connect(room, compression=None) as typing, connect(room, compression=None) as seeing:
        pair = _Pair(typing, seeing)
        await pair.join()
        before = _reset_peak(server.process.pid)
        attack_over = asyncio.Event()
        typed = asyncio.create_task(pair.type_until(attack_over))
        try:
            outcome = await anyio.to_thread.run_sync(attack)
        finally:
            attack_over.set()
            attacked = _p99(await typed)
        assert server.process.poll() is None
        taken = _peak_bytes(server.process.pid) - before
        if attacked <= _FLOOR_SECONDS:
            return outcome, attacked, _FLOOR_SECONDS, taken
        quiet = _p99(await pair.type_until(_done()))
        return outcome, attacked, max(3 * quiet, _FLOOR_SECONDS), taken


class _Pair:
    """One who types at a steady pace, and one who sees it."""

    def __init__(self, typing: ClientConnection, seeing: ClientConnection) -> None:
        self._typing = typing
        self._seeing = seeing
        self._doc: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc()
        self._text = self._doc.get("text", type=pycrdt.Text)

    async def join(self) -> None:
        for socket in (self._typing, self._seeing):
            await socket.send(yjs.sync_step1(b"\x00"))
            while not isinstance(await _heard(socket), SyncStep2):
                pass

    async def type_until(self, over: asyncio.Event) -> list[float]:
        """Types for a while, and until something is over; tells how long each update took."""
        due: dict[int, float] = {}
        took: list[float] = []
        typed = asyncio.Event()

        async def see() -> None:
            here: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc()
            here.apply_update(self._doc.get_update())
            while not (typed.is_set() and not due):
                message = await _heard(self._seeing)
                if isinstance(message, Update):
                    here.apply_update(message.update)
                    now = time.monotonic()
                    known = _clock(here)
                    took.extend(now - due.pop(clock) for clock in [*due] if clock <= known)

        async with asyncio.timeout(_ARRIVE_SECONDS + 60), asyncio.TaskGroup() as tasks:
            seeing = tasks.create_task(see())
            echoes = tasks.create_task(_drain(self._typing))
            begun = time.monotonic()
            count = 0
            while count < _LEAST_UPDATES or not over.is_set():
                # What is late counts from when it should have been typed.
                await asyncio.sleep(begun + count * _PERIOD_SECONDS - time.monotonic())
                before = self._doc.get_state()
                self._text += "x"
                due[_clock(self._doc)] = begun + count * _PERIOD_SECONDS
                await self._typing.send(yjs.update(self._doc.get_update(before)))
                count += 1
            typed.set()
            self._text += "."  # Somebody who has seen everything already waits for one more.
            due[_clock(self._doc)] = time.monotonic()
            await self._typing.send(yjs.update(self._doc.get_update(before)))
            async with asyncio.timeout(_ARRIVE_SECONDS):
                await seeing
            echoes.cancel()
        assert len(took) == count + 1
        return took


async def _heard(socket: ClientConnection) -> object:
    frame = await socket.recv()
    assert isinstance(frame, bytes)
    return yjs.decode(frame)


async def _drain(socket: ClientConnection) -> None:
    while True:
        await socket.recv()


def _clock(doc: "pycrdt.Doc[pycrdt.Text]") -> int:
    """How much a document has of its one writer."""
    return sum(decode(doc.get_state()).values())


def _done() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event


def _p99(took: list[float]) -> float:
    return sorted(took)[math.ceil(len(took) * 0.99) - 1]


def _reset_peak(pid: int) -> int:
    """Begins to measure anew how much memory a process takes at most; gives what it has now."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    return _peak_bytes(pid)


def _peak_bytes(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("expected a process that has memory, got none")
