"""HTTP requests at the front door: what one brings or does not take costs it alone."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Iterator, Sequence

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    ResponseReceived,
    StreamEnded,
    StreamReset,
)
from h2.settings import SettingCodes
from starlette.requests import HTTPConnection

from collab.access import Identity
from collab.server.app import Collab
from collab.server.settings import Settings
from collab.storage.memory import MemoryStore
from tests.server.hosts import front_door

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("nothing_logged")]

DEADLINE_SECONDS = 30.0
_PIECES = 30
"""More than Hypercorn keeps of a body that the app does not read."""

Headers = Sequence[tuple[bytes, bytes]]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def nothing_logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Nobody fills the log with what they do to their own connection."""
    caplog.set_level(logging.WARNING)
    yield
    assert caplog.records == []


def get(path: bytes = b"/healthz", method: bytes = b"GET") -> Headers:
    return [
        (b":method", method),
        (b":scheme", b"http"),
        (b":authority", b"127.0.0.1"),
        (b":path", path),
    ]


class Client:
    """An HTTP/2 connection, frame by frame."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.h2 = H2Connection(
            H2Configuration(validate_outbound_headers=False, normalize_outbound_headers=False)
        )
        self.h2.initiate_connection()
        self.events: list[Event] = []
        self._reader = reader
        self._writer = writer

    def flush(self) -> None:
        self._writer.write(self.h2.data_to_send())

    def ask(self, stream_id: int, headers: Headers, *, whole: bool = True) -> None:
        self.h2.send_headers(stream_id, headers, end_stream=whole)
        self.flush()

    async def until(self, kind: type[Event], stream_id: int | None = None) -> Event:
        """Waits for an event, of a stream where one is given."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            while True:
                for event in self.events:
                    of = getattr(event, "stream_id", None)
                    if isinstance(event, kind) and stream_id in (None, of):
                        return event
                received = await self._reader.read(65536)
                assert received
                self.events += self.h2.receive_data(received)
                self.flush()

    async def goes_on(self, stream_id: int) -> None:
        """Asks something else, and is answered."""
        self.ask(stream_id, get())
        answer = await self.until(ResponseReceived, stream_id)
        assert isinstance(answer, ResponseReceived)
        assert (b":status", b"200") in answer.headers
        await self.until(StreamEnded, stream_id)

    async def asks_without_a_window(self) -> None:
        """Makes a document of 12,000 characters and asks for it on stream 3."""
        put = [*get(b"/api/docs/a/content", b"PUT"), (b"content-type", b"text/plain")]
        self.ask(1, put, whole=False)
        self.h2.send_data(1, b"x" * 12_000, end_stream=True)
        self.flush()
        await self.until(StreamEnded, 1)
        self.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 0})
        self.ask(3, get(b"/api/docs/a/content?format=text"))

    async def until_cut(self) -> None:
        async with asyncio.timeout(DEADLINE_SECONDS):
            with contextlib.suppress(ConnectionError):
                while await self._reader.read(65536):
                    pass


@contextlib.asynccontextmanager
async def connected(port: int) -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    client = Client(reader, writer)
    client.flush()
    try:
        yield client
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


@contextlib.asynccontextmanager
async def hesitant() -> AsyncIterator[tuple[int, asyncio.Event]]:
    """A server that refuses everybody once it is told to: its port, and what tells it."""
    refuses = asyncio.Event()

    async def authenticate(request: HTTPConnection) -> Identity | None:
        await refuses.wait()
        return None

    async with front_door(Collab(MemoryStore(), authenticate=authenticate)) as port:
        yield port, refuses


async def test_who_is_refused_while_a_body_comes_is_let_go() -> None:
    async with hesitant() as (port, refuses):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(
            b"POST /api/docs/a/updates HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * _PIECES
        )
        await writer.drain()
        # Its pieces are there: what is sent later is answered.
        async with connected(port) as other:
            await other.goes_on(1)
        refuses.set()
        async with asyncio.timeout(DEADLINE_SECONDS):
            assert (await reader.read()).startswith(b"HTTP/1.1 401 ")  # As far as its end.
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def test_over_http_2_other_requests_go_on() -> None:
    async with hesitant() as (port, refuses), connected(port) as client:
        client.ask(1, get(b"/api/docs/a/updates", b"POST"), whole=False)
        for _ in range(_PIECES):
            client.h2.send_data(1, b"x")
        client.flush()
        async with connected(port) as other:
            await other.goes_on(1)
        refuses.set()
        await client.until(StreamEnded, 1)
        await client.goes_on(3)


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param(get(b"/api/docs/\xff"), id="a path that is not ASCII"),
        pytest.param([(b":method", b"CONNECT"), (b":authority", b"x:1")], id="no path"),
    ],
)
async def test_a_request_that_cannot_be_read_ends_its_stream_alone(headers: Headers) -> None:
    async with front_door(Collab(MemoryStore())) as port, connected(port) as client:
        client.ask(1, headers)
        await client.until(StreamReset, 1)
        await client.goes_on(3)


async def test_so_it_is_where_the_client_has_ended_it_already() -> None:
    async with front_door(Collab(MemoryStore())) as port, connected(port) as client:
        client.h2.send_headers(1, get(b"/api/docs/\xff"), end_stream=True)
        client.h2.reset_stream(1)
        await client.goes_on(3)


async def test_priorities_are_no_matter_however_many() -> None:
    async with front_door(Collab(MemoryStore())) as port, connected(port) as client:
        for number in range(2_000):
            client.h2.prioritize(2 * number + 1, weight=16)
        await client.goes_on(5_001)


async def test_who_opens_no_window_for_an_answer_is_not_waited_for() -> None:
    app = Collab(MemoryStore(), settings=Settings(blocked_seconds=0.2))
    async with front_door(app) as port, connected(port) as client:
        await client.asks_without_a_window()
        await client.until(StreamReset, 3)
        client.h2.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 65_535})
        await client.goes_on(5)


async def test_who_takes_a_little_now_and_then_is() -> None:
    app = Collab(MemoryStore(), settings=Settings(blocked_seconds=0.5))
    async with front_door(app) as port, connected(port) as client:
        await client.asks_without_a_window()
        await client.until(ResponseReceived, 3)
        for _ in range(6):
            client.h2.increment_flow_control_window(2_000, 3)
            client.flush()
            await asyncio.sleep(0.2)
        await client.until(StreamEnded, 3)


async def test_a_connection_whose_last_request_was_reset_is_idle() -> None:
    """It is cut as soon as one on which nothing is asked."""
    async with hesitant() as (port, refuses), connected(port) as client:
        client.ask(1, get(b"/api/docs"))
        client.h2.reset_stream(1)
        client.flush()
        await client.until_cut()
        refuses.set()


async def test_who_says_nothing_after_the_preface_is_cut() -> None:
    async with front_door(Collab(MemoryStore())) as port, connected(port) as client:
        await client.until_cut()


async def test_who_resets_request_after_request_is_cut_and_leaves_nothing() -> None:
    """CVE-2023-44487."""
    async with front_door(Collab(MemoryStore())) as port:
        async with connected(port) as client:
            for number in range(2_000):
                client.h2.send_headers(2 * number + 1, get(), end_stream=True)
                client.h2.reset_stream(2 * number + 1)
            client.flush()
            await client.until(ConnectionTerminated)
            await client.until_cut()
        async with connected(port) as other:
            await other.goes_on(1)


async def test_an_event_stream_goes_on_however_much_is_asked_beside_it() -> None:
    """Nor does anybody who asks lose an answer: who asks no more than is answered has no bound."""
    async with front_door(Collab(MemoryStore())) as port, connected(port) as client:
        client.ask(1, get(b"/sse/a"))
        await client.until(DataReceived, 1)
        for number in range(1, 1_100):
            client.events.clear()
            await client.goes_on(2 * number + 1)
        client.h2.reset_stream(1)
        await client.goes_on(5_001)


async def test_who_gives_up_a_request_now_and_then_is_not_cut() -> None:
    """As pages do that search while somebody types."""
    async with front_door(Collab(MemoryStore())) as port, connected(port) as client:
        for number in range(600):
            client.h2.send_headers(4 * number + 1, get(), end_stream=True)
            client.h2.reset_stream(4 * number + 1)
            client.events.clear()
            await client.goes_on(4 * number + 3)
