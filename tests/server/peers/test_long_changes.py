"""Long changes, taken in a part at a time: each has one receipt, which is true of all of it."""

from dataclasses import replace
from functools import cache

import pycrdt
import pytest

from collab.access import ANYONE, Access
from collab.lib0 import write_var_bytes, write_var_uint
from collab.protocol import yjs
from collab.protocol.messages import EMPTY_UPDATE
from collab.protocol.ysweet import Y_SWEET
from collab.server.rooms.long_messages import LONG_BYTES
from collab.server.rooms.member import Member
from collab.server.settings import Settings
from collab.session import Session
from collab.storage.memory import MemoryStore
from collab.update import split
from tests.core import poison
from tests.server.peers.provider import (
    APPLIED,
    READ_WRITE,
    REFUSED,
    Provider,
    by_token,
    inside,
    provider,
)
from tests.server.wire import Client, house

pytestmark = pytest.mark.anyio

PART_BYTES = 16 * 1024


@cache
def written_and_deleted() -> bytes:
    """A long update: text first, and at last a part of nothing but deletions."""
    doc: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc()
    text = doc.get("text", type=pycrdt.Text)
    text += "-" * 70_000
    with doc.transaction():
        for at in range(5_000):
            del text[at]
    update: bytes = doc.get_update()
    *_, last = split(update, PART_BYTES)
    assert len(update) > LONG_BYTES
    assert last[0] == 0
    return update


async def receipts(one: Provider) -> list[bytes]:
    """The receipts that came, as soon as a change after all others has one."""
    before = len(one.frames("a"))
    one.say("a", yjs.sync_step2(EMPTY_UPDATE))
    await one.wire.until(lambda: APPLIED in one.frames("a")[before:])
    return [frame for frame in one.frames("a") if frame in (APPLIED, REFUSED)]


@pytest.mark.parametrize("encode", [yjs.update, yjs.sync_step2])
async def test_what_a_reader_sends_is_refused_whole_and_is_answered_once(encode: object) -> None:
    assert callable(encode)
    async with inside(settings=replace(Settings(), part_bytes=PART_BYTES)) as inner:
        one = provider(inner, by_token)
        await one.opened("a", "bob")
        one.say("a", encode(written_and_deleted()))
        assert await receipts(one) == [REFUSED, APPLIED]
        assert not [frame for frame in one.frames("a") if frame[:2] == b"\x02\x00"]


async def test_what_a_full_document_is_sent_is_refused_whole() -> None:
    settings = replace(Settings(), part_bytes=PART_BYTES, document_max_bytes=10)
    async with inside(settings=settings) as inner:
        one = provider(inner, by_token)
        await one.opened("a", "ana")
        assert READ_WRITE in one.frames("a")
        one.say("a", yjs.update(poison.HELLO))
        await one.until("a", APPLIED)
        room = inner.rooms.find("a")
        assert room is not None
        await room.programs.saved()
        one.say("a", yjs.sync_step2(written_and_deleted()))
        assert await receipts(one) == [APPLIED, REFUSED, APPLIED]


async def test_a_question_that_came_before_a_long_answer_is_about_all_of_it() -> None:
    settings = replace(Settings(), part_bytes=PART_BYTES, document_max_bytes=10)
    question = write_var_uint(102) + write_var_bytes(b"\x01")
    async with house(MemoryStore(), settings) as server:
        room = await server.rooms.acquire("d")
        client = Client(room, client_id=1)
        client.seat = Member(client.wire, Session(ANYONE, Access.WRITE, Y_SWEET))
        room.join(client.seat)
        client.say(question)
        client.say(yjs.sync_step2(written_and_deleted()))
        await room.settle()
        # The document had room for its first part alone.
        frames = client.wire.read()
        assert room.content.full
        assert [frame for frame in frames if frame[0] == 2]
        assert question not in frames
