"""What instances tell each other: every message comes out as it went in, and nothing else does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collab import relay
from collab.errors import ProtocolError
from collab.presence import Present
from collab.relay import Answered, Asked, Ended, RelayMessage, Shown, Told
from collab.revocation import Revocation, Revoked

UINTS = st.integers(0, 2**53 - 1)
TEXTS = st.text(max_size=20)
NAMES = st.none() | TEXTS
_NUMBERS = '{"user":1,"token_id":2,"document":[]}'
CLIENTS = st.lists(st.builds(Present, UINTS, UINTS, st.binary(max_size=20), NAMES), max_size=3)
MESSAGES: st.SearchStrategy[RelayMessage] = st.one_of(
    st.builds(Shown, CLIENTS),
    st.builds(Told, TEXTS, NAMES, NAMES),
    st.builds(Asked, st.binary(max_size=20), CLIENTS),
    st.builds(
        Answered, st.binary(max_size=20), st.none() | st.binary(min_size=1, max_size=20), CLIENTS
    ),
    st.just(Ended()),
    st.builds(
        Revoked,
        revocation=st.builds(Revocation, user=NAMES, token_id=NAMES, document=NAMES),
        time_ms=UINTS,
    ),
)


@given(MESSAGES)
def test_every_message_comes_out_as_it_went_in(message: RelayMessage) -> None:
    assert relay.decode(relay.encode(message)) == message


@given(MESSAGES, st.data())
def test_a_message_that_is_cut_short_or_goes_on_is_none(
    message: RelayMessage, data: st.DataObject
) -> None:
    frame = relay.encode(message)
    end = data.draw(st.integers(0, len(frame) - 1))
    for broken in (frame[:end], frame + b"\x00"):
        with pytest.raises(ProtocolError):
            relay.decode(broken)


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(frame: bytes) -> None:
    try:
        message = relay.decode(frame)
    except ProtocolError:
        return
    assert relay.decode(relay.encode(message)) == message


def test_a_kind_that_is_not_known_is_refused_by_its_number() -> None:
    with pytest.raises(ProtocolError, match="expected a message between instances, got kind 99"):
        relay.decode(b"\x63")


@pytest.mark.parametrize(
    "about", ["", "{", "[]", '{"who":1}', '{"user":"ana"}', "7", '"ana"', _NUMBERS]
)
def test_a_revocation_that_cannot_be_read_is_refused(about: str) -> None:
    frame = relay.encode(Revoked(revocation=Revocation(), time_ms=1))
    kind, time_ms = frame[:1], frame[-1:]
    broken = kind + bytes([len(about)]) + about.encode() + time_ms
    with pytest.raises(ProtocolError, match="expected whose tokens to refuse"):
        relay.decode(broken)
