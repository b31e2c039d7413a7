"""Judge: what becomes of changes that are refused, once they may be made."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pycrdt
import pytest

from collab.access import ANYONE, Access
from collab.lib0 import write_var_bytes, write_var_uint
from collab.protocol import yjs
from collab.protocol.dialect import Dialect
from collab.protocol.yjs import Y_WEBSOCKET
from collab.protocol.ysweet import Y_SWEET
from collab.server.rooms.heartbeat import Heartbeat
from collab.server.rooms.member import Member
from collab.server.rooms.room import Room
from collab.server.settings import Settings
from collab.session import Session
from collab.update import split
from tests.core import poison
from tests.server.stores import SteeredStore
from tests.server.wire import DEADLINE_SECONDS, Client, Wire, house

pytestmark = pytest.mark.anyio

_QUESTION = 102


class Asking(Client):
    """A client that can ask, as y-sweet's does, whether all that it sent is durable.

    Attributes:
        answers: the numbers of the questions that were answered.
    """

    def __init__(
        self, room: Room, *, client_id: int, access: Access, dialect: Dialect = Y_SWEET
    ) -> None:
        super().__init__(room, client_id=client_id)
        self.seat = Member(self.wire, Session(ANYONE, access, dialect))
        self.answers: list[int] = []

    def write(self, word: str) -> None:
        """Appends to the text, and sends nothing."""
        text = self.doc.get("text", type=pycrdt.Text)
        text += word

    def ask(self, number: int) -> None:
        self.say(bytes((_QUESTION,)) + write_var_bytes(write_var_uint(number)))

    def _take(self, frame: bytes) -> None:
        if frame[0] == _QUESTION:
            self.answers.append(frame[-1])
        else:
            super()._take(frame)

    async def converse(self) -> None:
        """Takes in what comes, and answers it, until all that it says is durable."""
        await self.room.settle()
        while self.read():
            await self.room.settle()


def text_of(room: Room) -> str:
    return str(room.document.doc.get("text", type=pycrdt.Text))


@pytest.mark.parametrize("online", [False, True])
async def test_nothing_is_promised_of_what_a_reader_wrote_until_it_was_asked_for_again(
    online: bool,
) -> None:
    async with house(SteeredStore()) as server:
        room = await server.rooms.acquire("d")
        client = Asking(room, client_id=1, access=Access.READ)
        if online:
            client.connect().type("refused")
        else:
            client.write("refused")
            client.connect()
        client.ask(1)
        room.permit(client.seat, ANYONE, Access.WRITE)
        client.ask(2)
        await room.settle()
        assert not [frame for frame in client.wire.frames if frame[0] == _QUESTION]
        await client.converse()
        assert (client.answers, text_of(room)) == ([2], "refused")
        client.type(", and more")
        client.ask(3)
        await client.converse()
        assert (client.answers, text_of(room)) == ([2, 3], "refused, and more")


async def test_what_a_reader_wrote_is_asked_for_once_it_may_write() -> None:
    async with house(SteeredStore()) as server:
        room = await server.rooms.acquire("d")
        client = Asking(room, client_id=1, access=Access.READ, dialect=Y_WEBSOCKET).connect()
        client.type("refused")
        room.permit(client.seat, ANYONE, Access.WRITE)
        client.read()
        await room.settle()
        assert text_of(room) == "refused"


def questions_to(client: Client) -> int:
    """How many questions wait to be read."""
    return sum(frame[:2] == b"\x00\x00" for frame in client.wire.frames)


async def test_who_takes_long_to_answer_is_asked_once_until_then() -> None:
    async with house(SteeredStore()) as server:
        room = await server.rooms.acquire("d")
        client = Asking(room, client_id=1, access=Access.READ, dialect=Y_WEBSOCKET).connect()
        client.type("refused")
        room.permit(client.seat, ANYONE, Access.WRITE)
        for _ in range(3):
            room.ask_again(client.seat)
        assert questions_to(client) == 1
        room.permit(client.seat, ANYONE, Access.READ)
        client.read()
        room.permit(client.seat, ANYONE, Access.WRITE)
        assert questions_to(client) == 1
        client.read()
        await room.settle()
        assert text_of(room) == "refused"


async def test_an_answer_that_waited_is_judged_by_what_its_client_may_do_then() -> None:
    store = SteeredStore()
    async with house(store) as server:
        room = await server.rooms.acquire("d")
        hostile = Client(room, client_id=91).connect()
        hostile.say(yjs.update(poison.HELLO))
        await room.settle()
        store.hold_loads()
        hostile.say(yjs.update(poison.CHILD_OF_A_STRING))
        client = Asking(room, client_id=2, access=Access.READ)
        client.write("!")
        client.connect()
        assert room.content.recovery.under_way
        room.permit(client.seat, ANYONE, Access.WRITE)
        client.ask(1)
        store.let_load()
        await room.settle()
        await client.converse()
        assert sorted(text_of(room)) == sorted("hello!")
        assert client.answers == [1]


async def test_a_reader_that_has_what_is_about_to_come_in_is_not_refused() -> None:
    settings = Settings(window_max_seconds=DEADLINE_SECONDS)
    async with house(SteeredStore(), settings, windows=True) as server:
        room = await server.rooms.acquire("d")
        # A flush that costs so much is followed by a window of more than a second.
        Client(room, client_id=3, wire=Wire(work_seconds=0.05)).connect()
        writer = Client(room, client_id=2).connect()
        writer.type("a window opens, ")
        room.content.flush()
        writer.type("and this waits in it")
        assert text_of(room) == "a window opens, "
        reader = Asking(room, client_id=1, access=Access.READ)
        reader.doc.apply_update(writer.doc.get_update())
        reader.connect()
        assert not reader.seat.session.has_refused
        reader.ask(1)
        await reader.converse()
        assert reader.answers == [1]


async def test_what_a_reader_writes_ends_nobodys_window() -> None:
    settings = Settings(window_max_seconds=DEADLINE_SECONDS)
    async with house(SteeredStore(), settings, windows=True) as server:
        room = await server.rooms.acquire("d")
        Client(room, client_id=3, wire=Wire(work_seconds=0.05)).connect()
        reader = Asking(room, client_id=1, access=Access.READ).connect()
        writer = Client(room, client_id=2).connect()
        writer.type("a window opens, ")
        room.content.flush()
        writer.type("and this waits in it")
        reader.type("refused")
        assert reader.seat.session.has_refused
        assert text_of(room) == "a window opens, "


async def test_a_long_answer_of_which_a_part_was_refused_vouches_for_nothing() -> None:
    settings = replace(Settings(), part_bytes=20_000, document_max_bytes=5_000)
    async with house(SteeredStore(), settings) as server:
        room = await server.rooms.acquire("d")
        client = Asking(room, client_id=1, access=Access.WRITE)
        client.connect()
        client.type("x" * 10_000)
        await room.settle()
        text = client.doc.get("text", type=pycrdt.Text)
        with client.doc.transaction():
            for at in range(5_000):
                del text[at]
        client.write("refused" * 10_000)
        answer = client.doc.get_update(room.document.state_vector)
        *_, last = split(answer, settings.part_bytes)
        assert room.document.can_delete(last)
        client.say(yjs.sync_step2(answer))
        client.ask(1)
        await room.settle()
        client.read()
        assert client.answers == []


@asynccontextmanager
async def full_document(dialect: Dialect) -> AsyncIterator[tuple[Asking, Client, Heartbeat]]:
    """A document that somebody has filled, and somebody else who comes to it.

    Yields:
        Who is not connected yet, who has filled it, and a heartbeat that has not begun.
    """
    settings = Settings(
        document_max_bytes=200, checkpoint_seconds=1e-9, heartbeat_seconds=0.04, dead_seconds=60
    )
    async with house(SteeredStore(), settings) as server:
        room = await server.rooms.acquire("d")
        other = Client(room, client_id=2).connect()
        other.type("x" * 300)
        await room.settle()
        client = Asking(room, client_id=1, access=Access.WRITE, dialect=dialect)
        yield client, other, Heartbeat(server.rooms, server.timers, settings)


@pytest.mark.parametrize("dialect", [Y_SWEET, Y_WEBSOCKET])
async def test_what_a_full_document_refused_is_asked_for_once_there_is_room(
    dialect: Dialect,
) -> None:
    async with full_document(dialect) as (client, other, heartbeat):
        room = client.room
        client.connect()
        client.type("refused")
        if dialect is Y_SWEET:
            client.ask(1)
        heartbeat.start()
        other.read()
        other.delete(0, 300)
        await client.read_until(lambda: "refused" in text_of(room))
        if dialect is Y_SWEET:
            await client.read_until(lambda: client.answers == [1])


@pytest.mark.parametrize("dialect", [Y_SWEET, Y_WEBSOCKET])
async def test_who_made_room_in_a_full_document_while_away_can_write_in_it(
    dialect: Dialect,
) -> None:
    async with full_document(dialect) as (client, other, heartbeat):
        room = client.room
        client.doc.apply_update(room.document.encode())
        text = client.doc.get("text", type=pycrdt.Text)
        text += "instead"
        del text[:300]
        text += ", again"
        del text[:2]
        heartbeat.start()
        client.connect()
        await client.read_until(lambda: text_of(room) == "stead, again")
        await room.settle()
        other.read()
        assert other.text == "stead, again"
