"""The y-sweet dialect: y-websocket with a question about durability."""

import contextlib

from hypothesis import given
from hypothesis import strategies as st

from collab import lib0
from collab.access import ANYONE, Access
from collab.errors import ProtocolError
from collab.protocol import yjs, ysweet
from collab.protocol.messages import (
    EMPTY_UPDATE,
    AwarenessUpdate,
    QueryAwareness,
    Receipt,
    SyncStep2,
    Update,
)
from collab.session import READ_ONLY, ReadersChange, Session
from tests.core import poison

EARLIER_QUESTION = b"\x66" + lib0.write_var_bytes(lib0.write_var_uint(6))
QUESTION = b"\x66" + lib0.write_var_bytes(lib0.write_var_uint(7))


NOTHING_MORE = yjs.sync_step2(EMPTY_UPDATE)


def session(access: Access = Access.WRITE) -> Session:
    return Session(ANYONE, access, ysweet.Y_SWEET)


def answered(access: Access = Access.WRITE) -> Session:
    """One whose client has said what it has."""
    made = session(access)
    assert made.receive(NOTHING_MORE) is None
    return made


def test_a_question_comes_back_as_it_was() -> None:
    assert answered().receive(QUESTION) == Receipt(QUESTION)


def test_a_question_waits_for_what_the_client_wrote_while_it_was_away() -> None:
    writer = session()
    assert writer.receive(EARLIER_QUESTION) is None
    assert writer.receive(QUESTION) is None
    back = SyncStep2(poison.HELLO, receipt=Receipt(QUESTION))
    assert writer.receive(yjs.sync_step2(poison.HELLO)) == back
    assert writer.receive(yjs.sync_step2(poison.HELLO)) == SyncStep2(poison.HELLO)


def test_a_question_waits_for_the_last_part_of_a_long_answer() -> None:
    writer = session()
    assert writer.receive(QUESTION) is None
    part = SyncStep2(poison.HELLO, more=True)
    assert writer.follow(part) == part
    last = SyncStep2(poison.HELLO)
    assert writer.follow(last) == SyncStep2(poison.HELLO, receipt=Receipt(QUESTION))


def test_a_question_of_a_client_that_brings_nothing_is_answered_then() -> None:
    for access in (Access.READ, Access.WRITE):
        asking = session(access)
        assert asking.receive(QUESTION) is None
        assert asking.receive(NOTHING_MORE) == Receipt(QUESTION)


def test_one_that_asks_the_same_again_is_idle_and_asked_once_what_it_has() -> None:
    idle = Receipt(QUESTION, idle=True)
    writer = answered()
    assert writer.receive(EARLIER_QUESTION) == Receipt(EARLIER_QUESTION)
    assert writer.receive(QUESTION) == Receipt(QUESTION)
    assert writer.receive(QUESTION) == idle
    assert writer.receive(QUESTION) == Receipt(QUESTION)
    since_the_handshake = session()
    assert since_the_handshake.receive(QUESTION) is None
    assert since_the_handshake.receive(NOTHING_MORE) == Receipt(QUESTION)
    assert since_the_handshake.receive(QUESTION) == idle


def test_an_idle_reader_is_not_asked_for_what_it_may_not_write() -> None:
    reader = answered(Access.READ)
    assert reader.receive(QUESTION) == Receipt(QUESTION)
    assert reader.receive(QUESTION) == Receipt(QUESTION)


def test_a_question_that_was_refused_an_answer_has_one_once_all_is_taken_in() -> None:
    reader = session(Access.READ)
    assert reader.receive(QUESTION) is None
    answer = SyncStep2(poison.HELLO, Receipt(QUESTION))
    assert reader.receive(yjs.sync_step2(poison.HELLO)) == ReadersChange(answer)
    assert reader.refuse(answer, READ_ONLY) is not None
    assert reader.has_refused
    reader.permit(ANYONE, Access.WRITE)
    assert reader.receive(yjs.sync_step2(poison.HELLO)) == answer


def test_one_that_was_asked_since_has_it_as_well() -> None:
    reader = answered(Access.READ)
    assert reader.refuse(Update(poison.HELLO), READ_ONLY) is not None
    reader.keep(Receipt(QUESTION))
    answer = SyncStep2(poison.HELLO)
    assert reader.make_good(answer) == SyncStep2(poison.HELLO, Receipt(QUESTION))
    assert reader.make_good(answer) == answer


def test_changes_are_as_in_y_websocket() -> None:
    assert session().receive(yjs.update(poison.HELLO)) == Update(poison.HELLO)


def test_its_answer_about_presence_carries_the_type_of_the_question() -> None:
    assert session().receive(b"\x03" + lib0.write_var_bytes(b"\x00")) == AwarenessUpdate(b"\x00")
    assert session().receive(b"\x03") == QueryAwareness()


@given(st.binary(max_size=40))
def test_arbitrary_bytes_raise_only_protocol_errors(frame: bytes) -> None:
    for wrapped in (frame, b"\x66" + frame, b"\x03" + frame):
        with contextlib.suppress(ProtocolError):
            session().receive(wrapped)
