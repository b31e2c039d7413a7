"""The REST interface: documents, who may what, pages from elsewhere, revocation."""

from collections.abc import AsyncIterator
from urllib.parse import quote

import anyio
import httpx
import pycrdt
import pytest
from starlette.requests import HTTPConnection

from collab.access import Access, Grants, Identity
from collab.errors import AccessDenied, StoreUnavailable
from collab.server.app import Collab
from collab.storage.memory import MemoryStore
from tests.core import poison
from tests.server.asking import requests_to
from tests.server.stores import SteeredStore
from tests.server.wire import Client

pytestmark = pytest.mark.anyio


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
