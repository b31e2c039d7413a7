"""What goes up and down without WebSockets: frames, in numbered posts."""

import asyncio
import contextlib

import httpx
import pycrdt
import pytest
from websockets.asyncio.client import connect

from collab.close import CloseCode
from collab.lib0 import write_var_string
from collab.protocol import hocuspocus, yjs
from collab.protocol.fallback import POST_HEADER, SESSION_HEADER
from collab.protocol.messages import EMPTY_UPDATE
from collab.server.app import Collab
from collab.server.settings import Settings
from collab.storage.memory import MemoryStore
from tests.core import poison
from tests.server.fallback import DEADLINE_SECONDS, FallbackClient
from tests.server.hosts import STREAM_WRITERS, front_door
from tests.server.transports.fallback.serving import (
    APPLIED,
    READ_WRITE,
    REFUSED,
    SHOWS_ITSELF,
    SMALL,
    http_to,
    serving,
    synced,
    text_of,
)
from tests.server.transports.websockets.raw import Raw

pytestmark = [
    pytest.mark.anyio,
    STREAM_WRITERS,
    pytest.mark.usefixtures("collected"),
]


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

    async def test_who_has_no_token_taken_yet_sends_no_more_than_strangers_may(self) -> None:
        few = Settings(unauthenticated_max_bytes=2_000)
        a = write_var_string("a")
        async with serving(few) as http, FallbackClient(http, "/sse", poll=True) as client:
            long = a + yjs.update(pycrdt.Doc({"text": pycrdt.Text("x" * 3_000)}).get_update())
            assert (await client.post(long, number=1)).status_code == 413
            await client.say(a + b"\x02\x00" + write_var_string("anything"))
            assert await client.frame() == a + READ_WRITE
            await client.say(long)
            await client.until(a + APPLIED)

    async def test_of_all_strangers_the_one_that_posts_most_is_refused(self) -> None:
        few = Settings(strangers_max_bytes=5_000)
        async with serving(few) as http, contextlib.AsyncExitStack() as exits:

            async def post(size: int) -> Raw:
                client = FallbackClient(http, "/sse", poll=True)
                await exits.enter_async_context(client)
                raw = await Raw.open(http.base_url.port or 0)
                exits.push_async_callback(raw.close)
                raw.write(
                    b"POST /sse HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 4000\r\n",
                    f"{SESSION_HEADER}: {client.session}\r\n{POST_HEADER}: 1\r\n\r\n".encode(),
                    bytes(size),
                )
                return raw

            greedy = await post(3_000)
            for _ in range(2):
                await post(1_500)
            assert (await greedy.read_head()).startswith(b"HTTP/1.1 503 ")

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


async def test_an_empty_update_is_acknowledged_too() -> None:
    async with serving() as http, FallbackClient(http) as client:
        await synced(client)
        await client.say(yjs.sync_step2(EMPTY_UPDATE))
        assert await client.frame() == APPLIED
