"""Every transport reads bytes as they come."""

import asyncio
import contextlib
import struct

import httpx
import pycrdt
import pytest

from collab.close import CloseCode
from collab.protocol import yjs
from collab.protocol.messages import Update
from collab.server.app import Collab
from collab.server.settings import Settings
from collab.storage.memory import MemoryStore
from tests.core import poison
from tests.server.hosts import STREAM_WRITERS, front_door
from tests.server.transports.websockets.raw import Raw, handshake, masked
from tests.server.transports.websockets.serving import (
    DEADLINE_SECONDS,
    heard,
    receive,
    socket_to,
    synced,
)

pytestmark = [
    pytest.mark.anyio,
    STREAM_WRITERS,
]


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

    @pytest.mark.parametrize(
        "said", ["keep-alive, Upgrade", "upgrade", "Upgrade,keep-alive"], ids=str
    )
    async def test_an_upgrade_may_be_wished_for_among_others(self, port: int, said: str) -> None:
        """Firefox says ``keep-alive, Upgrade``."""
        raw = await Raw.open(port)
        raw.write(handshake().replace(b"Connection: Upgrade", b"Connection: " + said.encode()))
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

    async def test_who_is_refused_a_document_is_let_go_as_soon_as_it_has_answered(
        self, port: int
    ) -> None:
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}/api/docs", headers={"Authorization": "Bearer admin"}
        ) as http:
            (await http.post("room/updates", content=poison.HELLO)).raise_for_status()
            (await http.delete("room")).raise_for_status()
        raw = await Raw.open(port)
        raw.write(handshake())
        await raw.read_head()
        opcode, payload = await raw.read_frame()
        assert (opcode, struct.unpack("!H", payload[:2])[0]) == (8, CloseCode.NOT_FOUND)
        raw.write(masked(yjs.sync_step1(b"\x00")), masked(payload[:2], opcode=8))
        # Where nobody reads the answer, the connection is cut after a while: it is reset.
        async with asyncio.timeout(DEADLINE_SECONDS):
            assert await raw.reader.read() == b""
        await raw.close()

    async def test_who_was_too_fast_is_let_go_as_soon_as_it_has_answered(self) -> None:
        app = Collab(MemoryStore(), settings=Settings(connection_messages_per_second=1))
        async with front_door(app) as port:
            raw = await Raw.open(port)
            raw.write(handshake())
            await raw.read_head()
            raw.write(masked(yjs.update(poison.HELLO)), masked(yjs.sync_step1(b"\x00")) * 20)
            while (await raw.read_frame())[1] == yjs.sync_step1(b"\x00"):
                pass
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}/api/docs") as http:
                (await http.delete("room")).raise_for_status()
            opcode = 0
            while opcode != 8:
                opcode, payload = await raw.read_frame()
            raw.write(masked(payload[:2], opcode=8))
            # As above: one whose answer is not read is reset after a while.
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
