"""The Hocuspocus dialect: addresses, tokens, receipts."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collab import lib0
from collab.access import ANYONE, Access
from collab.errors import ProtocolError
from collab.protocol import hocuspocus, yjs
from collab.protocol.messages import (
    EMPTY_UPDATE,
    AwarenessUpdate,
    Receipt,
    Stateless,
    SyncStep1,
    SyncStep2,
    Update,
)
from collab.session import READ_ONLY, ReadersChange, Session
from tests.core import poison

APPLIED = b"\x08\x01"
REFUSED = b"\x08\x00"
DELETION = b"\x00\x01\x01\x01\x00\x01"


def session(access: Access = Access.WRITE) -> Session:
    return Session(ANYONE, access, hocuspocus.HOCUSPOCUS)


@given(st.text(), st.text(), st.binary(min_size=1))
def test_an_address_is_taken_off_and_names_the_document(
    name: str, session_id: str, body: bytes
) -> None:
    name = name.replace("\0", "")
    frame = lib0.write_var_string(f"{name}\0{session_id}") + body
    address, rest = hocuspocus.split_address(frame)
    assert (address + rest, rest) == (frame, body)
    assert hocuspocus.document_of(address) == name


@pytest.mark.parametrize("frame", [b"", b"\x00", b"\x03abc", b"\x05abc", b"\xff"])
def test_a_frame_without_address_and_message_is_refused(frame: bytes) -> None:
    with pytest.raises(ProtocolError):
        hocuspocus.split_address(frame)


def test_a_document_name_is_whole_text() -> None:
    with pytest.raises(ProtocolError):
        hocuspocus.document_of(b"\x01\xff")


@pytest.mark.parametrize(("version", "tells"), [(b"", False), (lib0.write_var_string("4.8"), True)])
def test_a_token_is_read_with_or_without_a_version(version: bytes, tells: bool) -> None:
    body = b"\x02\x00" + lib0.write_var_string("secret") + version
    assert hocuspocus.read_token(body) == ("secret", tells)


@given(st.binary(max_size=40))
def test_arbitrary_bytes_raise_only_protocol_errors(frame: bytes) -> None:
    for read in (
        hocuspocus.split_address,
        hocuspocus.document_of,
        hocuspocus.read_token,
        session().receive,
        session(Access.READ).receive,
    ):
        with contextlib.suppress(ProtocolError):
            read(frame)


def test_sync_and_presence_are_as_in_y_websocket() -> None:
    client = session()
    assert client.receive(yjs.sync_step1(b"\x00")) == SyncStep1(b"\x00")
    assert client.receive(yjs.awareness(b"\x00")) == AwarenessUpdate(b"\x00")
    assert client.receive(b"\x03") is None


def test_every_change_asks_for_a_receipt() -> None:
    receipt = Receipt(APPLIED, REFUSED)
    assert session().receive(yjs.update(poison.HELLO)) == Update(poison.HELLO, receipt)
    assert session().receive(yjs.sync_step2(poison.HELLO)) == SyncStep2(poison.HELLO, receipt)


@pytest.mark.parametrize("access", [Access.READ, Access.WRITE])
def test_a_step_2_that_brings_nothing_is_acknowledged(access: Access) -> None:
    effect = session(access).receive(yjs.sync_step2(EMPTY_UPDATE))
    assert isinstance(effect, Receipt)
    assert effect.accepted == APPLIED


def test_a_reader_is_refused_each_time() -> None:
    client = session(Access.READ)
    for encode, kind in ((yjs.update, Update), (yjs.sync_step2, SyncStep2)):
        for update in (poison.HELLO, DELETION, poison.HELLO):
            change = kind(update, Receipt(APPLIED, REFUSED))
            assert client.receive(encode(update)) == ReadersChange(change)
            assert client.refuse(change, READ_ONLY) == REFUSED


def test_application_messages_go_to_the_room_and_those_between_servers_nowhere() -> None:
    assert session().receive(b"\x05" + lib0.write_var_string("hi")) == Stateless("hi")
    with pytest.raises(ProtocolError, match="got 6"):
        session().receive(b"\x06" + lib0.write_var_string("hi"))
