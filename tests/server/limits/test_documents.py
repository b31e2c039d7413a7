"""Limits on documents: how large one gets, and how much of it may wait."""

from dataclasses import replace
from itertools import count

import anyio
import pycrdt
import pytest

from collab.close import CloseCode
from collab.merging import merge
from collab.ndjson import MEDIA_TYPE, encode_entries
from collab.protocol import yjs
from collab.server.app import Collab
from collab.server.settings import Settings
from collab.storage.memory import MemoryStore
from collab.store import NewEntry
from tests.core.writing import typed
from tests.server.asking import requests_to
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


async def full_document(collab: Collab) -> None:
    """Fills the document "a", of 200 bytes at most."""
    async with collab.document("a") as document:
        document.doc["content"] = pycrdt.Text("x" * 300)


FULL = Settings(document_max_bytes=200)
TEXT = {"Content-Type": "text/plain"}


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("POST", "/api/docs/a/updates", {}),
        ("POST", "/y-sweet/d/a/update", {}),
        ("PUT", "/api/docs/a/content", TEXT),
    ],
)
async def test_what_comes_over_http_is_bounded_as_what_clients_send(
    method: str, path: str, headers: dict[str, str]
) -> None:
    async with Collab(MemoryStore(), settings=FULL) as collab, requests_to(collab) as client:
        await full_document(collab)
        (update,) = typed("more")
        body = b"x" * 300 + b"more" if headers else update
        refused = await client.request(method, path, content=body, headers=headers)
        assert refused.status_code == 507
        assert "document_max_bytes" in refused.json()["error"]
        shown = await client.get("/api/docs/a/content?format=text&root=content")
        assert shown.text.strip() == "x" * 300
        metrics = await client.get("/metrics")
        assert 'collab_limits_reached_total{limit="document_max_bytes"} 1' in metrics.text


async def test_a_change_that_filled_a_document_can_be_sent_again() -> None:
    async with Collab(MemoryStore(), settings=FULL) as collab, requests_to(collab) as client:
        (update,) = typed("x" * 300)
        for _ in range(2):  # As where the first answer was lost.
            answer = await client.post("/api/docs/a/updates", content=update)
            assert answer.status_code == 204


async def test_a_text_can_be_made_shorter_over_http_until_there_is_room() -> None:
    settings = replace(FULL, checkpoint_seconds=1e-9)
    async with Collab(MemoryStore(), settings=settings) as collab, requests_to(collab) as client:
        await full_document(collab)
        path = "/api/docs/a/content"
        assert (await client.put(path, content="x" * 20, headers=TEXT)).status_code == 204
        assert (await client.put(path, content="a new text", headers=TEXT)).status_code == 204


async def test_a_restore_and_a_log_from_elsewhere_find_room_in_a_full_document() -> None:
    settings = Settings(document_max_bytes=200, checkpoint_seconds=1e-9)
    async with Collab(MemoryStore(), settings=settings) as collab, requests_to(collab) as client:
        await full_document(collab)
        seq = (await client.get("/api/docs/a")).json()["seq"]
        path = "/api/docs/a/content"
        assert (await client.put(path, content="", headers=TEXT)).status_code == 204
        (update,) = typed("y" * 300)
        added = await client.post(
            "/api/docs/a/updates",
            content=encode_entries([NewEntry(update=update, time_ms=1, author="ada")]),
            headers={"Content-Type": MEDIA_TYPE},
        )
        assert added.json()["added"] == 1
        assert (await client.put(path, content="z", headers=TEXT)).status_code == 507
        restored = await client.post("/api/docs/a/restore", json={"to": seq})
        assert restored.status_code == 200
        shown = await client.get("/api/docs/a/content?format=text&root=content")
        assert shown.text.strip() == "x" * 300


async def test_a_restore_finds_room_where_no_more_clients_may_write() -> None:
    settings = Settings(document_clients=3)
    async with Collab(MemoryStore(), settings=settings) as collab, requests_to(collab) as client:
        for number in (1, 2, 3):
            (update,) = typed("x", client_id=number)
            await client.post("/api/docs/a/updates", content=update)
        for seq, text in ((1, "x"), (3, "xxx")):
            restored = await client.post("/api/docs/a/restore", json={"to": seq})
            assert restored.status_code == 200
            shown = await client.get("/api/docs/a/content?format=text&root=content")
            assert shown.text.strip() == text
        room = await collab.running.rooms.acquire("a")
        doc: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc(client_id=1)
        doc.apply_update(room.document.encode())
        reader = Client(room, client_id=1, doc=doc)
        await reader.sync()
        assert reader.wire.closed is None


async def test_one_change_of_too_many_new_clients_is_refused() -> None:
    async with house(SteeredStore(), Settings(document_clients=3)) as inner:
        room = await inner.rooms.acquire("a")
        hostile = Client(room, client_id=1).connect()
        hostile.say(yjs.update(merge([typed("x", client_id=each)[0] for each in range(1, 5)])))
        await hostile.wire.ended()
        assert room.document.clients == 0
