"""``/y-sweet``: client tokens, and documents as updates."""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import HTTPConnection
from starlette.routing import Mount

from collab.access import Access, Grants, Identity
from collab.errors import StoreUnavailable
from collab.protocol.messages import EMPTY_UPDATE
from collab.server.app import Collab
from collab.storage.memory import MemoryStore
from collab.store import Summary
from tests.core.writing import read, typed
from tests.server import asking
from tests.server.stores import SteeredStore
from tests.server.test_updates import requests_to

pytestmark = pytest.mark.anyio

KNOWN = {
    "app": Identity(id="app", access=Access.ADMIN),
    "ana": Identity(id="ana", access=Access.WRITE),
    "bob": Identity(id="bob", grants=Grants({"notes": Access.READ})),
}


async def by_token(connection: HTTPConnection) -> Identity | None:
    """Somebody whose token is their name."""
    return KNOWN.get(connection.headers.get("authorization", "").removeprefix("Bearer "))


@pytest.fixture
def store() -> SteeredStore:
    return SteeredStore(MemoryStore())


@pytest.fixture
async def client(store: SteeredStore) -> AsyncIterator[httpx.AsyncClient]:
    async with Collab(store, authenticate=by_token) as app, requests_to(app) as client:
        yield client


@pytest.fixture
async def open_to_all(store: SteeredStore) -> AsyncIterator[httpx.AsyncClient]:
    async with Collab(store) as app, requests_to(app) as client:
        yield client


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def client_token(
    client: httpx.AsyncClient, who: str, document: str = "notes", **wish: object
) -> dict[str, Any]:
    path = f"/y-sweet/doc/{document}/auth"
    answer = await client.post(path, json=wish, headers=bearer(who))
    assert answer.status_code == 200, answer.text
    token: dict[str, Any] = answer.json()
    return token


class TestClientTokens:
    async def test_they_say_where_to_connect_and_what_may_be_done(
        self, client: httpx.AsyncClient
    ) -> None:
        token = await client_token(client, "ana", "team/plan b")
        assert token.pop("token")
        assert token == {
            "url": "ws://localhost/y-sweet/ws",
            "baseUrl": "http://localhost/y-sweet/d/team%2Fplan%20b",
            "docId": "team/plan b",
            "authorization": "full",
        }

    async def test_behind_a_proxy_they_lead_to_the_proxy(self, client: httpx.AsyncClient) -> None:
        headers = bearer("ana") | {
            "X-Forwarded-Proto": "https",
            "X-Forwarded-Host": "docs.example.org",
        }
        answer = (await client.post("/y-sweet/doc/notes/auth", headers=headers)).json()
        assert answer["url"] == "wss://docs.example.org/y-sweet/ws"
        assert answer["baseUrl"] == "https://docs.example.org/y-sweet/d/notes"

    async def test_where_it_is_mounted_they_lead_there(self, store: SteeredStore) -> None:
        async with Collab(store) as app:
            host = Starlette(routes=[Mount("/collab", app)])
            async with asking.requests_to(host, "/collab") as client:
                answer = (await client.post("/y-sweet/doc/notes/auth")).json()
                assert answer["url"] == "ws://localhost/collab/y-sweet/ws"
                assert answer["baseUrl"] == "http://localhost/collab/y-sweet/d/notes"
                assert (await client.get(f"{answer['baseUrl']}/as-update")).status_code == 200

    async def test_who_may_only_read_is_told_so(self, client: httpx.AsyncClient) -> None:
        assert (await client_token(client, "bob"))["authorization"] == "read-only"

    @pytest.mark.parametrize(
        ("who", "document", "status"), [("", "notes", 401), ("bob", "plans", 403)]
    )
    async def test_nobody_gets_one_for_what_they_may_not_read(
        self, client: httpx.AsyncClient, who: str, document: str, status: int
    ) -> None:
        answer = await client.post(f"/y-sweet/doc/{document}/auth", headers=bearer(who))
        assert answer.status_code == status

    async def test_a_read_only_one_reads_and_does_not_write(
        self, client: httpx.AsyncClient, store: SteeredStore
    ) -> None:
        token = (await client_token(client, "ana", authorization="read-only"))["token"]
        (update,) = typed("hello")
        path = "/y-sweet/d/notes"
        answer = await client.get(f"{path}/as-update", headers=bearer(token))
        assert answer.status_code == 200
        answer = await client.post(f"{path}/update", content=update, headers=bearer(token))
        assert answer.status_code == 403
        assert store.appends == []

    async def test_an_app_that_may_administer_gets_one_for_its_user(
        self, client: httpx.AsyncClient, store: SteeredStore
    ) -> None:
        token = (await client_token(client, "app", userId="zoe"))["token"]
        (update,) = typed("hello")
        await client.post("/y-sweet/d/notes/update", content=update, headers=bearer(token))
        (entry,) = [entry async for entry in store.entries("notes")]
        assert entry.author == "zoe"

    async def test_others_get_one_for_themselves_alone(self, client: httpx.AsyncClient) -> None:
        await client_token(client, "ana", userId="ana")
        answer = await client.post(
            "/y-sweet/doc/notes/auth", json={"userId": "zoe"}, headers=bearer("ana")
        )
        assert answer.status_code == 403

    @pytest.mark.parametrize(
        "wish",
        [
            {"authorization": "everything"},
            {"validForSeconds": 10**9},
            {"validForSeconds": "long"},
            {"userId": 7},
            {"docId": "another"},
            [],
        ],
    )
    async def test_a_wish_that_makes_no_sense_is_refused(
        self, client: httpx.AsyncClient, wish: object
    ) -> None:
        answer = await client.post("/y-sweet/doc/notes/auth", json=wish, headers=bearer("ana"))
        assert answer.status_code == 400
        assert answer.json()["error"].startswith("expected ")

    async def test_there_are_none_for_a_deleted_document(self, client: httpx.AsyncClient) -> None:
        (update,) = typed("hello")
        await client.post("/y-sweet/d/notes/update", content=update, headers=bearer("app"))
        await client.delete("/api/docs/notes", headers=bearer("app"))
        answer = await client.post("/y-sweet/doc/notes/auth", headers=bearer("app"))
        assert answer.status_code == 410

    async def test_where_anyone_may_do_anything_only_readers_need_one(
        self, open_to_all: httpx.AsyncClient
    ) -> None:
        full = await client_token(open_to_all, "")
        assert "token" not in full
        reader = await client_token(open_to_all, "", authorization="read-only")
        (update,) = typed("hello")
        path = "/y-sweet/d/notes/update"
        answer = await open_to_all.post(path, content=update, headers=bearer(reader["token"]))
        assert answer.status_code == 403


class TestDocuments:
    async def test_an_update_is_durable_when_the_answer_comes_and_can_be_read(
        self, client: httpx.AsyncClient, store: SteeredStore
    ) -> None:
        (update,) = typed("hello")
        path = "/y-sweet/d/team%2Fplan"
        answer = await client.post(f"{path}/update", content=update, headers=bearer("ana"))
        assert answer.status_code == 204
        (entry,) = [entry async for entry in store.entries("team/plan")]
        assert (entry.update, entry.author) == (update, "ana")
        answer = await client.get(f"{path}/as-update", headers=bearer("ana"))
        assert read([answer.content]) == "hello"

    async def test_a_new_document_gets_a_name_and_is_empty(self, client: httpx.AsyncClient) -> None:
        names = set()
        for _ in range(2):
            answer = await client.post("/y-sweet/doc/new", json={}, headers=bearer("ana"))
            names.add(answer.json()["docId"])
        assert len(names) == 2
        path = f"/y-sweet/d/{names.pop()}/as-update"
        assert (await client.get(path, headers=bearer("ana"))).content == EMPTY_UPDATE

    async def test_a_document_of_a_given_name_is_for_who_may_write_to_it(
        self, client: httpx.AsyncClient
    ) -> None:
        wish = {"docId": "notes"}
        answer = await client.post("/y-sweet/doc/new", json=wish, headers=bearer("ana"))
        assert answer.json() == wish
        answer = await client.post("/y-sweet/doc/new", json=wish, headers=bearer("bob"))
        assert answer.status_code == 403


class UnreadableStore(MemoryStore):
    async def documents(
        self, prefix: str = "", after: str = "", limit: int = 1000
    ) -> Sequence[Summary]:
        raise StoreUnavailable("the disk is gone")


@pytest.mark.parametrize(
    ("store", "said"),
    [
        (MemoryStore(), {"ok": True}),
        (UnreadableStore(), {"ok": False, "error": "the disk is gone"}),
    ],
    ids=["works", "fails"],
)
async def test_the_check_of_the_store_says_what_is_wrong(
    store: MemoryStore, said: dict[str, object]
) -> None:
    async with Collab(store) as app, requests_to(app) as client:
        assert (await client.post("/y-sweet/check_store", json={})).json() == said
