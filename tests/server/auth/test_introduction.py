"""Names that nobody vouches for: kept as claims, and never in the place of an identity."""

import asyncio
from urllib.parse import quote

import httpx
import pycrdt
import pytest
from starlette.requests import HTTPConnection
from websockets.asyncio.client import connect

from collab.access import CLAIMED, Access, Identity
from collab.errors import InvalidName
from collab.protocol import yjs
from collab.protocol.messages import Update
from collab.server.app import Collab
from collab.server.auth.guard import Guard
from collab.storage.memory import MemoryStore
from tests.server.hosts import front_door

pytestmark = pytest.mark.anyio

DEADLINE_SECONDS = 30.0


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def asks(query: str) -> HTTPConnection:
    return HTTPConnection({"type": "http", "headers": [], "query_string": query.encode()})


def writes(text: str) -> bytes:
    doc: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc({"content": pycrdt.Text(text)})
    return doc.get_update()


@pytest.mark.parametrize(
    ("query", "author"),
    [("", None), ("name=", None), ("name=%20", None), ("name=Ada+L.", "~Ada L."), ("name=~", "~~")],
)
async def test_where_anyone_may_do_anything_an_author_is_a_claimed_name(
    query: str, author: str | None
) -> None:
    guard = Guard(None, None)
    permit = await guard.admit(asks(query), "x", Access.ADMIN)
    assert (permit.identity.id, permit.identity.author) == (None, author)
    assert guard.permit_anyone(asks(query), "x") == permit


@pytest.mark.parametrize("name", ["a" * 513, "two%0Alines"])
async def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidName):
        await Guard(None, None).identify(asks(f"name={name}"))


async def test_a_claimed_name_stands_for_nobody_the_server_knows() -> None:
    async def authenticate(connection: HTTPConnection) -> Identity | None:
        return Identity(id="ada", name="Ada")

    identity = await Guard(authenticate, None).identify(asks("name=Grace"))
    assert (identity.author, identity.name) == ("ada", "Ada")
    with pytest.raises(InvalidName, match="marks claimed names, got '~ada'"):
        Identity(id=f"{CLAIMED}ada")


async def test_changes_versions_and_events_have_the_claimed_name() -> None:
    app = Collab(MemoryStore())
    ada = f"?name={quote('Ada 😀')}"
    async with front_door(app) as port, asyncio.timeout(DEADLINE_SECONDS):
        address = f"ws://127.0.0.1:{port}/ws/notes"
        async with connect(address + ada, compression=None) as socket:
            update = writes("hello")
            await socket.send(yjs.update(update))
            while True:
                frame = await socket.recv()
                assert isinstance(frame, bytes)
                if yjs.decode(frame) == Update(update):
                    break  # It is durable.
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}/api/docs/notes") as http:
            posted = await http.post("/updates?name=Grace", content=writes("there"))
            assert posted.status_code == 204
            assert (await http.post("/updates", content=writes("who?"))).status_code == 204
            changes = (await http.get("/history")).json()["changes"]
            assert [change["author"] for change in changes] == [None, "~Grace", "~Ada 😀"]
            named = await http.post(f"/versions{ada}", json={"name": "first"})
            assert named.json()["author"] == "~Ada 😀"
            await http.post("/restore?name=Alan", json={"to": 1})
            newest = (await http.get("/history?limit=1")).json()["changes"][0]
            assert newest["author"] == "~Alan"
            refused = await http.get(f"/history?name={'a' * 600}")
            assert refused.status_code == 400
