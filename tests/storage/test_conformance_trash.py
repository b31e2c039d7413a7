"""The contract of ``collab.trash``, sentence by sentence, over every store."""

from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from collab.archive import Retention, Terms
from collab.errors import (
    DocumentDeleted,
    DocumentExists,
    DocumentNotFound,
    InvalidName,
    StoreError,
    StoreUnavailable,
)
from collab.quarantine import Refused
from collab.storage.sqlite import SQLiteStore
from collab.store import Append, Entry, NewEntry, Store
from collab.trash import Tombstone
from collab.versions import Version
from tests.storage.appending import append

pytestmark = pytest.mark.anyio

MakeStore = Callable[[], Store]


def adding(document: str, *updates: bytes, checkpoint: bytes | None = None) -> Append:
    entries = [NewEntry(update=update, time_ms=7, author="ada") for update in updates]
    return Append(document=document, entries=entries, checkpoint=checkpoint)


async def collect(entries: AsyncIterator[Entry]) -> list[Entry]:
    return [entry async for entry in entries]


async def names(store: Store) -> list[str]:
    return [summary.document for summary in await store.documents()]


async def deleted(store: Store, prefix: str = "", after: str = "", limit: int = 9) -> list[str]:
    return [tombstone.document for tombstone in await store.tombstones(prefix, after, limit)]


def with_bytes(folder: Path, telltale: bytes) -> list[str]:
    """The files in a folder that have these bytes somewhere."""
    return [path.name for path in folder.iterdir() if telltale in path.read_bytes()]


async def erase(store: Store, document: str) -> None:
    await store.delete(document, time_ms=1)
    await store.erase(document)


class TestDelete:
    async def test_a_deleted_document_is_told_of_by_its_tombstone_alone(
        self, make_store: MakeStore
    ) -> None:
        stone = Tombstone(document="b", deleted_ms=5, author="eve", bytes=3)
        async with make_store() as store:
            await store.append([adding("a", b"1"), adding("b", b"2", b"34", checkpoint=b"whole")])
            assert await store.delete("b", time_ms=5, author="eve") == stone
            assert await names(store) == ["a"]
        async with make_store() as store:
            assert await store.tombstones() == [stone]
            assert await names(store) == ["a"]
            assert await store.documents(prefix="b") == []

    async def test_whatever_is_asked_about_it_says_that_it_was_deleted(
        self, make_store: MakeStore
    ) -> None:
        async with make_store() as store:
            await store.append([adding("d", b"1")])
            await store.delete("d", time_ms=1)
            for erased in (False, True):
                for call in (
                    lambda: store.load("d"),
                    lambda: collect(store.entries("d")),
                    lambda: store.versions("d"),
                    lambda: append(store, [adding("d", b"2")]),
                    lambda: append(store, [adding("d", checkpoint=b"whole")]),
                    lambda: store.duplicate("d", "copy"),
                ):
                    with pytest.raises(DocumentDeleted, match=r"^no document named 'd': it was"):
                        await call()
                if not erased:
                    await store.erase("d")

    async def test_an_append_to_it_leaves_the_others_of_the_call_unwritten(
        self, make_store: MakeStore
    ) -> None:
        async with make_store() as store:
            await store.append([adding("a", b"1"), adding("d", b"1")])
            await store.delete("d", time_ms=1)
            with pytest.raises(DocumentDeleted) as refused:
                await store.append([adding("a", b"2"), adding("new", b"1"), adding("d", b"2")])
            assert refused.value.document == "d"
            assert (await store.load("a")).seq == 1
            assert await names(store) == ["a"]
            assert await append(store, [adding("d")]) == [0]

    async def test_deleting_again_keeps_the_first_tombstone(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            await store.append([adding("d", b"1")])
            first = await store.delete("d", time_ms=1, author="ada")
            assert await store.delete("d", time_ms=2, author="eve") == first

    async def test_what_was_never_there_cannot_be_deleted(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            with pytest.raises(DocumentNotFound, match=r"^no document named 'd'$"):
                await store.delete("d", time_ms=1)
            with pytest.raises(InvalidName):
                await store.delete("", time_ms=1)
            await store.append([adding("d", b"1")])
            with pytest.raises(StoreError, match="expected an author"):
                await store.delete("d", time_ms=1, author="\ud83d")
            assert await names(store) == ["d"]

    async def test_it_is_not_due_for_compaction(self, make_store: MakeStore) -> None:
        terms = Terms(now_ms=10**15, history=Retention(0))
        async with make_store() as store:
            for name in ("d", "e"):
                await store.append([adding(name, *[b"\0\0"] * 500)])
            assert await store.due(terms) == ["d", "e"]
            await store.delete("d", time_ms=1)
            assert await store.due(terms) == ["e"]

    async def test_tombstones_are_listed_by_name_a_page_at_a_time(
        self, make_store: MakeStore
    ) -> None:
        async with make_store() as store:
            for name in ("a", "b/1", "b/2", "b/ü", "b0", "c"):
                await store.append([adding(name, b"1")])
                await store.delete(name, time_ms=1)
            assert await deleted(store) == ["a", "b/1", "b/2", "b/ü", "b0", "c"]
            assert await deleted(store, "b/") == ["b/1", "b/2", "b/ü"]
            assert await deleted(store, "b/", "b/1", 1) == ["b/2"]
            assert await deleted(store, limit=0) == []
            with pytest.raises(InvalidName):
                await store.tombstones(after="\ud83d")

    async def test_two_that_delete_at_once_get_one_tombstone(self, make_store: MakeStore) -> None:
        stones = []

        async def delete(store: Store, time_ms: int) -> None:
            stones.append(await store.delete("d", time_ms=time_ms))

        async with make_store() as store:
            await store.append([adding("d", b"1")])
            async with anyio.create_task_group() as tasks:
                for time_ms in (1, 2):
                    tasks.start_soon(delete, store, time_ms)
            assert stones[0] == stones[1]


class TestUndelete:
    async def test_everything_is_as_it_was(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            await store.append([adding("d", b"1", b"2", checkpoint=b"whole"), adding("e", b"5")])
            await store.append([adding("d", b"3")])
            await store.add_version("d", Version(name="v", seq=1, created_ms=1))
            stored, summaries = await store.load("d"), await store.documents()
            entries, versions = await collect(store.entries("d")), await store.versions("d")
            await store.delete("d", time_ms=1)
            await store.append([adding("new", b"1")])
            await store.undelete("d")
        async with make_store() as store:
            assert await store.load("d") == stored
            assert await collect(store.entries("d")) == entries
            assert await store.versions("d") == versions
            assert (await store.documents())[:2] == summaries
            assert await store.tombstones() == []
            assert await append(store, [adding("d", b"4")]) == [4]

    async def test_one_that_is_there_stays_as_it_is(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            await store.append([adding("d", b"1")])
            stored = await store.load("d")
            await store.undelete("d")
            assert await store.load("d") == stored

    async def test_what_is_not_in_the_trash_does_not_come_back(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            with pytest.raises(DocumentNotFound, match=r"^no document named 'd'$"):
                await store.undelete("d")
            await store.append([adding("d", b"1")])
            await erase(store, "d")
            with pytest.raises(DocumentDeleted):
                await store.undelete("d")


class TestErase:
    async def test_nothing_of_the_content_is_left_in_the_files(self, tmp_path: Path) -> None:
        # The store is still open while its files are read.
        async with SQLiteStore(tmp_path / "collab.db") as store:
            for number in range(3):  # Checkpoints replace each other and leave free pages.
                content = b"TELLTALE %d " % number * 2000
                await store.append([adding("d", content, checkpoint=content)])
            await store.add_version("d", Version(name="TELLTALE", seq=1, created_ms=1))
            await store.pin_version("d", "TELLTALE", b"TELLTALE" * 1000)
            await store.quarantine(
                "d", [Refused(update=b"TELLTALE", time_ms=1, author=None, reason="TELLTALE")]
            )
            await store.append([adding("other", b"STAYS" * 1000)])
            await store.delete("d", time_ms=1)
            assert with_bytes(tmp_path, b"TELLTALE")
            await store.erase("d")
            assert with_bytes(tmp_path, b"TELLTALE") == []
            assert with_bytes(tmp_path, b"STAYS") == ["collab.db"]

    async def test_it_is_gone_for_good(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            await store.append([adding("d", b"1"), adding("e", b"2")])
            refused = Refused(update=b"x", time_ms=1, author=None, reason="odd")
            await store.quarantine("d", [refused])
            await store.quarantine("e", [refused])
            await erase(store, "d")
            await store.erase("d")
            assert await store.tombstones() == []
            assert await names(store) == ["e"]
            assert await store.quarantined("d") == []
            assert await store.quarantined("e") == [refused]
        async with make_store() as store:
            with pytest.raises(DocumentDeleted):
                await store.append([adding("d", b"1")])

    async def test_what_was_undeleted_and_deleted_again_meanwhile_stays_in_the_trash(
        self, make_store: MakeStore
    ) -> None:
        async with make_store() as store:
            await store.append([adding("d", b"1")])
            await store.delete("d", time_ms=1)
            await store.undelete("d")
            await store.delete("d", time_ms=9)
            await store.erase("d", deleted_ms=1)
            assert await deleted(store) == ["d"]
            await store.erase("d", deleted_ms=9)
            assert await deleted(store) == []

    async def test_only_what_is_deleted_can_be_erased(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            await store.append([adding("d", b"1")])
            for name in ("d", "unknown"):
                with pytest.raises(DocumentNotFound):
                    await store.erase(name)
            assert (await store.load("d")).seq == 1

    async def test_a_new_document_has_nothing_of_one_that_was_erased(
        self, make_store: MakeStore
    ) -> None:
        async with make_store() as store:
            await store.append([adding("d", b"1", checkpoint=b"whole")])
            await store.add_version("d", Version(name="v", seq=1, created_ms=1))
            await erase(store, "d")
            await store.append([adding("new", b"2")])
            assert (await store.load("new")).checkpoint is None
            assert await store.versions("new") == []

    async def test_who_reads_the_log_of_one_that_is_erased_gets_no_other_document(
        self, make_store: MakeStore
    ) -> None:
        async with make_store() as store:
            long = [b"%d" % number for number in range(2000)]
            await store.append([adding("d", *long)])
            entries = store.entries("d")
            read = [await anext(entries)]
            await erase(store, "d")
            await store.append([adding("another", *[b"secret"] * 2000)])
            with suppress(StoreUnavailable):
                async for entry in entries:
                    read.append(entry)  # noqa: PERF401 - what came before the error counts
            assert [entry.update for entry in read] == long[: len(read)]


class TestReadmit:
    async def test_an_erased_name_begins_anew_under_another_epoch(
        self, make_store: MakeStore
    ) -> None:
        async with make_store() as store:
            await store.append([adding("d", b"1")])
            first = (await store.load("d")).epoch
            await erase(store, "d")
            await store.readmit("d")
            assert (await store.load("d")).seq == 0
            assert await append(store, [adding("d", b"2")]) == [1]
            second = (await store.load("d")).epoch
            assert first
            assert second
            assert first != second
            await erase(store, "d")
            with pytest.raises(DocumentDeleted):
                await store.load("d")

    async def test_what_was_written_for_the_erased_document_does_not_come_into_the_new_one(
        self, make_store: MakeStore
    ) -> None:
        async with make_store() as store:
            await store.append([adding("d", b"1")])
            first = (await store.load("d")).epoch
            entry = NewEntry(update=b"late", time_ms=7)
            late = Append(
                document="d", entries=[entry], checkpoint=b"whole", base_seq=1, epoch=first
            )
            assert await append(store, [late]) == [2]
            await erase(store, "d")
            await store.readmit("d")
            with pytest.raises(DocumentDeleted):
                await store.append([late, adding("e", b"3")])
            assert await names(store) == []
            await store.append([adding("d", b"2")])
            with pytest.raises(DocumentDeleted):
                await store.append([adding("e", b"3"), late])
            assert await names(store) == ["d"]
            stored = await store.load("d")
            assert stored.checkpoint is None
            assert [entry.update for entry in stored.entries] == [b"2"]
            await store.append([replace(late, epoch=stored.epoch)])
            assert (await store.load("d")).checkpoint == b"whole"

    async def test_a_name_in_the_trash_is_not_free(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            await store.append([adding("d", b"1")])
            await store.delete("d", time_ms=1)
            with pytest.raises(DocumentDeleted):
                await store.readmit("d")
            await store.undelete("d")
            await store.readmit("d")
            await store.readmit("unknown")
            assert await names(store) == ["d"]


class TestEpoch:
    async def test_a_document_keeps_its_epoch_and_others_have_others(
        self, make_store: MakeStore
    ) -> None:
        async with make_store() as store:
            assert (await store.load("d")).epoch is None
            await store.append([adding("d", b"1"), adding("e", checkpoint=b"whole")])
            epoch = (await store.load("d")).epoch
        async with make_store() as store:
            await store.append([adding("d", b"2")])
            assert (await store.load("d")).epoch == epoch
            assert (await store.load("e")).epoch not in (None, epoch)
            assert [summary.epoch for summary in await store.documents()] == [
                epoch,
                (await store.load("e")).epoch,
            ]

    async def test_whoever_appends_is_told_it(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            nothing, first = await store.append([adding("unknown"), adding("d", b"1")])
            assert (nothing.seq, nothing.epoch) == (0, None)
            assert first.epoch == (await store.load("d")).epoch
            assert first.epoch
            again = await store.append([adding("d", b"2"), adding("e", checkpoint=b"whole")])
            assert [each.epoch for each in again] == [first.epoch, (await store.load("e")).epoch]
            assert (await store.append([adding("d")])) == [(2, first.epoch)]
        async with make_store() as store:
            assert (await store.append([adding("d", b"3")])) == [(3, first.epoch)]
            await erase(store, "d")
            await store.readmit("d")
            ((seq, second),) = await store.append([adding("d", b"1")])
            assert (seq, second) == (1, (await store.load("d")).epoch)
            assert second != first.epoch


class TestBegins:
    async def test_a_document_that_is_there_is_not_begun(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            first = replace(adding("d", b"1"), begins=True)
            ((seq, epoch),) = await store.append([first])
            assert (seq, epoch) == (1, (await store.load("d")).epoch)
            for _ in range(2):
                with pytest.raises(DocumentExists) as refused:
                    await store.append([adding("e", b"2"), first])
                assert refused.value.document == "d"
            assert await names(store) == ["d"]
            assert (await store.load("d")).seq == 1
            await store.append([adding("d", b"2")])
        async with make_store() as store:
            with pytest.raises(DocumentExists):
                await store.append([first])

    async def test_one_that_was_deleted_is_not_either(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            first = replace(adding("d", b"1"), begins=True)
            await store.append([first])
            await store.delete("d", time_ms=1)
            with pytest.raises(DocumentDeleted):
                await store.append([first])
            await store.erase("d")
            with pytest.raises(DocumentDeleted):
                await store.append([first])
            await store.readmit("d")
            assert [seq for seq, _ in await store.append([first])] == [1]

    async def test_one_of_many_begins_it(self, make_store: MakeStore) -> None:
        begun: list[int] = []
        exists: list[str] = []

        async with make_store() as store, anyio.create_task_group() as tasks:

            async def begin(number: int) -> None:
                try:
                    await store.append([replace(adding("d", b"%d" % number), begins=True)])
                    begun.append(number)
                except DocumentExists as error:
                    exists.append(error.document)

            for number in range(8):
                tasks.start_soon(begin, number)
        assert len(begun) == 1
        assert exists == ["d"] * 7
        async with make_store() as store:
            assert [entry.update for entry in (await store.load("d")).entries] == [b"%d" % begun[0]]


class TestDuplicate:
    async def test_a_copy_has_the_history_and_goes_its_own_way(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            await store.append([adding("d", b"1", b"2", checkpoint=b"whole")])
            await store.append([adding("d", b"3")])
            await store.add_version("d", Version(name="v", seq=1, created_ms=1, author="ada"))
            await store.pin_version("d", "v", b"pin")
            await store.duplicate("d", "copy")
            original, copy = await store.load("d"), await store.load("copy")
            assert copy.epoch not in (None, original.epoch)
            assert (copy.seq, copy.checkpoint, copy.entries) == (3, b"whole", original.entries)
            assert await collect(store.entries("copy")) == await collect(store.entries("d"))
            assert await store.versions("copy") == await store.versions("d")
            assert await store.pinned("copy", "v") == b"pin"
            await store.append([adding("copy", b"4")])
            await store.remove_version("copy", "v")
            await erase(store, "d")
        async with make_store() as store:
            assert (await store.load("copy")).seq == 4
            assert await names(store) == ["copy"]

    async def test_it_replaces_nothing(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            await store.append([adding("d", b"1"), adding("e", b"2"), adding("t", b"3")])
            for taken in ("d", "e"):
                with pytest.raises(DocumentExists, match="expected a new name"):
                    await store.duplicate("d", taken)
            await store.delete("t", time_ms=1)
            with pytest.raises(DocumentDeleted):
                await store.duplicate("d", "t")
            with pytest.raises(DocumentNotFound):
                await store.duplicate("unknown", "copy")
            with pytest.raises(InvalidName):
                await store.duplicate("d", "a\nb")
            assert await names(store) == ["d", "e"]

    async def test_an_erased_name_can_be_that_of_a_copy(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            await store.append([adding("d", b"1"), adding("e", b"2")])
            await erase(store, "e")
            await store.duplicate("d", "e")
            assert (await store.load("e")).seq == 1


async def test_every_call_outside_async_with_is_refused(make_store: MakeStore) -> None:
    store = make_store()
    async with store:
        await store.append([adding("d", b"1"), adding("t", b"1")])
        await store.delete("t", time_ms=1)
    for call in (
        lambda: store.delete("d", time_ms=1),
        lambda: store.delete("t", time_ms=1),
        lambda: store.undelete("t"),
        lambda: store.erase("t"),
        lambda: store.readmit("d"),
        lambda: store.tombstones(),
        lambda: store.duplicate("d", "e"),
    ):
        with pytest.raises(StoreError, match="expected"):
            await call()
