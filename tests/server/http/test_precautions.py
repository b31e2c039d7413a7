"""What every answer says to browsers, and what none says of the server."""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator

import httpx
import pytest
from starlette.requests import HTTPConnection
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from collab.access import Identity
from collab.lib0 import write_var_string
from collab.server.app import Collab
from collab.server.http.precautions import PRECAUTIONS
from collab.server.settings import Settings
from collab.storage.memory import MemoryStore
from tests.server.hosts import HOSTS, STREAM_WRITERS, front_door

pytestmark = [
    pytest.mark.anyio,
    STREAM_WRITERS,
]

DEADLINE_SECONDS = 30.0
INTERNALS = "the database at 10.1.2.3 is away"
PAGE = "https://app.example"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def authenticate(connection: HTTPConnection) -> Identity | None:
    """Fails where it is told to, and knows anybody else with a token."""
    shown = connection.headers.get("authorization")
    if shown == "Bearer broken":
        raise RuntimeError(INTERNALS)
    return None if shown is None else Identity(id="ana")


@pytest.fixture(params=list(HOSTS.values()), ids=list(HOSTS))
async def port(request: pytest.FixtureRequest) -> AsyncIterator[int]:
    app = Collab(MemoryStore(), authenticate=authenticate, demo=True, allow_origins=[PAGE])
    async with request.param(app) as port:
        yield port


def missing(headers: httpx.Headers) -> set[str]:
    return {name for name in PRECAUTIONS if name not in headers}


@pytest.mark.parametrize(
    ("path", "token", "status"),
    [
        ("/healthz", None, 200),
        ("/", None, 200),
        ("/api/docs", None, 401),
        ("/api/docs", "ana", 200),
        ("/api/docs/none/content", "ana", 404),
        ("/no/such/path", None, 404),
        ("/metrics", "ana", 403),
    ],
)
async def test_every_answer_says_what_browsers_may_do_with_it(
    port: int, path: str, token: str | None, status: int
) -> None:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        answer = await client.get(path, headers=headers)
    assert answer.status_code == status
    assert missing(answer.headers) == set()
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    policy = answer.headers["Content-Security-Policy"]
    assert "frame-ancestors" in policy
    assert "unsafe" not in policy


async def test_a_refused_handshake_says_so_too(port: int) -> None:
    with pytest.raises(InvalidStatus) as refusal:
        await connect(f"ws://127.0.0.1:{port}/ws/a")
    response = refusal.value.response
    assert response.status_code == 401
    assert {name for name in PRECAUTIONS if name not in response.headers} == set()


@pytest.mark.filterwarnings("ignore::ResourceWarning")
async def test_a_failure_is_answered_without_what_failed(port: int) -> None:
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        answer = await client.get("/api/docs", headers={"Authorization": "Bearer broken"})
    assert answer.status_code == 500
    assert answer.json() == {"error": "the server failed; its log says how"}
    assert missing(answer.headers) == set()
    assert INTERNALS not in answer.text


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.parametrize(
    ("path", "token", "status"),
    [
        ("/api/docs", None, 401),
        ("/metrics", "ana", 403),
        ("/api/docs/none/content", "ana", 404),
        ("/api/docs", "broken", 500),
    ],
)
async def test_a_page_of_a_listed_origin_may_read_why_it_is_refused(
    port: int, path: str, token: str | None, status: int
) -> None:
    headers = {"Origin": PAGE} | ({} if token is None else {"Authorization": f"Bearer {token}"})
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        answer = await client.get(path, headers=headers)
    assert answer.status_code == status
    assert answer.headers["Access-Control-Allow-Origin"] == PAGE


@pytest.mark.parametrize("method", ["TRACE", "BREW", "CONNECT"])
async def test_methods_that_a_path_does_not_have_do_nothing(port: int, method: str) -> None:
    token = secrets.token_hex(8)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
        for path in ("/healthz", "/api/docs", "/api/docs/a/content", "/metrics", "/sse/a"):
            answer = await client.request(
                method, path, headers={"Authorization": f"Bearer {token}", "X-Echo": token}
            )
            assert answer.status_code in (400, 404, 405), (path, answer.status_code)
            assert token not in answer.text


async def test_a_body_that_comes_a_byte_now_and_then_is_refused_in_time() -> None:
    app = Collab(MemoryStore(), settings=Settings(post_seconds=0.2))
    async with front_door(app) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        head = "POST /api/docs/a/updates HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nx"
        writer.write(head.encode())
        async with asyncio.timeout(DEADLINE_SECONDS):
            answer = await reader.readuntil(b"\r\n")
        assert answer.split()[1] == b"408"
        writer.close()


async def test_who_takes_nothing_of_an_answer_is_cut_off() -> None:
    app = Collab(MemoryStore(), settings=Settings(blocked_seconds=0.2))
    async with front_door(app) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        # More answers than the system takes for a reader that does not read.
        ask = b"GET /no/such/path HTTP/1.1\r\nHost: x\r\n\r\n"
        cut = asyncio.Event()

        async def keep_asking() -> None:
            try:
                while True:
                    writer.write(ask * 100)
                    await writer.drain()
            except ConnectionError:
                cut.set()

        asking = asyncio.create_task(keep_asking())
        async with asyncio.timeout(DEADLINE_SECONDS):
            await cut.wait()
        await asking
        writer.close()


async def test_tokens_are_in_no_log(caplog: pytest.LogCaptureFixture) -> None:
    token = secrets.token_urlsafe(24)
    caplog.set_level(logging.DEBUG)
    async with front_door(Collab(MemoryStore(), authenticate=authenticate)) as port:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            await client.get("/api/docs", headers={"Authorization": f"Bearer {token}"})
            await client.get("/no/such/path", headers={"Authorization": f"Bearer {token}"})
        for query in (f"ws/a?token={token}", f"ws/%00?token={token}"):
            with pytest.raises(InvalidStatus):
                await connect(f"ws://127.0.0.1:{port}/{query}")
        async with connect(f"ws://127.0.0.1:{port}/hocuspocus") as socket:
            await socket.send(write_var_string("a") + b"\x02\x00" + write_var_string(token))
            await socket.recv()
    ours = [
        record.getMessage()
        for record in caplog.records
        if not record.name.startswith(("httpx", "httpcore", "websockets"))
    ]
    assert [line for line in ours if token in line] == []
