"""REST: deleting, undeleting, erasing and copying documents, and who may."""

from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.requests import HTTPConnection

from collab.access import Access, Identity
from collab.server.app import Collab
from collab.storage.memory import MemoryStore
from tests.core.writing import typed

pytestmark = pytest.mark.anyio

ADMIN = {"Authorization": "ADMIN"}
WRITE = {"Authorization": "WRITE"}


async def authenticate(connection: HTTPConnection) -> Identity | None:
    """Somebody whose name is their access."""
    who = connection.headers.get("authorization", "")
    return Identity(id=who, access=Access[who]) if who else None


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """A client of a server with one document, ``team/plan``."""
    app = Collab(MemoryStore(), authenticate=authenticate)
    transport = httpx.ASGITransport(app)
    async with app, httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        (update,) = typed("text")
        path = "/api/docs/team%2Fplan/updates"
        assert (await client.post(path, content=update, headers=WRITE)).status_code == 204
        yield client


async def names(client: httpx.AsyncClient, *, deleted: bool = False) -> list[str]:
    query = {"deleted": "true"} if deleted else {}
    page = (await client.get("/api/docs", params=query, headers=ADMIN)).json()
    return [document["name"] for document in page["documents"]]


async def text(client: httpx.AsyncClient, name: str = "team%2Fplan") -> str:
    query = {"format": "text"}
    answer = await client.get(f"/api/docs/{name}/content", params=query, headers=ADMIN)
    return answer.raise_for_status().text.rstrip("\n")


async def test_a_deleted_document_is_gone_and_comes_back_whole(client: httpx.AsyncClient) -> None:
    before = (await client.get("/api/docs/team%2Fplan", headers=ADMIN)).json()
    answer = await client.delete("/api/docs/team%2Fplan", headers=ADMIN)
    assert answer.status_code == 200
    tombstone = answer.json()
    assert tombstone["name"] == "team/plan"
    assert tombstone["deleted_by"] == "ADMIN"
    assert tombstone["deleted_ms"] >= before["updated_ms"]
    assert await names(client) == []
    listed = (await client.get("/api/docs?deleted=true", headers=ADMIN)).json()
    assert listed == {"documents": [tombstone], "next": None}
    for path in ("", "/content", "/updates"):
        answer = await client.get(f"/api/docs/team%2Fplan{path}", headers=ADMIN)
        assert answer.status_code == 410
        assert answer.json() == {"error": "no document named 'team/plan': it was deleted"}
    (update,) = typed("new")
    answer = await client.post("/api/docs/team%2Fplan/updates", content=update, headers=WRITE)
    assert answer.status_code == 410
    answer = await client.post("/api/docs/team%2Fplan/undelete", headers=ADMIN)
    assert answer.status_code == 204
    assert (await client.get("/api/docs/team%2Fplan", headers=ADMIN)).json() == before
    assert await text(client) == "text"


async def test_now_erases_it(client: httpx.AsyncClient) -> None:
    answer = await client.delete("/api/docs/team%2Fplan?now=true", headers=ADMIN)
    assert answer.status_code == 200
    assert await names(client, deleted=True) == []
    answer = await client.post("/api/docs/team%2Fplan/undelete", headers=ADMIN)
    assert answer.status_code == 410


async def test_a_copy_has_the_content_and_with_history_the_epoch_is_still_its_own(
    client: httpx.AsyncClient,
) -> None:
    for copy, history in (("plain", False), ("whole", True)):
        answer = await client.post(
            "/api/docs/team%2Fplan/duplicate",
            json={"name": copy, "history": history},
            headers=WRITE,
        )
        assert (answer.status_code, answer.json()) == (201, {"name": copy})
        assert await text(client, copy) == "text"
    epochs = {
        (await client.get(f"/api/docs/{name}", headers=ADMIN)).json()["epoch"]
        for name in ("team%2Fplan", "plain", "whole")
    }
    assert len(epochs) == 3
    assert all(len(epoch) == 16 for epoch in epochs)
    answer = await client.post(
        "/api/docs/team%2Fplan/duplicate", json={"name": "plain"}, headers=WRITE
    )
    assert answer.status_code == 409


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"[]",
        b"{}",
        b'{"name": 1}',
        b'{"name": ""}',
        b'{"name": "x", "history": 1}',
        b'{"name": "x", "y": 1}',
    ],
)
async def test_a_copy_without_a_proper_name_is_refused(
    client: httpx.AsyncClient, body: bytes
) -> None:
    answer = await client.post("/api/docs/team%2Fplan/duplicate", content=body, headers=WRITE)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("expected")


async def test_an_odd_flag_is_refused(client: httpx.AsyncClient) -> None:
    for method, path in (
        ("DELETE", "/api/docs/team%2Fplan?now=yes"),
        ("GET", "/api/docs?deleted="),
    ):
        answer = await client.request(method, path, headers=ADMIN)
        assert answer.status_code == 400
    assert await names(client) == ["team/plan"]


@pytest.mark.parametrize(
    ("method", "path", "least"),
    [
        ("DELETE", "/api/docs/team%2Fplan", Access.ADMIN),
        ("POST", "/api/docs/team%2Fplan/undelete", Access.ADMIN),
        ("GET", "/api/docs?deleted=true", Access.ADMIN),
        ("POST", "/api/docs/team%2Fplan/duplicate", Access.WRITE),
    ],
)
async def test_only_those_who_may_do(
    client: httpx.AsyncClient, method: str, path: str, least: Access
) -> None:
    body = b'{"name": "copy"}' if path.endswith("duplicate") else None
    assert (await client.request(method, path, content=body)).status_code == 401
    for access in Access:
        headers = {"Authorization": access.name}
        answer = await client.request(method, path, content=body, headers=headers)
        assert (answer.status_code < 300) == (access >= least) or answer.status_code == 409
        assert (answer.status_code == 403) == (access < least)


@pytest.mark.parametrize(
    ("method", "path"),
    [("DELETE", ""), ("POST", "/undelete"), ("POST", "/duplicate")],
)
async def test_an_unknown_document_is_told(
    client: httpx.AsyncClient, method: str, path: str
) -> None:
    answer = await client.request(
        method, f"/api/docs/unknown{path}", json={"name": "copy"}, headers=ADMIN
    )
    assert answer.status_code == 404
