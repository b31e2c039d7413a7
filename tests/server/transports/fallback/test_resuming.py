"""Sessions without WebSockets go on after a break."""

import httpx
import pycrdt
import pytest

from collab.protocol import hocuspocus, yjs
from collab.protocol.messages import SyncStep2, Update
from collab.server.settings import Settings
from tests.server.fallback import FallbackClient
from tests.server.hosts import STREAM_WRITERS
from tests.server.transports.fallback.serving import (
    APPLIED,
    IS_SHOWN,
    READ_WRITE,
    SHOWS_ITSELF,
    serving,
    synced,
    text_of,
)

pytestmark = [
    pytest.mark.anyio,
    STREAM_WRITERS,
    pytest.mark.usefixtures("collected"),
]


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
