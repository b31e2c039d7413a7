"""Every path of the app asks the guard: those of today, and those that are added."""

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from starlette.requests import HTTPConnection
from starlette.routing import Route

from collab.access import Access, Grants, Identity
from collab.protocol.fallback import POST_HEADER, SESSION_HEADER
from collab.server.app import Collab
from collab.storage.memory import MemoryStore

pytestmark = pytest.mark.anyio

OPEN = {"/healthz", "/readyz", "/y-sweet/check_store", "/api/identity"}
"""What everybody may ask: whether the server works, and who they are to it."""
WEBSOCKETS = {"/ws/{document:path}", "/hocuspocus", "/y-sweet/ws/{document:path}"}
"""Where whoever brings no handshake is told so, and nothing else."""
LATER = {"/sse"}
"""Where each document brings a token of its own once the connection is there."""
SESSIONS = {"/sse/{document:path}"}
"""Where a GET begins a session, and whoever has its id is in it: all else asks for that id."""
LISTS = {"/api/docs"}
"""What everybody known may ask, and sees of it what they may read."""


async def authenticate(connection: HTTPConnection) -> Identity | None:
    """Knows Eve, who may do nothing, and Will, who may write everything."""
    match connection.headers.get("authorization"):
        case "Bearer eve":
            return Identity(id="eve", grants=Grants({}))
        case "Bearer will":
            return Identity(id="will", access=Access.WRITE)
    return None


@pytest.fixture
async def collab() -> AsyncIterator[Collab]:
    async with Collab(MemoryStore(), authenticate=authenticate) as collab:
        yield collab


def requests(collab: Collab) -> Iterator[tuple[str, str]]:
    """A request for each method of each path that asks for somebody."""
    for route in collab.running.routes:
        if isinstance(route, Route) and route.path not in OPEN | LATER | WEBSOCKETS:
            path = route.path.replace("{document:path}", "notes").replace("{document}", "notes")
            asked = {"GET"} if route.path in SESSIONS else route.methods or {"GET"}
            for method in asked - {"HEAD"}:
                yield method, path.replace("{version}", "draft")


@pytest.mark.parametrize(("who", "status"), [(None, 401), ("eve", 403)])
async def test_who_may_not_is_refused_whatever_they_ask(
    collab: Collab, who: str | None, status: int
) -> None:
    headers = {"Authorization": f"Bearer {who}"} if who is not None else {}
    answers = {}
    transport = httpx.ASGITransport(collab)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        for method, path in requests(collab):
            body = b'{"user": "ana"}' if method == "POST" else b""
            answer = await client.request(method, path, content=body, headers=headers)
            answers[method, path] = answer.status_code
            if path in LISTS and who is not None:
                assert answer.json() == {"documents": [], "next": None}
                answers[method, path] = status
    assert len(answers) > 15
    assert answers == dict.fromkeys(answers, status)


@pytest.mark.parametrize("who", ["nobody", "eve", "will"])
@pytest.mark.parametrize("method", ["POST", "DELETE"])
async def test_nobody_is_in_a_session_whose_id_they_do_not_have(
    collab: Collab, who: str, method: str
) -> None:
    headers = {"Authorization": f"Bearer {who}", SESSION_HEADER: "guessed", POST_HEADER: "1"}
    transport = httpx.ASGITransport(collab)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        answer = await client.request(method, "/sse/notes", headers=headers)
    assert answer.status_code == 410


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/metrics"), ("POST", "/api/sessions/revoke")]
)
async def test_who_may_write_everything_may_not_administer(
    collab: Collab, method: str, path: str
) -> None:
    headers = {"Authorization": "Bearer will"}
    transport = httpx.ASGITransport(collab)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        answer = await client.request(method, path, content=b'{"user": "ana"}', headers=headers)
    assert answer.status_code == 403
