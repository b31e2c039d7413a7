"""Every kind of client, typing at once through a bad network; nothing is lost in the end."""

import os
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

import anyio
import anyio.abc
import anyio.to_thread
import httpx
import pytest

from benchmarks.measure import ProcessTree
from tests.clients.driver import Client, Driver
from tests.clients.kinds import KINDS
from tests.e2e.serving import Server, export, load, serve
from tests.soak.account import Page, check_stored, check_typed, page_of, tell_lacks
from tests.soak.blocked import BlockedEditor
from tests.soak.network import BadNetwork
from tests.soak.pen import first_mark
from tests.soak.program import Program
from tests.soak.remote import RemoteEditor

pytestmark = [pytest.mark.alone, pytest.mark.anyio, pytest.mark.node, pytest.mark.slow]

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


SHORT = Length(seconds=12, crowd=1, every_ms=120, cuts_a_minute=4, checks=3, within_seconds=30)
LONG = Length(seconds=300, crowd=2, every_ms=250, cuts_a_minute=0.05, checks=20, within_seconds=60)
SOAK = os.environ.get("COLLAB_SOAK") == "1"
LENGTH = LONG if SOAK else SHORT
DELAY_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Crowd:
    """Everybody who writes.

    Attributes:
        stock: clients from npm, by label.
        blocked: those whose network lets no WebSockets through: a third of all editors.
        program: who writes through the HTTP API.
    """

    stock: dict[str, Client]
    blocked: list[BlockedEditor | RemoteEditor]
    program: Program

    @property
    def last_marks(self) -> str:
        """What each stock client types last."""
        return "".join(chr(first_mark(number + 1) - 1) for number in range(len(self.stock)))

    async def pages(self) -> list[Page]:
        """Looks at everybody. Docs of pycrdt are looked at on the event loop that changes them."""
        pages = [
            await _aside(partial(page_of, label, client)) for label, client in self.stock.items()
        ]
        pages += [page_of(editor.label, editor) for editor in self.blocked]
        return [*pages, page_of(self.program.label, self.program)]


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
            anyio.create_task_group() as tasks,
        ):
            blocked_url = f"http://127.0.0.1:{blocked_port}"
            crowd = await _gather(driver, seed, open_port, blocked_url, tasks)
            memory = ProcessTree(server.process.pid)
            async with anyio.create_task_group() as typing:
                await _type(crowd, seed, blocked_url, typing)
                for check in range(LENGTH.checks):
                    await anyio.sleep(LENGTH.seconds / LENGTH.checks)
                    if check == LENGTH.checks // 2:
                        network.break_down()
                    pages = await crowd.pages()
                    check_stored(await _aside(partial(load, store, ROOM)), pages)
                for client in crowd.stock.values():
                    await _aside(client.rest)
                typing.cancel_scope.cancel()
            network.heal()
            healed = time.monotonic()
            text = await _converge(driver, crowd, store, blocked_url)
            took = time.monotonic() - healed
            pages = await crowd.pages()
            check_typed(text, pages, besides=crowd.last_marks)
            _report(crowd, network, text, pages, took, memory)
            assert memory.peak_bytes() < MEMORY_MOST_BYTES
            await _leave(crowd, server, chance)
            tasks.cancel_scope.cancel()
    check_stored(await _aside(partial(load, store, ROOM)), pages)
    assert await _aside(partial(export, store, ROOM)) == text
    assert network.cuts > 0
    assert network.refusals > 0
    written = log.read_text()
    assert "Traceback" not in written, written


async def _gather(
    driver: Driver, seed: int, port: int, blocked_url: str, tasks: anyio.abc.TaskGroup
) -> Crowd:
    """Has everybody come, through the network as it is."""
    kinds = [kind for kind in KINDS for _ in range(LENGTH.crowd)]
    stock = {
        f"{number}: {kind}": driver.connect(
            kind, port, ROOM, presence={"user": {"name": f"{number}"}}
        )
        for number, kind in enumerate(kinds)
    }
    blocked: list[BlockedEditor | RemoteEditor] = []
    for number in range(len(stock), len(stock) + len(stock) // 2):
        editor = _open_blocked(number, seed + number)
        await tasks.start(editor.run, blocked_url, ROOM)
        blocked.append(editor)
    number = len(stock) + len(blocked)
    crowd = Crowd(stock, blocked, Program(f"{number}: program", number, seed + number))
    for client in stock.values():
        await _aside(client.wait_synced)
    for editor in blocked:
        with anyio.fail_after(LENGTH.within_seconds):
            await editor.wait_synced()
    return crowd


def _open_blocked(number: int, seed: int) -> BlockedEditor | RemoteEditor:
    """An editor that can do without WebSockets, one of three kinds."""
    kind = ("stream", "polls", "collab.client")[number % 3]
    label = f"{number}: {kind}"
    if kind == "collab.client":
        return RemoteEditor(label, number, seed)
    return BlockedEditor(label, number, seed, poll=kind == "polls")


def _shows(editor: BlockedEditor | RemoteEditor, text: str) -> bool:
    return str(editor.pen.text) == text


def _sees(editor: BlockedEditor | RemoteEditor, people: set[int]) -> bool:
    return editor.present.keys() == people


async def _type(crowd: Crowd, seed: int, url: str, typing: anyio.abc.TaskGroup) -> None:
    """Has everybody type and move about from now on."""
    for number, client in enumerate(crowd.stock.values()):
        await _aside(partial(client.type, seed + number, LENGTH.every_ms, first_mark(number)))
        client.driver.begin(client.name, "roam", after_ms=0, every_ms=1000, times=LENGTH.seconds)
    for editor in crowd.blocked:
        typing.start_soon(editor.type, LENGTH.every_ms / 1000)
    typing.start_soon(crowd.program.type, url, ROOM, LENGTH.every_ms / 1000)


async def _converge(driver: Driver, crowd: Crowd, store: Path, url: str) -> str:
    """Waits until everybody knows all to be durable and shows what the store has.

    Returns:
        The text.
    """
    try:
        with anyio.fail_after(LENGTH.within_seconds):
            await crowd.program.save(url, ROOM)
            for client in crowd.stock.values():
                await _aside(partial(client.wait_synced, LENGTH.within_seconds))
            # An echo that a cut took does not come again; that of a later change speaks for it.
            for client, mark in zip(crowd.stock.values(), crowd.last_marks, strict=True):
                await _aside(partial(client.insert, 0, mark))
            for client in crowd.stock.values():
                await _aside(partial(client.wait_acknowledged, LENGTH.within_seconds))
            for editor in crowd.blocked:
                await editor.until(partial(getattr, editor, "saved"))
            text = await _aside(partial(export, store, ROOM))
            for client in crowd.stock.values():
                await _aside(partial(client.wait_shows, text, LENGTH.within_seconds))
            for editor in crowd.blocked:
                await editor.until(partial(_shows, editor, text))
            agreed = partial(driver.wait_agreed, list(crowd.stock.values()), LENGTH.within_seconds)
            assert await _aside(agreed) == text
    except (TimeoutError, AssertionError) as error:
        lacks = tell_lacks(await crowd.pages(), await _aside(partial(load, store, ROOM)))
        raise AssertionError(f"{error!r}; {lacks}") from error
    return text


async def _leave(crowd: Crowd, server: Server, chance: random.Random) -> None:
    """Has half of them leave, with a goodbye or without; nobody who left is seen any more."""
    ids = {
        label: await _aside(partial(getattr, client, "id")) for label, client in crowd.stock.items()
    }
    everybody = {*ids.values(), *(editor.pen.client_id for editor in crowd.blocked)}
    for client in crowd.stock.values():
        for client_id in everybody:
            await _aside(partial(client.wait_sees, client_id))
    leaving = set(chance.sample(sorted(ids), len(ids) // 2))
    leaving_blocked = crowd.blocked[::2]
    for number, label in enumerate(leaving):
        client = crowd.stock[label]
        await _aside(client.destroy if number % 2 else client.cut)
    for number, editor in enumerate(leaving_blocked):
        editor.leave(goodbye=number % 2 == 0)
    gone = {ids[label] for label in leaving} | {editor.pen.client_id for editor in leaving_blocked}
    staying = everybody - gone
    for label in ids.keys() - leaving:
        for client_id in gone:
            await _aside(partial(crowd.stock[label].wait_told_gone, client_id))
        assert {*(await _aside(crowd.stock[label].facts)).present} == staying
    with anyio.fail_after(LENGTH.within_seconds):
        for editor in crowd.blocked:
            if editor not in leaving_blocked:
                await editor.until(partial(_sees, editor, staying))
    url = f"{server.url}/api/docs/{quote(ROOM, safe='')}/presence"
    shown = (await _aside(partial(httpx.get, url))).raise_for_status().json()["present"]
    assert {person["client"] for person in shown} == staying


def _report(
    crowd: Crowd,
    network: BadNetwork,
    text: str,
    pages: Sequence[Page],
    took_seconds: float,
    memory: ProcessTree,
) -> None:
    """Says what it was, for those who read along (``pytest -s``)."""
    troubles = Counter[str]()
    fallback = [editor for editor in crowd.blocked if isinstance(editor, BlockedEditor)]
    for editor in fallback:
        troubles.update(editor.troubles)
    troubles.update({f"program: {what}": n for what, n in crowd.program.troubles.items()})
    connects = [client.traffic().connects for client in crowd.stock.values()]
    print(
        f"{len(crowd.stock)} stock clients ({sum(connects)} connects), {len(crowd.blocked)} blocked"
        f" ({sum(editor.sessions for editor in fallback)} sessions,"
        f" {sum(editor.resumptions for editor in fallback)} resumed), a program;"
        f" {sum(len(page.typed) for page in pages)} characters in {len(text.encode())} bytes,"
        f" {network.connections} connections, {network.cuts} cuts, {network.refusals} refusals;"
        f" converged {took_seconds:.1f} s after the network healed;"
        f" {memory.peak_bytes() / MB:.0f} MB at most; {dict(troubles)}"
    )


async def _aside(call: Callable[[], T]) -> T:
    """Makes a call that blocks, in a thread."""
    return await anyio.to_thread.run_sync(call)
