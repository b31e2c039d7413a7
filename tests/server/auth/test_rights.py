"""Rights: sessions end, or shrink, with the rights of whoever they speak for."""

import anyio
import pytest

from collab.access import ANYONE, Access, Identity
from collab.close import CloseCode
from collab.errors import StoreUnavailable
from collab.protocol import yjs
from collab.protocol.hocuspocus import HOCUSPOCUS, authenticated
from collab.protocol.yjs import Y_WEBSOCKET
from collab.revocation import Revocation, Revoked
from collab.server.auth.guard import Guard
from collab.server.auth.rights import Rights
from collab.server.bus.in_process import Exchange
from collab.server.limits.census import Census
from collab.server.peers.single import SinglePeer
from collab.server.rooms.member import Member
from collab.server.settings import Settings
from collab.session import Session
from collab.storage.memory import MemoryStore
from tests.core import poison
from tests.server.stores import SteeredStore
from tests.server.wire import Client, Wire, house, updates_in

pytestmark = pytest.mark.anyio

ANA = Identity(id="ana", token_id="t1", expires_at=1e12)
ANA_AGAIN = Identity(id="ana", token_id="t2", expires_at=1e12)
BEN = Identity(id="ben", token_id="t3", expires_at=1e12)
REVOKED = (CloseCode.UNAUTHENTICATED, "the token was revoked")


@pytest.mark.parametrize(
    ("revocation", "ended"),
    [
        (Revocation(user="ana"), {"ana in a", "ana again in a", "ana in b"}),
        (Revocation(token_id="t1"), {"ana in a", "ana in b"}),
        (Revocation(document="a"), {"ana in a", "ana again in a", "ben in a"}),
        (Revocation(user="ana", document="b"), {"ana in b"}),
        (Revocation(user="eve"), set()),
    ],
)
async def test_a_revocation_ends_what_it_covers_and_nothing_else(
    revocation: Revocation, ended: set[str]
) -> None:
    async with house(MemoryStore()) as inner:
        a, b = await inner.rooms.acquire("a"), await inner.rooms.acquire("b")
        clients = {
            "ana in a": Client(a, client_id=1, identity=ANA),
            "ana again in a": Client(a, client_id=2, identity=ANA_AGAIN),
            "ben in a": Client(a, client_id=3, identity=BEN),
            "ana in b": Client(b, client_id=4, identity=ANA),
        }
        for client in clients.values():
            client.connect()
        rights = Rights(inner.rooms, Guard(None, None), inner.store)
        assert await rights.revoke(revocation, now=1.0) == len(ended)
        closed = {name: client.wire.closed for name, client in clients.items()}
        assert closed == {name: REVOKED if name in ended else None for name in clients}


async def test_who_was_sent_away_is_gone_although_their_socket_lingers() -> None:
    async with house(MemoryStore()) as inner:
        room = await inner.rooms.acquire("a")
        ana = Client(room, client_id=1, identity=ANA).connect()
        ben = Client(room, client_id=2, identity=BEN).connect()
        ana.show()
        await Rights(inner.rooms, Guard(None, None), inner.store).revoke(
            Revocation(user="ana"), now=1.0
        )
        assert 1 not in room.presence.states()
        ana.wire.frames.clear()
        ben.type("x")
        await room.content.settle()
        assert not updates_in(ana.wire.frames)
        assert room.members == (ben.seat,)


async def test_a_token_revoked_while_its_document_loads_does_not_come_in() -> None:
    store = SteeredStore()
    store.hold_loads()
    async with house(store) as inner:
        guard = Guard(None, None)
        wire = Wire()
        visit = Census(inner.settings, inner.metrics, ()).visit({"client": ("127.0.0.1", 1)})
        peer = SinglePeer(inner.rooms, guard, await guard.permit(ANA, "a"), Y_WEBSOCKET, visit)
        peer.opened(wire)
        await Rights(inner.rooms, guard, inner.store).revoke(Revocation(token_id="t1"), now=1.0)
        store.let_load()
        await wire.until(lambda: wire.closed is not None)
        assert wire.closed is not None
        assert wire.closed[0] is CloseCode.UNAUTHENTICATED
        assert wire.frames == []


class TestSeveralInstances:
    async def test_a_revocation_ends_sessions_on_all_of_them(self) -> None:
        exchange = Exchange()
        async with (
            house(MemoryStore(), bus=exchange.bus()) as one,
            house(MemoryStore(), bus=exchange.bus()) as other,
        ):
            guard = Guard(None, None)
            Rights(other.rooms, guard, other.store, other.relays)
            ana = Client(await other.rooms.acquire("a"), client_id=1, identity=ANA).connect()
            ben = Client(await other.rooms.acquire("a"), client_id=2, identity=BEN).connect()
            rights = Rights(one.rooms, Guard(None, None), one.store, one.relays)
            assert await rights.revoke(Revocation(user="ana"), now=1.0) == 0
            await ana.wire.ended()
            assert ana.wire.closed == REVOKED
            assert ben.wire.closed is None
            assert guard.revocations.cover(ANA, None)

    async def test_one_that_starts_later_knows_them(self) -> None:
        store = MemoryStore()
        async with house(store) as one:
            rights = Rights(one.rooms, Guard(None, None), store)
            await rights.revoke(Revocation(user="ana"), now=1.0)
        async with house(store) as again:
            guard = Guard(None, None)
            await Rights(again.rooms, guard, store).learn()
            assert guard.revocations.cover(ANA, None)
            assert not guard.revocations.cover(BEN, None)

    async def test_one_that_comes_back_ends_what_was_revoked_meanwhile(self) -> None:
        store = MemoryStore()
        async with house(store, bus=Exchange().bus()) as one:
            Rights(one.rooms, Guard(None, None), store, one.relays)
            ana = Client(await one.rooms.acquire("a"), client_id=1, identity=ANA).connect()
            await store.revoke(Revoked(revocation=Revocation(token_id="t1"), time_ms=1))
            assert one.relays is not None
            one.relays.returned()
            await ana.wire.ended()
            assert ana.wire.closed == REVOKED

    async def test_one_that_was_cut_off_tells_the_others_when_it_comes_back(self) -> None:
        exchange = Exchange()
        cut = exchange.bus()
        async with (
            house(MemoryStore(), bus=cut) as one,
            house(MemoryStore(), bus=exchange.bus()) as other,
        ):
            Rights(other.rooms, Guard(None, None), other.store, other.relays)
            ana = Client(await other.rooms.acquire("a"), client_id=1, identity=ANA).connect()
            del exchange.buses[cut.instance]
            cut.failure = "cut off"
            away, exchange.buses = exchange.buses, {}
            await Rights(one.rooms, Guard(None, None), one.store, one.relays).revoke(
                Revocation(user="ana"), now=1.0
            )
            assert ana.wire.closed is None
            exchange.buses = {**away, cut.instance: cut}
            cut.failure = None
            assert one.relays is not None
            one.relays.returned()
            await ana.wire.ended()
            assert ana.wire.closed == REVOKED

    async def test_who_may_not_be_remembered_is_sent_away_all_the_same(self) -> None:
        store = SteeredStore()
        store.failure = StoreUnavailable("expected a disk, got none")
        async with house(store) as inner:
            ana = Client(await inner.rooms.acquire("a"), client_id=1, identity=ANA).connect()
            rights = Rights(inner.rooms, Guard(None, None), inner.store)
            with pytest.raises(StoreUnavailable):
                await rights.revoke(Revocation(user="ana"), now=1.0)
            assert ana.wire.closed == REVOKED


class TestRecheck:
    async def test_who_may_only_read_from_now_on_stays_and_reads(self) -> None:
        access = {"ana": Access.WRITE, "ben": Access.WRITE}

        async def authorize(identity: Identity, document: str) -> Access:
            return access[identity.id or ""]

        async with house(MemoryStore()) as inner:
            room = await inner.rooms.acquire("a")
            ana = Client(room, client_id=1, identity=ANA).connect()
            ben = Client(room, client_id=2, identity=BEN).connect()
            rights = Rights(inner.rooms, Guard(None, authorize), inner.store)
            access["ana"] = Access.READ
            await rights.recheck()
            ana.type("hers")
            ben.type("his")
            await room.content.settle()
            ana.read()
            assert ben.text == "his"
            assert str(ana.text).replace("hers", "") == "his"
            access["ana"] = Access.WRITE
            await rights.recheck(user="ana", document="a")
            ana.say(yjs.update(ana.doc.get_update()))
            await room.content.settle()
            ben.read()
            assert "hers" in ben.text

    async def test_a_dialect_with_a_word_for_it_tells_the_client(self) -> None:
        async def authorize(identity: Identity, document: str) -> Access:
            return Access.READ

        async with house(MemoryStore()) as inner:
            room = await inner.rooms.acquire("a")
            wire = Wire()
            room.join(Member(wire, Session(ANA, Access.WRITE, HOCUSPOCUS)))
            wire.read()
            rights = Rights(inner.rooms, Guard(None, authorize), inner.store)
            for _ in range(2):
                await rights.recheck()
            assert wire.frames == [authenticated(may_write=False)]

    async def test_who_may_not_even_read_is_sent_away(self) -> None:
        async def authorize(identity: Identity, document: str) -> Access:
            return Access.NONE if identity.id == "ana" else Access.READ

        async with house(MemoryStore()) as inner:
            room = await inner.rooms.acquire("a")
            ana = Client(room, client_id=1, identity=ANA).connect()
            ben = Client(room, client_id=2, identity=BEN).connect()
            await Rights(inner.rooms, Guard(None, authorize), inner.store).recheck()
            assert ana.wire.closed == (CloseCode.FORBIDDEN, "you may not read this document")
            assert ben.wire.closed is None

    async def test_who_cannot_be_asked_about_comes_back_later(self) -> None:
        async def authorize(identity: Identity, document: str) -> Access:
            raise RuntimeError("the database of users is away")

        async with house(MemoryStore()) as inner:
            room = await inner.rooms.acquire("a")
            ana = Client(room, client_id=1, identity=ANA).connect()
            await Rights(inner.rooms, Guard(None, authorize), inner.store).recheck()
            assert ana.wire.closed is not None
            assert ana.wire.closed[0] is CloseCode.TRY_AGAIN_LATER

    async def test_somebody_is_asked_about_once_for_a_document(self) -> None:
        asked = []

        async def authorize(identity: Identity, document: str) -> Access:
            asked.append((identity.id, document))
            return Access.WRITE

        async with house(MemoryStore()) as inner:
            room = await inner.rooms.acquire("a")
            for client_id in (1, 2, 3):
                Client(room, client_id=client_id, identity=ANA).connect()
            await Rights(inner.rooms, Guard(None, authorize), inner.store).recheck()
            assert asked == [("ana", "a")]

    async def test_whoever_needs_no_token_is_not_sent_away(self) -> None:
        async with house(MemoryStore()) as inner:
            room = await inner.rooms.acquire("a")
            anyone = Client(room, client_id=1, identity=ANYONE).connect()
            await Rights(inner.rooms, Guard(None, None), inner.store).recheck()
            anyone.say(yjs.update(poison.HELLO))
            await room.content.settle()
            assert anyone.wire.closed is None


class TestViewers:
    async def test_they_show_that_they_are_here(self) -> None:
        async with house(MemoryStore()) as inner:
            room = await inner.rooms.acquire("a")
            viewer = Client(room, client_id=1, identity=Identity(access=Access.READ)).connect()
            viewer.show()
            assert 1 in room.presence.states()

    async def test_they_do_not_where_that_is_off(self) -> None:
        async def authorize(identity: Identity, document: str) -> Access:
            return Access.READ

        async with house(MemoryStore(), Settings(viewer_presence=False)) as inner:
            room = await inner.rooms.acquire("a")
            viewer = Client(room, client_id=1, identity=Identity(access=Access.READ)).connect()
            viewer.show()
            writer = Client(room, client_id=2, identity=ANA).connect()
            writer.show()
            assert room.presence.states().keys() == {2}
            await Rights(inner.rooms, Guard(None, authorize), inner.store).recheck()
            assert room.presence.states().keys() == set()


async def test_who_cannot_be_asked_about_while_a_document_loads_is_sent_away_for_a_moment() -> None:
    store = SteeredStore()
    store.hold_loads()
    answers = [Access.WRITE]

    async def authorize(identity: Identity, document: str) -> Access:
        if not answers:
            raise RuntimeError("no database")
        return answers.pop()

    async with house(store) as inner:
        guard = Guard(None, authorize)
        wire = Wire()
        visit = Census(inner.settings, inner.metrics, ()).visit({"client": ("127.0.0.1", 1)})
        peer = SinglePeer(inner.rooms, guard, await guard.permit(ANA, "a"), Y_WEBSOCKET, visit)
        peer.opened(wire)
        guard.revise()
        store.let_load()
        await wire.ended()
        assert wire.closed is not None
        assert wire.closed[0] is CloseCode.TRY_AGAIN_LATER


async def test_of_two_rechecks_at_once_the_newer_one_holds() -> None:
    rights_of = {"ana": Access.WRITE, "ben": Access.WRITE}
    asked_about_ben, answer_about_ben = anyio.Event(), anyio.Event()

    async def authorize(identity: Identity, document: str) -> Access:
        if identity is BEN:
            asked_about_ben.set()
            await answer_about_ben.wait()
        return rights_of[identity.id or ""]

    async with house(MemoryStore()) as inner, anyio.create_task_group() as tasks:
        room = await inner.rooms.acquire("a")
        one, _, other = (
            Client(room, client_id=number, identity=identity).connect()
            for number, identity in enumerate((ANA, BEN, ANA), 1)
        )
        rights = Rights(inner.rooms, Guard(None, authorize), inner.store)
        tasks.start_soon(rights.recheck)
        await asked_about_ben.wait()
        rights_of["ana"] = Access.READ
        await rights.recheck(user="ana")
        answer_about_ben.set()
        await anyio.wait_all_tasks_blocked()
        assert one.seat.session.access == other.seat.session.access == Access.READ
