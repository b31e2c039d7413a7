"""``/api/docs/{document}/updates``: the log over HTTP, and changes without a WebSocket."""

import json
from collections.abc import AsyncIterator, Iterable, Iterator
from urllib.parse import quote

import anyio
import anyio.lowlevel
import httpx
import pycrdt
import pytest
from starlette.requests import HTTPConnection

from collab.access import Access, Identity
from collab.document import Document
from collab.errors import StoreUnavailable
from collab.lib0 import write_var_string
from collab.merging import merge
from collab.ndjson import MEDIA_TYPE, encode_entries
from collab.protocol import yjs
from collab.server.app import Collab
from collab.server.settings import Settings
from collab.storage.memory import MemoryStore
from collab.store import Entry, NewEntry
from tests.core import poison
from tests.core.writing import read, typed
from tests.server.stores import SteeredStore
from tests.server.wire import Client

pytestmark = pytest.mark.anyio

LOG = {"Content-Type": MEDIA_TYPE}
TEXT = {"Content-Type": "text/plain"}


async def authenticate(connection: HTTPConnection) -> Identity | None:
    """Somebody whose name is their access."""
    who = connection.headers.get("authorization", "")
    return Identity(id=who, access=Access[who]) if who else None


def requests_to(app: Collab) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost")


@pytest.fixture
def store() -> SteeredStore:
    return SteeredStore(MemoryStore())


@pytest.fixture
async def collab(store: SteeredStore) -> AsyncIterator[Collab]:
    async with Collab(store, settings=Settings(message_max_bytes=200_000)) as collab:
        yield collab


@pytest.fixture
async def client(collab: Collab) -> AsyncIterator[httpx.AsyncClient]:
    async with requests_to(collab) as client:
        yield client


async def stored(store: SteeredStore, name: str) -> list[Entry]:
    return [entry async for entry in store.entries(name)]


def log_of(updates: Iterable[bytes], first_ms: int = 1_000) -> list[NewEntry]:
    return [
        NewEntry(update=update, time_ms=first_ms + number, author=f"author {number}")
        for number, update in enumerate(updates)
    ]


class TestOneUpdate:
    async def test_it_is_durable_when_the_answer_comes(
        self, client: httpx.AsyncClient, store: SteeredStore
    ) -> None:
        (update,) = typed("hello")
        answer = await client.post("/api/docs/a%2Fb/updates", content=update)
        assert (answer.status_code, answer.content) == (204, b"")
        (entry,) = await stored(store, "a/b")
        assert entry.update == update

    async def test_a_long_one_is_taken_in_a_part_at_a_time(self, store: SteeredStore) -> None:
        (update,) = typed("hello " * 20_000)
        async with (
            Collab(store, settings=Settings(part_bytes=10_000)) as collab,
            requests_to(collab) as client,
        ):
            answer = await client.post("/api/docs/a/updates", content=update)
            assert answer.status_code == 204
            entries = [entry.update for entry in await stored(store, "a")]
        assert all(len(each) <= 10_000 for each in entries)
        assert read(entries) == "hello " * 20_000

    async def test_no_answer_comes_before_the_commit(
        self, client: httpx.AsyncClient, store: SteeredStore
    ) -> None:
        (update,) = typed("hello")
        answers: list[int] = []

        async def post() -> None:
            answer = await client.post("/api/docs/a/updates", content=update)
            answers.append(answer.status_code)

        store.hold_appends()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(post)
            await store.append_began.wait()
            await anyio.wait_all_tasks_blocked()
            assert answers == []
            store.let_append()
        assert answers == [204]

    async def test_whoever_has_the_document_open_sees_it(
        self, collab: Collab, client: httpx.AsyncClient
    ) -> None:
        room = await collab.running.rooms.acquire("a")
        peer = Client(room, client_id=5).connect()
        await peer.sync()
        for update in typed("content ", "grows", root="text"):
            await client.post("/api/docs/a/updates", content=update)
        await peer.read_until(lambda: peer.text == "content grows")
        peer.type("!")
        await room.content.settle()
        assert peer.acknowledged
        collab.running.rooms.release(room)

    async def test_sent_again_it_is_not_stored_again(
        self, client: httpx.AsyncClient, store: SteeredStore
    ) -> None:
        (update,) = typed("hello")
        for _ in range(2):
            answer = await client.post("/api/docs/a/updates", content=update)
            assert answer.status_code == 204
        assert len(await stored(store, "a")) == 1

    async def test_it_may_depend_on_one_that_is_not_here_yet(
        self, client: httpx.AsyncClient, store: SteeredStore
    ) -> None:
        first, second = typed("a", "b")
        for update in (second, first):
            await client.post("/api/docs/a/updates", content=update)
        assert read([entry.update for entry in await stored(store, "a")]) == "ab"
        content = await client.get("/api/docs/a/content", params={"format": "text"})
        assert content.text == "ab"

    @pytest.mark.parametrize("body", [*poison.UNDECODABLE.values(), *poison.UNKEEPABLE.values()])
    async def test_what_is_no_update_is_refused(self, store: SteeredStore, body: bytes) -> None:
        async with Collab(store) as collab, requests_to(collab) as client:
            answer = await client.post("/api/docs/a/updates", content=body)
            assert answer.status_code == 400
            assert answer.json()["error"].startswith("expected ")
            assert await store.documents() == []

    async def test_one_that_only_fails_when_applied_is_refused_and_the_room_goes_on(
        self, collab: Collab, client: httpx.AsyncClient, store: SteeredStore
    ) -> None:
        room = await collab.running.rooms.acquire("a")
        peer = Client(room, client_id=5).connect()
        await peer.sync()
        assert (await client.post("/api/docs/a/updates", content=poison.HELLO)).is_success
        refused = await client.post("/api/docs/a/updates", content=poison.CHILD_OF_A_STRING)
        assert refused.status_code == 400
        assert peer.wire.closed is None
        peer.type(" and on")
        await room.content.settle()
        await peer.read_until(lambda: "hello" in peer.text)
        log = [entry.update for entry in await stored(store, "a")]
        assert poison.CHILD_OF_A_STRING not in log
        assert len(log) == 2
        collab.running.rooms.release(room)

    async def test_an_empty_update_makes_no_document(
        self, client: httpx.AsyncClient, store: SteeredStore
    ) -> None:
        answer = await client.post("/api/docs/a/updates", content=b"\x00\x00")
        assert answer.status_code == 204
        assert await store.documents() == []

    # httpx leaves the generator it reads a body from to the collector.
    @pytest.mark.filterwarnings(
        "ignore:.*AsyncIteratorByteStream:pytest.PytestUnraisableExceptionWarning"
    )
    @pytest.mark.parametrize("declared", [True, False])
    async def test_a_body_above_the_bound_is_refused(
        self, client: httpx.AsyncClient, store: SteeredStore, declared: bool
    ) -> None:
        async def chunks() -> AsyncIterator[bytes]:
            for _ in range(21):
                yield bytes(10_000)

        body = bytes(210_000) if declared else chunks()
        answer = await client.post("/api/docs/a/updates", content=body)
        assert answer.status_code == 413
        assert answer.json() == {"error": "expected a body of at most 200000 bytes, got more"}

    async def test_it_is_refused_while_too_much_waits_for_the_store(
        self, store: SteeredStore
    ) -> None:
        one, two = (typed("x" * 50, client_id=number)[0] for number in (1, 2))
        settings = Settings(uncommitted_max_bytes=50)
        async with Collab(store, settings=settings) as collab, requests_to(collab) as client:
            store.failure = StoreUnavailable("disk full")
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(lambda: client.post("/api/docs/a/updates", content=one))
                while not collab.running.persister.backlog.full:
                    await anyio.lowlevel.checkpoint()
                answer = await client.post("/api/docs/a/updates", content=two)
                assert answer.status_code == 503
                store.failure = None
            assert [entry.update for entry in await stored(store, "a")] == [one]


class TestLog:
    async def test_it_comes_line_by_line_in_order(
        self, client: httpx.AsyncClient, store: SteeredStore
    ) -> None:
        updates = typed(*[f"word {number} " for number in range(1200)])
        answer = await client.post(
            "/api/docs/a/updates",
            content=encode_entries(log_of(updates[:600])),
            headers=LOG,
        )
        assert answer.json() == {"added": 600, "known": 0, "refused": []}
        await client.post(
            "/api/docs/a/updates", content=encode_entries(log_of(updates, 5_000)), headers=LOG
        )
        got = await client.get("/api/docs/a/updates")
        assert got.headers["content-type"].startswith(MEDIA_TYPE)
        lines = [json.loads(line) for line in got.text.splitlines()]
        assert [line["seq"] for line in lines] == list(range(1, 1201))
        assert [line["time_ms"] for line in lines[:2]] == [1_000, 1_001]
        assert lines[600]["time_ms"] == 5_600
        assert lines[600]["author"] == "author 600"
        after = await client.get("/api/docs/a/updates", params={"after": "1198"})
        assert after.text.splitlines() == got.text.splitlines()[1198:]
        assert (await client.get("/api/docs/a/updates?after=1200")).content == b""

    async def test_what_one_server_gives_another_takes(self, client: httpx.AsyncClient) -> None:
        for update in typed("from ", "here ", "to there"):
            await client.post("/api/docs/a/updates", content=update)
        log = (await client.get("/api/docs/a/updates")).content
        async with Collab(MemoryStore()) as other, requests_to(other) as there:
            assert (await there.post("/api/docs/b/updates", content=log, headers=LOG)).is_success
            assert (await there.get("/api/docs/b/updates")).content == log
            again = await there.post("/api/docs/b/updates", content=log, headers=LOG)
            assert again.json() == {"added": 0, "known": 3, "refused": []}

    async def test_a_log_comes_into_an_open_document_at_once(
        self, collab: Collab, client: httpx.AsyncClient, store: SteeredStore
    ) -> None:
        room = await collab.running.rooms.acquire("a")
        peer = Client(room, client_id=5).connect()
        await peer.sync()
        peer.type("mine ")
        log = encode_entries(log_of(typed("content ", "grows", client_id=9, root="text")))
        answer = await client.post("/api/docs/a/updates", content=log, headers=LOG)
        assert answer.json()["added"] == 2
        await peer.read_until(lambda: sorted(peer.text) == sorted("mine content grows"))
        assert [entry.author for entry in await stored(store, "a")] == [
            None,
            "author 0",
            "author 1",
        ]
        collab.running.rooms.release(room)

    async def test_poisoned_lines_are_named_and_the_others_kept(
        self, client: httpx.AsyncClient, store: SteeredStore
    ) -> None:
        log = encode_entries(log_of([poison.HELLO, poison.CHILD_OF_A_STRING, b"noise"]))
        answer = await client.post("/api/docs/a/updates", content=log, headers=LOG)
        assert answer.status_code == 200
        assert answer.json()["added"] == 1
        assert [each["line"] for each in answer.json()["refused"]] == [2, 3]
        assert [entry.update for entry in await stored(store, "a")] == [poison.HELLO]

    async def test_a_log_with_a_line_that_is_none_is_refused_whole(
        self, client: httpx.AsyncClient, store: SteeredStore
    ) -> None:
        log = encode_entries(log_of(typed("a"))) + b"{}\n"
        answer = await client.post("/api/docs/a/updates", content=log, headers=LOG)
        assert answer.status_code == 400
        assert "line 2" in answer.json()["error"]
        assert await store.documents() == []

    async def test_an_unknown_document_has_none(self, client: httpx.AsyncClient) -> None:
        answer = await client.get("/api/docs/nobody/updates")
        assert answer.status_code == 404
        assert answer.json() == {"error": "no document named 'nobody'"}


def _requests() -> Iterator[tuple[str, str, dict[str, str], dict[str, int]]]:
    """What each access gets: method, content, headers, status by access."""
    update = typed("a")[0]
    log = encode_entries(log_of([merge([update])]))
    yield "GET", "", {}, {"": 401, "NONE": 403, "READ": 200, "WRITE": 200, "ADMIN": 200}
    written = {"": 401, "NONE": 403, "READ": 403, "WRITE": 204, "ADMIN": 204}
    yield "POST", update.decode("latin-1"), {}, written
    admin = {"": 401, "NONE": 403, "READ": 403, "WRITE": 403, "ADMIN": 200}
    yield "POST", log.decode("latin-1"), LOG, admin


@pytest.mark.parametrize(("method", "content", "headers", "statuses"), list(_requests()))
@pytest.mark.parametrize("who", ["", "NONE", "READ", "WRITE", "ADMIN"])
async def test_each_access_gets_its_own(
    method: str, content: str, headers: dict[str, str], statuses: dict[str, int], who: str
) -> None:
    store = MemoryStore()
    async with Collab(store, authenticate=authenticate) as collab, requests_to(collab) as client:
        seed = typed("seed", client_id=77)[0]
        await client.post("/api/docs/d/updates", content=seed, headers={"Authorization": "WRITE"})
        answer = await client.request(
            method,
            f"/api/docs/{quote('d')}/updates",
            content=content.encode("latin-1"),
            headers={**headers, "Authorization": who},
        )
        assert answer.status_code == statuses[who]
        entries = [entry async for entry in store.entries("d")]
        grew = method == "POST" and answer.is_success
        assert len(entries) == 1 + grew
        if grew and not headers:
            assert entries[1].author == who


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("POST", "/api/docs/d/updates", {}),
        ("POST", "/api/docs/d/updates", LOG),
        ("PUT", "/api/docs/d/content", {"Content-Type": "application/octet-stream"}),
        ("POST", "/y-sweet/d/d/update", {}),
    ],
)
async def test_who_is_revoked_while_they_send_changes_nothing(
    store: SteeredStore, method: str, path: str, headers: dict[str, str]
) -> None:
    async def by_token(connection: HTTPConnection) -> Identity | None:
        return Identity(id="ada", access=Access.ADMIN, expires_at=1e12)

    async with Collab(store, authenticate=by_token) as collab, requests_to(collab) as client:
        updates = typed("x")
        body = encode_entries(log_of(updates)) if headers is LOG else updates[0]

        async def send() -> AsyncIterator[bytes]:
            yield body[:4]
            await collab.revoke(user="ada")
            yield body[4:]

        answer = await client.request(method, path, content=send(), headers=headers)
        assert answer.status_code == 401
        assert (await store.load("d")).seq == 0


async def test_a_log_of_too_many_clients_is_refused_in_words_and_comes_in_parts() -> None:
    store = SteeredStore()
    updates = [
        poison.update_of(poison.in_root(4, write_var_string("x")), client=client)
        for client in range(1, 12)
    ]
    async with (
        Collab(store, settings=Settings(document_clients=10)) as collab,
        requests_to(collab) as client,
    ):
        room = await collab.running.rooms.acquire("d")
        answers = []
        for part in (updates, updates[:6], updates[6:]):
            body = encode_entries(log_of(part))
            answers.append(await client.post("/api/docs/d/updates", content=body, headers=LOG))
        assert [answer.status_code for answer in answers] == [400, 200, 200]
        assert "expected at most 10 new clients at once, got 11" in answers[0].text
        assert "applies" not in answers[0].text
        assert len(await stored(store, "d")) == 11
        assert store.loads == ["d"], "the document was rebuilt"
        collab.running.rooms.release(room)


@pytest.mark.parametrize("way", ["log", "text"])
async def test_what_is_about_to_be_refused_is_not_known_when_somebody_brings_it(way: str) -> None:
    store = SteeredStore()
    refused = poison.update_of(poison.in_root(4, write_var_string("here")), client=91)
    waiting = poison.in_root(4, write_var_string("x" * 2000))
    hostile = merge([refused, poison.update_of(waiting, client=91, clock=50)])
    async with (
        Collab(store, settings=Settings(pending_max_bytes=1000)) as collab,
        requests_to(collab) as client,
        anyio.create_task_group() as tasks,
    ):
        first = await client.put("/api/docs/d/content?root=text", content="", headers=TEXT)
        assert first.is_success
        room = await collab.running.rooms.acquire("d")
        store.hold_loads()
        Client(room, client_id=91).connect().say(yjs.update(hostile))
        answers: list[httpx.Response] = []

        async def bring() -> None:
            if way == "log":
                body = encode_entries(log_of([refused]))
                answer = await client.post("/api/docs/d/updates", content=body, headers=LOG)
            else:
                answer = await client.put(
                    "/api/docs/d/content?root=text", content="here", headers=TEXT
                )
            answers.append(answer)

        tasks.start_soon(bring)
        await anyio.wait_all_tasks_blocked()
        store.let_load()
        await room.content.settle()
        while not answers:
            await anyio.lowlevel.checkpoint()
        assert answers[0].is_success
        kept = Document.load(await store.load("d"))
        assert str(kept.doc.get("text", type=pycrdt.Text)) == "here"
