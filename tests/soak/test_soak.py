"""Every kind of client, typing at once through a bad network; nothing is lost in the end."""

import os
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import cycle, islice
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

import anyio
import anyio.to_thread
import httpx
import pytest

from benchmarks.measure import ProcessTree
from tests.clients.driver import Client, Driver
from tests.clients.kinds import COLLAB_CLIENT, COLLAB_PROVIDER, KINDS, Kind
from tests.clients.pen import first_mark
from tests.e2e.serving import Server, export, load, serve
from tests.soak.account import (
    Page,
    check_stored,
    check_typed,
    page_of,
    page_of_program,
    tell_lacks,
)
from tests.soak.network import BadNetwork
from tests.soak.program import Program

pytestmark = [pytest.mark.anyio, pytest.mark.node, pytest.mark.slow]

T = TypeVar("T")

ROOM = "soak/everyone ¶"
MB = 1_000_000
RESUME_SECONDS = 5
MEMORY_MOST_BYTES = 300 * MB


@dataclass(frozen=True, slots=True, kw_only=True)
class Length:
    """How long it takes, and how bad it gets.

    Attributes:
        seconds: time of typing.
        crowd: clients of each kind.
        every_ms: pause between two words of a client.
        cuts_a_minute: how often a connection is cut in a minute.
        checks: how often it is looked meanwhile whether what was acknowledged is stored.
        within_seconds: how long it may take until everybody has everything.
    """

    seconds: float
    crowd: int
    every_ms: int
    cuts_a_minute: float
    checks: int
    within_seconds: float


SHORT = Length(seconds=10, crowd=1, every_ms=150, cuts_a_minute=4, checks=2, within_seconds=30)
LONG = Length(seconds=300, crowd=2, every_ms=400, cuts_a_minute=0.05, checks=5, within_seconds=60)
SOAK = os.environ.get("COLLAB_SOAK") == "1"
LENGTH = LONG if SOAK else SHORT
DELAY_SECONDS = 0.2

OPEN = (*KINDS, COLLAB_PROVIDER[0], COLLAB_CLIENT[0])
BLOCKED = (COLLAB_PROVIDER[0], COLLAB_CLIENT[0], COLLAB_PROVIDER[2])
"""Those that can do without WebSockets; the first two find out by themselves that they have to."""


@dataclass(frozen=True, slots=True)
class Crowd:
    """Everybody who writes.

    Attributes:
        editors: clients by label; WebSockets are blocked for a third of them.
        program: who writes through the HTTP API.
    """

    editors: dict[str, Client]
    program: Program

    @property
    def last_marks(self) -> str:
        """What each client types last."""
        return "".join(chr(first_mark(number + 1) - 1) for number in range(len(self.editors)))

    async def pages(self) -> list[Page]:
        """Looks at everybody."""
        looks = [partial(page_of, label, client) for label, client in self.editors.items()]
        # The program's Doc is looked at on the event loop that changes it.
        return [*[await _aside(look) for look in looks], page_of_program(self.program)]


@pytest.mark.timeout(LENGTH.seconds + 240)
async def test_mixed_clients_through_a_bad_network_converge_and_nothing_is_lost(
    driver: Driver, store: Path, tmp_path: Path
) -> None:
    seed = int(os.environ.get("COLLAB_SOAK_SEED") or random.SystemRandom().getrandbits(24))
    print(f"COLLAB_SOAK_SEED={seed}")
    chance = random.Random(seed)
    log = tmp_path / "server.log"
    options = ["--resume-seconds", str(RESUME_SECONDS)]
    with serve(store, options=options, log=log) as server:
        network = BadNetwork(
            server.port, chance, delay_seconds=DELAY_SECONDS, cuts_a_minute=LENGTH.cuts_a_minute
        )
        async with (
            network.link(refused=1 / 3) as open_port,
            network.link(refused=1) as blocked_port,
        ):
            blocked_url = f"http://127.0.0.1:{blocked_port}"
            crowd = await _gather(driver, seed, open_port, blocked_port)
            memory = ProcessTree(server.process.pid)
            await _type(crowd, seed, blocked_url, network, store)
            network.heal()
            healed = time.monotonic()
            text = await _converge(driver, crowd, store, blocked_url)
            took = time.monotonic() - healed
            pages = await crowd.pages()
            check_typed(text, pages, besides=crowd.last_marks)
            _report(crowd, network, text, pages, took, memory)
            assert memory.peak_bytes() < MEMORY_MOST_BYTES
            await _leave(crowd, server, chance)
    # The store is read after the pages: what they vouch for is older than what it holds.
    check_stored(await _aside(partial(load, store, ROOM)), pages)
    assert await _aside(partial(export, store, ROOM)) == text
    assert network.cuts > 0
    assert network.refusals > 0
    written = log.read_text()
    assert "Traceback" not in written, written


async def _gather(driver: Driver, seed: int, open_port: int, blocked_port: int) -> Crowd:
    """Has everybody come, through the network as it is."""
    coming: list[tuple[Kind, int, str]] = []
    coming += [(kind, open_port, "") for kind in OPEN for _ in range(LENGTH.crowd)]
    blocked = islice(cycle(BLOCKED), len(coming) // 2)
    coming += [(kind, blocked_port, ", blocked") for kind in blocked]
    editors = {
        f"{number}: {kind}{how}": await _aside(
            partial(driver.connect, kind, port, ROOM, presence={"user": {"name": f"{number}"}})
        )
        for number, (kind, port, how) in enumerate(coming)
    }
    for client in editors.values():
        await _aside(partial(client.wait_synced, LENGTH.within_seconds))
    number = len(editors)
    return Crowd(editors, Program(f"{number}: program", seed + number, first_mark(number)))


async def _type(crowd: Crowd, seed: int, url: str, network: BadNetwork, store: Path) -> None:
    """Has everybody type and move about, and looks now and then at what became durable."""
    for number, client in enumerate(crowd.editors.values()):
        await _aside(partial(client.type, seed + number, LENGTH.every_ms, first_mark(number)))
        client.roam(after_ms=0, every_ms=1000, times=int(LENGTH.seconds))
    began = anyio.current_time()
    async with anyio.create_task_group() as writing:
        writing.start_soon(crowd.program.type, url, ROOM, LENGTH.every_ms / 1000)
        for check in range(LENGTH.checks):
            await anyio.sleep_until(began + LENGTH.seconds * (check + 1) / LENGTH.checks)
            if check == LENGTH.checks // 2:
                network.break_down()
            # First the pages, then the store: it may have more than they know, and never less.
            pages = await crowd.pages()
            check_stored(await _aside(partial(load, store, ROOM)), pages)
        for client in crowd.editors.values():
            await _aside(client.rest)
        writing.cancel_scope.cancel()


async def _converge(driver: Driver, crowd: Crowd, store: Path, url: str) -> str:
    """Waits until everybody knows all to be durable and shows what the store has.

    Returns:
        The text.
    """
    clients = list(crowd.editors.values())
    try:
        with anyio.fail_after(LENGTH.within_seconds):
            await crowd.program.save(url, ROOM)
            for client in clients:
                await _aside(partial(client.wait_synced, LENGTH.within_seconds))
            # An echo that a cut took does not come again; that of a later change speaks for it.
            for client, mark in zip(clients, crowd.last_marks, strict=True):
                await _aside(partial(client.insert, 0, mark))
            for client in clients:
                await _aside(partial(client.wait_acknowledged, LENGTH.within_seconds))
            text = await _aside(partial(export, store, ROOM))
            for client in clients:
                await _aside(partial(client.wait_shows, text, LENGTH.within_seconds))
            agreed = partial(driver.wait_agreed, clients, LENGTH.within_seconds)
            assert await _aside(agreed) == text
    except (TimeoutError, AssertionError) as error:
        lacks = tell_lacks(await crowd.pages(), await _aside(partial(load, store, ROOM)))
        raise AssertionError(f"{error!r}; {lacks}") from error
    return text


async def _leave(crowd: Crowd, server: Server, chance: random.Random) -> None:
    """Has half of them leave, with a goodbye or without; nobody who left is seen any more."""
    ids = {label: (await _aside(client.facts)).client_id for label, client in crowd.editors.items()}
    for client in crowd.editors.values():
        await _aside(partial(client.wait_sees_only, ids.values()))
    leaving = chance.sample(sorted(ids), len(ids) // 2)
    for number, label in enumerate(leaving):
        client = crowd.editors[label]
        await _aside(client.destroy if number % 2 else client.cut)
    staying = ids.keys() - {*leaving}
    left = {ids[label] for label in staying}
    for label in staying:
        try:
            await _aside(partial(crowd.editors[label].wait_sees_only, left))
        except AssertionError as error:
            seen = {*(await _aside(crowd.editors[label].facts)).present}
            ghosts = [(other, leaving) for other in leaving if ids[other] in seen]
            missed = [other for other in staying if ids[other] not in seen]
            raise AssertionError(f"{label} sees {ghosts} still, and misses {missed}") from error
    url = f"{server.url}/api/docs/{quote(ROOM, safe='')}/presence"
    shown = (await _aside(partial(httpx.get, url))).raise_for_status().json()["present"]
    assert {person["client"] for person in shown} == left


def _report(
    crowd: Crowd,
    network: BadNetwork,
    text: str,
    pages: Sequence[Page],
    took_seconds: float,
    memory: ProcessTree,
) -> None:
    """Says what it was, for those who read along (``pytest -s``)."""
    kinds = Counter(label.partition(": ")[2] for label in crowd.editors)
    connects = sum(client.traffic().connects for client in crowd.editors.values())
    words = sum(character >= chr(first_mark(0)) for page in pages for character in page.typed)
    print(
        f"{len(crowd.editors)} clients ({connects} connects) and a program: {dict(kinds)};"
        f" {words} words, {sum(len(page.typed) for page in pages)} characters,"
        f" {len(text.encode())} bytes; {network.connections} connections,"
        f" {network.cuts} cuts, {network.refusals} WebSockets refused;"
        f" converged {took_seconds:.1f} s after the network healed;"
        f" {memory.peak_bytes() / MB:.0f} MB at most; program: {dict(crowd.program.troubles)}"
    )


async def _aside(call: Callable[[], T]) -> T:
    """Makes a call that blocks, in a thread."""
    return await anyio.to_thread.run_sync(call)
