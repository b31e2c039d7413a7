"""Convergence: clients, a server that restarts, and a seeded network between them, in memory.

As in yjs' testHelper the network hands each client its frames in order and picks at random whose
turn it is. Connections break, the server dies and opens its store again; clients come back with
step 1 and 2 as y-websocket does. In the end everybody agrees, what was acknowledged is in the
store, and nothing is there twice.
"""

import random
from collections import Counter, deque
from typing import Any

import anyio
import pycrdt
import pytest

from collab.access import Access, Identity
from collab.checking import check_update
from collab.document import Document
from collab.lib0 import write_var_string, write_var_uint
from collab.protocol import yjs
from collab.protocol.messages import AwarenessUpdate, SyncStep1, SyncStep2, Update
from collab.server.rooms.member import Member
from collab.server.rooms.room import Room
from collab.server.settings import Settings
from collab.session import Session
from collab.storage.memory import MemoryStore
from tests.server.stores import SteeredStore
from tests.server.wire import Wire, house

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


CLIENTS = 5
MOVES = 1200
SNIPPETS = ["a", "é", "e\u0301", "😀", "👨‍👩‍👧", "한", "\n", "word ", "🇩🇪"]


class Typist:
    """A client of the network: a Doc that outlives its connections.

    Attributes:
        doc: its document.
        acknowledged: its own updates that came back to it.
    """

    def __init__(self, number: int, choose: random.Random) -> None:
        self.number = number
        self.doc: pycrdt.Doc[Any] = pycrdt.Doc(client_id=number)
        self.text = self.doc.get("text", type=pycrdt.Text)
        self.map = self.doc.get("map", type=pycrdt.Map)
        self.array = self.doc.get("array", type=pycrdt.Array)
        self.acknowledged: list[bytes] = []
        self._choose = choose
        self._sent: list[bytes] = []
        self._room: Room | None = None
        self._seat: Member | None = None
        self._wire = Wire()
        self._to_server: deque[bytes] = deque()
        self._clock = 0
        self._marks = 0
        self.doc.observe(self._changed)
        self._applying = False

    @property
    def online(self) -> bool:
        return self._room is not None

    def connect(self, room: Room) -> None:
        self._wire = Wire()
        self._to_server.clear()
        self._room = room
        self._seat = Member(self._wire, Session(Identity(id=str(self.number)), Access.WRITE))
        room.join(self._seat)
        self._to_server.append(yjs.sync_step1(self.doc.get_state()))
        self._show()

    def disconnect(self) -> None:
        """The socket is cut: what is under way in either direction is lost."""
        if self._room is not None and self._seat is not None:
            self._room.leave(self._seat)
        self.forget()

    def forget(self) -> None:
        """The server has died."""
        self._room = self._seat = None
        self._to_server.clear()

    def edit(self) -> None:
        self._marks += 1
        mark = f"<{self.number}.{self._marks}>"
        choice = self._choose.random()
        if choice < 0.6:
            written = str(self.text)
            at = self._choose.randint(0, len(written))
            while at < len(written) and written[:at].count("<") != written[:at].count(">"):
                at += 1  # Marks stay whole, so that they can be counted.
            snippet = self._choose.choice(SNIPPETS)
            self.text.insert(len(written[:at].encode()), snippet + mark)
        elif choice < 0.7 and len(str(self.text)):
            written = str(self.text)
            if written[0] not in "<":
                del self.text[0 : len(written[0].encode())]
        elif choice < 0.85:
            self.map[self._choose.choice("klm")] = mark
        else:
            self.array.insert(self._choose.randint(0, len(self.array)), mark)

    def send_one(self) -> None:
        """One of its frames reaches the server."""
        if self._room is not None and self._seat is not None and self._to_server:
            self._room.receive(self._seat, self._to_server.popleft())
            assert self._wire.closed is None, self._wire.closed

    def read_one(self) -> None:
        """One of the server's frames reaches it."""
        if not self._wire.frames or self._room is None:
            return
        frame = self._wire.frames.pop(0)
        message = yjs.decode(frame)
        if isinstance(message, SyncStep1):
            update = self.doc.get_update(message.state_vector)
            self._to_server.append(yjs.sync_step2(update))
        elif isinstance(message, (SyncStep2, Update)):
            self._applying = True
            self.doc.apply_update(message.update)
            self._applying = False
            if isinstance(message, Update) and message.update in self._sent:
                self.acknowledged.append(message.update)
        else:
            assert isinstance(message, AwarenessUpdate)

    def busy(self) -> bool:
        return self.online and bool(self._to_server or self._wire.frames)

    def waits(self) -> bool:
        """Whether it is not in sync and nothing is under way: a thread cuts what it lacks."""
        return self._seat is not None and not self._seat.live and not self.busy()

    async def until_busy(self) -> None:
        await self._wire.until(lambda: bool(self._wire.frames))

    def content(self) -> tuple[str, tuple[tuple[str, str], ...], tuple[str, ...]]:
        keys: dict[str, str] = self.map.to_py() or {}
        return str(self.text), tuple(sorted(keys.items())), tuple(self.array.to_py() or ())

    def _changed(self, event: pycrdt.TransactionEvent) -> None:
        if self._applying:
            return
        check_update(event.update)
        self._sent.append(event.update)
        if self.online:
            self._to_server.append(yjs.update(event.update))

    def _show(self) -> None:
        head = b"\x01" + write_var_uint(self.number) + write_var_uint(self._clock)
        self._clock += 1
        self._to_server.append(yjs.awareness(head + write_var_string("{}")))


def covers(document: Document, update: bytes) -> bool:
    """Whether everything of an update is in a document."""
    return document.integrate(update) is None


async def deliver_everything(typists: list[Typist], room: Room, choose: random.Random) -> None:
    while True:
        while any(typist.busy() for typist in typists):
            typist = choose.choice([typist for typist in typists if typist.busy()])
            choose.choice([typist.send_one, typist.read_one])()
        await room.content.settle()  # What it releases is to be read too.
        late = next((typist for typist in typists if typist.waits()), None)
        if late is not None:
            await late.until_busy()
        elif not any(typist.busy() for typist in typists):
            return


@pytest.mark.parametrize("seed", range(12))
async def test_everybody_converges_and_nothing_acknowledged_is_lost(seed: int) -> None:
    choose = random.Random(seed)
    store = SteeredStore(MemoryStore())
    typists = [Typist(number, choose) for number in range(1, CLIENTS + 1)]
    settings = Settings(
        checkpoint_entries=20, checkpoint_seconds=1e-9, slow_commit_seconds=0.005, part_bytes=200
    )
    lives = 4
    for life in range(lives):
        async with house(store, settings) as server:
            store.let_append()
            room = await server.rooms.acquire("d")
            for typist in typists:
                if choose.random() < 0.8 or life == lives - 1:
                    typist.connect(room)
            for _ in range(MOVES // lives):
                typist = choose.choice(typists)
                roll = choose.random()
                if roll < 0.25:
                    typist.edit()
                elif roll < 0.6:
                    typist.send_one()
                elif roll < 0.92:
                    typist.read_one()
                elif roll < 0.94:
                    if typist.online:
                        typist.disconnect()
                    else:
                        typist.connect(room)
                elif roll < 0.96:
                    store.hold_appends()
                elif roll < 0.98:
                    store.let_append()
                else:
                    await anyio.lowlevel.checkpoint()
            if life < lives - 1:  # It dies in the middle of it all.
                for typist in typists:
                    typist.forget()
                continue
            store.let_append()
            for typist in typists:
                if not typist.online:
                    typist.connect(room)
            await deliver_everything(typists, room, choose)
        for typist in typists:
            typist.forget()
    async with store:
        stored = Document.load(await store.load("d"))
    contents = {typist.content() for typist in typists}
    assert len(contents) == 1
    fresh = Typist(99, choose)
    fresh.doc.apply_update(stored.encode())
    assert fresh.content() in contents
    assert stored.pending_bytes == 0
    for typist in typists:
        for update in typist.acknowledged:
            assert covers(stored, update)
    assert sum(len(typist.acknowledged) for typist in typists) > 0
    text, _, array = fresh.content()
    marks = Counter(part.split(">")[0] for part in text.split("<")[1:])
    assert max(marks.values()) == 1
    assert max(Counter(array).values()) == 1


async def test_what_was_acknowledged_before_a_crash_is_there_after_it() -> None:
    store = SteeredStore(MemoryStore())
    typist = Typist(1, random.Random(1))
    async with house(store) as server:
        room = await server.rooms.acquire("d")
        typist.connect(room)
        await deliver_everything([typist], room, random.Random(1))
        for _ in range(20):
            typist.edit()
        await deliver_everything([typist], room, random.Random(1))
        store.hold_appends()
        typist.edit()
        while typist.busy():
            typist.send_one()
            typist.read_one()
    typist.forget()
    assert len(typist.acknowledged) == 20
    store.let_append()
    async with store:
        document = Document.load(await store.load("d"))
    assert all(covers(document, update) for update in typist.acknowledged)
    assert document.state_vector != typist.doc.get_state()
    async with house(store) as server:
        room = await server.rooms.acquire("d")
        typist.connect(room)
        await deliver_everything([typist], room, random.Random(1))
        assert room.document.state_vector == typist.doc.get_state()
