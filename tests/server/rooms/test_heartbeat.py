"""Heartbeat: silent peers are probed and dropped, idle ones stay and hear from us."""

from dataclasses import replace

import anyio
import pytest

from collab.close import CloseCode
from collab.protocol import yjs
from collab.server.rooms.heartbeat import Heartbeat
from collab.server.settings import Settings
from collab.storage.memory import MemoryStore
from tests.server.stores import SteeredStore
from tests.server.wire import Client, Wire, house

pytestmark = pytest.mark.anyio

QUICK = Settings(heartbeat_seconds=0.04, dead_seconds=0.2, blocked_seconds=0.1)
PATIENT = Settings(heartbeat_seconds=0.04, dead_seconds=60)
STEADY = Settings(heartbeat_seconds=0.16, dead_seconds=1, blocked_seconds=1)
"""For those who stay: a machine that is busy for a moment does not make them silent or blocked."""


async def test_a_silent_peer_is_probed_and_then_dropped() -> None:
    async with house(MemoryStore(), QUICK) as server:
        client = Client(await server.rooms.acquire("d"), client_id=1).connect()
        Heartbeat(server.rooms, server.timers, QUICK).start()
        await client.wire.until(lambda: client.wire.aborted)
        assert client.wire.pings > 0
        assert client.wire.closed is not None
        assert client.wire.closed == (CloseCode.TRY_AGAIN_LATER, "no sign of life")


async def test_a_transport_without_pings_asks_with_a_step_1() -> None:
    async with house(MemoryStore(), PATIENT) as server:
        wire = Wire(answers_pings=False)
        room = await server.rooms.acquire("d")
        Client(room, client_id=1, wire=wire).connect()
        Heartbeat(server.rooms, server.timers, PATIENT).start()
        await wire.until(lambda: yjs.sync_step1(room.document.state_vector) in wire.frames)


async def test_an_idle_peer_that_answers_stays_and_hears_that_we_are_here() -> None:
    async with house(MemoryStore(), STEADY) as server:
        client = Client(await server.rooms.acquire("d"), client_id=1).connect()
        Heartbeat(server.rooms, server.timers, STEADY).start()
        signs = 0

        def answered() -> bool:
            nonlocal signs
            client.wire.heard = True  # The pong.
            signs += client.wire.frames.count(yjs.awareness(b"\x00"))
            client.wire.frames.clear()
            return signs >= 8

        await client.wire.until(answered)
        assert client.wire.closed is None


async def test_who_reads_nothing_for_too_long_is_told_to_come_back() -> None:
    async with house(MemoryStore(), QUICK) as server:
        room = await server.rooms.acquire("d")
        client = Client(room, client_id=1).connect()
        room.pause(client.seat)
        Heartbeat(server.rooms, server.timers, QUICK).start()
        await client.wire.until(lambda: client.wire.closed is not None)
        assert client.wire.closed is not None
        assert client.wire.closed[0] == CloseCode.TRY_AGAIN_LATER


async def test_who_reads_slowly_but_steadily_stays() -> None:
    settings = replace(STEADY, dead_seconds=60)
    async with house(MemoryStore(), settings) as server:
        room = await server.rooms.acquire("d")
        client = Client(room, client_id=1).connect()
        client.wire.frames += [bytes(1000)] * 80
        room.pause(client.seat)
        Heartbeat(server.rooms, server.timers, settings).start()

        def all_read() -> bool:  # One frame at a time, each time it is probed.
            client.wire.frames.pop()
            return not client.wire.frames or client.wire.closed is not None

        began = anyio.current_time()
        await client.wire.until(all_read)
        assert client.wire.closed is None
        assert anyio.current_time() - began > settings.blocked_seconds


async def test_a_writer_that_we_do_not_read_from_is_not_taken_for_dead() -> None:
    store = SteeredStore()
    settings = Settings(heartbeat_seconds=0.04, dead_seconds=0.1, uncommitted_max_bytes=1)
    async with house(store, settings) as server:
        room = await server.rooms.acquire("d")
        writer = Client(room, client_id=1).connect()
        witness = Client(room, client_id=2).connect()
        store.hold_appends()
        writer.type("a")
        writer.type("b")
        assert not writer.wire.reading
        Heartbeat(server.rooms, server.timers, settings).start()
        await witness.wire.until(lambda: witness.wire.aborted)
        assert writer.wire.closed is None
        store.let_append()
        await writer.wire.until(lambda: writer.wire.reading)
        await writer.wire.until(lambda: writer.wire.aborted)
