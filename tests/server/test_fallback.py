"""Clients without WebSockets: one suite over streams and polls, and over every server."""

import asyncio
import contextlib
import gc
import ssl
from collections.abc import AsyncIterator, Iterator

import httpx
import pycrdt
import pytest
import trustme
from starlette.applications import Starlette
from starlette.requests import HTTPConnection
from starlette.routing import Mount
from websockets.asyncio.client import connect

from collab.access import Access, Identity
from collab.close import CloseCode
from collab.lib0 import write_var_string
from collab.protocol import hocuspocus, yjs
from collab.protocol.fallback import POST_HEADER, SESSION_HEADER
from collab.protocol.messages import EMPTY_UPDATE, SyncStep2, Update
from collab.server.app import Collab
from collab.server.settings import Settings
from collab.storage.memory import MemoryStore
from tests.core import poison
from tests.server.fallback import DEADLINE_SECONDS, FallbackClient
from tests.server.hosts import HOSTS, front_door, hypercorn_on_trio, under_uvicorn

pytestmark = [
    pytest.mark.anyio,
    # Hypercorn leaves stream writers to the collector, which may run in a worker thread.
    pytest.mark.filterwarnings("ignore:.*StreamWriter:pytest.PytestUnraisableExceptionWarning"),
]

SMALL = Settings(message_max_bytes=100_000)
APPLIED, REFUSED = b"\x08\x01", b"\x08\x00"
READ_WRITE = hocuspocus.authenticated(may_write=True)
READ_ONLY = hocuspocus.authenticated(may_write=False)
SHOWS_ITSELF = yjs.awareness(b"\x01\x07\x00\x02{}")
IS_SHOWN = yjs.awareness(
    b"\x01\x07\x00" + write_var_string('{"user":{"id":"writer","name":"writer"}}')
)
"""The same as others see it: with the identity it is of."""


@pytest.fixture(scope="module", autouse=True)
def collected() -> Iterator[None]:
    """Has what servers leave to the collector collected here, where warnings of it are let be."""
    yield
    gc.collect()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def authenticate(connection: HTTPConnection) -> Identity | None:
    """Tokens: "bad" is nobody, "none" may nothing, "read" may read, others may write."""
    match connection.headers.get("authorization"):
        case "Bearer bad":
            return None
        case "Bearer none":
            return Identity(id="none", access=Access.NONE)
        case "Bearer read":
            return Identity(id="reader", access=Access.READ)
    return Identity(id="writer")


@contextlib.asynccontextmanager
async def http_to(port: int) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{port}", timeout=DEADLINE_SECONDS
    ) as client:
        yield client


@contextlib.asynccontextmanager
async def serving(settings: Settings = SMALL) -> AsyncIterator[httpx.AsyncClient]:
    """One server, as ``collab serve`` has it, where the server makes no difference."""
    app = Collab(MemoryStore(), settings=settings, authenticate=authenticate)
    async with front_door(app) as port, http_to(port) as client:
        yield client


@pytest.fixture(params=["native", "hypercorn", "uvicorn"])
async def http(request: pytest.FixtureRequest) -> AsyncIterator[httpx.AsyncClient]:
    app = Collab(MemoryStore(), settings=SMALL, authenticate=authenticate)
    async with HOSTS[request.param](app) as port, http_to(port) as client:
        yield client


@pytest.fixture(params=[False, True], ids=["stream", "poll"])
def poll(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


async def synced(client: FallbackClient) -> "pycrdt.Doc[pycrdt.Text]":
    """Asks for the document and waits for all of it."""
    doc: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc()
    await client.say(yjs.sync_step1(doc.get_state()))
    while True:
        frame = await client.frame()
        message = yjs.decode(frame) if frame[0] in (0, 1) else None
        if isinstance(message, (SyncStep2, Update)):
            doc.apply_update(message.update)
        if isinstance(message, SyncStep2):
            return doc


def text_of(doc: "pycrdt.Doc[pycrdt.Text]") -> str:
    return str(doc.get("text", type=pycrdt.Text))


class TestBeginning:
    async def test_the_first_frame_tells_what_the_client_may_do(
        self, http: httpx.AsyncClient, poll: bool
    ) -> None:
        async with FallbackClient(http, poll=poll) as client:
            assert client.session
            assert not client.resumed
            assert await client.frame() == READ_WRITE
        async with FallbackClient(http, poll=poll, token="read") as client:
            assert await client.frame() == READ_ONLY

    @pytest.mark.parametrize(("token", "status"), [("bad", 401), ("none", 403)])
    async def test_who_may_not_is_refused_before_the_stream_begins(
        self, http: httpx.AsyncClient, poll: bool, token: str, status: int
    ) -> None:
        with pytest.raises(httpx.HTTPStatusError) as caught:
            await FallbackClient(http, poll=poll, token=token).connect()
        assert caught.value.response.status_code == status
        assert "error" in caught.value.response.json()

    @pytest.mark.parametrize("path", ["/sse/", "/sse/a%0Ab", "/sse/" + "x" * 600])
    async def test_what_cannot_be_a_name_is_refused(self, path: str) -> None:
        async with serving() as http:
            assert (await http.get(path)).status_code == 400

    async def test_other_methods_are_refused(self) -> None:
        async with serving() as http:
            assert (await http.head("/sse/room")).status_code == 405
            assert (await http.put("/sse/room")).status_code == 405

    async def test_a_stream_tells_proxies_to_pass_it_on_and_fills_their_buffers(self) -> None:
        async with serving() as http, http.stream("GET", "/sse/room") as answer:
            assert answer.headers["Content-Type"].startswith("text/event-stream")
            assert "no-transform" in answer.headers["Cache-Control"]
            assert answer.headers["X-Accel-Buffering"] == "no"
            first = b""
            async for piece in answer.aiter_raw():
                first += piece
                if b"open" in first:
                    break
            assert first.startswith(b":")
            assert first.index(b"\n\n") >= 2000

    async def test_a_poll_has_an_end_that_proxies_know(self, http: httpx.AsyncClient) -> None:
        answer = await http.get("/sse/room", params={"poll": "1"})
        assert int(answer.headers["Content-Length"]) == len(answer.content)

    async def test_pages_of_listed_origins_may_come_and_others_may_not(self) -> None:
        app = Collab(MemoryStore(), allow_origins=["https://example.org"])
        async with front_door(app) as port, http_to(port) as http:
            asked = await http.options(
                "/sse/room",
                headers={
                    "Origin": "https://example.org",
                    "Access-Control-Request-Method": "POST",
                    "Access-Control-Request-Headers": f"{SESSION_HEADER}, {POST_HEADER}",
                },
            )
            assert asked.status_code == 200
            headers = {"Origin": "https://example.com"}
            answer = await http.get("/sse/room", params={"poll": "1"}, headers=headers)
            assert answer.status_code == 403

    async def test_beyond_the_bound_a_session_is_refused(self) -> None:
        async with serving(Settings(fallback_sessions=1)) as http, FallbackClient(http) as first:
            with pytest.raises(httpx.HTTPStatusError) as caught:
                await FallbackClient(http).connect()
            assert caught.value.response.status_code == 503
            await first.end()
            async with FallbackClient(http):
                pass


class TestFrames:
    async def test_a_change_reaches_the_others_and_its_receipt_its_writer(
        self, http: httpx.AsyncClient, poll: bool
    ) -> None:
        async with FallbackClient(http, poll=poll) as one, FallbackClient(http, poll=poll) as two:
            await synced(one)
            await synced(two)
            await one.say(yjs.update(poison.HELLO))
            await two.until(yjs.update(poison.HELLO))
            assert yjs.update(poison.HELLO) not in await one.until(APPLIED)

    async def test_websockets_are_in_the_same_room(self, poll: bool) -> None:
        app = Collab(MemoryStore())
        async with (
            front_door(app) as port,
            http_to(port) as http,
            FallbackClient(http, poll=poll) as client,
            connect(f"ws://127.0.0.1:{port}/ws/room", compression=None) as socket,
        ):
            await synced(client)
            await socket.send(SHOWS_ITSELF)
            await client.until(SHOWS_ITSELF)
            await client.say(yjs.update(poison.HELLO))
            await socket.send(yjs.sync_step1(b"\x00"))
            async with asyncio.timeout(DEADLINE_SECONDS):
                while await socket.recv() != yjs.sync_step2(poison.HELLO):
                    pass

    async def test_a_reader_is_refused_each_change(
        self, http: httpx.AsyncClient, poll: bool
    ) -> None:
        async with FallbackClient(http, poll=poll, token="read") as reader:
            await synced(reader)
            await reader.say(yjs.update(poison.HELLO), yjs.update(poison.HELLO))
            assert await reader.frame() == REFUSED
            assert await reader.frame() == REFUSED

    async def test_one_session_has_many_documents_where_frames_have_addresses(
        self, http: httpx.AsyncClient, poll: bool
    ) -> None:
        a, b = write_var_string("a"), write_var_string("b")
        token = b"\x02\x00" + write_var_string("anything")
        async with FallbackClient(http, "/sse", poll=poll) as client:
            await client.say(*(each + token for each in (a, b)))
            await client.say(*(each + yjs.sync_step1(b"\x00") for each in (a, b)))
            await client.say(a + yjs.update(poison.HELLO))
            came: set[bytes] = set()
            while not {a + READ_WRITE, b + READ_WRITE, a + APPLIED} <= came:
                came.add(await client.frame())
            assert b + APPLIED not in came
        async with FallbackClient(http, "/sse/a", poll=poll) as other:
            assert text_of(await synced(other)) == "hello"

    @pytest.mark.parametrize(
        "frame",
        [
            pytest.param(b"", id="empty"),
            pytest.param(b"\x09\x00", id="unknown type"),
            pytest.param(yjs.update(poison.UNDECODABLE["noise"]), id="noise"),
        ],
    )
    async def test_garbage_ends_who_sent_it_and_nobody_else(
        self, http: httpx.AsyncClient, poll: bool, frame: bytes
    ) -> None:
        async with FallbackClient(http, poll=poll) as client, FallbackClient(http) as other:
            await synced(client)
            await synced(other)
            answer = await client.post(frame, yjs.update(poison.HELLO))
            assert answer.status_code == 410
            assert (await client.until_closed())[0] == CloseCode.MALFORMED
            assert (await client.post()).status_code == 410
            await other.say(yjs.update(poison.HELLO))
            await other.until(APPLIED)

    async def test_a_poll_says_so_when_nothing_came(self) -> None:
        async with serving(Settings(poll_seconds=0.01)) as http:
            client = FallbackClient(http, poll=True)
            await client.connect()
            assert await client.frame() == READ_WRITE
            await client.connect()
            assert client.resumed


class TestPosts:
    async def test_one_that_is_sent_again_is_taken_in_once(self, http: httpx.AsyncClient) -> None:
        async with FallbackClient(http) as one, FallbackClient(http) as two:
            await synced(one)
            await synced(two)
            hello = hocuspocus.HOCUSPOCUS.stateless("hello")
            await one.say(hello)
            assert (await one.post(hello, number=2)).status_code == 204
            await one.say(hocuspocus.HOCUSPOCUS.stateless("bye"))
            assert await two.until(hocuspocus.HOCUSPOCUS.stateless("bye")) == [hello]

    async def test_one_that_skips_another_is_refused(self) -> None:
        async with serving() as http, FallbackClient(http) as client:
            assert (await client.post(number=3)).status_code == 409
            assert (await client.post(number=1)).status_code == 204

    @pytest.mark.parametrize("number", ["", "x", "0", "-1", "9" * 40])
    async def test_one_without_a_number_is_refused(self, number: str) -> None:
        async with serving() as http, FallbackClient(http) as client:
            headers = {SESSION_HEADER: client.session, POST_HEADER: number}
            assert (await http.post("/sse/room", headers=headers)).status_code == 400

    async def test_one_without_a_session_is_refused(self) -> None:
        async with serving() as http, FallbackClient(http) as client:
            assert (await http.post("/sse/room")).status_code == 400
            headers = {SESSION_HEADER: "guessed", POST_HEADER: "1"}
            assert (await http.post("/sse/room", headers=headers)).status_code == 410
            headers = {SESSION_HEADER: client.session, POST_HEADER: "1"}
            assert (await http.post("/sse/other", headers=headers)).status_code == 410

    async def test_one_that_is_too_long_is_refused_and_its_session_goes_on(self) -> None:
        async with serving() as http, FallbackClient(http) as client:
            answer = await client.post(bytes(SMALL.message_max_bytes + 1), number=1)
            assert answer.status_code == 413
            await synced(client)

    async def test_a_body_that_is_no_frames_is_refused(self) -> None:
        async with serving() as http, FallbackClient(http) as client:
            headers = {SESSION_HEADER: client.session, POST_HEADER: "1"}
            answer = await http.post("/sse/room", headers=headers, content=b"\x05abc")
            assert answer.status_code == 400
            await synced(client)

    async def test_a_body_that_does_not_come_is_waited_for_no_longer_than_told(self) -> None:
        async with serving(Settings(post_seconds=0.05)) as http, FallbackClient(http) as client:
            url = http.base_url
            reader, writer = await asyncio.open_connection(url.host, url.port)
            writer.write(
                f"POST /sse/room HTTP/1.1\r\nHost: {url.host}\r\nContent-Length: 9\r\n"
                f"{SESSION_HEADER}: {client.session}\r\n{POST_HEADER}: 1\r\n\r\n".encode()
            )
            async with asyncio.timeout(DEADLINE_SECONDS):
                assert b" 408 " in await reader.readline()
            writer.close()
            with contextlib.suppress(ConnectionError):  # The server was first.
                await writer.wait_closed()


class TestResuming:
    async def test_what_came_meanwhile_comes_once_and_in_order(
        self, http: httpx.AsyncClient, poll: bool
    ) -> None:
        async with FallbackClient(http, poll=poll) as client, FallbackClient(http) as other:
            await synced(client)
            await synced(other)
            await client.cut()
            hocus = [hocuspocus.HOCUSPOCUS.stateless(str(number)) for number in range(20)]
            await other.say(*hocus)
            await client.connect()
            assert client.resumed
            assert [await client.frame() for _ in hocus] == hocus

    async def test_what_was_written_and_got_lost_comes_again(
        self, http: httpx.AsyncClient, poll: bool
    ) -> None:
        async with FallbackClient(http, poll=poll) as client, FallbackClient(http) as other:
            await synced(client)
            await synced(other)
            here = client.last_id
            one, two = (hocuspocus.HOCUSPOCUS.stateless(each) for each in ("one", "two"))
            await other.say(one, two)
            assert [await client.frame(), await client.frame()] == [one, two]
            await client.cut()
            client.last_id = here
            await client.connect()
            assert client.resumed
            assert [await client.frame(), await client.frame()] == [one, two]

    async def test_a_stream_becomes_polls_and_a_stream_again(self, http: httpx.AsyncClient) -> None:
        async with FallbackClient(http) as client, FallbackClient(http) as other:
            await synced(client)
            await synced(other)
            for number in range(4):
                await client.cut()
                client.poll = not client.poll
                frame = hocuspocus.HOCUSPOCUS.stateless(str(number))
                await other.say(frame)
                await client.connect()
                assert client.resumed
                assert await client.until(frame) == []

    async def test_a_newer_stream_ends_an_older_one(self, http: httpx.AsyncClient) -> None:
        async with FallbackClient(http) as client:
            await synced(client)
            newer = FallbackClient(http)
            newer.last_id = client.last_id
            await newer.connect()
            assert newer.resumed
            with pytest.raises(ConnectionError):
                await client.frame()
            await newer.cut()

    async def test_an_unknown_session_is_begun_anew(
        self, http: httpx.AsyncClient, poll: bool
    ) -> None:
        client = FallbackClient(http, poll=poll)
        client.last_id = "unknown.7"
        await client.connect()
        assert not client.resumed
        assert await client.frame() == READ_WRITE
        assert text_of(await synced(client)) == ""
        await client.cut()

    async def test_a_number_that_was_never_sent_begins_anew(self) -> None:
        async with serving() as http, FallbackClient(http) as client:
            session = client.session
            await client.cut()
            client.last_id = f"{session}.999"
            await client.connect()
            assert not client.resumed
            assert client.session != session

    async def test_nobody_is_let_into_a_session_by_another_path(self) -> None:
        async with serving() as http, FallbackClient(http, "/sse/one") as one:
            two = FallbackClient(http, "/sse/two")
            two.last_id = one.last_id
            await two.connect()
            assert not two.resumed
            assert two.session != one.session
            await two.cut()

    async def test_beyond_the_bound_one_diff_makes_up_for_what_was_missed(self) -> None:
        async with (
            serving(Settings(outbox_max_bytes=2_000)) as http,
            FallbackClient(http) as client,
            FallbackClient(http) as other,
        ):
            doc = await synced(client)
            await synced(other)
            await client.cut()
            source: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc()
            text = source.get("text", type=pycrdt.Text)
            for _ in range(40):
                before = source.get_state()
                text += "x" * 200
                await other.say(yjs.update(source.get_update(before)))
                await other.until(APPLIED)
            await client.connect()
            assert client.resumed
            frames = 0
            while text_of(doc) != str(text):
                message = yjs.decode(await client.frame())
                assert isinstance(message, (SyncStep2, Update))
                doc.apply_update(message.update)
                frames += 1
            assert frames < 20

    async def test_a_client_that_comes_back_was_not_seen_to_leave(
        self, http: httpx.AsyncClient, poll: bool
    ) -> None:
        async with FallbackClient(http, poll=poll) as client, FallbackClient(http) as watcher:
            await synced(client)
            await synced(watcher)
            await client.say(SHOWS_ITSELF)
            await watcher.until(IS_SHOWN)
            await client.cut()
            await client.connect()
            frame = hocuspocus.HOCUSPOCUS.stateless("back")
            await client.say(frame)
            assert await watcher.until(frame) == []


class TestEnds:
    async def test_presence_of_who_left_is_removed_at_once(
        self, http: httpx.AsyncClient, poll: bool
    ) -> None:
        async with FallbackClient(http) as watcher:
            await synced(watcher)
            async with FallbackClient(http, poll=poll) as client:
                await synced(client)
                await client.say(SHOWS_ITSELF)
                await watcher.until(IS_SHOWN)
                await client.end()
                while b"null" not in await watcher.frame():
                    pass
                assert (await client.post()).status_code == 410

    async def test_presence_of_who_vanished_is_removed_when_nobody_came_back(
        self, poll: bool
    ) -> None:
        async with serving(Settings(resume_seconds=0.05)) as http, FallbackClient(http) as watcher:
            await synced(watcher)
            async with FallbackClient(http) as client:
                await synced(client)
                await client.say(SHOWS_ITSELF)
                await watcher.until(IS_SHOWN)
            while b"null" not in await watcher.frame():
                pass
            client.poll = poll
            await client.connect()
            assert not client.resumed
            await client.cut()

    async def test_a_shutdown_is_told(self, poll: bool) -> None:
        app = Collab(MemoryStore())
        async with (
            front_door(app) as port,
            http_to(port) as http,
            FallbackClient(http, poll=poll) as client,
        ):
            await synced(client)
            client_closed = asyncio.create_task(client.until_closed())
            await app.running.drain()
            assert (await client_closed)[0] == CloseCode.RESTART
            with pytest.raises(httpx.HTTPStatusError) as caught:
                await FallbackClient(http).connect()
            assert caught.value.response.status_code == 503

    async def test_silence_ends_a_stream_and_an_empty_post_is_a_sign_of_life(self) -> None:
        settings = Settings(heartbeat_seconds=0.1, dead_seconds=2.0)
        async with (
            serving(settings) as http,
            FallbackClient(http) as silent,
            FallbackClient(http) as living,
        ):
            await synced(silent)
            await synced(living)
            closing = asyncio.create_task(silent.until_closed())
            while not closing.done():
                if await living.frame() == b"\x03":
                    await living.say()
            assert closing.result()[0] == CloseCode.TRY_AGAIN_LATER
            assert living.closed is None


async def test_an_empty_update_is_acknowledged_too() -> None:
    async with serving() as http, FallbackClient(http) as client:
        await synced(client)
        await client.say(yjs.sync_step2(EMPTY_UPDATE))
        assert await client.frame() == APPLIED


@pytest.mark.parametrize("anyio_backend", ["trio"])
async def test_it_runs_on_trio(anyio_backend: str, poll: bool) -> None:
    app = Collab(MemoryStore())
    async with (
        hypercorn_on_trio(app) as port,
        http_to(port) as http,
        FallbackClient(http, poll=poll) as one,
        FallbackClient(http, poll=poll) as two,
    ):
        await synced(one)
        await synced(two)
        await one.say(yjs.update(poison.HELLO))
        await two.until(yjs.update(poison.HELLO))
        await one.until(APPLIED)
        await two.end()
        await one.end()


async def test_it_runs_below_a_prefix(poll: bool) -> None:
    collab = Collab(MemoryStore())
    host = Starlette(routes=[Mount("/collab", collab)])
    async with (
        collab,
        under_uvicorn(host) as port,
        http_to(port) as http,
        FallbackClient(http, "/collab/sse/a/b", poll=poll) as one,
        FallbackClient(http, "/collab/sse/a%2Fb", poll=poll) as two,
    ):
        await synced(one)
        await synced(two)
        await one.say(yjs.update(poison.HELLO))
        await two.until(yjs.update(poison.HELLO))
        await one.until(APPLIED)
        await two.end()
        await one.end()


async def test_it_runs_over_http_2() -> None:
    authority = trustme.CA()
    server_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_tls.set_alpn_protocols(["h2", "http/1.1"])
    authority.issue_cert("localhost").configure_cert(server_tls)
    client_tls = ssl.create_default_context()
    authority.configure_trust(client_tls)
    async with (
        front_door(Collab(MemoryStore()), tls=server_tls) as port,
        httpx.AsyncClient(
            base_url=f"https://localhost:{port}", verify=client_tls, http1=False, http2=True
        ) as http,
        FallbackClient(http) as one,
        FallbackClient(http) as two,
    ):
        await synced(one)
        await synced(two)
        await one.say(yjs.update(poison.HELLO))
        await two.until(yjs.update(poison.HELLO))
        await one.until(APPLIED)
