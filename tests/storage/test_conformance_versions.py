"""The contract of ``collab.versions``, sentence by sentence, over every store."""

from collections.abc import Callable

import anyio
import pytest

from collab.errors import (
    DocumentNotFound,
    InvalidName,
    PointNotFound,
    StoreError,
    VersionExists,
    VersionNotFound,
)
from collab.store import Append, NewEntry, Store
from collab.versions import Version

pytestmark = pytest.mark.anyio

MakeStore = Callable[[], Store]


async def fill(store: Store, document: str = "d", entries: int = 3) -> None:
    news = [NewEntry(update=bytes((seq,)), time_ms=seq) for seq in range(entries)]
    await store.append([Append(document=document, entries=news)])


def at(name: str, seq: int = 1, created_ms: int = 5, **more: object) -> Version:
    return Version(name=name, seq=seq, created_ms=created_ms, **more)  # type: ignore[arg-type]  # author, automatic


async def names(store: Store, document: str = "d") -> list[str]:
    return [version.name for version in await store.versions(document)]


async def test_a_version_is_there_after_a_restart_as_it_was_given(make_store: MakeStore) -> None:
    drafts = [
        at("draft", 1, 10, author="ada"),
        at("Ünï 🦄 / 'x'", 2, 11),
        at("by itself", 3, 12, automatic=True),
    ]
    async with make_store() as store:
        await fill(store)
        for draft in drafts:
            await store.add_version("d", draft)
    async with make_store() as store:
        assert list(await store.versions("d")) == drafts


async def test_versions_are_listed_in_order_of_seq_then_time_then_name(
    make_store: MakeStore,
) -> None:
    async with make_store() as store:
        await fill(store)
        for version in (at("late", 3, 1), at("b", 0, 7), at("a", 0, 7), at("older", 0, 6)):
            await store.add_version("d", version)
        assert await names(store) == ["older", "a", "b", "late"]


async def test_a_name_is_unique_within_its_document(make_store: MakeStore) -> None:
    async with make_store() as store:
        await fill(store)
        await fill(store, "e")
        await store.add_version("d", at("one", 1))
        with pytest.raises(VersionExists, match="'one'"):
            await store.add_version("d", at("one", 2))
        await store.add_version("e", at("one", 3))
        await store.add_version("d", at("One", 3))
        assert [(version.name, version.seq) for version in await store.versions("d")] == [
            ("one", 1),
            ("One", 3),
        ]


@pytest.mark.parametrize(
    "name",
    ["", " a", "a\n", "a\x7f", "x" * 201, "\ud83d", "12", "٣", "2026-11-22", "2026-11-22T10:00Z"],
)
async def test_a_name_that_could_be_taken_for_something_else_is_refused(
    make_store: MakeStore, name: str
) -> None:
    async with make_store() as store:
        await fill(store)
        with pytest.raises(InvalidName, match="expected"):
            await store.add_version("d", at(name))
        assert await names(store) == []


@pytest.mark.parametrize("seq", [-1, 4])
async def test_a_seq_that_the_document_does_not_have_is_refused(
    make_store: MakeStore, seq: int
) -> None:
    async with make_store() as store:
        await fill(store)
        with pytest.raises(PointNotFound, match="expected a seq of 0 to 3"):
            await store.add_version("d", at("one", seq))
        assert await names(store) == []


async def test_an_author_that_has_no_utf8_is_refused(make_store: MakeStore) -> None:
    async with make_store() as store:
        await fill(store)
        with pytest.raises(StoreError, match="author"):
            await store.add_version("d", at("one", author="\ud83d"))
        assert await names(store) == []


async def test_later_entries_move_no_version(make_store: MakeStore) -> None:
    async with make_store() as store:
        await fill(store)
        await store.add_version("d", at("end", 3))
        await fill(store)
        assert [version.seq for version in await store.versions("d")] == [3]


async def test_a_removed_version_is_gone_with_its_pin_and_the_log_stays(
    make_store: MakeStore,
) -> None:
    async with make_store() as store:
        await fill(store)
        await store.add_version("d", at("one"))
        await store.pin_version("d", "one", b"whole")
        await store.remove_version("d", "one")
        assert await names(store) == []
        await store.add_version("d", at("one"))
        assert await store.pinned("d", "one") is None
        assert (await store.load("d")).seq == 3


async def test_a_pin_is_kept_and_replaced(make_store: MakeStore) -> None:
    async with make_store() as store:
        await fill(store)
        await store.add_version("d", at("one"))
        assert await store.pinned("d", "one") is None
        await store.pin_version("d", "one", b"first")
        await store.pin_version("d", "one", b"\0" * 100_000)
        assert [version.pinned for version in await store.versions("d")] == [True]
    async with make_store() as store:
        assert await store.pinned("d", "one") == b"\0" * 100_000


async def test_a_new_version_is_not_pinned_whatever_it_says(make_store: MakeStore) -> None:
    async with make_store() as store:
        await fill(store)
        await store.add_version("d", at("one", pinned=True))
        assert [version.pinned for version in await store.versions("d")] == [False]


async def test_versions_never_make_a_document(make_store: MakeStore) -> None:
    async with make_store() as store:
        for call in (
            lambda: store.add_version("d", at("one", 0)),
            lambda: store.versions("d"),
            lambda: store.remove_version("d", "one"),
            lambda: store.pin_version("d", "one", b""),
            lambda: store.pinned("d", "one"),
        ):
            with pytest.raises(DocumentNotFound):
                await call()
        assert await store.documents() == []


async def test_an_unknown_version_is_named_as_such(make_store: MakeStore) -> None:
    async with make_store() as store:
        await fill(store)
        for name in ("one", "\ud83d"):
            with pytest.raises(VersionNotFound, match="no version"):
                await store.remove_version("d", name)
            with pytest.raises(VersionNotFound, match="no version"):
                await store.pin_version("d", name, b"")
            with pytest.raises(VersionNotFound, match="no version"):
                await store.pinned("d", name)


async def test_of_two_that_take_a_name_at_once_one_gets_it(make_store: MakeStore) -> None:
    refused = []

    async def add(store: Store, seq: int) -> None:
        try:
            await store.add_version("d", at("one", seq))
        except VersionExists:
            refused.append(seq)

    async with make_store() as store:
        await fill(store)
        async with anyio.create_task_group() as tasks:
            for seq in (1, 2):
                tasks.start_soon(add, store, seq)
        (version,) = await store.versions("d")
        assert [version.seq, *refused] in ([1, 2], [2, 1])


async def test_every_call_outside_async_with_is_refused(make_store: MakeStore) -> None:
    store = make_store()
    async with store:
        await fill(store)
        await store.add_version("d", at("one"))
    for call in (
        lambda: store.add_version("d", at("two")),
        lambda: store.versions("d"),
        lambda: store.remove_version("d", "one"),
        lambda: store.pin_version("d", "one", b""),
        lambda: store.pinned("d", "one"),
    ):
        with pytest.raises(StoreError, match="expected"):
            await call()
