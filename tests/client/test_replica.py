"""A replica through whatever a network and a server do to it: a state machine."""

import json
import re
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pycrdt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from collab import lib0
from collab.awareness import decode_entries
from collab.client.conversation import Conversation
from collab.client.pulse import Pulse
from collab.client.replica import Replica
from collab.errors import ConnectionEnded, ProtocolError
from collab.protocol import hocuspocus, yjs
from collab.protocol.hocuspocus import HOCUSPOCUS
from collab.protocol.messages import AwarenessUpdate, SyncStep1, SyncStep2, Update
from collab.render.values import Json

_LONG = "-" * 300_000
"""What makes a change go in parts."""
_LONG_ONES = 3
_DURABLE, _REFUSED = b"\x08\x01", b"\x08\x00"

Doc = pycrdt.Doc[pycrdt.Text]


def text_of(doc: Doc) -> pycrdt.Text:
    return doc.get("content", type=pycrdt.Text)


def marks_in(doc: Doc) -> list[int]:
    """The marks that a document shows."""
    return [int(mark) for mark in re.findall(r"<(\d+)>", str(text_of(doc)))]


class Server:
    """A server's part, as the protocol has it: what is in memory, and what is on disk.

    Attributes:
        disk: what survives.
        memory: what it passes on.
        answers: frames for the client that are owed once what came before is on disk.
        is_joined: whether the client hears of changes.
        takes_changes: whether the client may write.
    """

    def __init__(self) -> None:
        self.disk: Doc = pycrdt.Doc()
        self.memory: Doc = pycrdt.Doc()
        self.answers: list[bytes] = []
        self.is_joined = False
        self.takes_changes = True
        self._uncommitted: list[bytes] = []

    def take(self, body: bytes, *, refuses: bool) -> list[bytes]:
        """Takes in a frame; returns what is said at once."""
        if body[0] == hocuspocus.AUTH:
            hocuspocus.read_token(body)
            return [self.permit()]
        message = HOCUSPOCUS.decode(body)
        if isinstance(message, SyncStep1):
            self.is_joined = True
            lacks = self.memory.get_update(message.state_vector)
            return [yjs.sync_step1(self.memory.get_state()), yjs.sync_step2(lacks)]
        if isinstance(message, (SyncStep2, Update)):
            if refuses or not self.takes_changes:
                return [_REFUSED]
            self.change(message.update)
            self.answers.append(_DURABLE)
        return []

    def permit(self) -> bytes:
        """Says whether the client may write."""
        return hocuspocus.authenticated(may_write=self.takes_changes)

    def change(self, update: bytes) -> None:
        """Takes in a change, in memory."""
        self.memory.apply_update(update)
        self._uncommitted.append(update)

    def commit(self) -> list[bytes]:
        """Writes to disk; returns what is owed for it."""
        for update in self._uncommitted:
            self.disk.apply_update(update)
        self._uncommitted.clear()
        owed, self.answers = self.answers, []
        return owed

    def hang_up(self) -> None:
        """The connection has ended: nothing is owed on it any more."""
        self.answers.clear()
        self.is_joined = False

    def crash(self) -> None:
        """Forgets what is not on disk."""
        self._uncommitted.clear()
        self.memory = pycrdt.Doc()
        self.memory.apply_update(self.disk.get_update())


class ReplicaMachine(RuleBasedStateMachine):
    """Edits at any time, frames that are delivered one by one, cuts, refusals and crashes."""

    @initialize()
    def begin(self) -> None:
        self.doc: Doc = pycrdt.Doc(client_id=1)
        self.replica = Replica("notes", self.doc, Conversation(Pulse()), lambda: None)
        self.server = Server()
        self.other: Doc = pycrdt.Doc(client_id=2)
        self.up: deque[bytes] = deque()
        self.down: deque[bytes] = deque()
        self.connected = False
        self.inserted: dict[int, int] = {}  # Mark to the number of the change that brought it,
        self.deleted: dict[int, int] = {}  # and to that of the one that took it away.
        self.foreign = 0
        self.durable = 0
        self.long_ones = 0
        self.connect(greets=True)

    # What the program and others do.

    @rule(
        at_end=st.booleans(),
        is_long=st.sampled_from([False, False, True]),
        frames=st.integers(0, 3),
        is_stored=st.booleans(),
    )
    def insert(self, at_end: bool, is_long: bool, frames: int, is_stored: bool) -> None:
        """Inserts a mark; some frames may arrive, and what they bring may be stored and told."""
        is_long = is_long and self.long_ones < _LONG_ONES
        self.long_ones += is_long
        mark = 2 * len(self.inserted)
        at = len(str(text_of(self.doc))) if at_end else 0
        text_of(self.doc).insert(at, f"{_LONG if is_long else ''}<{mark}>")
        self.inserted[mark] = self.replica.ledger.made
        if self.connected:
            self._transmit(frames, refuses=False)
        if is_stored:
            self._commit()
            self._hear(len(self.down))

    @precondition(lambda self: len(self.inserted) > len(self.deleted))
    @rule(choice=st.integers(0, 1000))
    def delete(self, choice: int) -> None:
        left = sorted(self.inserted.keys() - self.deleted.keys())
        mark = left[choice % len(left)]
        at = str(text_of(self.doc)).index(f"<{mark}>")
        del text_of(self.doc)[at : at + len(f"<{mark}>")]
        self.deleted[mark] = self.replica.ledger.made

    @rule()
    def edit_elsewhere(self) -> None:
        self.other.apply_update(self.server.memory.get_update())
        text_of(self.other).insert(0, f"<{2 * self.foreign + 1}>")
        self.foreign += 1
        # With what a crash has had the server forget: others send that again, too.
        update = self.other.get_update(self.server.memory.get_state())
        self.server.change(update)
        if self.server.is_joined:
            self._say(yjs.update(update))

    # What the network and the server do.

    @precondition(lambda self: not self.connected)
    @rule(greets=st.booleans())
    def connect(self, greets: bool) -> None:
        self.connected = True
        self.replica.connect("")
        if greets:
            self._converse()

    @precondition(lambda self: self.connected)
    @rule(frames=st.integers(1, 4), refuses=st.sampled_from([False, False, True]))
    def transmit(self, frames: int, refuses: bool) -> None:
        self._transmit(frames, refuses=refuses)

    @precondition(lambda self: self.replica.is_full)
    @rule()
    def bring_again(self) -> None:
        self.replica.bring_again()

    @rule(takes_changes=st.booleans())
    def permit(self, takes_changes: bool) -> None:
        """Grants change, and who is connected is told."""
        if takes_changes != self.server.takes_changes:
            self.server.takes_changes = takes_changes
            if self.connected:
                self._say(self.server.permit())

    @rule(is_heard=st.booleans())
    def commit(self, is_heard: bool) -> None:
        self._commit()
        if is_heard:
            self._hear(len(self.down))

    @precondition(lambda self: self.down)
    @rule(frames=st.integers(1, 4))
    def hear(self, frames: int) -> None:
        self._hear(frames)

    @precondition(lambda self: self.connected)
    @rule(crashes=st.booleans(), is_sure=st.sampled_from([False, False, True]))
    def cut(self, crashes: bool, is_sure: bool) -> None:
        if is_sure:
            self._cut()
            if crashes:
                self.server.crash()

    def _transmit(self, frames: int, *, refuses: bool) -> None:
        """Sends what there is, and delivers some of it; the first may be refused."""
        self.up += self.replica.take()
        for _ in range(min(frames, len(self.up))):
            self._deliver_up(refuses=refuses)
            refuses = False

    def _commit(self) -> None:
        for answer in self.server.commit():
            self._say(answer)

    def _hear(self, frames: int) -> None:
        for _ in range(min(frames, len(self.down))):
            self.replica.receive(self.down.popleft())

    def _converse(self) -> None:
        """Delivers everything that can be said before the next commit."""
        while self.up or self.down or self.replica.has_something_to_send():
            self.up += self.replica.take()
            while self.up:
                self._deliver_up(refuses=False)
            self._hear(len(self.down))

    def _deliver_up(self, *, refuses: bool) -> None:
        _, body = hocuspocus.split_address(self.up.popleft())
        for answer in self.server.take(body, refuses=refuses):
            self._say(answer)

    def _cut(self) -> None:
        self.connected = False
        self.up.clear()
        self.down.clear()
        self.server.hang_up()
        self.replica.disconnect()

    def _say(self, body: bytes) -> None:
        self.down.append(lib0.write_var_string("notes") + body)

    # What must hold.

    @invariant()
    def nothing_is_pending_but_what_was_changed_here(self) -> None:
        ledger = self.replica.ledger
        assert ledger.made == len(self.inserted) + len(self.deleted)
        assert self.durable <= ledger.durable <= ledger.made
        self.durable = ledger.durable

    @invariant()
    def what_counts_as_durable_is_on_disk(self) -> None:
        stored = set(marks_in(self.server.disk))
        for mark, change in self.inserted.items():
            if change <= self.durable and mark not in self.deleted:
                assert mark in stored
        for mark, change in self.deleted.items():
            if change <= self.durable:
                assert mark not in stored

    def teardown(self) -> None:
        """A good connection brings everything to disk."""
        self._cut()
        self.server.takes_changes = True
        self.connect(greets=True)
        self.commit(is_heard=True)
        ledger = self.replica.ledger
        assert ledger.durable == ledger.made
        assert self.replica.synced
        assert str(text_of(self.doc)) == str(text_of(self.server.disk))
        own = [mark for mark in marks_in(self.doc) if mark % 2 == 0]
        assert sorted(own) == sorted(self.inserted.keys() - self.deleted.keys())
        self.replica.close()


def test_what_was_refused_is_sent_once_it_may_be_written() -> None:
    doc: Doc = pycrdt.Doc()
    replica = Replica("notes", doc, Conversation(Pulse()), lambda: None)
    server = Server()
    server.takes_changes = False

    def converse() -> None:
        while replica.has_something_to_send():
            for frame in replica.take():
                _, body = hocuspocus.split_address(frame)
                for answer in server.take(body, refuses=False):
                    replica.receive(lib0.write_var_string("notes") + answer)

    replica.connect("")
    converse()
    text_of(doc).insert(0, "refused, ")
    converse()
    assert replica.ledger.refused
    server.takes_changes = True
    text_of(doc).insert(0, "on its way, ")
    on_its_way = replica.take()
    replica.receive(lib0.write_var_string("notes") + server.permit())
    text_of(doc).insert(0, "new, ")
    for frame in on_its_way:
        server.take(hocuspocus.split_address(frame)[1], refuses=False)
    for answer in server.commit():
        replica.receive(lib0.write_var_string("notes") + answer)
    assert replica.ledger.durable == 0  # It came, and what it follows on has not.
    converse()
    for answer in server.commit():
        replica.receive(lib0.write_var_string("notes") + answer)
    assert str(text_of(server.disk)) == "new, on its way, refused, "
    assert replica.ledger.durable == replica.ledger.made == 3
    replica.close()


def test_a_change_on_another_thread_does_not_go_with_the_next_connection() -> None:
    doc: Doc = pycrdt.Doc()
    replica = Replica("notes", doc, Conversation(Pulse()), lambda: None)
    with ThreadPoolExecutor() as elsewhere:
        stray = elsewhere.submit(text_of(doc).insert, 0, "from elsewhere")
        assert isinstance(stray.exception(), ExceptionGroup)
    replica.connect("")
    said = replica.take()
    question = lib0.write_var_string("notes") + yjs.sync_step1(b"\0")
    with pytest.raises(ConnectionEnded, match="on another thread"):
        replica.receive(question)
    assert not any(b"from elsewhere" in frame for frame in said + replica.take())
    replica.close()


@pytest.mark.parametrize(
    "message",
    [yjs.sync_step2(b"\1\1\1"), yjs.update(b"\xff" * 9), yjs.sync_step1(b"\xff\xff")],
    ids=["step 2", "update", "step 1"],
)
def test_what_no_doc_takes_ends_the_connection_and_nothing_counts_as_synced(
    message: bytes,
) -> None:
    replica = Replica("notes", pycrdt.Doc(), Conversation(Pulse()), lambda: None)
    replica.connect("")
    with pytest.raises(ProtocolError):
        replica.receive(lib0.write_var_string("notes") + message)
    assert not replica.synced
    replica.close()


@given(st.lists(st.binary(max_size=40), max_size=3))
def test_whatever_a_server_says_is_taken_in_or_ends_the_connection(bodies: list[bytes]) -> None:
    replica = Replica("notes", pycrdt.Doc(), Conversation(Pulse()), lambda: None)
    replica.connect("")
    with suppress(ConnectionEnded, ProtocolError):
        for body in bodies:
            replica.receive(lib0.write_var_string("notes") + body)
    replica.take()
    replica.close()


def test_what_only_later_servers_say_is_passed_over() -> None:
    replica = Replica("notes", pycrdt.Doc(), Conversation(Pulse()), lambda: None)
    replica.connect("")
    replica.receive(lib0.write_var_string("notes") + b"\x7e and more")
    replica.receive(lib0.write_var_string("notes") + hocuspocus.authenticated(may_write=True))
    assert replica.admitted
    replica.close()


def presence_in(frames: list[bytes]) -> list[dict[int, Json]]:
    """What frames say of who is here; GONE as None."""
    bodies = [hocuspocus.split_address(frame)[1] for frame in frames]
    messages = [HOCUSPOCUS.decode(body) for body in bodies if body[0] != hocuspocus.AUTH]
    return [
        {client: json.loads(state) for client, _, state in decode_entries(message.payload)}
        for message in messages
        if isinstance(message, AwarenessUpdate)
    ]


def test_of_what_is_shown_while_nothing_is_taken_the_latest_is_sent() -> None:
    doc: Doc = pycrdt.Doc(client_id=1)
    replica = Replica("notes", doc, Conversation(Pulse()), lambda: None)
    replica.connect("")
    replica.receive(lib0.write_var_string("notes") + hocuspocus.authenticated(may_write=True))
    replica.take()
    for cursor in range(1000):
        replica.send_presence(replica.presence.show({"cursor": cursor}))
    assert presence_in(replica.take()) == [{1: {"cursor": 999}}]
    replica.send_presence(replica.presence.show(None))
    question = HOCUSPOCUS.probe(doc.get_state())  # Answered with nothing, which hides nothing.
    replica.receive(lib0.write_var_string("notes") + question)
    assert presence_in(replica.take()) == [{1: None}]
    assert not replica.has_something_to_send()
    replica.close()


def test_an_observer_that_fails_does_not_end_the_connection() -> None:
    def fail(_: pycrdt.TransactionEvent) -> None:
        raise RuntimeError("broken observer")

    doc: Doc = pycrdt.Doc()
    there: Doc = pycrdt.Doc()
    text_of(there).insert(0, "hello")
    subscription = doc.observe(fail)
    replica = Replica("notes", doc, Conversation(Pulse()), lambda: None)
    replica.connect("")
    replica.receive(lib0.write_var_string("notes") + yjs.sync_step2(there.get_update()))
    assert replica.synced
    assert str(text_of(doc)) == "hello"
    doc.unobserve(subscription)
    replica.close()


TestReplica = ReplicaMachine.TestCase
TestReplica.settings = settings(max_examples=100, stateful_step_count=50)
