"""The contract of ``collab.quarantine``, sentence by sentence, over every store."""

from collections.abc import Callable

import pytest

from collab.errors import InvalidName, StoreError
from collab.quarantine import IN_A_DOCUMENT, IN_ALL, Outcome, Refused
from collab.store import Append, NewEntry, Store
from tests.storage.appending import append

pytestmark = pytest.mark.anyio

MakeStore = Callable[[], Store]


def refused(update: bytes, *, seq: int | None = None, author: str | None = None) -> Refused:
    return Refused(update=update, time_ms=7, author=author, reason="odd", seq=seq)


async def kept(store: Store, document: str = "a") -> list[bytes]:
    return [each.update for each in await store.quarantined(document)]


async def test_what_is_kept_aside_is_there_after_a_restart(make_store: MakeStore) -> None:
    sent = [
        refused(b"\xff\x00", author="ada"),
        refused(b"", seq=3),
        Refused(update=b"3", time_ms=-1, author="Ünï 🦄", reason="why: '\"\n"),
    ]
    async with make_store() as store:
        assert await store.quarantine("a", sent) == Outcome(added=3, dropped=0)
    async with make_store() as store:
        assert list(await store.quarantined("a")) == sent
        assert list(await store.quarantined("b")) == []


async def test_it_makes_no_document_and_touches_no_log(make_store: MakeStore) -> None:
    async with make_store() as store:
        await store.append([Append(document="b", entries=[NewEntry(update=b"1", time_ms=0)])])
        await store.quarantine("a", [refused(b"x")])
        await store.quarantine("b", [refused(b"x", seq=1)])
        assert [summary.document for summary in await store.documents()] == ["b"]
        assert [entry.update async for entry in store.entries("b")] == [b"1"]
        assert (await store.load("a")).seq == 0
        more = Append(document="b", entries=[NewEntry(update=b"2", time_ms=0)])
        assert await append(store, [more]) == [2]


async def test_an_entry_is_set_aside_once_and_a_refused_update_as_often_as_it_comes(
    make_store: MakeStore,
) -> None:
    async with make_store() as store:
        await store.quarantine("a", [refused(b"1", seq=1), refused(b"x"), refused(b"x")])
        again = [refused(b"1", seq=1), refused(b"2", seq=2), refused(b"2", seq=2), refused(b"x")]
        assert await store.quarantine("a", again) == Outcome(added=2, dropped=0)
        assert await store.quarantine("b", [refused(b"1", seq=1)]) == Outcome(added=1, dropped=0)
        assert await kept(store) == [b"1", b"x", b"x", b"2", b"x"]


async def test_another_update_at_the_place_of_an_entry_is_kept_beside_it(
    make_store: MakeStore,
) -> None:
    first, second = refused(b"flipped", seq=1), refused(b"flipped again", seq=1, author="ada")
    async with make_store() as store:
        assert await store.quarantine("a", [first]) == Outcome(added=1, dropped=0)
        assert await store.quarantine("a", [second, first]) == Outcome(added=1, dropped=0)
        assert await store.quarantine("a", [first, second]) == Outcome(added=0, dropped=0)
    async with make_store() as store:
        assert list(await store.quarantined("a")) == [first, second]


async def test_the_oldest_of_a_document_make_room_for_the_newest(make_store: MakeStore) -> None:
    updates = [b"%d" % number for number in range(IN_A_DOCUMENT.updates)]
    async with make_store() as store:
        await store.quarantine("b", [refused(b"another's")])
        await store.quarantine("a", [refused(update) for update in updates])
        outcome = await store.quarantine("a", [refused(b"new"), refused(b"newer")])
        assert outcome == Outcome(added=2, dropped=2)
        assert await kept(store) == [*updates[2:], b"new", b"newer"]
        assert await kept(store, "b") == [b"another's"]


async def test_a_document_is_bounded_in_bytes_and_an_update_above_them_leaves_the_others(
    make_store: MakeStore,
) -> None:
    half = bytes(IN_A_DOCUMENT.bytes // 2)
    async with make_store() as store:
        await store.quarantine("a", [refused(b"old"), refused(half), refused(half)])
        assert await kept(store) == [half, half]
        huge = bytes(IN_A_DOCUMENT.bytes + 1)
        assert await store.quarantine("a", [refused(huge)]) == Outcome(added=1, dropped=1)
        assert await kept(store) == [half, half]


async def test_a_store_is_bounded_however_many_names_there_are(make_store: MakeStore) -> None:
    update = bytes(IN_A_DOCUMENT.bytes)
    names = [f"{number:02}" for number in range(IN_ALL.bytes // len(update) + 2)]
    async with make_store() as store:
        for name in names:
            await store.quarantine(name, [refused(update)])
        assert [len(await kept(store, name)) for name in names] == [0, 0] + [1] * (len(names) - 2)


async def test_entries_of_the_log_are_kept_beyond_the_bounds(make_store: MakeStore) -> None:
    count = IN_A_DOCUMENT.updates + 50
    async with make_store() as store:
        entries = [refused(b"entry", seq=seq) for seq in range(1, count + 1)]
        assert await store.quarantine("a", entries) == Outcome(added=count, dropped=0)
        await store.quarantine("a", [refused(bytes(IN_A_DOCUMENT.bytes), seq=count + 1)])
        await store.quarantine("a", [refused(b"refused")])
        assert len(await kept(store)) == count + 2


@pytest.mark.parametrize("name", ["", "a\0b", "\ud83d", "x" * 513])
async def test_what_names_no_document_has_no_quarantine(make_store: MakeStore, name: str) -> None:
    async with make_store() as store:
        with pytest.raises(InvalidName):
            await store.quarantine(name, [refused(b"x")])
        with pytest.raises(InvalidName):
            await store.quarantined(name)


async def test_nothing_of_a_call_with_an_author_that_is_not_storable_is_kept(
    make_store: MakeStore,
) -> None:
    async with make_store() as store:
        with pytest.raises(StoreError, match="expected an author"):
            await store.quarantine("a", [refused(b"1"), refused(b"2", author="\ud83d")])
        assert await kept(store) == []


async def test_a_closed_store_keeps_nothing_aside(make_store: MakeStore) -> None:
    store = make_store()
    with pytest.raises(StoreError, match="expected"):
        await store.quarantine("a", [refused(b"1")])
    with pytest.raises(StoreError, match="expected"):
        await store.quarantined("a")
