"""What clients send before it is known who they are is bounded, for each and for all together."""

import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
import pytest
from starlette.requests import HTTPConnection

from collab.access import Access, Identity
from collab.close import CloseCode
from collab.lib0 import write_var_string
from collab.protocol import hocuspocus, yjs
from collab.seeding import seed_text
from collab.server.app import Collab
from collab.server.settings import Settings
from collab.storage.memory import MemoryStore
from tests.core import poison
from tests.server.hosts import front_door
from tests.server.transports.websockets.raw import Raw, handshake, masked
from tests.server.transports.websockets.serving import DEADLINE_SECONDS, contexts, socket_to

pytestmark = pytest.mark.anyio

_MASK = bytes(4)
_PONG = masked(bytes(122), opcode=10)
_PIECE = 256 * 1024 // len(_PONG)
"""Pongs that are as much as aiofastnet reads in one piece."""
_BOUNDS = Settings(unauthenticated_max_bytes=50_000, strangers_max_bytes=100_000)
_READ_WRITE = hocuspocus.authenticated(may_write=True)
_DURABLE = b"\x08\x01"
_TOKEN = b"\x02\x00" + write_var_string("ana")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@asynccontextmanager
async def hesitant(
    settings: Settings = _BOUNDS,
) -> AsyncIterator[tuple[int, Collab, Callable[[], None]]]:
    """A server that looks at tokens once it is told to: its port, itself, and what tells it."""
    looks = anyio.Event()

    async def authenticate(request: HTTPConnection) -> Identity:
        await looks.wait()
        return Identity(id="ana", access=Access.WRITE)

    app = Collab(MemoryStore(), settings=settings, authenticate=authenticate)
    async with front_door(app) as port:
        yield port, app, looks.set
        looks.set()


def head(size: int, opcode: int = 2, *, fin: bool = True) -> bytes:
    """The head of a frame of so many bytes, masked with zeros."""
    first = 0x80 * fin | opcode
    if size < 65_536:
        return bytes((first, 0x80 | 126)) + struct.pack("!H", size) + _MASK
    return bytes((first, 0x80 | 127)) + struct.pack("!Q", size) + _MASK


async def stranger(port: int, said: bytes = b"") -> Raw:
    """A client without a token yet, which says something along with its handshake."""
    raw = await Raw.open(port)
    raw.write(handshake("/hocuspocus"), said)
    assert b" 101 " in await raw.read_head()
    return raw


async def closed(raw: Raw) -> int:
    """Waits for a close frame; its code."""
    opcode, payload = await raw.read_frame()
    assert opcode == 8
    return int.from_bytes(payload[:2], "big")


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("fragments", [1, 4])
async def test_a_long_message_of_a_stranger_is_not_waited_for(
    together: bool, fragments: int
) -> None:
    """Nor where it comes along with the handshake, or in fragments."""
    async with hesitant() as (port, _, _):
        size = 70_000 if fragments > 1 else 1_000_000
        said = b"".join(
            head(size, opcode=2 if number == 0 else 0, fin=False) + bytes(size)
            for number in range(fragments - 1)
        )
        said += head(size, opcode=2 if fragments == 1 else 0)
        raw = await stranger(port, said if together else b"")
        if not together:
            raw.write(said)
        assert await closed(raw) == CloseCode.TRY_AGAIN_LATER
        await raw.close()


async def test_heads_may_come_byte_by_byte() -> None:
    async with hesitant() as (port, _, _):
        raw = await stranger(port)
        for byte in head(1_000_000):
            raw.write(bytes((byte,)))
            await raw.writer.drain()
        assert await closed(raw) == CloseCode.TRY_AGAIN_LATER
        await raw.close()


async def test_who_is_known_sends_long_messages_on_the_same_connection() -> None:
    async with hesitant() as (port, _, look), socket_to(port, "hocuspocus") as socket:
        address = write_var_string("a")
        await socket.send(address + _TOKEN)
        await socket.send(address + yjs.sync_step1(b"\x00"))
        look()
        with anyio.fail_after(DEADLINE_SECONDS):
            assert await socket.recv() == address + _READ_WRITE
            await socket.send(address + yjs.update(seed_text("x" * 300_000, "text")))
            while await socket.recv() != address + _DURABLE:
                pass


async def test_so_it_is_over_tls_where_much_comes_at_once() -> None:
    """More than aiofastnet reads in one piece, which is where a protocol has made way."""
    tls, client_tls = contexts("http/1.1")
    address = write_var_string("a")
    async with front_door(Collab(MemoryStore()), tls=tls, received_bytes=4_000_000) as port:
        raw = await Raw.open(port, client_tls)
        raw.write(handshake("/hocuspocus"), masked(address + _TOKEN))
        assert b" 101 " in await raw.read_head()
        while await raw.read_frame() != (2, address + _READ_WRITE):
            pass
        raw.write(_PONG * _PIECE, masked(address + yjs.update(poison.HELLO)))
        while await raw.read_frame() != (2, address + _DURABLE):
            pass
        await raw.close()


async def test_nor_does_it_matter_what_comes_along_with_the_handshake() -> None:
    tls, client_tls = contexts("http/1.1")
    async with front_door(Collab(MemoryStore()), tls=tls, received_bytes=4_000_000) as port:
        raw = await Raw.open(port, client_tls)
        padding = len(_PONG) - len(handshake("/ws/a?")) % len(_PONG)
        asked = handshake("/ws/a?" + "x" * padding)
        pongs = _PONG * (_PIECE - len(asked) // len(_PONG))
        raw.write(asked, pongs, masked(yjs.update(poison.HELLO)))
        assert b" 101 " in await raw.read_head()
        while (await raw.read_frame())[1] != yjs.update(poison.HELLO):
            pass
        await raw.close()


async def test_who_sent_most_goes_where_all_strangers_together_sent_too_much() -> None:
    async with hesitant() as (port, app, look):
        modest = [await stranger(port, head(30_000) + bytes(20_000)) for _ in range(3)]
        greedy = await stranger(port, head(48_000) + bytes(45_000))
        assert await closed(greedy) == CloseCode.TRY_AGAIN_LATER
        page = app.running.metrics.registry.get_sample_value
        assert page("collab_limits_reached_total", {"limit": "strangers_max_bytes"}) == 1
        # What it had sent does not count any more, nor what they had once they are gone.
        for raw in (greedy, *modest):
            await raw.close()
        others = [await stranger(port, head(30_000) + bytes(20_000)) for _ in range(4)]
        look()
        async with socket_to(port, "hocuspocus") as socket:
            await socket.send(write_var_string("a") + _TOKEN)
            with anyio.fail_after(DEADLINE_SECONDS):
                assert await socket.recv() == write_var_string("a") + _READ_WRITE
        for raw in others:
            await raw.close()


async def test_so_it_is_with_whole_messages_that_wait() -> None:
    async with hesitant() as (port, _, look):
        address = write_var_string("a")
        update = address + yjs.update(bytes(30_000))
        patient = socket_to(port, "hocuspocus")
        async with patient as one, socket_to(port, "hocuspocus") as two:
            await one.send(address + _TOKEN)
            for each in (two, one, two):
                await each.send(address + yjs.update(bytes(20_000)))
            async with socket_to(port, "hocuspocus") as three:
                await three.send(update)
                await three.send(address + yjs.update(bytes(15_000)))
                with anyio.fail_after(DEADLINE_SECONDS):
                    await three.wait_closed()
                assert three.close_code == CloseCode.TRY_AGAIN_LATER
            look()
            with anyio.fail_after(DEADLINE_SECONDS):
                assert await one.recv() == address + _READ_WRITE


async def test_tokens_that_are_looked_at_count_however_often_they_come() -> None:
    async with hesitant() as (port, _, _), socket_to(port, "hocuspocus") as socket:
        for number in range(100):
            await socket.send(
                write_var_string(f"{number}") + b"\x02\x00" + write_var_string("x" * 2_000)
            )
        with anyio.fail_after(DEADLINE_SECONDS):
            await socket.wait_closed()
        assert socket.close_code == CloseCode.TRY_AGAIN_LATER


async def test_a_token_that_no_header_could_carry_is_refused() -> None:
    async with hesitant(Settings()) as (port, _, look), socket_to(port, "hocuspocus") as socket:
        look()
        address = write_var_string("a")
        await socket.send(address + b"\x02\x00" + write_var_string("x" * 20_000))
        with anyio.fail_after(DEADLINE_SECONDS):
            assert (await socket.recv())[: len(address) + 2] == address + b"\x02\x01"
