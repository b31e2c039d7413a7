"""Application messages: who hears them, what is acknowledged, and what is refused."""

import json
from dataclasses import dataclass, field

import anyio
import pytest

from collab.access import Access, Identity
from collab.app_messages import AppMessage
from collab.errors import InvalidMessage, NotRunning
from collab.lib0 import read_var_string
from collab.protocol.dialect import Dialect
from collab.protocol.hocuspocus import HOCUSPOCUS
from collab.protocol.yjs import Y_WEBSOCKET
from collab.server.app import Collab
from collab.server.rooms.member import Member
from collab.server.rooms.room import Room
from collab.server.settings import Settings
from collab.session import Session
from collab.storage.memory import MemoryStore
from tests.server.wire import DEADLINE_SECONDS, Wire, house

pytestmark = pytest.mark.anyio

_STATELESS = 5


@dataclass
class Speaker:
    """A Hocuspocus client in a room, as far as it speaks."""

    room: Room
    name: str | None = None
    access: Access = Access.READ
    dialect: Dialect = HOCUSPOCUS
    wire: Wire = field(default_factory=Wire)

    def __post_init__(self) -> None:
        identity = Identity(id=self.name, access=self.access)
        self.seat = Member(self.wire, Session(identity, self.access, self.dialect))
        self.room.join(self.seat)

    def say(self, text: str) -> None:
        self.room.receive(self.seat, HOCUSPOCUS.stateless(text))

    def heard(self) -> list[str]:
        frames = [frame for frame in self.wire.read() if frame[0] == _STATELESS]
        return [read_var_string(frame, 1)[0] for frame in frames]


async def test_everyone_else_hears_it_as_it_came_where_nobody_is_named() -> None:
    async with house(MemoryStore()) as inner:
        room = await inner.rooms.acquire("d")
        one, two, deaf = Speaker(room), Speaker(room), Speaker(room, dialect=Y_WEBSOCKET)
        text = '{ "type": "ping",  "payload": [1] }'
        one.say(text)
        assert two.heard() == [text]
        assert one.heard() == []
        assert deaf.wire.read()[1:] == []


async def test_nobody_who_is_not_known_passes_for_somebody() -> None:
    async with house(MemoryStore()) as inner:
        room = await inner.rooms.acquire("d")
        one, two = Speaker(room), Speaker(room)
        one.say('{"type": "ping", "payload": null, "from": "bob"}')
        assert json.loads(two.heard()[0]) == {"type": "ping", "payload": None}


async def test_it_says_who_it_is_from_whatever_the_sender_says() -> None:
    async with house(MemoryStore()) as inner:
        room = await inner.rooms.acquire("d")
        ada, bob = Speaker(room, "ada"), Speaker(room, "bob")
        ada.say('{"type": "ping", "payload": null, "from": "bob"}')
        assert json.loads(bob.heard()[0])["from"] == "ada"


async def test_only_one_user_hears_what_is_for_them_in_all_their_connections() -> None:
    async with house(MemoryStore()) as inner:
        room = await inner.rooms.acquire("d")
        ada, ada_too, bob = Speaker(room, "ada"), Speaker(room, "ada"), Speaker(room, "bob")
        bob.say('{"type": "ping", "payload": 1, "to": "ada", "id": "x"}')
        assert len(ada.heard()) == len(ada_too.heard()) == 1
        assert json.loads(bob.heard()[0]) == {"type": "ack", "id": "x", "receivers": 2}
        ada.say('{"type": "ping", "payload": 1, "to": "ada"}')
        assert (len(ada.heard()), len(ada_too.heard()), len(bob.heard())) == (0, 1, 0)


@pytest.mark.parametrize("text", ["hello", '{"type": "ack", "id": "x"}', "{", '{"a": 1, "id": 2}'])
async def test_what_is_no_message_is_passed_on_and_not_acknowledged(text: str) -> None:
    async with house(MemoryStore()) as inner:
        room = await inner.rooms.acquire("d")
        one, two = Speaker(room, "ada"), Speaker(room)
        one.say(text)
        assert two.heard() == [text]
        assert one.heard() == []


async def test_too_many_are_refused_and_told_so_where_they_have_an_id() -> None:
    async with house(MemoryStore(), Settings(app_messages_per_second=1)) as inner:
        room = await inner.rooms.acquire("d")
        one, two, three = Speaker(room), Speaker(room), Speaker(room)
        for number in range(4):
            one.say(json.dumps({"type": "ping", "payload": number, "id": str(number)}))
        answers = [json.loads(text)["type"] for text in one.heard()]
        assert answers == ["ack", "ack", "refused", "refused"]
        assert len(two.heard()) == 2
        three.say("others may go on")
        assert two.heard() == ["others may go on"]


async def test_one_that_is_too_long_is_refused() -> None:
    async with house(MemoryStore(), Settings(app_message_max_bytes=100)) as inner:
        room = await inner.rooms.acquire("d")
        one, two = Speaker(room), Speaker(room)
        one.say("é" * 51)
        assert two.heard() == []
        assert json.loads(one.heard()[0])["type"] == "refused"
        with pytest.raises(InvalidMessage):
            inner.rooms.say("d", AppMessage(type="ping", payload="x" * 100))
        with pytest.raises(InvalidMessage):
            inner.rooms.say("not open", AppMessage(type="ping", payload="x" * 100))


async def test_python_hears_what_is_for_everybody_and_for_itself() -> None:
    async with Collab(MemoryStore()) as collab:
        robot, ada = (Identity(id=name) for name in ("robot", "ada"))
        async with (
            collab.document("d", identity=robot) as one,
            collab.document("d", identity=ada) as two,
        ):
            messages = one.messages()
            assert two.send_message("ping", {"n": 1}) == 1
            assert two.send_message("ping", 2, to="robot") == 1
            assert two.send_message("ping", 3, to="somebody else") == 0
            one.send_message("own", None)
            two.send_message("last", None)
            with anyio.fail_after(DEADLINE_SECONDS):
                heard = [await anext(messages) for _ in range(3)]
        assert [(each.type, each.payload, each.sender) for each in heard] == [
            ("ping", {"n": 1}, "ada"),
            ("ping", 2, "ada"),
            ("last", None, "ada"),
        ]
        assert [each async for each in messages] == []
        with pytest.raises(NotRunning):
            two.send_message("too late", None)


async def test_clients_and_python_hear_each_other() -> None:
    async with Collab(MemoryStore()) as collab, collab.document("d") as document:
        messages = document.messages()
        room = collab.running.rooms.find("d")
        assert room is not None
        client = Speaker(room, "ada")
        document.send_message("hello", 1)
        assert json.loads(client.heard()[0]) == {"type": "hello", "payload": 1}
        client.say('{"type": "back", "payload": 2, "id": "x"}')
        with anyio.fail_after(DEADLINE_SECONDS):
            message = await anext(messages)
        assert (message.type, message.sender) == ("back", "ada")
        assert json.loads(client.heard()[0])["receivers"] == 1
