"""What is said where no route answers: the API's form of error, what was meant, and ``Allow``."""

from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from collab.server.app import Collab
from collab.storage.memory import MemoryStore
from tests.server.asking import requests_to
from tests.server.hosts import HOSTS, STREAM_WRITERS
from tests.server.transports.fallback.serving import http_to

pytestmark = [pytest.mark.anyio, STREAM_WRITERS, pytest.mark.usefixtures("collected")]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=[True, False], ids=["with the demo", "without it"])
def app(request: pytest.FixtureRequest) -> Collab:
    return Collab(MemoryStore(), demo=request.param)


@pytest.fixture(params=["native", "hypercorn", "uvicorn"])
async def http(request: pytest.FixtureRequest, app: Collab) -> AsyncIterator[httpx.AsyncClient]:
    async with HOSTS[request.param](app) as port, http_to(port) as http:
        yield http


async def test_a_name_with_its_slashes_as_they_are_is_shown_as_it_should_be(
    http: httpx.AsyncClient,
) -> None:
    for path, meant in [
        ("team/plan", "team%2Fplan"),
        ("team/2026/plan", "team%2F2026%2Fplan"),
        ("team%2F2026/plan", "team%2F2026%2Fplan"),
        ("team/plan/content", "team%2Fplan/content"),
        ("team/plan/versions/first", "team%2Fplan/versions/first"),
    ]:
        answer = await http.get(f"/api/docs/{path}")
        assert answer.status_code == 404
        assert answer.json() == {
            "error": f"expected slashes in a document's name as %2F, as in '/api/docs/{meant}', "
            f"got '/api/docs/{path}'"
        }
        followed = await http.get(f"/api/docs/{meant}")
        assert "slashes" not in followed.json()["error"]


async def test_a_path_that_is_none_is_named_whatever_the_method(http: httpx.AsyncClient) -> None:
    for method, path in [
        ("GET", "/api"),
        ("GET", "/api/dcos"),
        ("POST", "/api/dcos"),
        ("GET", "/api/docs//content"),
        ("PUT", "/api/docs/a//b"),
        ("GET", "/nowhere"),
    ]:
        answer = await http.request(method, path)
        assert answer.status_code == 404
        assert answer.json() == {"error": f"expected a path that is served here, got {path!r}"}


async def test_another_method_is_answered_with_all_that_are_allowed(
    http: httpx.AsyncClient,
) -> None:
    for method, path, allowed in [
        ("PATCH", "/api/docs/d", {"GET", "HEAD", "DELETE"}),
        ("POST", "/api/docs", {"GET", "HEAD"}),
        ("DELETE", "/api/docs/d/content", {"GET", "HEAD", "PUT"}),
        ("GET", "/api/docs/d/restore", {"POST"}),
        ("GET", "/api/docs/d/versions/v", {"DELETE"}),
        ("POST", "/healthz", {"GET", "HEAD"}),
    ]:
        answer = await http.request(method, path)
        assert answer.status_code == 405
        assert set(answer.headers["Allow"].split(", ")) == allowed
        words = " or ".join(sorted(allowed - {"HEAD"}))
        assert answer.json() == {"error": f"expected {words} on this path, got {method}"}


async def test_the_page_is_read_and_nothing_else() -> None:
    async with Collab(MemoryStore(), demo=True) as app, requests_to(app) as http:
        answer = await http.post("/")
        assert answer.status_code == 405
        assert answer.headers["Allow"] == "GET, HEAD"
        assert answer.json() == {"error": "expected GET on this path, got POST"}


async def test_below_a_host_the_path_is_shown_as_the_host_has_it(app: Collab) -> None:
    host = Starlette(routes=[Mount("/collab", app)])
    async with app, requests_to(host) as http:
        answer = await http.get("/collab/api/docs/team/plan")
        assert answer.status_code == 404
        assert "'/collab/api/docs/team%2Fplan'" in answer.json()["error"]
        answer = await http.put("/collab/api/docs/d")
        assert answer.status_code == 405
        assert answer.headers["Allow"] == "DELETE, GET, HEAD"


async def test_however_many_slashes_there_are_all_are_shown(app: Collab) -> None:
    async with app, requests_to(app) as http:
        path = "/api/docs/" + "/".join("abcdefghij" * 400)
        answer = await http.get(path)
        assert answer.status_code == 404
        assert "%2F".join("abcdefghij" * 400) in answer.json()["error"]
