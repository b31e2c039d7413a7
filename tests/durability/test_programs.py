"""Programs of all kinds and an editor in one document, while whatever may break does.

Connections are cut, WebSockets refused, tokens end, and the server, an app that edits the document
itself, dies and comes back. Each writer types characters that nobody else types, and each once.
"""

import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

import anyio
import anyio.to_thread
import httpx
import pycrdt
import pytest

import collab
from collab.client import BlockingDocument, RemoteDocument, Timing
from collab.errors import TimedOut
from tests.client.gate import Gate, gate_to
from tests.client.writing import WITHIN_SECONDS, until_shows
from tests.clients.driver import Driver
from tests.clients.kinds import COLLAB_PROVIDER
from tests.durability.embedded import ROOM
from tests.e2e.serving import Server, kept
from tests.server.signing import token

pytestmark = [pytest.mark.anyio, pytest.mark.node, pytest.mark.slow]

T = TypeVar("T")

ROOT = Path(__file__).resolve().parents[2]
SOAK = os.environ.get("COLLAB_SOAK") == "1"
ROUNDS = 60 if SOAK else 2
CUTS = 6
"""In each round, before the server dies."""
TOKEN_SECONDS = 3
QUICK = Timing(base_seconds=0.05, cap_seconds=0.5, try_again_seconds=0.1, climb_seconds=0.5)
_EACH = 30_000
_FIRST = 0xF0000


class Writer:
    """What one of them has typed.

    Attributes:
        typed: characters, in the order in which they were typed.
        saved: those that it was told to be durable.
        chance: what it decides by where to type, and when.
    """

    def __init__(self, number: int) -> None:
        self.typed: list[str] = []
        self.saved: set[str] = set()
        self.chance = random.Random(number)
        self._first = _FIRST + number * _EACH

    def next(self) -> str:
        """The character to type."""
        self.typed.append(chr(self._first + len(self.typed)))
        return self.typed[-1]

    def insert(self, text: pycrdt.Text) -> None:
        """Types it somewhere; each takes four bytes."""
        text.insert(4 * self.chance.randint(0, len(str(text))), self.next())

    @property
    def pause_seconds(self) -> float:
        """How long it thinks before it types on."""
        return self.chance.uniform(0, 0.05)


class Course:
    """What all of them go by.

    Attributes:
        typing: whether they still type.
        text: what the document is in the end.
        saved: where those who have everything saved wait for each other.
        told: where they wait for the text.
        tokens: how many were given out.
    """

    def __init__(self, parties: int) -> None:
        self.typing = True
        self.text = ""
        self.saved = threading.Barrier(parties)
        self.told = threading.Barrier(parties)
        self.tokens = 0

    def token(self) -> str:
        """A token that ends soon."""
        self.tokens += 1
        return token(seconds=TOKEN_SECONDS)


async def remotely(gate: Gate, writer: Writer, course: Course) -> None:
    """Types through a ``RemoteDocument``."""
    async with collab.connect(gate.url, ROOM, token=course.token, timing=QUICK) as document:
        text = _text_of(document)
        while course.typing:
            writer.insert(text)
            if writer.chance.random() < 0.3:
                count = len(writer.typed)
                with anyio.move_on_after(0.5):
                    await document.saved()
                    writer.saved.update(writer.typed[:count])
            await anyio.sleep(writer.pause_seconds)
        with anyio.fail_after(WITHIN_SECONDS):
            await document.saved()
        writer.saved.update(writer.typed)
        await _meet(course.saved)
        await _meet(course.told)
        await until_shows(document, course.text)


def blocking(gate: Gate, writer: Writer, course: Course) -> None:
    """Types through a ``BlockingDocument``."""
    with collab.connect_blocking(gate.url, ROOM, token=course.token, timing=QUICK) as document:
        text = _text_of(document)
        while course.typing:
            writer.insert(text)
            if writer.chance.random() < 0.3:
                count = len(writer.typed)
                try:
                    document.saved(within_seconds=0.5)
                    writer.saved.update(writer.typed[:count])
                except TimedOut:
                    pass
            document.pull()
            time.sleep(writer.pause_seconds)
        document.saved(within_seconds=WITHIN_SECONDS)
        writer.saved.update(writer.typed)
        course.saved.wait(WITHIN_SECONDS)
        course.told.wait(WITHIN_SECONDS)
        document.synced(within_seconds=WITHIN_SECONDS)
        while str(text) != course.text:
            document.next_change(within_seconds=WITHIN_SECONDS)


async def live(port: int, writer: Writer, course: Course) -> None:
    """Has the app type through its ``LiveDocument``; what was not answered may be there or not."""
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=5) as http:
        while course.typing:
            character = writer.next()
            try:
                (await http.post(f"/write/{character}")).raise_for_status()
                writer.saved.add(character)
            except httpx.TransportError:
                pass
            await anyio.sleep(writer.pause_seconds)
        await _meet(course.saved)
        await _meet(course.told)
        agreed = http.post("/agree", content=course.text.encode(), timeout=WITHIN_SECONDS)
        (await agreed).raise_for_status()


async def in_javascript(driver: Driver, gate: Gate, writer: Writer, course: Course) -> None:
    """Types with the provider that pages use."""
    connect = partial(driver.connect, COLLAB_PROVIDER[0], gate.port, ROOM, tokens=[token()])
    client = await _aside(connect)
    while course.typing:
        await _aside(partial(client.insert, 0, writer.next()))
        if writer.chance.random() < 0.3:
            acknowledged = (await _aside(client.facts)).acknowledged
            writer.saved.update(writer.typed[: acknowledged // 2])  # Each takes two of UTF-16.
        await anyio.sleep(writer.pause_seconds)
    await _aside(partial(client.wait_acknowledged, WITHIN_SECONDS))
    writer.saved.update(writer.typed)
    await _meet(course.saved)
    await _meet(course.told)
    await _aside(partial(client.wait_shows, course.text, WITHIN_SECONDS))


@contextmanager
def serving(store: Path, port: int = 0) -> Iterator[Server]:
    """Runs the app, until it is killed."""
    command = [sys.executable, "-m", "tests.durability.embedded", str(store), str(port)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield Server(process)
        finally:
            process.kill()


def check(text: str, writers: list[Writer], saved: set[str]) -> None:
    """Checks that all that was saved is in a text, nothing twice, and nothing that nobody typed."""
    shown = Counter(text)
    assert not {character for character, times in shown.items() if times > 1}
    assert not saved - shown.keys(), "what was said to be durable is lost"
    assert not shown.keys() - {character for writer in writers for character in writer.typed}


def report(number: int, took_seconds: float, writers: list[Writer]) -> None:
    """Says how far it is, for those who read along (``pytest -s``)."""
    typed = sum(len(writer.typed) for writer in writers)
    saved = sum(len(writer.saved) for writer in writers)
    print(f"round {number + 1} of {ROUNDS}: {took_seconds:.1f} s; {typed} typed, {saved} saved")


@pytest.mark.timeout(1800 if SOAK else 120)
async def test_whatever_breaks_all_that_was_saved_is_there_and_everyone_agrees(
    driver: Driver, store: Path
) -> None:
    chance = random.Random(5)
    course = Course(parties=5)
    writers = [Writer(number) for number in range(4)]
    with ExitStack() as exits:
        server = await _aside(partial(exits.enter_context, serving(store)))
        gates = [exits.enter_context(gate_to(server.port)) for _ in range(3)]
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(remotely, gates[0], writers[0], course)
            tasks.start_soon(_aside, partial(blocking, gates[1], writers[1], course))
            tasks.start_soon(in_javascript, driver, gates[2], writers[2], course)
            tasks.start_soon(live, server.port, writers[3], course)
            for number in range(ROUNDS):
                began = time.monotonic()
                for _ in range(CUTS):
                    await anyio.sleep(chance.uniform(0, 0.5))
                    gate = chance.choice(gates)
                    gate.blocks_websockets = chance.random() < 0.3
                    gate.cut()
                    gate.mend()
                server.kill()
                saved = set[str]().union(*(writer.saved for writer in writers))
                check(await _aside(partial(kept, store, ROOM)), writers, saved)
                starting = partial(exits.enter_context, serving(store, server.port))
                server = await _aside(starting)
                report(number, time.monotonic() - began, writers)
            for gate in gates:
                gate.blocks_websockets = False
            course.typing = False
            await _meet(course.saved)
            course.text = await _aside(partial(kept, store, ROOM))
            await _meet(course.told)
        saved = set[str]().union(*(writer.saved for writer in writers))
        check(course.text, writers, saved)
        assert all(writer.saved == {*writer.typed} for writer in writers[:3])
        assert all(writer.saved for writer in writers)
        # Two ask for tokens, and the shortest round takes half as long as one lasts.
        assert course.tokens > ROUNDS, "tokens did not end"


def _text_of(document: RemoteDocument | BlockingDocument) -> pycrdt.Text:
    text: pycrdt.Text = document.doc.get("content", type=pycrdt.Text)
    return text


async def _meet(barrier: threading.Barrier) -> None:
    await _aside(partial(barrier.wait, WITHIN_SECONDS))


async def _aside(call: Callable[[], T]) -> T:
    """Makes a call that blocks, in a thread."""
    return await anyio.to_thread.run_sync(call, abandon_on_cancel=True)
