"""Every transport carries messages, and ends, in the same way."""

import asyncio
import contextlib

import pycrdt
import pytest
from starlette.requests import HTTPConnection
from websockets.exceptions import ConnectionClosed

from collab.access import Identity
from collab.awareness import encode_entries
from collab.close import CloseCode
from collab.protocol import yjs
from collab.server.app import Collab
from collab.storage.memory import MemoryStore
from tests.core import poison
from tests.server.hosts import STREAM_WRITERS, front_door
from tests.server.transports.websockets.serving import (
    DEADLINE_SECONDS,
    SMALL,
    closed_with,
    heard,
    receive,
    socket_to,
    synced,
)

pytestmark = [
    pytest.mark.anyio,
    STREAM_WRITERS,
]


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


@pytest.mark.parametrize("authenticated", [True, False])
async def test_a_guest_shows_an_id_only_where_nobody_is_known_by_theirs(
    authenticated: bool,
) -> None:
    async def anybody(connection: HTTPConnection) -> Identity:
        return Identity(name="a guest")

    app = Collab(MemoryStore(), authenticate=anybody if authenticated else None)
    async with front_door(app) as port, socket_to(port) as watcher, socket_to(port) as guest:
        await synced(watcher)
        await synced(guest)
        await guest.send(yjs.awareness(encode_entries([(7, 1, b'{"user":{"id":"ada"}}')])))
        while b'{"user":' not in (shown := await receive(watcher)):
            pass
        assert (b"ada" in shown) is not authenticated
