"""Every transport keeps the same promises: one suite over ours, Hypercorn and uvicorn."""

import asyncio
import base64
import contextlib
import os
import ssl
import struct
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pycrdt
import pytest
import trustme
from starlette.requests import HTTPConnection
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Origin, Subprotocol

from collab.access import Access, Identity
from collab.close import CloseCode
from collab.protocol import yjs
from collab.protocol.messages import SyncStep2, Update
from collab.server.app import Collab
from collab.server.auth.bearer import find_token
from collab.server.settings import Settings
from collab.storage.memory import MemoryStore
from tests.core import poison
from tests.server.hosts import HOSTS, front_door

pytestmark = [
    pytest.mark.anyio,
    # Hypercorn leaves stream writers to the collector, which may run in a worker thread.
    pytest.mark.filterwarnings("ignore:.*StreamWriter:pytest.PytestUnraisableExceptionWarning"),
]

DEADLINE_SECONDS = 30.0
SMALL = Settings(message_max_bytes=100_000)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def authenticate(connection: HTTPConnection) -> Identity | None:
    """Tokens: "bad" is nobody, "none" may nothing, "read" may read, others may write."""
    match find_token(connection):
        case "bad":
            return None
        case "none":
            return Identity(id="none", access=Access.NONE)
        case "read":
            return Identity(id="reader", access=Access.READ)
        case "broken":
            raise RuntimeError("the database of users is away")
        case "admin":
            return Identity(id="root", access=Access.ADMIN)
        case "ana" as token:
            return Identity(id="ana", token_id=token, expires_at=1e12)
    return Identity(id="writer")


@pytest.fixture(params=list(HOSTS.values()), ids=list(HOSTS))
async def port(request: pytest.FixtureRequest) -> AsyncIterator[int]:
    app = Collab(
        MemoryStore(),
        settings=SMALL,
        authenticate=authenticate,
        allow_origins=["https://listed.example"],
    )
    async with request.param(app) as port:
        yield port


def url(port: int, rest: str = "ws/room") -> str:
    return f"ws://127.0.0.1:{port}/{rest}"


def socket_to(port: int, rest: str = "ws/room") -> connect:
    return connect(
        url(port, rest), compression=None, open_timeout=DEADLINE_SECONDS, close_timeout=1
    )


async def receive(socket: ClientConnection) -> bytes:
    async with asyncio.timeout(DEADLINE_SECONDS):
        frame = await socket.recv()
    assert isinstance(frame, bytes)
    return frame


async def synced(socket: ClientConnection) -> "pycrdt.Doc[pycrdt.Text]":
    """Asks for the document and waits for all of it."""
    doc: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc()
    await socket.send(yjs.sync_step1(doc.get_state()))
    while True:
        message = yjs.decode(await receive(socket))
        if isinstance(message, (SyncStep2, Update)):
            doc.apply_update(message.update)
        if isinstance(message, SyncStep2):
            return doc


async def heard(socket: ClientConnection, update: bytes) -> None:
    """Waits for a change."""
    while yjs.decode(await receive(socket)) != Update(update):
        pass


async def closed_with(socket: ClientConnection) -> int:
    """Waits for the end; returns the close code that came."""
    async with asyncio.timeout(DEADLINE_SECONDS):
        await socket.wait_closed()
    assert socket.close_code is not None
    return socket.close_code


class TestHandshake:
    async def test_the_server_asks_first(self, port: int) -> None:
        async with socket_to(port) as socket:
            assert await receive(socket) == yjs.sync_step1(b"\x00")
            await synced(socket)

    @pytest.mark.parametrize(("token", "status"), [("bad", 401), ("none", 403), ("broken", None)])
    async def test_who_may_not_is_refused_at_the_handshake(
        self, port: int, token: str, status: int | None
    ) -> None:
        with pytest.raises((InvalidStatus, ConnectionError, EOFError, Exception)) as caught:
            async with socket_to(port, f"ws/room?token={token}") as socket:
                await socket.recv()
        if status is not None:
            assert isinstance(caught.value, InvalidStatus)
            assert caught.value.response.status_code == status
        async with socket_to(port) as socket:
            await synced(socket)

    @pytest.mark.parametrize("path", ["", "ws", "wss/room", "other/room"])
    async def test_an_unknown_path_is_refused(self, port: int, path: str) -> None:
        with pytest.raises(InvalidStatus) as caught:
            async with socket_to(port, path):
                pass
        assert caught.value.response.status_code in (403, 404)

    @pytest.mark.parametrize("name", ["a%0Ab", "x" * 600, "%00"])
    async def test_what_cannot_be_a_name_is_refused(self, port: int, name: str) -> None:
        with pytest.raises(InvalidStatus) as caught:
            async with socket_to(port, f"ws/{name}"):
                pass
        assert caught.value.response.status_code == 400

    async def test_a_revoked_token_ends_its_session_and_opens_no_other(self, port: int) -> None:
        rest = f"http://127.0.0.1:{port}/api/sessions/revoke"
        revocation = {"token_id": "ana"}
        async with (
            socket_to(port, "ws/room?token=ana") as ana,
            socket_to(port) as other,
            httpx.AsyncClient() as client,
        ):
            await synced(ana)
            await synced(other)
            for token, status in (("", 401), ("ana", 403), ("admin", 200)):
                headers = {"Authorization": f"Bearer {token or 'bad'}"}
                answer = await client.post(rest, json=revocation, headers=headers)
                assert answer.status_code == status
            assert answer.json() == {"ended": 1}
            assert await closed_with(ana) == CloseCode.UNAUTHENTICATED
            with pytest.raises(InvalidStatus) as caught:
                async with socket_to(port, "ws/room?token=ana"):
                    pass
            assert caught.value.response.status_code == 401
            await other.send(yjs.update(poison.HELLO))
            await heard(other, poison.HELLO)

    @pytest.mark.parametrize("path", ["ws/room", "hocuspocus", "y-sweet/ws/room"])
    async def test_a_page_from_elsewhere_is_refused(self, port: int, path: str) -> None:
        with pytest.raises(InvalidStatus) as caught:
            async with connect(url(port, path), origin=Origin("https://evil.example")):
                pass
        assert caught.value.response.status_code == 403
        async with connect(url(port, path), origin=Origin(f"http://127.0.0.1:{port}")):
            pass
        async with connect(url(port, path), origin=Origin("https://listed.example")):
            pass

    async def test_a_token_may_come_as_a_subprotocol_and_is_not_sent_back(self, port: int) -> None:
        offered = [Subprotocol("collab"), Subprotocol("collab.token.read")]
        async with connect(url(port), subprotocols=offered) as socket:
            assert socket.subprotocol == "collab"
            await synced(socket)
            await socket.send(yjs.update(poison.HELLO))
            assert (await receive(socket))[:2] == b"\x02\x00"

    async def test_a_name_means_the_same_however_it_is_encoded(self, port: int) -> None:
        async with (
            socket_to(port, "ws/a/%C3%A9%F0%9F%98%80") as one,
            socket_to(port, "ws/a%2F%c3%a9%F0%9f%98%80") as two,
        ):
            await synced(one)
            await synced(two)
            await one.send(yjs.update(poison.HELLO))
            await heard(two, poison.HELLO)

    async def test_no_room_hears_another(self, port: int) -> None:
        async with socket_to(port, "ws/one") as one, socket_to(port, "ws/two") as two:
            await synced(one)
            await synced(two)
            await one.send(yjs.update(poison.HELLO))
            await heard(one, poison.HELLO)
            assert list((await synced(two)).keys()) == []


class TestMessages:
    async def test_a_change_reaches_the_others_and_comes_back_when_stored(self, port: int) -> None:
        async with socket_to(port) as one, socket_to(port) as two:
            await synced(one)
            await synced(two)
            await one.send(yjs.update(poison.HELLO))
            await heard(two, poison.HELLO)
            await heard(one, poison.HELLO)

    async def test_a_reader_cannot_change(self, port: int) -> None:
        async with socket_to(port, "ws/room?token=read") as reader, socket_to(port) as other:
            await synced(reader)
            await reader.send(yjs.update(poison.HELLO))
            refusal = await receive(reader)
            assert refusal[:2] == b"\x02\x00"
            assert list((await synced(other)).keys()) == []

    async def test_fragments_are_one_message(self, port: int) -> None:
        async with socket_to(port) as one, socket_to(port) as two:
            await synced(one)
            await synced(two)
            frame = yjs.update(poison.HELLO)
            await one.send([frame[:1], frame[1:9], b"", frame[9:]])
            await heard(two, poison.HELLO)

    async def test_pings_are_answered_between_fragments_too(self, port: int) -> None:
        async with socket_to(port) as socket:
            await synced(socket)
            async with asyncio.timeout(DEADLINE_SECONDS):
                await (await socket.ping(b"are you there"))

    async def test_text_is_refused(self, port: int) -> None:
        async with socket_to(port) as socket:
            await synced(socket)
            await socket.send("text")
            assert await closed_with(socket) == CloseCode.MALFORMED

    @pytest.mark.parametrize("fragments", [1, 50])
    async def test_a_message_that_is_too_large_is_refused(self, port: int, fragments: int) -> None:
        async with socket_to(port) as socket:
            await synced(socket)
            size = 2 * SMALL.message_max_bytes // fragments
            with contextlib.suppress(ConnectionClosed):  # Refused before all of it was sent.
                await socket.send([bytes(size)] * fragments if fragments > 1 else bytes(size))
            assert await closed_with(socket) == CloseCode.TOO_LARGE

    @pytest.mark.parametrize(
        "frame",
        [
            pytest.param(b"", id="empty"),
            pytest.param(b"\xff", id="truncated"),
            pytest.param(b"\x09\x00", id="unknown type"),
            pytest.param(yjs.update(poison.UNDECODABLE["noise"]), id="noise"),
            pytest.param(yjs.update(poison.UNKEEPABLE["JSON content"]), id="JSON content"),
        ],
    )
    async def test_garbage_ends_who_sent_it_and_nobody_else(self, port: int, frame: bytes) -> None:
        async with socket_to(port) as other, socket_to(port) as socket:
            await synced(other)
            await synced(socket)
            await socket.send(frame)
            assert await closed_with(socket) == CloseCode.MALFORMED
            assert socket.close_reason is not None
            assert "Traceback" not in socket.close_reason
            await other.send(yjs.update(poison.HELLO))
            await heard(other, poison.HELLO)

    async def test_an_update_that_does_not_apply_ends_its_sender_alone(self, port: int) -> None:
        async with socket_to(port) as other, socket_to(port) as socket:
            await synced(other)
            await synced(socket)
            await other.send(yjs.update(poison.HELLO))
            await heard(socket, poison.HELLO)
            await socket.send(yjs.update(poison.CHILD_OF_A_STRING))
            assert await closed_with(socket) == CloseCode.MALFORMED
            assert str((await synced(other)).get("text", type=pycrdt.Text)) == "hello"


class TestEnds:
    async def test_a_close_is_answered(self, port: int) -> None:
        async with socket_to(port) as socket:
            await synced(socket)
            async with asyncio.timeout(DEADLINE_SECONDS):
                await socket.close(1000, "bye")
            assert socket.close_code == 1000

    @pytest.mark.parametrize("abrupt", [True, False])
    async def test_presence_ends_with_the_socket(self, port: int, abrupt: bool) -> None:
        async with socket_to(port) as watcher:
            await synced(watcher)
            async with socket_to(port) as socket:
                await synced(socket)
                await socket.send(yjs.awareness(b"\x01\x07\x00\x02{}"))
                while b'{"user":{"id":"writer","name":"writer"}}' not in await receive(watcher):
                    pass
                if abrupt:
                    socket.transport.abort()
                else:
                    await socket.close()
                while b"null" not in await receive(watcher):
                    pass


class Raw:
    """A TCP connection that speaks WebSocket byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, port: int, tls: ssl.SSLContext | None = None) -> "Raw":
        name = "localhost" if tls else None
        streams = await asyncio.open_connection("127.0.0.1", port, ssl=tls, server_hostname=name)
        return cls(*streams)

    def write(self, *chunks: bytes) -> None:
        self.writer.write(b"".join(chunks))

    async def read_head(self) -> bytes:
        async with asyncio.timeout(DEADLINE_SECONDS):
            return await self.reader.readuntil(b"\r\n\r\n")

    async def read_frame(self) -> tuple[int, bytes]:
        """Opcode and payload of the next frame."""
        async with asyncio.timeout(DEADLINE_SECONDS):
            first, size = await self.reader.readexactly(2)
            if size == 126:
                (size,) = struct.unpack("!H", await self.reader.readexactly(2))
            return first & 0x0F, await self.reader.readexactly(size)

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(ConnectionError):  # The server was first.
            await self.writer.wait_closed()


def handshake(path: str = "/ws/room") -> bytes:
    key = base64.b64encode(os.urandom(16)).decode()
    return (
        f"GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
    ).encode()


def masked(payload: bytes, opcode: int = 2, fin: bool = True) -> bytes:
    mask = os.urandom(4)
    body = bytes(byte ^ mask[index % 4] for index, byte in enumerate(payload))
    assert len(payload) < 126
    return bytes((0x80 * fin | opcode, 0x80 | len(payload))) + mask + body


class TestBytes:
    async def test_many_messages_in_one_segment_are_all_taken(self, port: int) -> None:
        doc: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc()
        text = doc.get("text", type=pycrdt.Text)
        updates: list[bytes] = []
        doc.observe(lambda event: updates.append(event.update))
        for number in range(100):
            text += f"{number},"
        raw = await Raw.open(port)
        raw.write(handshake())
        assert b" 101 " in await raw.read_head()
        raw.write(*(masked(yjs.update(update)) for update in updates))
        async with socket_to(port) as other:
            seen: pycrdt.Doc[pycrdt.Text] = await synced(other)
            while str(seen.get("text", type=pycrdt.Text)) != str(text):
                message = yjs.decode(await receive(other))
                assert isinstance(message, Update)
                seen.apply_update(message.update)
        await raw.close()

    async def test_a_handshake_may_come_byte_by_byte(self, port: int) -> None:
        raw = await Raw.open(port)
        for byte in handshake():
            raw.write(bytes((byte,)))
            await raw.writer.drain()
            await asyncio.sleep(0)
        assert b" 101 " in await raw.read_head()
        assert (await raw.read_frame())[1] == yjs.sync_step1(b"\x00")
        await raw.close()

    async def test_a_frame_may_come_byte_by_byte(self, port: int) -> None:
        raw = await Raw.open(port)
        raw.write(handshake())
        await raw.read_head()
        for byte in masked(yjs.sync_step1(b"\x00")):
            raw.write(bytes((byte,)))
            await raw.writer.drain()
            await asyncio.sleep(0)
        while (await raw.read_frame())[1] != yjs.sync_step2(b"\x00\x00"):
            pass
        await raw.close()

    @pytest.mark.parametrize("opcode", [2, 1], ids=["no message", "text"])
    async def test_after_its_close_a_client_is_sent_no_more(self, port: int, opcode: int) -> None:
        raw = await Raw.open(port)
        raw.write(handshake())
        await raw.read_head()
        raw.write(masked(yjs.sync_step1(b"\x00")))
        while (await raw.read_frame())[1] != yjs.sync_step2(b"\x00\x00"):
            pass
        async with socket_to(port) as other:
            await synced(other)
            raw.write(masked(b"\x7f", opcode))
            came = 2
            while came != 8:
                came, payload = await raw.read_frame()
            assert struct.unpack("!H", payload[:2])[0] == CloseCode.MALFORMED
            await other.send(yjs.update(poison.HELLO))
            await heard(other, poison.HELLO)
            raw.write(masked(payload[:2], opcode=8))
            async with asyncio.timeout(DEADLINE_SECONDS):
                assert await raw.reader.read() == b""
        await raw.close()

    async def test_a_close_without_a_code_is_answered_with_none_or_a_valid_one(
        self, port: int
    ) -> None:
        raw = await Raw.open(port)
        raw.write(handshake())
        await raw.read_head()
        raw.write(masked(b"", opcode=8))
        opcode, payload = 0, b""
        while opcode != 8:
            opcode, payload = await raw.read_frame()
        assert payload == b"" or struct.unpack("!H", payload[:2])[0] == CloseCode.NORMAL
        await raw.close()

    async def test_a_continuation_of_nothing_ends_the_connection(self, port: int) -> None:
        raw = await Raw.open(port)
        raw.write(handshake())
        await raw.read_head()
        raw.write(masked(b"x", opcode=0))
        with contextlib.suppress(asyncio.IncompleteReadError):  # Some end without a word.
            while (await raw.read_frame())[0] != 8:
                pass
        await raw.close()


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
