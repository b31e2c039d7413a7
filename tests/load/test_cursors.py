"""Presence of a crowd: what it costs each reader, and what it must never miss."""

import time
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import pytest

from benchmarks.measure import percentile
from tests.clients.driver import Client, Driver
from tests.e2e.serving import serve
from tests.load.peer import (
    GONE,
    WITHIN_SECONDS,
    Peer,
    crowd,
    in_thread,
    pace,
    presence,
    presence_in,
)

pytestmark = [pytest.mark.alone, pytest.mark.anyio, pytest.mark.slow]

CROWD = 100
EVERY_SECONDS = 0.1
MOVES = 40
FRAMES_SHARE = 4
"""So many messages at least go into one frame."""
LEAVERS = 10
REMOVAL_MOST_SECONDS = 0.1
REMOVAL_WORST_SECONDS = 2.0
"""For the one of many that meets a machine that is busy with something else."""
RENEWAL_MOST_SECONDS = 1.0

STOCK_CLIENTS = 20
FRAMES_MOST_OF_JOINS = 2 * STOCK_CLIENTS
STOCK_MOVES = 30
HEARD_SHARE_MOST = 2 / 3
"""Each frame that stock clients hear makes each of them send one: fewer frames than moves."""
QUIET_SECONDS = 3.0
SETTLING_SECONDS = 10.0


@pytest.mark.timeout(120)
async def test_a_crowds_cursors_cost_a_reader_ticks_and_who_leaves_is_gone_at_once(
    store: Path, transport: str
) -> None:
    async with AsyncExitStack() as exits:
        server = exits.enter_context(serve(store, transport=transport))
        peers = await exits.enter_async_context(crowd(f"{server.websockets}/cursors", CROWD))
        left: dict[int, float] = {}
        heard = [len(peer.frames) for peer in peers]
        async for beat in pace(EVERY_SECONDS / CROWD, MOVES * CROWD):
            move, number = divmod(beat, CROWD)
            if number in left:
                continue
            if number >= LEAVERS or move < MOVES // 4 + number:
                peers[number].say(presence(number, move + 1, cursor_at(move)))
            elif number % 2:
                left[number] = peers[number].say(presence(number, move + 1, GONE))
            else:
                peers[number].cut()
                left[number] = time.monotonic()
        staying = range(LEAVERS, CROWD)
        expected = {number: (MOVES, cursor_at(MOVES - 1)) for number in staying}
        for number in staying:
            peer = peers[number]
            await peer.until(partial(sees, peer, expected), what="everyone's last cursor")
        frames = max(len(peers[number].frames) - heard[number] for number in staying)
        assert frames < CROWD * MOVES / FRAMES_SHARE
        took = {
            who: max(gone_at(peers[number], who, at) - at for number in staying)
            for who, at in left.items()
        }
        assert len(took) == LEAVERS
        assert percentile(sorted(took.values()), 0.5) < REMOVAL_MOST_SECONDS
        assert max(took.values()) < REMOVAL_WORST_SECONDS
        for number in staying:
            assert {peers[number].present[who][1] for who in left} == {GONE}


def sees(peer: Peer, expected: dict[int, tuple[int, str]]) -> bool:
    """Whether a peer was told this of these clients last: clock and state by id."""
    return expected.items() <= peer.present.items()


def cursor_at(place: int) -> str:
    return f'{{"cursor":{{"anchor":{place},"head":{place}}},"user":{{"color":"#30bced"}}}}'


def gone_at(peer: Peer, who: int, since: float) -> float:
    """When a peer heard that somebody is gone."""
    return next(
        at
        for at, frame in peer.frames
        if at >= since and presence_in(frame).get(who, (0, ""))[1] == GONE
    )


async def test_a_clients_own_renewal_comes_back_to_it(store: Path, transport: str) -> None:
    async with AsyncExitStack() as exits:
        server = exits.enter_context(serve(store, transport=transport))
        (peer,) = await exits.enter_async_context(crowd(f"{server.websockets}/alone", 1))
        for clock in range(1, 4):
            peer.say(presence(7, clock, "{}"))
            await peer.until(partial(sees, peer, {7: (clock, "{}")}), RENEWAL_MOST_SECONDS)


@pytest.mark.node
class TestStockClients:
    """They send on what they hear of others: what the server makes of that must not grow."""

    async def test_they_fall_quiet(self, driver: Driver, store: Path, transport: str) -> None:
        with serve(store, transport=transport) as server:
            clients = await in_thread(gather, driver, server.websockets)
            quiet = [
                client.host.begin(client.name, "when_quiet", ms=QUIET_SECONDS * 1000)
                for client in clients
            ]
            for outcome in quiet:
                await in_thread(outcome.result, SETTLING_SECONDS)
            frames = [(await in_thread(client.traffic)).frames for client in clients]
            assert max(frames) < FRAMES_MOST_OF_JOINS

    async def test_they_do_not_drown_the_server_when_they_move(
        self, driver: Driver, store: Path, transport: str
    ) -> None:
        with serve(store, transport=transport) as server:
            clients = await in_thread(gather, driver, server.websockets)
            before = [(await in_thread(client.traffic)).frames for client in clients]
            roaming = [
                client.roam(
                    after_ms=EVERY_SECONDS * 1000 / STOCK_CLIENTS * number,
                    every_ms=EVERY_SECONDS * 1000,
                    times=STOCK_MOVES,
                )
                for number, client in enumerate(clients)
            ]
            for outcome in roaming:
                await in_thread(outcome.result, WITHIN_SECONDS)
            after = [(await in_thread(client.traffic)).frames for client in clients]
            heard = max(now - then for then, now in zip(before, after, strict=True))
            assert STOCK_MOVES < heard < HEARD_SHARE_MOST * STOCK_CLIENTS * STOCK_MOVES


def gather(driver: Driver, base: str) -> list[Client]:
    """Opens stock clients in one document and waits until each sees all."""
    clients = [
        driver.open(base, "idle", presence={"user": {"name": f"{number}"}})
        for number in range(STOCK_CLIENTS)
    ]
    for client in clients:
        client.wait_synced()
    client_ids = [client.id for client in clients]
    for client in clients:
        for client_id in client_ids:
            client.wait_sees(client_id)
    return clients
