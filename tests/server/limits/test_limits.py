"""Limits on clients: what they are told, what goes on, and what the metrics say."""

import asyncio

import httpx
import pycrdt
import pytest
from starlette.requests import HTTPConnection
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from collab.access import Access, Identity
from collab.close import CloseCode
from collab.lib0 import write_var_string
from collab.protocol import yjs
from collab.protocol.messages import Update
from collab.server.app import Collab
from collab.server.settings import Settings
from collab.storage.memory import MemoryStore
from tests.server.hosts import front_door

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("native", [True, False])]

DEADLINE_SECONDS = 30.0


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def as_ana(request: HTTPConnection) -> Identity | None:
    return Identity(id="ana", access=Access.ADMIN)


async def metrics(port: int) -> str:
    async with httpx.AsyncClient() as client:
        return (await client.get(f"http://127.0.0.1:{port}/metrics")).text


async def test_an_address_has_so_many_connections(native: bool) -> None:
    app = Collab(MemoryStore(), settings=Settings(address_connections=1))
    async with front_door(app, native=native) as port:
        url = f"ws://127.0.0.1:{port}/ws/a"
        async with connect(url) as first:
            await first.recv()
            with pytest.raises(InvalidStatus) as refusal:
                await connect(url)
            assert refusal.value.response.status_code == 429
            page = await metrics(port)
            assert 'collab_limits_reached_total{limit="address_connections"} 1.0' in page
            assert 'collab_handshakes_refused_total{status="429"} 1.0' in page
            assert "collab_connections 1.0" in page
        async with asyncio.timeout(DEADLINE_SECONDS):
            while "collab_connections 0.0" not in await metrics(port):
                pass
        async with connect(url) as again:
            await again.recv()


async def test_a_user_has_so_many_documents_open(native: bool) -> None:
    app = Collab(MemoryStore(), authenticate=as_ana, settings=Settings(user_connections=1))
    async with (
        front_door(app, native=native) as port,
        connect(f"ws://127.0.0.1:{port}/ws/a") as first,
    ):
        await first.recv()
        with pytest.raises(InvalidStatus) as refusal:
            await connect(f"ws://127.0.0.1:{port}/ws/b")
        assert refusal.value.response.status_code == 429
        async with connect(f"ws://127.0.0.1:{port}/hocuspocus") as many:
            await many.send(write_var_string("c") + b"\x02\x00" + write_var_string("t"))
            answer = await many.recv()
            assert answer[:4] == b"\x01c\x02\x01"


async def test_beyond_the_bound_on_rooms_clients_are_told_to_come_back(native: bool) -> None:
    app = Collab(MemoryStore(), settings=Settings(rooms=1))
    async with (
        front_door(app, native=native) as port,
        connect(f"ws://127.0.0.1:{port}/ws/a") as first,
    ):
        await first.recv()
        async with connect(f"ws://127.0.0.1:{port}/ws/b") as second:
            with pytest.raises(ConnectionClosed) as closed:
                await second.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == CloseCode.TRY_AGAIN_LATER


async def test_who_sends_too_fast_loses_nothing(native: bool) -> None:
    settings = Settings(connection_messages_per_second=100)
    async with front_door(Collab(MemoryStore(), settings=settings), native=native) as port:
        doc: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc()
        text = doc.get("t", type=pycrdt.Text)
        async with connect(f"ws://127.0.0.1:{port}/ws/a") as writer:
            for number in range(300):
                before = doc.get_state()
                text += f"{number} "
                await writer.send(yjs.update(doc.get_update(before)))
            back: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc()
            async with asyncio.timeout(DEADLINE_SECONDS):
                while back.get_state() != doc.get_state():
                    frame = await writer.recv()
                    assert isinstance(frame, bytes)
                    message = yjs.decode(frame)
                    if isinstance(message, Update):
                        back.apply_update(message.update)
        assert await content(port) == str(text)
        assert 'limit="connection_messages_per_second"' in await metrics(port)


async def content(port: int) -> str:
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"http://127.0.0.1:{port}/api/docs/a/content?format=text")
        return answer.text


async def test_a_presence_state_is_no_longer_than_it_may_be(native: bool) -> None:
    settings = Settings(presence_max_bytes=100)
    async with front_door(Collab(MemoryStore(), settings=settings), native=native) as port:
        async with connect(f"ws://127.0.0.1:{port}/ws/a") as client:
            await client.recv()
            state = write_var_string('{"x":"' + "y" * 100 + '"}')
            await client.send(yjs.awareness(b"\x01\x07\x01" + state))
            with pytest.raises(ConnectionClosed) as closed:
                await client.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == CloseCode.TOO_LARGE
        assert 'collab_connections_closed_total{code="1009"} 1.0' in await metrics(port)


async def test_a_network_of_ipv6_is_one_address(native: bool) -> None:
    """Whoever has one address of it has all."""
    app = Collab(
        MemoryStore(), settings=Settings(address_connections=1), trusted_proxies=["127.0.0.1"]
    )
    async with front_door(app, native=native) as port:

        def from_address(address: str) -> connect:
            headers = {"X-Forwarded-For": address}
            return connect(f"ws://127.0.0.1:{port}/ws/a", additional_headers=headers)

        async with from_address("2001:db8::1") as first, from_address("2001:db8:0:1::1") as other:
            await first.recv()
            await other.recv()
            with pytest.raises(InvalidStatus) as refusal:
                await from_address("2001:db8::2")
            assert refusal.value.response.status_code == 429
