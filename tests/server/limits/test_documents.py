"""Limits on documents: how large one gets, and how much of it may wait."""

from itertools import count

import anyio
import pycrdt
import pytest

from collab.close import CloseCode
from collab.protocol import yjs
from collab.server.settings import Settings
from tests.server.stores import SteeredStore
from tests.server.wire import Client, house

pytestmark = pytest.mark.anyio


async def test_a_full_document_refuses_changes_and_is_read_on() -> None:
    async with house(SteeredStore(), Settings(document_max_bytes=200)) as inner:
        room = await inner.rooms.acquire("a")
        writer = Client(room, client_id=1).connect()
        reader = Client(room, client_id=2).connect()
        writer.type("x" * 300)
        await reader.wire.until(lambda: bool(reader.read() or reader.text))
        writer.type("y")
        await writer.wire.until(lambda: any(f[:2] == b"\x02\x00" for f in writer.wire.frames))
        assert "y" not in str(room.document.doc.get("text", type=pycrdt.Text))
        assert writer.wire.closed is None


async def test_a_full_document_lets_text_be_deleted_until_there_is_room() -> None:
    settings = Settings(document_max_bytes=400, checkpoint_seconds=1e-9)
    async with house(SteeredStore(), settings) as inner:
        room = await inner.rooms.acquire("a")
        writer = Client(room, client_id=1).connect()
        writer.type("x" * 500)
        await room.programs.saved()
        writer.delete(0, 400)
        with anyio.fail_after(10):
            while room.content.full is not None:
                writer.delete(0, 1)
                await room.programs.saved()
        writer.type("y")
        await room.programs.saved()
        assert str(room.document.doc.get("text", type=pycrdt.Text)) == writer.text
        assert writer.text.endswith("xy")
        assert writer.wire.closed is None


async def test_a_document_that_was_full_takes_the_next_change_once_text_was_deleted() -> None:
    settings = Settings(document_max_bytes=400, checkpoint_seconds=0.05)
    async with house(SteeredStore(), settings) as inner:
        room = await inner.rooms.acquire("a")
        writer = Client(room, client_id=1).connect()
        writer.type("x" * 500)
        await room.programs.saved()
        writer.delete(0, 490)
        await room.programs.saved()
        others = count(2)
        with anyio.fail_after(10):
            while str(room.document.doc.get("text", type=pycrdt.Text)) == "x" * 10:
                Client(room, client_id=next(others)).connect().type("y")
                await room.programs.saved()
        await inner.persister.settle()
        assert room.content.durable


async def test_a_full_document_does_not_keep_deletions_of_text_that_it_refused() -> None:
    async with house(SteeredStore(), Settings(document_max_bytes=200)) as inner:
        room = await inner.rooms.acquire("a")
        writer = Client(room, client_id=1).connect()
        writer.type("x" * 300)
        room.content.flush()
        writer.type("refused")
        writer.delete(299, 5)
        room.content.flush()
        assert room.document.pending_bytes == 0
        assert str(room.document.doc.get("text", type=pycrdt.Text)) == "x" * 300
        assert any(frame[:2] == b"\x02\x00" for frame in writer.wire.frames)


async def test_changes_that_wait_for_others_are_bounded_and_their_sender_is_closed() -> None:
    doc: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc()
    text = doc.get("t", type=pycrdt.Text)
    text += "never sent"
    async with house(SteeredStore(), Settings(pending_max_bytes=2000)) as inner:
        room = await inner.rooms.acquire("a")
        flood = Client(room, client_id=1).connect()
        honest = Client(room, client_id=2).connect()
        for _ in range(20):
            before = doc.get_state()
            text += "z" * 100
            flood.say(yjs.update(doc.get_update(before)))
        await flood.wire.until(lambda: flood.wire.closed is not None)
        assert flood.wire.closed is not None
        assert flood.wire.closed[0] == CloseCode.MALFORMED
        honest.type("hello")
        await room.programs.saved()
        assert "hello" in str(room.document.doc.get("text", type=pycrdt.Text))
        assert room.document.pending_bytes <= 2000


async def test_a_document_that_too_many_clients_have_written_refuses_changes() -> None:
    async with house(SteeredStore(), Settings(document_clients=2)) as inner:
        room = await inner.rooms.acquire("a")
        for number in (1, 2):
            Client(room, client_id=number).connect().type("x")
        room.content.flush()
        third = Client(room, client_id=3).connect()
        third.type("y")
        await third.wire.until(lambda: any(f[:2] == b"\x02\x00" for f in third.wire.frames))
        assert str(room.document.doc.get("text", type=pycrdt.Text)) == "xx"
        assert third.wire.closed is None
