"""Session: what a client may say, and what follows from it."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collab.access import ANYONE, Access
from collab.errors import PoisonedUpdate, ProtocolError
from collab.protocol import yjs
from collab.protocol.dialect import Dialect
from collab.protocol.hocuspocus import HOCUSPOCUS
from collab.protocol.messages import (
    EMPTY_UPDATE,
    AwarenessUpdate,
    QueryAwareness,
    Receipt,
    SyncStep1,
    SyncStep2,
    Update,
)
from collab.session import READ_ONLY, ReadersChange, Session
from tests.core import poison

DELETION = b"\x00\x01\x01\x01\x00\x01"


def session(access: Access = Access.WRITE, dialect: Dialect = yjs.Y_WEBSOCKET) -> Session:
    return Session(ANYONE, access, dialect)


@pytest.mark.parametrize("access", [Access.READ, Access.WRITE])
def test_everyone_may_ask_and_show_presence(access: Access) -> None:
    client = session(access)
    assert client.receive(yjs.sync_step1(b"\x00")) == SyncStep1(b"\x00")
    assert client.receive(yjs.awareness(b"\x00")) == AwarenessUpdate(b"\x00")
    assert client.receive(b"\x03") == QueryAwareness()


def test_a_writer_may_change() -> None:
    client = session()
    assert client.receive(yjs.update(poison.HELLO)) == Update(poison.HELLO)
    assert client.receive(yjs.sync_step2(poison.HELLO)) == SyncStep2(poison.HELLO)


@pytest.mark.parametrize("access", [Access.READ, Access.WRITE])
@pytest.mark.parametrize("encode", [yjs.update, yjs.sync_step2])
def test_nothing_follows_from_an_empty_update(access: Access, encode: object) -> None:
    assert callable(encode)
    assert session(access).receive(encode(EMPTY_UPDATE)) is None


def test_what_a_reader_brings_is_for_the_room_to_judge() -> None:
    client = session(Access.READ)
    assert client.receive(yjs.update(DELETION)) == ReadersChange(Update(DELETION))
    assert client.receive(yjs.sync_step2(DELETION)) == ReadersChange(SyncStep2(DELETION))


def test_who_is_refused_is_told_once_until_all_of_it_is_taken_in() -> None:
    client = session(Access.READ)
    refusal = client.refuse(Update(poison.HELLO), READ_ONLY)
    assert refusal is not None
    assert refusal[:2] == b"\x02\x00"
    assert b"read-only" in refusal
    assert client.refuse(Update(poison.HELLO), READ_ONLY) is None
    assert client.refuse(SyncStep2(poison.HELLO), READ_ONLY) is None
    client.permit(ANYONE, Access.WRITE)
    assert client.has_refused
    client.make_good(SyncStep2(poison.HELLO))
    assert not client.has_refused
    assert client.refuse(Update(poison.HELLO), READ_ONLY) == refusal


def test_who_lacks_nothing_any_more_has_nothing_refused() -> None:
    client = session(Access.READ)
    client.refuse(Update(poison.HELLO), READ_ONLY)
    assert client.receive(yjs.sync_step2(EMPTY_UPDATE)) is None
    assert not client.has_refused


@pytest.mark.parametrize("access", [Access.READ, Access.WRITE])
@pytest.mark.parametrize("encode", [yjs.update, yjs.sync_step2])
def test_an_update_of_no_bytes_breaks_the_protocol(access: Access, encode: object) -> None:
    assert callable(encode)
    with pytest.raises(PoisonedUpdate):
        session(access).receive(encode(b""))


@pytest.mark.parametrize("update", poison.UNDECODABLE.values(), ids=poison.UNDECODABLE)
def test_a_writers_garbage_is_refused(update: bytes) -> None:
    with pytest.raises(PoisonedUpdate):
        session().receive(yjs.update(update))


@given(st.sampled_from([Access.READ, Access.WRITE]), st.lists(st.binary(max_size=60), max_size=5))
def test_arbitrary_frames_raise_only_protocol_errors(access: Access, frames: list[bytes]) -> None:
    client = session(access)
    for frame in frames:
        for wrapped in (frame, yjs.update(frame), yjs.sync_step2(frame), yjs.awareness(frame)):
            with contextlib.suppress(ProtocolError):
                client.receive(wrapped)


def test_the_rest_of_a_change_is_refused_where_a_part_was() -> None:
    client = session(Access.READ, HOCUSPOCUS)
    receipt = Receipt(accepted=b"yes", refused=b"no")
    part = SyncStep2(poison.HELLO, whole=receipt, more=True)
    assert client.refuse(part, READ_ONLY) is None
    assert client.torn
    client.permit(ANYONE, Access.WRITE)  # Before the rest was read.
    assert client.torn
    assert client.refuse(SyncStep2(DELETION, receipt), READ_ONLY) == b"no"
    assert not client.torn
