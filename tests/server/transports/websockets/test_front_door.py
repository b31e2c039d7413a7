"""One port for HTTP and WebSockets."""

import asyncio
import contextlib
import ssl
import time
from pathlib import Path

import anyio
import httpx
import pytest
import trustme
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import RemoteSettingsChanged, ResponseReceived
from h2.settings import SettingCodes
from websockets.asyncio.client import connect

from collab.protocol import yjs
from collab.server.app import Collab
from collab.server.settings import Settings
from collab.storage.memory import MemoryStore
from tests.core import poison
from tests.server.hosts import HOSTS, STREAM_WRITERS, front_door
from tests.server.transports.websockets.raw import Raw, handshake, masked
from tests.server.transports.websockets.serving import (
    DEADLINE_SECONDS,
    contexts,
    heard,
    synced,
)

KEYLESS = (
    b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
)

pytestmark = [
    pytest.mark.anyio,
    STREAM_WRITERS,
]


class TestHTTP:
    async def test_requests_share_the_port_and_a_connection(self, port: int) -> None:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            for _ in range(3):
                assert (await client.get("/healthz")).json() == {"status": "ok"}
                assert (await client.get("/api/docs")).json() == {"documents": [], "next": None}

    async def test_two_requests_in_one_segment_are_both_answered(self, port: int) -> None:
        raw = await Raw.open(port)
        raw.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n" * 2)
        for _ in range(2):
            head = await raw.read_head()
            assert b" 200 " in head
            await raw.reader.readexactly(len(b'{"status":"ok"}'))
        await raw.close()

    @pytest.mark.parametrize("native", [True, False])
    async def test_no_part_of_an_answer_waits_for_the_client_to_acknowledge_another(
        self, native: bool
    ) -> None:
        """Which takes 40 ms: clients wait for something to say along with it."""
        async with front_door(Collab(MemoryStore()), native=native) as port:
            raw = await Raw.open(port)
            took = []
            for _ in range(30):
                began = time.monotonic()
                raw.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
                await raw.read_head()
                await raw.reader.readexactly(len(b'{"status":"ok"}'))
                took.append(time.monotonic() - began)
            assert min(took[10:]) < 0.03  # At first clients acknowledge at once.
            await raw.close()

    async def test_a_handshake_behind_a_request_is_read_for_itself(self, port: int) -> None:
        """The path of the one and the path of the other are not one path."""
        raw = await Raw.open(port)
        raw.write(b"GET /ws/no HTTP/1.1\r\nHost: localhost\r\n\r\n", handshake("/ws/room"))
        head = await raw.read_head()
        assert head.startswith(b"HTTP/1.1 426 ")
        size = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        await raw.reader.readexactly(size)
        await raw.close()

    async def test_a_plain_request_to_a_websocket_is_answered_over_http_2_too(self) -> None:
        server_tls, client_tls = contexts("h2", "http/1.1")
        async with (
            front_door(Collab(MemoryStore()), tls=server_tls) as port,
            httpx.AsyncClient(verify=client_tls, http1=False, http2=True) as client,
        ):
            answer = await client.get(f"https://localhost:{port}/ws/room")
        assert (answer.http_version, answer.status_code) == ("HTTP/2", 426)
        assert "upgrade" not in answer.headers

    async def test_browsers_are_offered_no_websockets_over_http_2(self) -> None:
        """They would take them, and go past the native transport."""
        server_tls, client_tls = contexts("h2")
        spoken = H2Connection(H2Configuration(client_side=True))
        spoken.initiate_connection()
        async with front_door(Collab(MemoryStore()), tls=server_tls) as port:
            raw = await Raw.open(port, client_tls)
            raw.write(spoken.data_to_send())
            settings = None
            async with asyncio.timeout(DEADLINE_SECONDS):
                while settings is None:
                    for event in spoken.receive_data(await raw.reader.read(65_536)):
                        if isinstance(event, RemoteSettingsChanged):
                            settings = event.changed_settings
            await raw.close()
        assert SettingCodes.MAX_CONCURRENT_STREAMS in settings
        assert SettingCodes.ENABLE_CONNECT_PROTOCOL not in settings

    async def test_a_body_that_goes_on_after_its_answer_ends_no_http_2_connection(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        server_tls, client_tls = contexts("h2")
        spoken = H2Connection(H2Configuration(client_side=True, header_encoding=None))
        spoken.initiate_connection()

        def ask(stream: int, method: str, path: str, *, whole: bool) -> None:
            named = [(":method", method), (":path", path), (":scheme", "https")]
            spoken.send_headers(stream, [*named, (":authority", "localhost")], end_stream=whole)
            raw.write(spoken.data_to_send())

        async def answered(stream: int) -> bytes:
            while came := await raw.reader.read(65_536):
                for event in spoken.receive_data(came):
                    if isinstance(event, ResponseReceived) and event.stream_id == stream:
                        return dict(event.headers)[b":status"]
            raise EOFError

        async with front_door(Collab(MemoryStore()), tls=server_tls) as port:
            raw = await Raw.open(port, client_tls)
            async with asyncio.timeout(DEADLINE_SECONDS):
                ask(1, "POST", "/sse/room", whole=False)
                assert await answered(1) == b"400"
                for _ in range(3):
                    spoken.send_data(1, b"late")
                ask(3, "GET", "/healthz", whole=True)
                assert await answered(3) == b"200"
            await raw.close()
        assert not caplog.records


class TestFrontDoor:
    async def test_a_head_that_does_not_come_is_waited_for_no_longer_than_told(
        self,
    ) -> None:
        settings = Settings(handshake_seconds=0.05)
        async with front_door(Collab(MemoryStore(), settings=settings)) as port:
            raw = await Raw.open(port)
            raw.write(b"GET /ws/room HTTP/1.1\r\nHost:")
            async with asyncio.timeout(DEADLINE_SECONDS):
                with contextlib.suppress(ConnectionResetError):  # So an aborted one may end.
                    assert await raw.reader.read() == b""
            await raw.close()

    async def test_a_head_that_is_too_long_is_refused_where_it_comes_at_once(self) -> None:
        async with front_door(Collab(MemoryStore())) as port:
            raw = await Raw.open(port)
            padding = b"X-Padding: " + b"x" * 20_000
            raw.write(handshake().removesuffix(b"\r\n"), padding, b"\r\n\r\n")
            assert (await raw.read_head()).startswith(b"HTTP/1.1 431 ")
            await raw.close()

    @pytest.mark.parametrize(
        "padding",
        [b"Cookie: " + b"x" * 20_000 + b"\r\n", b"X-Padding: x\r\n" * 200],
        ids=["long", "many"],
    )
    @pytest.mark.parametrize("host", ["native", "front door, asgi"])
    async def test_a_head_may_be_as_long_as_it_is_told(self, host: str, padding: bytes) -> None:
        settings = Settings(handshake_max_bytes=64 * 1024)
        async with HOSTS[host](Collab(MemoryStore(), settings=settings)) as port:
            raw = await Raw.open(port)
            raw.write(handshake().removesuffix(b"\r\n"), padding, b"\r\n")
            assert (await raw.read_head()).startswith(b"HTTP/1.1 101 ")
            raw.write(masked(yjs.sync_step1(b"\x00")))
            assert yjs.sync_step1(b"\x00") in await raw.read_frame()
            await raw.close()

    async def test_an_empty_line_may_come_before_a_long_head(self) -> None:
        settings = Settings(handshake_max_bytes=64 * 1024)
        async with front_door(Collab(MemoryStore(), settings=settings)) as port:
            raw = await Raw.open(port)
            padding = b"Cookie: " + b"x" * 20_000 + b"\r\n"
            raw.write(b"\r\n", handshake().removesuffix(b"\r\n"), padding, b"\r\n")
            assert (await raw.read_head()).startswith(b"HTTP/1.1 101 ")
            await raw.close()

    @pytest.mark.parametrize("connection", [b"Upgrade", b"keep-alive, Upgrade"])
    @pytest.mark.parametrize(
        ("field", "instead"),
        [
            (b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Version: 12"),
            (b"Sec-WebSocket-Key: ", b"Sec-WebSocket-Key: x"),
            (b"Sec-WebSocket-Key: ", b"X-Key: "),
            (b"Host: ", b"Content-Length: 1\r\nHost: "),
            (b"GET ", b"POST "),
            (b" HTTP/1.1", b" HTTP/1.0"),
        ],
        ids=["version", "key", "no key", "body", "method", "protocol"],
    )
    async def test_what_is_no_handshake_is_refused(
        self, field: bytes, instead: bytes, connection: bytes
    ) -> None:
        async with front_door(Collab(MemoryStore())) as port:
            raw = await Raw.open(port)
            raw.write(handshake().replace(field, instead).replace(b": Upgrade", b": " + connection))
            assert (await raw.read_head()).startswith(b"HTTP/1.1 400 ")
            await raw.close()

    @pytest.mark.parametrize("native", [True, False])
    async def test_a_tls_handshake_that_does_not_come_is_waited_for_as_long(
        self, native: bool
    ) -> None:
        server_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        trustme.CA().issue_cert("localhost").configure_cert(server_tls)
        app = Collab(MemoryStore(), settings=Settings(handshake_seconds=0.05))
        async with front_door(app, native=native, tls=server_tls) as port:
            raw = await Raw.open(port)
            async with asyncio.timeout(DEADLINE_SECONDS):
                with contextlib.suppress(ConnectionResetError):  # So an aborted one may end.
                    assert await raw.reader.read() == b""
            await raw.close()

    @pytest.mark.parametrize(
        "line", ["CONNECT localhost:443", "GET http://localhost:99999/ws/room"]
    )
    async def test_an_upgrade_of_what_is_no_path_is_refused(
        self, port: int, line: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        raw = await Raw.open(port)
        raw.write(f"{line} HTTP/1.1\r\nHost: localhost\r\n".encode())
        raw.write(b"Upgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
        assert (await raw.read_head()).startswith(b"HTTP/1.1 4")
        await raw.close()
        assert not caplog.records

    @pytest.mark.parametrize(
        ("host", "said"),
        [
            ("native", KEYLESS),
            ("native", handshake("/nowhere") + masked(b"early")),
            ("front door, asgi", KEYLESS),
            ("front door, asgi", handshake() + masked(b"early")),
        ],
        ids=["native, no key", "native, early", "asgi, no key", "asgi, early"],
    )
    async def test_whom_hypercorn_refuses_keeps_no_connection(
        self, host: str, said: bytes, caplog: pytest.LogCaptureFixture
    ) -> None:
        app = Collab(MemoryStore())
        async with HOSTS[host](app) as port:
            raw = await Raw.open(port)
            raw.write(said)
            assert (await raw.read_head()).startswith(b"HTTP/1.1 4")
            async with asyncio.timeout(DEADLINE_SECONDS):
                assert await raw.reader.read() == b""
                while any(room.members for room in app.running.rooms.loaded):
                    await anyio.lowlevel.checkpoint()
            await raw.close()
        assert not caplog.records

    async def test_a_client_that_breaks_the_rules_is_closed_and_no_failure_of_ours(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with front_door(Collab(MemoryStore())) as port:
            raw = await Raw.open(port)
            raw.write(handshake())
            await raw.read_head()
            raw.write(b"\x82\x05hello")  # Not masked, as frames of clients must be.
            opcode, payload = await raw.read_frame()
            while opcode != 8:
                opcode, payload = await raw.read_frame()
            assert payload.startswith((1002).to_bytes(2))
            await raw.close()
        assert not caplog.records

    @pytest.mark.parametrize("native", [True, False])
    async def test_both_go_over_tls(self, native: bool, tmp_path: Path) -> None:
        authority = trustme.CA()
        server_tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(server_tls)
        client_tls = ssl.create_default_context()
        authority.configure_trust(client_tls)
        app = Collab(MemoryStore())
        async with front_door(app, native=native, tls=server_tls) as port:
            async with connect(
                f"wss://localhost:{port}/ws/room", ssl=client_tls, compression=None
            ) as socket:
                await synced(socket)
                await socket.send(yjs.update(poison.HELLO))
                await heard(socket, poison.HELLO)
            async with httpx.AsyncClient(verify=client_tls) as client:
                answer = await client.get(f"https://localhost:{port}/healthz")
                assert answer.status_code == 200

    async def test_what_comes_too_fast_over_tls_is_read_to_its_end(self) -> None:
        server_tls, client_tls = contexts("http/1.1")
        async with front_door(Collab(MemoryStore()), tls=server_tls) as port:
            raw = await Raw.open(port, client_tls)
            raw.write(handshake())
            await raw.read_head()
            raw.write(masked(b"", opcode=10) * 8_000, masked(yjs.update(poison.HELLO)))
            while (await raw.read_frame())[1] != yjs.update(poison.HELLO):
                pass
            await raw.close()


@pytest.mark.parametrize("host", ["native", "front door, asgi"])
async def test_the_front_door_agrees_to_no_compression(host: str) -> None:
    """Not even with somebody whose connection has brought another request before."""
    offer = (
        "GET /ws/room HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
    )
    before = "HEAD /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    async with HOSTS[host](Collab(MemoryStore())) as port:
        for said in ([offer], [before, offer]):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            async with asyncio.timeout(DEADLINE_SECONDS):
                for request in said:
                    writer.write(request.encode())
                    head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 101 ")
            assert b"sec-websocket-extensions" not in head.lower()
            writer.close()
            await writer.wait_closed()
