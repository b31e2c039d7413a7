"""Who asks: what a page is told before its user has signed in, and after."""

import httpx
import pycrdt
import pytest

from collab.access import Access, Identity
from collab.server.app import Collab
from collab.server.auth.keys import OneKey, read_secret
from collab.server.auth.tokens import Tokens
from collab.storage.memory import MemoryStore
from tests.server.asking import requests_to
from tests.server.signing import SECRET, token

pytestmark = pytest.mark.anyio


async def ask(client: httpx.AsyncClient, bearer: str | None, **query: str) -> dict[str, object]:
    headers = {} if bearer is None else {"Authorization": f"Bearer {bearer}"}
    answer = await client.get("/api/identity", headers=headers, params=query)
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    asked: dict[str, object] = answer.json()
    return asked


def signed() -> Collab:
    return Collab(MemoryStore(), authenticate=Tokens(OneKey(read_secret(SECRET))))


async def test_who_has_a_token_is_named_with_what_they_may_do_and_until_when() -> None:
    async with signed() as collab, requests_to(collab) as client:
        root = await ask(client, token(user="root", name="Root", exp=4_000_000_000))
        assert root == {
            "id": "root",
            "name": "Root",
            "access": "admin",
            "writable": ["**"],
            "expires_ms": 4_000_000_010_000,  # The leeway is in it.
            "refused": None,
        }
        ana = await ask(client, token(docs={"**": "write"}))
        assert (ana["id"], ana["name"], ana["access"]) == ("ana", "ana", "none")


@pytest.mark.parametrize(
    ("bearer", "reason"),
    [
        (None, "expected valid credentials, got none"),
        ("nonsense", "expected a JSON Web Token, got something else"),
        (
            token(seconds=-60),
            "expected a token that is still valid, got one that has expired",
        ),
    ],
)
async def test_who_is_not_known_is_told_why(bearer: str | None, reason: str) -> None:
    async with signed() as collab, requests_to(collab) as client:
        assert await ask(client, bearer) == {
            "id": None,
            "name": None,
            "access": "none",
            "writable": [],
            "expires_ms": None,
            "refused": reason,
        }


async def test_who_may_write_some_documents_is_told_which_and_can_ask_about_one() -> None:
    grants = {"team/**": "write", "team/plan": "read", "notes": "admin", "**": "read"}
    async with signed() as collab, requests_to(collab) as client:
        bearer = token(docs=grants)
        assert (await ask(client, bearer))["writable"] == ["notes", "team/**"]
        for name, access in (("team/a", "write"), ("team/plan", "read"), ("notes", "admin")):
            assert (await ask(client, bearer, document=name))["access"] == access
        reader = token(docs={"**": "read"})
        assert (await ask(client, reader))["writable"] == []
        unnamed = await client.get("/api/identity", params={"document": ""})
        assert unnamed.status_code == 400


async def test_where_each_document_is_asked_for_no_names_are_told() -> None:
    async def authorize(identity: Identity, document: str) -> Access:
        return Access.WRITE if document == identity.id else Access.NONE

    authenticate = Tokens(OneKey(read_secret(SECRET)))
    collab = Collab(MemoryStore(), authenticate=authenticate, authorize=authorize)
    async with collab, requests_to(collab) as client:
        bearer = token(docs={"**": "write"})
        assert (await ask(client, bearer))["writable"] is None
        assert (await ask(client, bearer, document="ana"))["access"] == "write"
        assert (await ask(client, bearer, document="eve"))["access"] == "none"


async def test_a_token_that_was_taken_back_is_refused() -> None:
    async with signed() as collab, requests_to(collab) as client:
        bearer = token()
        await collab.revoke(user="ana")
        refused = (await ask(client, bearer))["refused"]
        assert refused == "expected credentials that are still good, got revoked ones"


async def test_where_nobody_signs_in_everybody_may_do_everything() -> None:
    async with Collab(MemoryStore()) as collab, requests_to(collab) as client:
        answer = await ask(client, None)
        assert (answer["id"], answer["access"], answer["refused"]) == (None, "admin", None)


async def test_the_list_says_what_may_be_done_with_each_document() -> None:
    async with signed() as collab, requests_to(collab) as client:
        for name in ("notes", "plan"):
            async with collab.document(name) as document:
                document.doc["text"] = pycrdt.Text("written")
        grants = {"notes": "read", "plan": "admin"}
        headers = {"Authorization": f"Bearer {token(docs=grants)}"}
        listed = (await client.get("/api/docs", headers=headers)).json()["documents"]
        assert {each["name"]: each["access"] for each in listed} == grants
        shown = (await client.get("/api/docs/notes", headers=headers)).json()
        assert shown["access"] == "read"
