"""Many documents on one connection: tokens, receipts, closing, and what they share."""

from collections.abc import Callable
from dataclasses import replace

import anyio
import pycrdt
import pytest
from starlette.requests import HTTPConnection

from collab.access import Identity
from collab.close import CloseCode
from collab.errors import TooMany
from collab.lib0 import write_var_string, write_var_uint
from collab.protocol import hocuspocus, yjs
from collab.protocol.messages import EMPTY_UPDATE
from collab.server.limits.census import RESTARTS, Census
from collab.server.limits.strangers import Strangers
from collab.server.settings import Settings
from tests.core import poison
from tests.server.peers.provider import (
    APPLIED,
    CLOSED,
    DENIED,
    HANDSHAKE,
    READ_WRITE,
    REFUSED,
    Provider,
    by_token,
    inside,
    provider,
)
from tests.server.stores import SteeredStore
from tests.server.wire import Client

pytestmark = pytest.mark.anyio


async def test_two_documents_on_one_connection_stay_apart() -> None:
    async with inside() as inner:
        one = provider(inner)
        await one.opened("a")
        await one.opened("b")
        one.say("a", yjs.update(poison.HELLO))
        await one.until("a", APPLIED)
        assert APPLIED not in one.frames("b")
        other = provider(inner)
        await other.opened("a\0session")
        assert yjs.sync_step2(poison.HELLO) in other.frames("a\0session")


async def test_our_question_comes_right_before_the_answer_and_the_scope_before_all() -> None:
    async with inside() as inner:
        one = provider(inner)
        await one.opened("a")
        assert one.frames("a") == [
            READ_WRITE,
            yjs.sync_step1(b"\x00"),
            yjs.sync_step2(EMPTY_UPDATE),
        ]


async def test_a_change_is_acknowledged_once_it_is_durable_and_not_echoed() -> None:
    store = SteeredStore()
    async with inside(store) as inner:
        one = provider(inner)
        await one.opened("a")
        store.hold_appends()
        one.say("a", yjs.update(poison.HELLO))
        await store.append_began.wait()
        assert one.frames("a").count(APPLIED) == 0
        store.let_append()
        await one.until("a", APPLIED)
        assert yjs.update(poison.HELLO) not in one.frames("a")


async def test_every_change_gets_exactly_one_receipt() -> None:
    async with inside() as inner:
        one = provider(inner)
        await one.opened("a")
        one.say("a", yjs.sync_step2(EMPTY_UPDATE))
        doc: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc()
        text = doc.get("text", type=pycrdt.Text)
        for word in "abcdefghij":
            before = doc.get_state()
            text += word
            one.say("a", yjs.update(doc.get_update(before)))
        one.say("a", yjs.sync_step2(doc.get_update()))
        await one.until("a", APPLIED, count=12)
        room = inner.rooms.find("a")
        assert room is not None
        await room.programs.saved()
        assert one.frames("a").count(APPLIED) == 12


async def test_it_shares_a_room_with_other_dialects() -> None:
    async with inside() as inner:
        one = provider(inner)
        await one.opened("a")
        room = await inner.rooms.acquire("a")
        stock = Client(room, client_id=7).connect()
        stock.show()
        update = stock.type("hi")
        await one.wire.until(lambda: yjs.update(update) in one.frames("a"))
        await one.wire.until(lambda: any(frame[:1] == b"\x01" for frame in one.frames("a")))
        one.say("a", yjs.update(poison.HELLO))
        await stock.wire.until(lambda: yjs.update(poison.HELLO) in stock.wire.frames)


async def test_what_is_said_before_the_token_was_looked_at_waits() -> None:
    async with inside() as inner:
        one = provider(inner, by_token)
        one.say("a", yjs.update(poison.HELLO))
        assert one.frames("a") == []
        one.say("a", b"\x02\x00" + write_var_string("ana"))
        await one.until("a", APPLIED)
        assert one.frames("a")[0] == READ_WRITE


async def test_a_refused_token_leaves_the_connection_and_a_retry_starts_clean() -> None:
    async with inside() as inner:
        one = provider(inner, by_token)
        one.open("a", "mallory")
        one.say("a", yjs.update(poison.HELLO))
        await one.wire.until(lambda: any(f[:2] == DENIED for f in one.frames("a")))
        assert one.wire.closed is None
        await one.opened("a", "ana")
        assert yjs.sync_step2(EMPTY_UPDATE) in one.frames("a")


@pytest.mark.parametrize(
    ("document", "token", "code"),
    [
        ("a", "mallory", CloseCode.UNAUTHENTICATED),
        ("a", "eve", CloseCode.FORBIDDEN),
        ("line\nbreak", "ana", CloseCode.POLICY),
    ],
)
async def test_a_refusal_ends_with_the_close_code_of_its_cause(
    document: str, token: str, code: CloseCode
) -> None:
    async with inside() as inner:
        one = provider(inner, by_token)
        one.open(document, token)
        await one.wire.until(lambda: bool(one.frames(document)))
        [refusal] = one.frames(document)
        assert refusal.startswith(DENIED)
        assert refusal.endswith(write_var_uint(code))


async def test_a_client_without_a_token_says_nothing_of_it_and_is_let_in_where_it_needs_none() -> (
    None
):
    async with inside() as inner:
        one = provider(inner)
        one.say("a", yjs.sync_step1(b"\x00"))
        await one.until("a", yjs.sync_step2(EMPTY_UPDATE))
        assert one.frames("a")[0] == READ_WRITE


async def test_a_client_without_a_token_is_refused_where_it_needs_one() -> None:
    async with inside() as inner:
        one = provider(inner, by_token)
        one.say("a", yjs.sync_step1(b"\x00"))
        await one.wire.until(lambda: bool(one.frames("a")))
        assert [frame[:2] for frame in one.frames("a")] == [DENIED]


async def test_a_refusal_is_said_once_whatever_comes_after_it() -> None:
    async with inside() as inner:
        one = provider(inner, by_token)
        one.say("a", b"\x02\x00" + write_var_string("mallory"))
        await one.wire.until(lambda: bool(one.frames("a")))
        one.say("a", yjs.sync_step1(b"\x00"))
        one.say("a", yjs.update(poison.HELLO))
        await one.opened("b", "ana")
        assert [frame[:2] for frame in one.frames("a")] == [DENIED]


async def test_refused_documents_make_room_for_others() -> None:
    async with inside(settings=Settings(connection_documents=1)) as inner:
        one = provider(inner, by_token)
        one.open("a", "mallory")
        await one.wire.until(lambda: bool(one.frames("a")))
        await one.opened("b", "ana")


@pytest.mark.parametrize(
    ("version", "said"), [(b"", [DENIED, CLOSED]), (write_var_string("4.8.0"), [CLOSED])]
)
async def test_a_closed_document_is_denied_first_to_clients_that_fail_on_a_close(
    version: bytes, said: list[bytes]
) -> None:
    async with inside() as inner:
        one = provider(inner)
        one.say("a", b"\x02\x00" + write_var_string("") + version)
        await one.until("a", READ_WRITE)
        one.heard.clear()
        room = inner.rooms.find("a")
        assert room is not None
        room.close_all(CloseCode.NOT_FOUND, "it was deleted")
        why = write_var_string("it was deleted") + write_var_uint(CloseCode.NOT_FOUND)
        assert one.frames("a") == [kind + why for kind in said]


async def test_who_has_left_every_document_is_sent_away() -> None:
    settings = replace(Settings(), heartbeat_seconds=0.1, dead_seconds=0.5)
    async with inside(settings=settings) as inner:
        one = provider(inner)
        await one.opened("a")
        one.say("a", yjs.update(b"\xff\xff"))
        await one.wire.until(lambda: one.wire.closed is not None)
        assert one.wire.closed == (CloseCode.TRY_AGAIN_LATER, "no document is open")


async def test_a_reader_is_refused_each_change() -> None:
    async with inside() as inner:
        one = provider(inner, by_token)
        await one.opened("a", "bob")
        assert one.frames("a")[0] == hocuspocus.authenticated(may_write=False)
        one.say("a", yjs.update(poison.HELLO))
        one.say("a", yjs.sync_step2(EMPTY_UPDATE))
        await one.until("a", APPLIED)
        assert one.frames("a").count(REFUSED) == 1


@pytest.mark.parametrize(
    ("before", "then", "answer"), [("bob", "ana", APPLIED), ("ana", "bob", REFUSED)]
)
async def test_a_change_right_after_another_token_is_judged_by_that_one(
    before: str, then: str, answer: bytes
) -> None:
    async with inside() as inner:
        one = provider(inner, by_token)
        await one.opened("a", before)
        one.say("a", yjs.sync_step2(EMPTY_UPDATE))
        await one.until("a", APPLIED)
        one.heard.clear()
        one.say("a", b"\x02\x00" + write_var_string(then))
        one.say("a", yjs.update(poison.HELLO))
        await one.until("a", answer)
        answers = [frame for frame in one.frames("a") if frame in (APPLIED, REFUSED)]
        assert answers == [answer]


async def test_a_change_right_after_another_s_token_is_theirs() -> None:
    async def by_name(request: HTTPConnection) -> Identity:
        return Identity(id=request.headers["authorization"].removeprefix("Bearer "))

    store = SteeredStore()
    async with inside(store) as inner:
        one = provider(inner, by_name)
        await one.opened("a", "ana")
        one.say("a", b"\x02\x00" + write_var_string("grace"))
        one.say("a", yjs.update(poison.HELLO))
        await one.until("a", APPLIED)
        assert [entry.author async for entry in store.entries("a")] == ["grace"]


async def test_what_waits_for_a_token_that_is_refused_is_for_nothing() -> None:
    store = SteeredStore()
    async with inside(store) as inner:
        one = provider(inner, by_token)
        await one.opened("a", "ana")
        one.say("a", b"\x02\x00" + write_var_string("mallory"))
        one.say("a", yjs.update(poison.HELLO))
        await one.wire.until(lambda: any(f[:2] == DENIED for f in one.frames("a")))
        await one.opened("a", "ana")
        one.say("a", yjs.sync_step2(EMPTY_UPDATE))
        await one.until("a", APPLIED)
        assert not await store.documents(limit=1)


async def test_a_reader_is_acknowledged_the_deletions_that_were_made_and_no_others() -> None:
    async with inside() as inner:
        doc: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc()
        text = doc.get("text", type=pycrdt.Text)
        text += "kept and gone"
        one = provider(inner, by_token)
        await one.opened("a", "ana")
        one.say("a", yjs.update(doc.get_update()))
        before = doc.get_state()
        del text[4:]
        one.say("a", yjs.update(doc.get_update(before)))
        await one.until("a", APPLIED, count=2)

        other = provider(inner, by_token)
        await other.opened("a", "bob")
        other.say("a", yjs.sync_step2(doc.get_update(before)))
        await other.until("a", APPLIED)
        assert REFUSED not in other.frames("a")
        del text[1:]
        other.say("a", yjs.sync_step2(doc.get_update(before)))
        other.say("a", yjs.sync_step2(EMPTY_UPDATE))
        await other.until("a", APPLIED, count=2)
        assert other.frames("a")[-2:] == [REFUSED, APPLIED]
        room = inner.rooms.find("a")
        assert room is not None
        assert str(room.document.doc.get("text", type=pycrdt.Text)) == "kept"


async def test_a_new_token_changes_what_may_be_done() -> None:
    async with inside() as inner:
        one = provider(inner, by_token)
        await one.opened("a", "bob")
        one.say("a", b"\x02\x00" + write_var_string("ana"))
        await one.until("a", READ_WRITE)
        one.say("a", yjs.update(poison.HELLO))
        await one.until("a", APPLIED)


async def test_a_document_that_was_left_is_open_no_more_and_can_be_opened_again() -> None:
    async with inside() as inner:
        one = provider(inner)
        await one.opened("a")
        room = inner.rooms.find("a")
        assert room is not None
        assert len(room.members) == 1
        one.say("a", b"\x07")
        assert len(room.members) == 0
        one.heard.clear()
        await one.opened("a")
        assert len(room.members) == 1


async def test_poison_closes_that_document_alone() -> None:
    async with inside() as inner:
        one = provider(inner)
        await one.opened("a")
        await one.opened("b")
        one.say("a", yjs.update(b"\xff\xff"))
        await one.wire.until(lambda: any(f[:1] == b"\x07" for f in one.frames("a")))
        one.say("a", yjs.update(poison.HELLO))  # It does not know yet.
        one.say("b", yjs.update(poison.HELLO))
        await one.until("b", APPLIED)
        assert one.wire.closed is None
        assert APPLIED not in one.frames("a")


async def test_bytes_without_an_address_close_the_connection() -> None:
    async with inside() as inner:
        one = provider(inner)
        one.peer.receive(b"\x05ab")
        assert one.wire.closed is not None
        assert one.wire.closed[0] == CloseCode.MALFORMED


async def test_what_waits_for_a_token_is_bounded() -> None:
    async with inside(settings=Settings(unauthenticated_max_bytes=200)) as inner:
        one = provider(inner)
        one.say("a", yjs.update(bytes(60)))
        assert one.wire.closed is None
        one.say("b", yjs.update(bytes(60)))
        assert one.wire.closed is not None
        assert one.wire.closed[0] == CloseCode.TRY_AGAIN_LATER


async def test_short_messages_that_wait_count_as_what_it_takes_to_keep_them() -> None:
    async with inside(settings=Settings(unauthenticated_max_bytes=10_000)) as inner:
        one = provider(inner)
        for _ in range(1_000):
            one.say("a", yjs.update(b""))
        assert one.wire.closed is not None
        assert one.wire.closed[0] == CloseCode.TRY_AGAIN_LATER


async def test_who_is_sent_away_is_forgotten_with_however_many_documents() -> None:
    settings = Settings(connection_documents=1_000, strangers_max_bytes=200_000)
    async with inside(settings=settings) as inner:
        one = provider(inner)
        for number in range(1_000):
            one.say(f"{number}", yjs.update(b""))
        assert one.wire.closed is None
        one.say("999", yjs.update(bytes(199_000)))
        assert one.wire.closed is not None
        assert one.wire.closed[0] == CloseCode.TRY_AGAIN_LATER


async def test_so_are_documents() -> None:
    async with inside(settings=Settings(connection_documents=1)) as inner:
        one = provider(inner)
        await one.opened("a")
        one.open("b")
        assert [frame[:2] for frame in one.frames("b")] == [DENIED]
        assert one.wire.closed is None


async def test_who_opens_nothing_is_sent_away() -> None:
    settings = replace(Settings(), heartbeat_seconds=0.1, dead_seconds=0.5)
    async with inside(settings=settings) as inner:
        one = provider(inner)
        await one.wire.until(lambda: one.wire.closed is not None)


async def test_a_connection_that_ends_leaves_every_room() -> None:
    async with inside() as inner:
        one = provider(inner)
        await one.opened("a")
        await one.opened("b")
        one.peer.ended()
        rooms = [inner.rooms.find(name) for name in "ab"]
        assert [len(room.members) for room in rooms if room is not None] == [0, 0]


async def test_a_document_that_is_opened_while_the_connection_ends_is_given_back() -> None:
    store = SteeredStore()
    async with inside(store, Settings(unload_seconds=0.01)) as inner:
        one = provider(inner)
        store.hold_loads()
        one.open("a")
        one.peer.ended()
        store.let_load()
        room = await inner.rooms.acquire("a")
        assert room.members == ()


async def test_one_document_that_waits_for_the_store_holds_the_connection_back() -> None:
    store = SteeredStore()
    async with inside(store, Settings(uncommitted_max_bytes=1)) as inner:
        one = provider(inner)
        await one.opened("a")
        await one.opened("b")
        store.hold_appends()
        one.say("a", yjs.update(poison.HELLO))
        one.say("a", yjs.update(poison.HELLO))
        assert not one.wire.reading
        store.let_append()
        await one.wire.until(lambda: one.wire.reading)


async def test_application_messages_reach_everyone_else() -> None:
    async with inside() as inner:
        one, other = provider(inner), provider(inner)
        await one.opened("a")
        await other.opened("a")
        message = b"\x05" + write_var_string('{"type":"cheer"}')
        one.say("a", message)
        await other.until("a", message)
        assert message not in one.frames("a")


async def test_a_document_that_was_left_holds_the_others_back_no_more() -> None:
    store = SteeredStore()
    async with inside(store) as inner:
        hostile, one = provider(inner), provider(inner)
        await hostile.opened("a")
        await one.opened("a")
        await one.opened("b")
        hostile.say("a", yjs.update(poison.HELLO))
        await hostile.until("a", APPLIED)
        store.hold_loads()
        hostile.say("a", yjs.update(poison.CHILD_OF_A_STRING))
        one.peer.pause()
        one.say("a", yjs.update(pycrdt.Doc({"text": pycrdt.Text("x")}).get_update()))
        one.say("a", CLOSED)
        store.let_load()
        room = inner.rooms.find("a")
        assert room is not None
        await room.content.settle()
        one.peer.resume()
        assert one.wire.reading


async def test_who_cannot_be_asked_about_is_sent_away_for_a_moment(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def fail(request: HTTPConnection) -> Identity | None:
        raise RuntimeError("no database")

    async with inside() as inner:
        one = provider(inner, fail)
        one.open("a", "ana")
        await one.wire.ended()
        assert one.wire.closed is not None
        assert one.wire.closed[0] is CloseCode.TRY_AGAIN_LATER
        assert "no database" in caplog.text


class TimersByHand:
    """Timers that are called when a test says so.

    Attributes:
        waiting: those that are to come, in the order in which they were asked for.
    """

    def __init__(self) -> None:
        self.waiting: list[TimerByHand] = []

    def call_later(self, seconds: float, call: Callable[[], None]) -> "TimerByHand":
        timer = TimerByHand(call, self.waiting.remove)
        self.waiting.append(timer)
        return timer

    async def run(self) -> None:
        await anyio.sleep_forever()


class TimerByHand:
    """One of them; ``call`` makes its call."""

    def __init__(self, call: Callable[[], None], forget: Callable[["TimerByHand"], None]) -> None:
        self.call = call
        self._forget = forget

    def cancel(self) -> None:
        self._forget(self)


async def test_who_goes_from_one_document_to_another_has_time_for_it_each_time() -> None:
    timers = TimersByHand()
    async with inside() as inner:
        one = provider(inner, timers=timers)
        [since_it_came] = timers.waiting
        await one.opened("a")
        one.say("a", CLOSED)
        [since_it_left] = timers.waiting
        assert since_it_left is not since_it_came
        await one.opened("b")
        since_it_left.call()
        assert one.wire.closed is None


async def test_who_opens_nothing_gets_no_more_time_for_asking_again() -> None:
    timers = TimersByHand()
    async with inside() as inner:
        one = provider(inner, by_token, timers=timers)
        [since_it_came] = timers.waiting
        for _ in range(3):
            one.say("a", b"\x02\x00" + write_var_string("nobody"))
            one.say("a", CLOSED)
        assert timers.waiting == [since_it_came]
        since_it_came.call()
        assert one.wire.closed is not None


async def test_who_has_gone_is_neither_counted_nor_waited_for_any_more() -> None:
    timers = TimersByHand()
    async with inside(settings=Settings(user_connections=2)) as inner:
        census = Census(inner.settings, inner.metrics, ())
        strangers = Strangers(inner.settings, inner.metrics)
        visit = census.visit(HANDSHAKE)
        one = Provider(inner.rooms, inner.settings, timers, visit, strangers, by_token)
        await one.opened("a", "ana")
        await one.opened("b", "ana")
        assert list(census.connections) == [one.wire]
        with pytest.raises(TooMany):
            census.check_user("x")
        one.peer.ended()
        assert not census.connections
        assert inner.metrics.connections == 0
        census.check_user("x")
        assert timers.waiting == []


async def test_who_was_let_in_as_the_server_stopped_is_sent_on() -> None:
    async with inside() as inner:
        census = Census(inner.settings, inner.metrics, ())
        visit = census.visit(HANDSHAKE)
        census.close()
        strangers = Strangers(inner.settings, inner.metrics)
        one = Provider(inner.rooms, inner.settings, inner.timers, visit, strangers)
        assert one.wire.closed == (CloseCode.RESTART, RESTARTS)
        one.peer.ended()
        assert not census.connections
        assert inner.metrics.connections == 0
