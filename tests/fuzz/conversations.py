"""Conversations: clients of one dialect in one room, all of whom may mean harm."""

from collections.abc import Iterator

from collab import state_vector
from collab.access import Access, Identity
from collab.awareness import read_states
from collab.checking import check_update
from collab.errors import PoisonedUpdate, ProtocolError
from collab.lineage import Lineage
from collab.merging import merge
from collab.presence import Presence, read_gone
from collab.protocol import hocuspocus, yjs
from collab.protocol.dialect import Dialect
from collab.protocol.hocuspocus import HOCUSPOCUS
from collab.protocol.messages import (
    AwarenessUpdate,
    Stateless,
    SyncStep1,
    SyncStep2,
    Update,
)
from collab.protocol.yjs import Y_WEBSOCKET
from collab.protocol.ysweet import Y_SWEET
from collab.session import READ_ONLY, Effect, ReadersChange, Session
from tests.fuzz.excuses import excused
from tests.fuzz.logged import MAX_CLIENTS, Logged
from tests.fuzz.pieces import pieces

STATE_MAX_BYTES = 256
_PEOPLE = (("ana", Access.WRITE), ("bo", Access.WRITE), ("cy", Access.READ), ("ana", Access.WRITE))


def y_websocket(given: bytes) -> None:
    """Frames of y-websocket clients."""
    _converse(Y_WEBSOCKET, pieces(given))


def y_sweet(given: bytes) -> None:
    """Frames of y-sweet clients."""
    _converse(Y_SWEET, pieces(given))


def hocuspocus_documents(given: bytes) -> None:
    """Frames of Hocuspocus clients, addresses and tokens included."""
    _converse(HOCUSPOCUS, _addressed(given))


def _addressed(given: bytes) -> Iterator[tuple[int, bytes]]:
    for speaker, frame in pieces(given):
        if hocuspocus.is_pong(frame):
            continue
        try:
            address, body = hocuspocus.split_address(frame)
            assert address + body == frame
            hocuspocus.document_of(address)
            if body[0] == hocuspocus.AUTH:
                hocuspocus.read_token(body)
                continue
        except ProtocolError:
            continue
        if body[0] != hocuspocus.CLOSE:
            yield speaker, body


def _converse(dialect: Dialect, frames: Iterator[tuple[int, bytes]]) -> None:
    room = _Room(dialect)
    with excused(room.logged.given):
        for speaker, frame in frames:
            room.receive(speaker % len(_PEOPLE), frame)
        room.check()


class _Room:
    """What a server does with what its clients say, at once and without input or output.

    Attributes:
        logged: its document.
    """

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self.logged = Logged()
        self._presence = Presence(STATE_MAX_BYTES)
        self._lineage = Lineage(None)
        self._waiting: list[bytes] = []
        self._sessions = [self._open(seat) for seat in range(len(_PEOPLE))]

    def receive(self, seat: int, frame: bytes) -> None:
        session = self._sessions[seat]
        try:
            effect = session.receive(frame)
            if effect is not None:
                self._follow(seat, effect)
        except ProtocolError:
            self._leave(seat)

    def check(self) -> None:
        self._flush()
        self.logged.check()
        for seat in range(len(_PEOPLE)):
            self._leave(seat)
        assert len(self._presence) == 0

    def _follow(self, seat: int, effect: Effect) -> None:
        session = self._sessions[seat]
        if isinstance(effect, (Update, SyncStep2)):
            assert session.access >= Access.WRITE
        if isinstance(effect, Update):
            self._waiting.append(effect.update)
            return
        self._flush()
        if isinstance(effect, SyncStep2):
            self.logged.integrate(effect.update)
        elif isinstance(effect, ReadersChange):
            assert session.access < Access.WRITE
            if isinstance(effect.message, Update) or not self.logged.document.has(
                effect.message.update
            ):
                session.refuse(effect.message, READ_ONLY)
        elif isinstance(effect, SyncStep1):
            self._answer(effect.state_vector)
        elif isinstance(effect, AwarenessUpdate):
            self._show(seat, effect.payload)
        elif isinstance(effect, Stateless):
            assert self._dialect.stateless(effect.payload) is not None

    def _flush(self) -> None:
        """Takes in together what gathered; one by one where that fails, to find who is guilty."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        try:
            merged = merge(waiting)
        except PoisonedUpdate:
            merged = None
        if merged is None or not self.logged.apply(merged):
            for update in waiting:
                self.logged.apply(update)

    def _answer(self, known: bytes) -> None:
        if state_vector.count(known) > MAX_CLIENTS:
            raise ProtocolError("expected fewer clients, got more")
        document = self.logged.document
        strangers = self._lineage.strangers(known, document.state_vector)
        assert set(strangers) <= state_vector.decode(known).keys() if strangers else True
        answer = document.diff(known)
        check_update(answer)
        assert yjs.decode(yjs.sync_step2(answer)) == SyncStep2(answer)

    def _show(self, seat: int, payload: bytes) -> None:
        session = self._sessions[seat]
        before = self._states()
        answer = self._presence.receive(
            payload, seat, 0.0, session.identity, repeats=session.answered
        )
        if answer is not None:
            assert all(gone.state == b"null" for gone in read_gone(answer))
        for client, shown in self._states().items():
            if before.get(client) != shown:
                assert isinstance(shown, dict)
                user = shown["user"]
                assert isinstance(user, dict)
                assert user["id"] == session.identity.id
        told = self._presence.take()
        if told is not None:
            read_states(told)

    def _states(self) -> dict[int, object]:
        encoded = self._presence.encode()
        return {} if encoded is None else dict(read_states(encoded)[0])

    def _open(self, seat: int) -> Session:
        name, access = _PEOPLE[seat]
        return Session(Identity(id=name), access, self._dialect)

    def _leave(self, seat: int) -> None:
        removal = self._presence.leave(seat)
        if removal is not None:
            assert read_states(removal)[0] == {}
        self._sessions[seat] = self._open(seat)
