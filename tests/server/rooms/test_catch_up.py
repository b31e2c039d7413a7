"""Catch-up: what a member is sent is of the document that is, also while parts are being cut."""

from collections.abc import Awaitable, Callable

import pycrdt
import pytest

from collab.access import ANYONE, Access
from collab.document import Document
from collab.protocol.messages import EMPTY_STATE_VECTOR, SyncStep2, Update
from collab.protocol.yjs import decode
from collab.server.rooms.admission import Admission
from collab.server.rooms.catch_up import CatchUp
from collab.server.rooms.member import Member
from collab.server.settings import Settings
from collab.session import Session
from tests.server.wire import Wire

pytestmark = pytest.mark.anyio


def document_of(text: str) -> Document:
    doc: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc(client_id=1)
    root = doc.get("text", type=pycrdt.Text)
    root += text
    document = Document()
    document.apply(doc.get_update())
    return document


async def test_parts_of_a_document_that_was_replaced_are_not_taken_for_those_of_the_next() -> None:
    cuts: list[Callable[[], Awaitable[object]]] = []
    settings = Settings(part_bytes=128)
    before, after = document_of("a" * 1000), document_of("a" * 1000 + "b" * 1000)
    assert before.version == after.version
    catch_up = CatchUp(before, settings, Admission(1, 1), cuts.append, lambda member: None)
    wire = Wire()
    member = Member(wire, Session(ANYONE, Access.WRITE))
    catch_up.begin(member, EMPTY_STATE_VECTOR)
    catch_up.freeze()
    catch_up.thaw(after, [member])
    for cut in cuts:
        await cut()
    reader: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc()
    for message in map(decode, wire.frames):
        if isinstance(message, (Update, SyncStep2)):
            reader.apply_update(message.update)
    assert str(reader.get("text", type=pycrdt.Text)) == "a" * 1000 + "b" * 1000
