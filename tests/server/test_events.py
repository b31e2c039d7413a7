"""The feed of a document over HTTP: what happens, resumed by seq; who is here; what is said."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pycrdt
import pytest
from starlette.requests import HTTPConnection

from collab.access import Access, Identity
from collab.app_messages import AppMessage
from collab.event_stream import Event, EventReader
from collab.happenings import Changed
from collab.protocol import yjs
from collab.server.app import Collab
from collab.server.bus.in_process import Exchange
from collab.server.settings import Settings
from collab.storage.memory import MemoryStore
from collab.storage.sqlite import SQLiteStore
from collab.store import Append, Appended, NewEntry
from tests.core import poison
from tests.server.fallback import DEADLINE_SECONDS, FallbackClient
from tests.server.hosts import HOSTS, STREAM_WRITERS, front_door
from tests.server.stores import SteeredStore
from tests.server.transports.fallback.serving import SHOWS_ITSELF, http_to, synced

pytestmark = [
    pytest.mark.anyio,
    STREAM_WRITERS,
    pytest.mark.usefixtures("collected"),
]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def by_token(connection: HTTPConnection) -> Identity | None:
    """Whoever names themselves; ``mallory`` may nothing, ``reader`` may read."""
    name = connection.headers.get("authorization", "Bearer ada").removeprefix("Bearer ")
    access = {"mallory": Access.NONE, "reader": Access.READ}.get(name, Access.WRITE)
    return None if name == "nobody" else Identity(id=name, access=access)


@contextlib.asynccontextmanager
async def serving(
    settings: Settings | None = None,
) -> AsyncIterator[tuple[Collab, httpx.AsyncClient]]:
    app = Collab(MemoryStore(), authenticate=by_token, settings=settings)
    async with front_door(app) as port, http_to(port) as http:
        yield app, http


class Follower:
    """A program that follows a document.

    Attributes:
        last_id: id of the last event that had one.
    """

    def __init__(self, answer: httpx.Response) -> None:
        self._pieces = answer.aiter_raw()
        self._reader = EventReader()
        self._events: list[Event] = []

    @property
    def last_id(self) -> str | None:
        return self._reader.last_id

    async def next(self) -> tuple[str, Any]:
        """Type and payload of the next event."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            while not self._events:
                self._events += self._reader.feed(await anext(self._pieces))
        record = json.loads(self._events.pop(0).text)
        assert record.keys() == {"type", "payload"}
        return record["type"], record["payload"]

    async def next_of(self, kind: str) -> Any:
        """Payload of the next event of a type."""
        while True:
            came, payload = await self.next()
            if came == kind:
                return payload

    async def end(self) -> None:
        """Waits until the server ends it."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            async for _ in self._pieces:
                pass


@contextlib.asynccontextmanager
async def following(
    http: httpx.AsyncClient, *, since: str | None = None, name: str = "room", user: str = "ada"
) -> AsyncIterator[Follower]:
    headers = {"Accept": "text/event-stream", "Authorization": f"Bearer {user}"}
    if since is not None:
        headers["Last-Event-ID"] = since
    async with http.stream("GET", f"/api/docs/{name}/events", headers=headers) as answer:
        if answer.is_error:
            await answer.aread()
        answer.raise_for_status()
        yield Follower(answer)


async def write(http: httpx.AsyncClient, words: int, start: int = 0) -> None:
    """Makes as many changes, one after the other."""
    for number in range(start, start + words):
        doc: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc(client_id=number + 1)
        text = doc.get("text", type=pycrdt.Text)
        text += str(number)
        answer = await http.post("/api/docs/room/updates", content=doc.get_update())
        assert answer.status_code == 204


@pytest.mark.parametrize("host", ["native", "hypercorn", "uvicorn"])
async def test_a_program_hears_what_happens(host: str) -> None:
    app = Collab(MemoryStore(), authenticate=by_token)
    async with HOSTS[host](app) as port, http_to(port) as http, following(http) as program:
        assert await program.next() == ("presence", {"present": [], "gone": []})
        async with FallbackClient(http, token="bob") as client:
            await synced(client)
            await client.say(SHOWS_ITSELF)
            presence = await program.next_of("presence")
            user = {"id": "bob", "name": "bob"}
            assert presence["present"] == [{"client": 7, "state": {"user": user}}]
            here = (await http.get("/api/docs/room/presence")).json()
            assert here == {"present": presence["present"]}
            await client.say(yjs.update(poison.HELLO))
            change = await program.next_of("change")
            assert (change["seq"], change["author"], change["inserted"]) == (1, "bob", 5)
            assert program.last_id == "1"
            await http.post("/api/docs/room/versions", json={"name": "first"})
            assert (await program.next_of("version"))["name"] == "first"
            await client.end()
        assert (await program.next_of("presence"))["gone"] == [7]
        assert (await http.get("/api/docs/room/presence")).json() == {"present": []}


async def test_what_was_missed_comes_first_and_nothing_twice() -> None:
    async with serving() as (_, http):
        await write(http, 3)
        async with following(http) as program:
            await program.next_of("presence")
            assert program.last_id == "3"
            await write(http, 1, start=3)
            assert (await program.next_of("change"))["seq"] == 4
        await write(http, 2, start=4)
        async with following(http, since="4") as program:
            assert [(await program.next_of("change"))["seq"] for _ in range(2)] == [5, 6]
            await write(http, 1, start=6)
            assert (await program.next_of("change"))["seq"] == 7
        async with following(http, since="0") as program:
            seqs = [(await program.next_of("change"))["seq"] for _ in range(7)]
            assert seqs == [*range(1, 8)]


@contextlib.asynccontextmanager
async def two_servers(path: Path) -> AsyncIterator[tuple[httpx.AsyncClient, httpx.AsyncClient]]:
    """Two servers over one store, which hear each other."""
    exchange = Exchange()
    one, other = (
        Collab(SQLiteStore(path), authenticate=by_token, bus=exchange.bus()) for _ in range(2)
    )
    async with (
        front_door(one) as port,
        front_door(other) as other_port,
        http_to(port) as http,
        http_to(other_port) as other_http,
    ):
        yield http, other_http


async def test_what_two_servers_write_comes_in_order_and_whole(tmp_path: Path) -> None:
    async with two_servers(tmp_path / "collab.db") as (http, other), following(http) as program:
        await program.next_of("presence")
        await write(http, 1)
        await write(other, 1, start=1)
        await write(http, 1, start=2)
        assert [(await program.next_of("change"))["seq"] for _ in range(3)] == [1, 2, 3]


async def test_what_another_server_writes_comes_where_nobody_has_the_document_open_here(
    tmp_path: Path,
) -> None:
    async with two_servers(tmp_path / "collab.db") as (http, other), following(http) as program:
        await program.next_of("presence")
        await write(other, 1)
        assert (await program.next_of("change"))["seq"] == 1


class LateStore(SteeredStore):
    """A store whose first append takes a while to return what it has committed already."""

    def __init__(self) -> None:
        super().__init__()
        self.committed, self.may_return = asyncio.Event(), asyncio.Event()

    async def append(self, appends: Sequence[Append]) -> Sequence[Appended]:
        appended = await super().append(appends)
        self.committed.set()
        await self.may_return.wait()
        return appended


async def test_what_is_read_back_before_its_commit_is_told_comes_once() -> None:
    store = LateStore()
    app = Collab(store, authenticate=by_token)
    async with front_door(app) as port, http_to(port) as http, following(http) as program:
        await program.next_of("presence")
        async with FallbackClient(http, token="ada") as client, asyncio.timeout(DEADLINE_SECONDS):
            await synced(client)
            await client.say(yjs.update(poison.HELLO))
            await store.committed.wait()
            room = app.running.rooms.find("room")
            assert room is not None
            with app.running.feeds.follow("room", lambda _: True) as feed:
                room.remote.read_back()
                assert (await program.next_of("change"))["seq"] == 1
                store.may_return.set()
                await write(http, 1, start=2)
                assert (await program.next_of("change"))["seq"] == 2
                told = [await anext(feed) for _ in range(3)]
        seqs = [happening.entry.seq for happening in told if isinstance(happening, Changed)]
        assert seqs == [1, 1, 2]  # What follows a feed goes by the seq, as the stream does.


async def test_an_entry_that_does_not_apply_is_told_of_with_those_that_came_with_it(
    tmp_path: Path,
) -> None:
    path = tmp_path / "collab.db"
    async with two_servers(path) as (http, other), following(http) as program:
        await program.next_of("presence")
        async with FallbackClient(http, token="ada") as client:
            await synced(client)
            await client.say(yjs.update(poison.HELLO))
            assert (await program.next_of("change"))["seq"] == 1
            async with SQLiteStore(path) as store:
                entry = NewEntry(update=poison.CHILD_OF_A_STRING, time_ms=1)
                await store.append([Append(document="room", entries=[entry])])
            await write(other, 1, start=2)
            told = [await program.next_of("change") for _ in range(2)]
            assert [change["seq"] for change in told] == [2, 3]
            content = await http.get("/api/docs/room/content?format=text")
            assert sorted(content.text) == sorted("hello2")


async def test_a_seq_that_is_not_there_yet_hides_nothing() -> None:
    async with serving() as (_, http), following(http, since="99") as program:
        await program.next_of("presence")
        await write(http, 1)
        assert (await program.next_of("change"))["seq"] == 1


async def test_a_program_that_reads_too_slowly_is_sent_away_and_can_resume() -> None:
    async with serving(Settings(happenings_waiting=1)) as (app, http):
        async with following(http) as program:
            await program.next_of("presence")
            for _ in range(3):  # Without an await in between: it cannot keep up.
                app.running.rooms.say("room", _message("x"))
            await program.end()
        async with following(http, since=program.last_id) as program:
            await program.next_of("presence")


@pytest.mark.parametrize(("user", "status"), [("nobody", 401), ("mallory", 403)])
async def test_who_may_not_read_hears_nothing(user: str, status: int) -> None:
    async with serving() as (_, http):
        with pytest.raises(httpx.HTTPStatusError) as caught:
            async with following(http, user=user):
                pass
        assert caught.value.response.status_code == status
        headers = {"Authorization": f"Bearer {user}"}
        answer = await http.get("/api/docs/room/presence", headers=headers)
        assert answer.status_code == status
        message = {"type": "ping", "payload": 1}
        answer = await http.post("/api/docs/room/messages", headers=headers, json=message)
        assert answer.status_code == status


async def test_a_stream_ends_with_the_right_to_read_it() -> None:
    async with serving() as (app, http), following(http, user="eve") as program:
        await program.next_of("presence")
        assert await app.revoke(user="eve", document="another") == 0
        assert await app.revoke(user="eve") == 1
        await program.end()


async def test_a_stream_ends_when_the_server_does() -> None:
    async with serving() as (app, http), following(http) as program:
        await program.next_of("presence")
        await app.running.drain()
        await program.end()


@pytest.mark.parametrize("since", ["x", "-1", "1" * 20, "²"])
async def test_a_place_that_is_none_is_refused(since: str) -> None:
    async with serving() as (_, http):
        headers = {b"Last-Event-ID": since.encode()}
        answer = await http.get("/api/docs/room/events", headers=headers)
        assert answer.status_code == 400


async def test_a_head_request_is_answered() -> None:
    async with serving() as (_, http):
        answer = await http.head("/api/docs/room/events")
        assert answer.headers["Content-Type"].startswith("text/event-stream")


class TestMessages:
    async def test_they_reach_clients_and_programs_and_readers_may_send_them(self) -> None:
        async with (
            serving() as (_, http),
            following(http) as program,
            FallbackClient(http) as client,
        ):
            await synced(client)
            answer = await http.post(
                "/api/docs/room/messages",
                headers={"Authorization": "Bearer reader"},
                json={"type": "ping", "payload": {"n": 1}},
            )
            assert answer.json() == {"receivers": 2}
            said = {"type": "ping", "payload": {"n": 1}, "from": "reader"}
            assert await program.next_of("message") == said
            frame = await client.frame()
            assert frame[0] == 5
            assert json.loads(frame[2:]) == said

    async def test_what_is_for_one_user_nobody_else_hears(self) -> None:
        async with (
            serving() as (_, http),
            following(http, user="ada") as ada,
            following(http, user="bob") as bob,
        ):
            await ada.next_of("presence")
            await bob.next_of("presence")
            for to in ("bob", "ada"):
                message = {"type": "to", "payload": to, "to": to}
                answer = await http.post("/api/docs/room/messages", json=message)
                assert answer.json() == {"receivers": 1}
            assert (await ada.next_of("message"))["payload"] == "ada"
            assert (await bob.next_of("message"))["payload"] == "bob"

    @pytest.mark.parametrize(
        "message",
        [
            {},
            {"type": "a"},
            {"type": "a", "payload": 1, "from": "bob"},
            {"type": 1, "payload": 1},
            {"type": "", "payload": 1},
            {"type": "a", "payload": 1, "to": 7},
        ],
    )
    async def test_what_is_no_message_is_refused(self, message: dict[str, object]) -> None:
        async with serving() as (_, http):
            answer = await http.post("/api/docs/room/messages", json=message)
            assert answer.status_code == 400

    async def test_too_long_and_too_many_are_refused(self) -> None:
        settings = Settings(app_message_max_bytes=100, app_messages_per_second=1)
        async with serving(settings) as (_, http):
            long = {"type": "a", "payload": "x" * 200}
            assert (await http.post("/api/docs/room/messages", json=long)).status_code == 413
            message = {"type": "a", "payload": 1}
            statuses = [
                (await http.post("/api/docs/room/messages", json=message)).status_code
                for _ in range(4)
            ]
            assert statuses[:2] == [200, 200]
            assert 429 in statuses
            headers = {"Authorization": "Bearer bob"}
            other = await http.post("/api/docs/room/messages", json=message, headers=headers)
            assert other.status_code == 200


def _message(text: str) -> AppMessage:
    return AppMessage(type="t", payload=text)
