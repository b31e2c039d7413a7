"""Expiry: tokens end, one after the other, and new ones are asked for before."""

from collections import Counter
from random import Random

import pytest

from collab.access import Access, Identity
from collab.close import CloseCode
from collab.protocol.hocuspocus import HOCUSPOCUS, send_token
from collab.server.auth.expiry import Expiry
from collab.server.rooms.member import Member
from collab.session import Session
from collab.storage.memory import MemoryStore
from tests.server.wire import Client, Wire, house

pytestmark = pytest.mark.anyio

ENDS_AT = 1_000_000.0
ANA = Identity(id="ana", expires_at=ENDS_AT)


async def test_sessions_end_in_the_ten_seconds_after_their_tokens() -> None:
    async with house(MemoryStore()) as inner:
        room = await inner.rooms.acquire("a")
        clients = [Client(room, client_id=i, identity=ANA).connect() for i in range(1000)]
        forever = Client(room, client_id=5000, identity=Identity(id="ben")).connect()
        expiry = Expiry(inner.rooms, inner.timers, Random(1))
        ended: Counter[float] = Counter()
        for seconds in (-2, -0.001, 1, 3, 5, 7, 9):
            before = len(room.members)
            expiry.sweep(ENDS_AT + seconds)
            ended[seconds] = before - len(room.members)
        assert room.members == (forever.seat,)
        assert ended[-2] == ended[-0.001] == 0
        assert all(150 < ended[seconds] < 250 for seconds in (1, 3, 5, 7, 9))
        assert {client.wire.closed for client in clients} == {
            (CloseCode.EXPIRED, "the token has expired")
        }


async def test_a_session_long_after_its_token_ends_at_once() -> None:
    async with house(MemoryStore()) as inner:
        room = await inner.rooms.acquire("a")
        client = Client(room, client_id=1, identity=ANA).connect()
        Expiry(inner.rooms, inner.timers, Random(1)).sweep(ENDS_AT + 3600)
        assert client.wire.closed is not None


async def test_a_new_token_is_asked_for_once_and_keeps_the_session() -> None:
    async with house(MemoryStore()) as inner:
        room = await inner.rooms.acquire("a")
        wire = Wire()
        member = Member(wire, Session(ANA, Access.WRITE, HOCUSPOCUS))
        room.join(member)
        wire.read()
        expiry = Expiry(inner.rooms, inner.timers, Random(1))
        for seconds in (31, 30.5):
            expiry.sweep(ENDS_AT - seconds)
        assert wire.frames == []
        for seconds in range(30, 0, -2):
            expiry.sweep(ENDS_AT - seconds)
        assert wire.read() == [send_token()]
        renewed = Identity(id="ana", expires_at=ENDS_AT + 3600)
        room.permit(member, renewed, Access.WRITE)
        wire.read()
        expiry.sweep(ENDS_AT + 60)
        assert wire.closed is None
        for seconds in range(30, 0, -2):
            expiry.sweep(ENDS_AT + 3600 - seconds)
        assert wire.read() == [send_token()]


async def test_a_dialect_without_a_word_for_it_is_asked_nothing() -> None:
    async with house(MemoryStore()) as inner:
        room = await inner.rooms.acquire("a")
        client = Client(room, client_id=1, identity=ANA).connect()
        client.wire.read()
        expiry = Expiry(inner.rooms, inner.timers, Random(1))
        for seconds in range(30, 0, -2):
            expiry.sweep(ENDS_AT - seconds)
        assert client.wire.frames == []
