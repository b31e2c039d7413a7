"""Collab in other apps: mounted or alone, entered by the host or by the server, edited live."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from urllib.parse import quote

import anyio
import httpx
import pycrdt
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import HTTPConnection
from starlette.routing import Mount
from starlette.types import ASGIApp, Message
from websockets.asyncio.client import connect

from collab.access import Access, Grants, Identity
from collab.document import Document
from collab.errors import AccessDenied, InvalidName, NotRunning, StoreUnavailable
from collab.protocol import yjs
from collab.protocol.messages import SyncStep2, Update
from collab.server.app import Collab
from collab.server.settings import Settings
from collab.storage.memory import MemoryStore
from tests.core import poison
from tests.server.hosts import hypercorn, under_uvicorn
from tests.server.stores import SteeredStore
from tests.server.wire import DEADLINE_SECONDS, Client, Wire

pytestmark = pytest.mark.anyio

Serve = Callable[[ASGIApp], AbstractAsyncContextManager[int]]


def requests_to(app: ASGIApp, prefix: str = "") -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url=f"http://localhost{prefix}"
    )


def host_of(collab: Collab, *, lifespan: bool) -> Starlette:
    """A Starlette app with collab under a prefix."""

    @asynccontextmanager
    async def entered(_: Starlette) -> AsyncIterator[None]:
        async with collab:
            yield

    return Starlette(routes=[Mount("/collab", collab)], lifespan=entered if lifespan else None)


async def read_text(port: int, path: str, expected: str) -> None:
    """Waits until a WebSocket client sees this text."""
    doc: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc()
    async with connect(f"ws://127.0.0.1:{port}{path}", compression=None) as socket:
        await socket.send(yjs.sync_step1(doc.get_state()))
        with anyio.fail_after(30):
            while str(doc.get("text", type=pycrdt.Text)) != expected:
                frame = await socket.recv()
                assert isinstance(frame, bytes)
                message = yjs.decode(frame)
                if isinstance(message, (SyncStep2, Update)):
                    doc.apply_update(message.update)


class TestMounting:
    async def test_a_host_that_enters_it_serves_it_under_its_prefix(self) -> None:
        collab = Collab(MemoryStore())
        async with collab, requests_to(host_of(collab, lifespan=False), "/collab") as client:
            assert (await client.get("/healthz")).json() == {"status": "ok"}

    async def test_fastapi_serves_it_under_its_prefix(self) -> None:
        collab = Collab(MemoryStore())
        host = FastAPI()
        host.mount("/deep/down", collab)
        async with collab, requests_to(host, "/deep/down") as client:
            assert (await client.get("/api/docs")).status_code == 200

    async def test_a_host_that_does_not_is_told_so(self) -> None:
        collab = Collab(MemoryStore())
        async with requests_to(host_of(collab, lifespan=False), "/collab") as client:
            with pytest.raises(NotRunning, match="async with collab"):
                await client.get("/healthz")

    async def test_a_host_that_serves_on_after_it_has_ended_answers_503(self) -> None:
        collab = Collab(MemoryStore())
        async with requests_to(host_of(collab, lifespan=False), "/collab") as client:
            async with collab:
                assert (await client.get("/api/docs")).status_code == 200
            answer = await client.get("/api/docs")
            assert answer.status_code == 503
            assert answer.json() == {"error": "expected a running app, got one that has ended"}
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            async with collab:
                assert (await client.get("/api/docs")).status_code == 200

    async def test_sockets_are_refused_after_it_has_ended(self) -> None:
        collab = Collab(MemoryStore())
        async with collab:
            pass
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "websocket.connect"}

        async def send(message: Message) -> None:
            sent.append(message)

        scope = {"type": "websocket", "path": "/ws/d", "headers": []}
        await collab(scope, receive, send)
        assert sent == [{"type": "websocket.close", "code": 1008}]

    async def test_entering_it_twice_is_refused(self) -> None:
        async with Collab(MemoryStore()) as collab:
            with pytest.raises(NotRunning, match="got one that is"):
                await collab.__aenter__()

    async def test_after_it_was_left_it_may_be_entered_again(self) -> None:
        collab = Collab(MemoryStore())
        for text in ("a", "aa"):
            async with collab, collab.document("d") as document:
                shared = document.doc.get("text", type=pycrdt.Text)
                shared += "a"
                assert str(shared) == text

    @pytest.mark.parametrize("anyio_backend", ["asyncio"])
    @pytest.mark.parametrize("serve", [hypercorn, under_uvicorn])
    @pytest.mark.parametrize("alone", [True, False])
    async def test_servers_that_pass_lifespan_on_enter_it(
        self, serve: Serve, alone: bool, anyio_backend_name: str
    ) -> None:
        store = MemoryStore()
        collab = Collab(store)
        app: ASGIApp = collab if alone else host_of(collab, lifespan=True)
        prefix = "" if alone else "/collab"
        async with serve(app) as port:
            async with connect(f"ws://127.0.0.1:{port}{prefix}/ws/d", compression=None) as socket:
                await socket.send(yjs.update(poison.HELLO))
                with anyio.fail_after(30):
                    while await socket.recv() != yjs.update(poison.HELLO):
                        pass
            await read_text(port, f"{prefix}/ws/d", "hello")
        async with store:
            assert (await store.load("d")).seq == 1


class TestLiveDocuments:
    async def test_changes_are_stored_in_the_identitys_name(self) -> None:
        store = MemoryStore()
        async with Collab(store) as collab:
            async with collab.document("d", identity=Identity(id="robot")) as document:
                text = document.doc.get("text", type=pycrdt.Text)
                text += "beep"
            stored = await store.load("d")
            assert {entry.author for entry in stored.entries} == {"robot"}
            assert str(Document.load(stored).doc.get("text", type=pycrdt.Text)) == "beep"

    async def test_clients_see_changes_and_changes_of_clients_are_seen(self) -> None:
        async with Collab(MemoryStore()) as collab, collab.document("d") as document:
            room = await collab.running.rooms.acquire("d")
            client = Client(room, client_id=1).connect()
            text = document.doc.get("text", type=pycrdt.Text)
            text += "python "
            await client.read_until(lambda: client.text == "python ")
            changed = anyio.Event()
            text.observe(lambda _: changed.set())
            client.type("typed")
            with anyio.fail_after(DEADLINE_SECONDS):
                await changed.wait()
            assert str(text) == "python typed"
            await document.saved()
            collab.running.rooms.release(room)

    async def test_two_documents_of_one_name_edit_together(self) -> None:
        async with (
            Collab(MemoryStore()) as collab,
            collab.document("d") as one,
            collab.document("d") as two,
        ):
            for document in (one, two):
                text = document.doc.get("text", type=pycrdt.Text)
                text += "x"
            await one.saved()
            await two.saved()
            assert str(one.doc["text"]) == str(two.doc["text"]) == "xx"

    async def test_a_reader_that_changes_is_denied_and_nothing_is_stored(self) -> None:
        store = MemoryStore()
        reader = Identity(id="r", access=Access.READ)
        async with Collab(store) as collab:
            with pytest.raises(AccessDenied, match="read-only"):
                async with collab.document("d", identity=reader) as document:
                    document.doc.get("text", type=pycrdt.Text).insert(0, "x")
            assert (await store.load("d")).seq == 0

    async def test_who_may_nothing_does_not_even_get_it_to_read(self) -> None:
        nobody = Identity(id="n", access=Access.NONE)
        async with Collab(MemoryStore()) as collab:
            with pytest.raises(AccessDenied, match="may not read"):
                async with collab.document("d", identity=nobody):
                    pass

    async def test_it_is_whole_from_the_start_also_when_many_join(self) -> None:
        settings = Settings(syncs_in_flight=1, part_bytes=1000)
        async with Collab(MemoryStore(), settings=settings) as collab:
            async with collab.document("d") as document:
                document.doc["text"] = pycrdt.Text("x" * 20_000)
            room = await collab.running.rooms.acquire("d")
            slow = Client(room, client_id=1, wire=Wire(capacity_bytes=3000))
            room.join(slow.seat)
            slow.say(yjs.sync_step1(b"\x00"))
            await slow.wire.until(lambda: slow.seat.paused)
            opened = anyio.Event()

            async def open_it() -> None:
                async with collab.document("d") as document:
                    assert len(str(document.doc.get("text", type=pycrdt.Text))) == 20_000
                    opened.set()

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(open_it)
                await anyio.wait_all_tasks_blocked()
                slow.leave()
                with anyio.fail_after(30):
                    await opened.wait()
            collab.running.rooms.release(room)

    async def test_saved_waits_for_the_store(self) -> None:
        store = SteeredStore()
        async with Collab(store) as collab, collab.document("d") as document:
            store.hold_appends()
            document.doc["text"] = pycrdt.Text("x")
            with anyio.move_on_after(0.05) as patience:
                await document.saved()
            assert patience.cancelled_caught
            store.let_append()
            await document.saved()
            assert len(store.appends) == 1

    async def test_saved_returns_while_others_go_on_typing(self) -> None:
        store = SteeredStore()
        async with Collab(store) as collab, collab.document("d") as document:
            room = await collab.running.rooms.acquire("d")
            client = Client(room, client_id=1).connect()
            store.hold_appends()
            document.doc["text"] = pycrdt.Text("x")
            saved = anyio.Event()

            async def save() -> None:
                await document.saved()
                saved.set()

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(save)
                await store.append_began.wait()
                client.type("y")
                store.let_append()
                while not store.appends:
                    await anyio.lowlevel.checkpoint()
                store.hold_appends()
                with anyio.fail_after(30):
                    await saved.wait()
                store.let_append()
            collab.running.rooms.release(room)

    async def test_an_observer_that_raises_does_not_break_the_room(self) -> None:
        async with Collab(MemoryStore()) as collab, collab.document("d") as document:
            room = await collab.running.rooms.acquire("d")

            def fail(_: object) -> None:
                raise RuntimeError("broken observer")

            document.doc.get("text", type=pycrdt.Text).observe(fail)
            one, two = (Client(room, client_id=n).connect() for n in (1, 2))
            one.type("a")
            await two.read_until(lambda: two.text == "a")
            assert (one.wire.closed, two.wire.closed) == (None, None)
            collab.running.rooms.release(room)

    async def test_a_name_that_cannot_be_is_refused(self) -> None:
        async with Collab(MemoryStore()) as collab:
            with pytest.raises(InvalidName):
                async with collab.document("a\nb"):
                    pass

    async def test_a_document_of_an_app_that_is_not_entered_is_refused(self) -> None:
        with pytest.raises(NotRunning):
            async with Collab(MemoryStore()).document("d"):
                pass

    async def test_what_was_changed_before_the_app_ends_is_stored(self) -> None:
        store = MemoryStore()
        async with Collab(store) as collab:
            room = await collab.running.rooms.acquire("d")
            Client(room, client_id=1).connect().type("last words")
        async with store:
            assert (await store.load("d")).seq == 1


async def authenticate(connection: HTTPConnection) -> Identity | None:
    match connection.headers.get("authorization"):
        case "writer":
            return Identity(id="w")
        case "nothing":
            return Identity(id="n", access=Access.NONE)
    return None


@pytest.fixture
async def store() -> SteeredStore:
    return SteeredStore()


@pytest.fixture
async def client(store: SteeredStore) -> AsyncIterator[httpx.AsyncClient]:
    async with Collab(store) as collab, requests_to(collab) as client:
        for name in ("a", "b/c d", "😀é", "z"):
            async with collab.document(name) as document:
                document.doc["text"] = pycrdt.Text(f"I am {name}")
        yield client


class TestREST:
    async def test_documents_are_listed_a_page_at_a_time(self, client: httpx.AsyncClient) -> None:
        first = (await client.get("/api/docs", params={"limit": 3})).json()
        assert [d["name"] for d in first["documents"]] == ["a", "b/c d", "z"]
        rest = (await client.get("/api/docs", params={"limit": 3, "after": first["next"]})).json()
        assert [d["name"] for d in rest["documents"]] == ["😀é"]
        assert rest["next"] is None

    async def test_a_prefix_narrows_the_list(self, client: httpx.AsyncClient) -> None:
        page = (await client.get("/api/docs", params={"prefix": "b/"})).json()
        assert [d["name"] for d in page["documents"]] == ["b/c d"]

    @pytest.mark.parametrize("limit", ["0", "-1", "x", "1001", "1" * 5000, "１"])
    async def test_a_limit_that_makes_no_sense_is_refused(
        self, client: httpx.AsyncClient, limit: str
    ) -> None:
        answer = await client.get("/api/docs", params={"limit": limit})
        assert answer.status_code == 400
        assert "expected limit of 1 to 1000" in answer.json()["error"]

    @pytest.mark.parametrize("name", ["a", "b/c d", "😀é"])
    async def test_names_are_percent_encoded(self, client: httpx.AsyncClient, name: str) -> None:
        path = f"/api/docs/{quote(name, safe='')}"
        shown = (await client.get(path)).json()
        assert (shown["name"], shown["seq"], shown["connections"]) == (name, 1, 0)
        answer = await client.get(f"{path}/content", params={"format": "text", "root": "text"})
        assert answer.text.strip() == f"I am {name}"

    @pytest.mark.parametrize(
        ("chosen", "media_type"),
        [
            ("text", "text/plain; charset=utf-8"),
            ("json", "application/json"),
            ("html", "text/html; charset=utf-8"),
            ("markdown", "text/markdown; charset=utf-8"),
            ("update", "application/octet-stream"),
        ],
    )
    async def test_content_comes_in_every_format(
        self, client: httpx.AsyncClient, chosen: str, media_type: str
    ) -> None:
        answer = await client.get("/api/docs/a/content", params={"format": chosen})
        assert answer.status_code == 200
        assert answer.headers["content-type"] == media_type
        assert b"I am a" in answer.content

    @pytest.mark.parametrize(
        ("path", "status", "complaint"),
        [
            ("/api/docs/nobody", 404, "no document named 'nobody'"),
            ("/api/docs/nobody/content", 404, "no document named 'nobody'"),
            ("/api/docs/a/content?format=pdf", 400, "'pdf'"),
            ("/api/docs/a/content?root=other&format=text", 404, "got 'other'"),
            ("/api/docs/%0A", 400, "control characters"),
        ],
    )
    async def test_errors_are_json(
        self, client: httpx.AsyncClient, path: str, status: int, complaint: str
    ) -> None:
        answer = await client.get(path)
        assert answer.status_code == status
        assert complaint in answer.json()["error"]

    async def test_reading_makes_no_document(
        self, client: httpx.AsyncClient, store: SteeredStore
    ) -> None:
        await client.get("/api/docs/nobody/content")
        assert "nobody" not in [summary.document for summary in await store.documents()]

    async def test_readiness_tells_of_a_failing_store(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        store = SteeredStore()
        collab = Collab(store)
        async with collab, requests_to(collab) as client:
            assert (await client.get("/readyz")).status_code == 200
            store.failure = StoreUnavailable("disk full")
            room = await collab.running.rooms.acquire("d")
            Client(room, client_id=1).connect().type("x")
            while collab.running.persister.failure is None:
                await anyio.lowlevel.checkpoint()
            answer = await client.get("/readyz")
            assert answer.status_code == 503
            assert answer.json()["uncommitted_bytes"] > 0
            assert (await client.get("/healthz")).status_code == 200
            store.failure = None
            await room.content.settle()
            assert (await client.get("/readyz")).status_code == 200

    @pytest.mark.parametrize(
        ("path", "who", "status"),
        [
            ("/api/docs", "", 401),
            ("/api/docs/a", "", 401),
            ("/api/docs/a", "nothing", 403),
            ("/api/docs/a/content", "", 401),
            ("/api/docs/a/content", "nothing", 403),
        ],
    )
    async def test_who_may_not_is_refused(self, path: str, who: str, status: int) -> None:
        collab = Collab(MemoryStore(), authenticate=authenticate)
        async with collab, requests_to(collab) as client:
            answer = await client.get(path, headers={"authorization": who})
            assert answer.status_code == status
            assert "error" in answer.json()

    async def test_the_list_has_what_somebody_may_read(self, store: SteeredStore) -> None:
        async def ana(connection: HTTPConnection) -> Identity:
            return Identity(id="ana", grants=Grants({"a/*": Access.READ}))

        collab = Collab(store, authenticate=ana)
        async with collab, requests_to(collab) as client:
            for name in ("a", "a/1", "a/2", "b"):
                async with collab.document(name) as document:
                    document.doc["text"] = pycrdt.Text("x")
            first = (await client.get("/api/docs", params={"limit": 1})).json()
            assert [each["name"] for each in first["documents"]] == ["a/1"]
            rest = (await client.get("/api/docs", params={"after": first["next"]})).json()
            assert [each["name"] for each in rest["documents"]] == ["a/2"]
            assert rest["next"] is None


class TestAuthorize:
    async def test_a_document_opens_as_far_as_the_application_says(self) -> None:
        async def authorize(identity: Identity, document: str) -> Access:
            return Access.READ if document == "minutes" else Access.NONE

        collab = Collab(MemoryStore(), authorize=authorize)
        async with collab:
            ana = Identity(id="ana")
            with pytest.raises(AccessDenied, match="may not read"):
                async with collab.document("other", identity=ana):
                    pass
            with pytest.raises(AccessDenied, match="read-only"):
                async with collab.document("minutes", identity=ana) as document:
                    document.doc["text"] = pycrdt.Text("x")


class TestPagesFromElsewhere:
    @pytest.fixture
    async def client(self) -> AsyncIterator[httpx.AsyncClient]:
        collab = Collab(MemoryStore(), allow_origins=["https://app.example"])
        async with collab, requests_to(collab) as client:
            yield client

    async def test_they_change_nothing(self, client: httpx.AsyncClient) -> None:
        path = "/api/docs/a/updates"
        evil = {"Origin": "https://evil.example", "Content-Type": "text/plain"}
        answer = await client.post(path, content=poison.HELLO, headers=evil)
        assert answer.status_code == 403
        assert "access-control-allow-origin" not in answer.headers
        assert (await client.get("/api/docs/a")).status_code == 404

    async def test_a_browser_is_told_which_may_see_answers(self, client: httpx.AsyncClient) -> None:
        for origin, shown in (("https://app.example", True), ("https://evil.example", False)):
            for path in ("/api/docs", "/api/docs/nobody"):
                answer = await client.get(path, headers={"Origin": origin})
                assert ("access-control-allow-origin" in answer.headers) == shown
            asked = {
                "Origin": origin,
                "Access-Control-Request-Method": "DELETE",
                "Access-Control-Request-Headers": "authorization",
            }
            answer = await client.options("/api/docs/a", headers=asked)
            assert (answer.status_code == 200) == shown
            assert "access-control-allow-credentials" not in answer.headers

    async def test_listed_ones_do_what_others_do(self, client: httpx.AsyncClient) -> None:
        for origin in ("https://app.example", "http://localhost", None):
            headers = {} if origin is None else {"Origin": origin}
            path = "/api/docs/a/updates"
            answer = await client.post(path, content=poison.HELLO, headers=headers)
            assert answer.status_code == 204


class TestRevocation:
    @pytest.mark.parametrize(
        ("body", "complaint"),
        [
            (b"", "expected a JSON object with some of user, token_id, document"),
            (b"{}", "expected a JSON object with some of"),
            (b"[]", "expected a JSON object with some of"),
            (b"[" * 10_000, "expected a JSON object with some of"),
            (b'{"name": "ana"}', "expected a JSON object with some of"),
            (b'{"user": 5}', "expected user to be a string, got int"),
            (b'{"user": null}', "expected user to be a string, got NoneType"),
        ],
        ids=range(7),
    )
    async def test_a_request_that_says_nothing_ends_nothing(
        self, client: httpx.AsyncClient, body: bytes, complaint: str
    ) -> None:
        answer = await client.post("/api/sessions/revoke", content=body)
        assert answer.status_code == 400
        assert complaint in answer.json()["error"]

    async def test_it_ends_sessions_from_python_too(self) -> None:
        collab = Collab(MemoryStore())
        async with collab:
            room = await collab.running.rooms.acquire("d")
            ana = Client(room, client_id=1, identity=Identity(id="ana")).connect()
            assert await collab.revoke(user="ben") == 0
            assert await collab.revoke(user="ana", document="d") == 1
            assert ana.wire.closed is not None

    async def test_who_administers_a_document_ends_sessions_there_alone(self) -> None:
        async def owner(connection: HTTPConnection) -> Identity:
            return Identity(id="ana", grants=Grants({"hers": Access.ADMIN}))

        collab = Collab(MemoryStore(), authenticate=owner)
        async with collab, requests_to(collab) as client:
            for body, status in (
                ({"document": "hers"}, 200),
                ({"document": "hers", "user": "ben"}, 200),
                ({"document": "other"}, 403),
                ({"user": "ben"}, 403),
            ):
                answer = await client.post("/api/sessions/revoke", json=body)
                assert answer.status_code == status


async def test_a_page_that_has_its_name_lead_here_reads_nothing() -> None:
    collab = Collab(MemoryStore(), local_only=True)
    async with collab, requests_to(collab) as client:
        for path in ("/api/docs", "/healthz"):
            answer = await client.get(path, headers={"Host": "evil.example:8000"})
            assert answer.status_code == 421
            assert (await client.get(path)).status_code == 200
