"""The frames that the JavaScript provider is tested with are those that this package speaks."""

import json
from pathlib import Path

import pytest

from collab.close import CloseCode
from collab.lib0 import write_var_string
from collab.protocol import hocuspocus, yjs
from collab.protocol.messages import (
    AwarenessUpdate,
    Message,
    Stateless,
    SyncStep1,
    SyncStep2,
    Update,
)

DOCUMENT = "notes/é 😀"
UPDATE = b"\x00\x00"
AWARENESS = b"\x01\x07\x03\x02{}"
PAYLOAD = '{"type":"ping","payload":"é 😀"}'
ADDRESS = write_var_string(DOCUMENT)
FRAMES = json.loads(
    (Path(__file__).parent.parent / "fixtures" / "hocuspocus-frames.json").read_text()
)

SERVER = {
    "step1": yjs.sync_step1(b"\x00"),
    "step2": yjs.sync_step2(UPDATE),
    "update": yjs.update(UPDATE),
    "awareness": yjs.awareness(AWARENESS),
    "queryAwareness": hocuspocus.HOCUSPOCUS.probe(b"\x00"),
    "askToken": hocuspocus.send_token(),
    "readWrite": hocuspocus.authenticated(may_write=True),
    "readOnly": hocuspocus.authenticated(may_write=False),
    "denied": hocuspocus.denied(CloseCode.FORBIDDEN, "nicht für dich"),
    "closed": hocuspocus.closed(CloseCode.NOT_FOUND, "the document was deleted"),
    "stateless": hocuspocus.HOCUSPOCUS.stateless(PAYLOAD),
}

CLIENT: dict[str, Message] = {
    "step1": SyncStep1(b"\x00"),
    "step2": SyncStep2(UPDATE),
    "update": Update(UPDATE),
    "awareness": AwarenessUpdate(AWARENESS),
    "stateless": Stateless(PAYLOAD),
}


def client_frame(name: str) -> bytes:
    """What the provider says, without its address."""
    address, body = hocuspocus.split_address(bytes.fromhex(FRAMES["client"][name]))
    assert hocuspocus.document_of(address) == DOCUMENT
    return body


@pytest.mark.parametrize("name", SERVER)
def test_the_server_says_what_the_provider_reads(name: str) -> None:
    assert bytes.fromhex(FRAMES["server"][name]) == ADDRESS + SERVER[name]


@pytest.mark.parametrize(("name", "accepted"), [("stored", True), ("refused", False)])
def test_receipts_are_those_that_changes_are_decoded_with(name: str, accepted: bool) -> None:
    message = hocuspocus.HOCUSPOCUS.decode(client_frame("update"))
    assert isinstance(message, Update)
    assert message.receipt is not None
    receipt = message.receipt.accepted if accepted else message.receipt.refused
    assert receipt is not None
    assert bytes.fromhex(FRAMES["server"][name]) == ADDRESS + receipt


@pytest.mark.parametrize("name", CLIENT)
def test_the_server_reads_what_the_provider_says(name: str) -> None:
    message = hocuspocus.HOCUSPOCUS.decode(client_frame(name))
    expected = CLIENT[name]
    assert type(message) is type(expected)
    if isinstance(expected, (Update, SyncStep2)):
        assert isinstance(message, (Update, SyncStep2))
        assert message.update == expected.update
    else:
        assert message == expected


def test_the_server_reads_the_token_of_a_client_that_takes_closes() -> None:
    assert hocuspocus.read_token(client_frame("token")) == ("säcret", True)


def test_the_server_reads_that_a_document_is_left() -> None:
    assert client_frame("close") == bytes((hocuspocus.CLOSE,))
