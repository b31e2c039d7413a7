"""The y-sweet dialect: y-websocket with a question about durability."""

import contextlib

from hypothesis import given
from hypothesis import strategies as st

from collab import lib0
from collab.access import ANYONE, Access
from collab.errors import ProtocolError
from collab.protocol import yjs, ysweet
from collab.protocol.messages import AwarenessUpdate, QueryAwareness, Receipt, Update
from collab.session import Reply, Session
from tests.core import poison

QUESTION = b"\x66" + lib0.write_var_bytes(lib0.write_var_uint(7))


def session(access: Access = Access.WRITE) -> Session:
    return Session(ANYONE, access, ysweet.Y_SWEET)


def test_a_question_comes_back_as_it_was() -> None:
    assert session().receive(QUESTION) == Receipt(QUESTION)


def test_nothing_is_promised_once_a_change_was_refused() -> None:
    reader = session(Access.READ)
    assert reader.receive(QUESTION) == Receipt(QUESTION)
    assert isinstance(reader.receive(yjs.update(poison.HELLO)), Reply)
    assert reader.receive(QUESTION) is None


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
