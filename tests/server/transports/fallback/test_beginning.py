"""How sessions without WebSockets begin, and where."""

import ssl

import httpx
import pytest
import trustme
from starlette.applications import Starlette
from starlette.routing import Mount

from collab.lib0 import write_var_string
from collab.protocol import yjs
from collab.protocol.fallback import POST_HEADER, SESSION_HEADER
from collab.server.app import Collab
from collab.server.settings import Settings
from collab.storage.memory import MemoryStore
from tests.core import poison
from tests.server.fallback import FallbackClient
from tests.server.hosts import STREAM_WRITERS, front_door, hypercorn_on_trio, under_uvicorn
from tests.server.transports.fallback.serving import (
    APPLIED,
    READ_ONLY,
    READ_WRITE,
    authenticate,
    http_from,
    http_to,
    serving,
    synced,
)
from tests.server.transports.websockets.raw import Raw

pytestmark = [
    pytest.mark.anyio,
    STREAM_WRITERS,
    pytest.mark.usefixtures("collected"),
]


_PONG = b"\x0a"


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

    @pytest.mark.parametrize("path", ["/sse", "/sse/room"])
    async def test_other_methods_are_refused_as_everywhere(self, path: str) -> None:
        async with serving() as http:
            for method in ("HEAD", "OPTIONS", "PATCH", "PUT"):
                answer = await http.request(method, path)
                assert answer.status_code == 405
                assert answer.headers["Allow"] == "DELETE, GET, POST"
                if method != "HEAD":
                    said = f"expected DELETE or GET or POST on this path, got {method}"
                    assert answer.json() == {"error": said}

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

    async def test_a_poll_whose_own_body_never_comes_is_refused(self) -> None:
        settings = Settings(post_seconds=0.05)
        async with serving(settings) as http, FallbackClient(http, poll=True) as client:
            assert await client.frame() == READ_WRITE
            assert client.last_id is not None
            raw = await Raw.open(http.base_url.port or 0)
            raw.write(
                b"GET /sse/room?poll=1 HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n"
                + f"Last-Event-ID: {client.last_id}\r\n\r\n".encode()
            )
            assert (await raw.read_head()).startswith(b"HTTP/1.1 408 ")
            await raw.close()

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

    async def test_an_address_that_has_more_than_another_makes_room_for_it(self) -> None:
        """Those that no token has let in go first, the last that came of them."""
        app = Collab(
            MemoryStore(),
            authenticate=authenticate,
            settings=Settings(fallback_sessions=3),
            trusted_proxies=["127.0.0.1"],
        )
        async with front_door(app) as port, http_from(port, "192.0.2.1") as greedy:
            first, second, third = [FallbackClient(greedy, "/sse", poll=True) for _ in range(3)]
            for client in (first, second, third):
                await client.connect()
            await third.say(write_var_string("a") + b"\x02\x00" + write_var_string("token"))
            assert await third.frame() == write_var_string("a") + READ_WRITE
            async with http_from(port, "192.0.2.2") as modest:
                newcomer = FallbackClient(modest, "/sse")
                await newcomer.connect()
                with pytest.raises(httpx.HTTPStatusError) as caught:  # Two are there, and one.
                    await FallbackClient(modest, "/sse").connect()
                assert caught.value.response.status_code == 503
                assert (await second.post(_PONG, number=1)).status_code == 410
                assert (await first.post(_PONG, number=1)).status_code == 204
                await newcomer.end()

    async def test_who_was_closed_and_does_not_ask_why_keeps_nobody_out(self) -> None:
        async with serving(Settings(fallback_sessions=1)) as http:
            async with FallbackClient(http, poll=True) as first:
                assert (await first.post(b"\xff")).status_code == 410
            async with FallbackClient(http) as second:
                await synced(second)
                with pytest.raises(httpx.HTTPStatusError) as caught:
                    await FallbackClient(http).connect()
            assert caught.value.response.status_code == 503


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
