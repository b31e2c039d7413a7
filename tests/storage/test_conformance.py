"""The contract of ``collab.store``, sentence by sentence, over every store."""

import time
from collections.abc import AsyncIterator, Callable, Sequence

import anyio
import pytest

from collab.errors import DocumentNotFound, InvalidName, StoreError
from collab.store import Append, Entry, NewEntry, Store
from tests.storage.appending import append

pytestmark = pytest.mark.anyio

MakeStore = Callable[[], Store]


def adding(document: str, *updates: bytes, time_ms: int = 1000, **more: object) -> Append:
    entries = [NewEntry(update=update, time_ms=time_ms) for update in updates]
    return Append(document=document, entries=entries, **more)  # type: ignore[arg-type]  # checkpoint, base_seq


async def collect(entries: AsyncIterator[Entry]) -> list[Entry]:
    return [entry async for entry in entries]


async def updates_of(store: Store, document: str, after_seq: int = 0) -> list[bytes]:
    return [entry.update for entry in await collect(store.entries(document, after_seq))]


async def names(store: Store, prefix: str = "", after: str = "", limit: int = 1000) -> list[str]:
    return [summary.document for summary in await store.documents(prefix, after, limit)]


class TestDurability:
    async def test_what_was_appended_is_there_after_a_restart(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            await store.append([adding("a", b"1", b"2", checkpoint=b"whole"), adding("b", b"3")])
        async with make_store() as store:
            assert await updates_of(store, "a") == [b"1", b"2"]
            assert await updates_of(store, "b") == [b"3"]
            assert (await store.load("a")).checkpoint == b"whole"
            assert await append(store, [adding("a", b"4")]) == [3]

    @pytest.mark.parametrize(
        "refused",
        [
            pytest.param([adding("", b"2")], id="empty name"),
            pytest.param([adding("a\nb", b"2")], id="control character"),
            pytest.param([adding("\ud83d", b"2")], id="lone surrogate"),
            pytest.param([adding("x" * 513, b"2")], id="long name"),
            pytest.param([adding("twice", b"2"), adding("twice", b"3")], id="named twice"),
            pytest.param(
                [
                    Append(
                        document="odd",
                        entries=[NewEntry(update=b"2", time_ms=0, author="\ud83d")],
                    )
                ],
                id="author",
            ),
        ],
    )
    async def test_nothing_of_a_refused_append_is_stored(
        self, make_store: MakeStore, refused: Sequence[Append]
    ) -> None:
        async with make_store() as store:
            await store.append([adding("a", b"1")])
            with pytest.raises((StoreError, InvalidName), match="expected"):
                await store.append([adding("a", b"2"), adding("new", b"2"), *refused])
            assert await names(store) == ["a"]
            assert await updates_of(store, "a") == [b"1"]
            assert await append(store, [adding("a", b"2"), adding("new", b"3")]) == [2, 1]
            assert await updates_of(store, "a") == [b"1", b"2"]

    async def test_bytes_come_back_as_they_were(self, make_store: MakeStore) -> None:
        updates = [b"", b"\0\0", bytes(range(256)), b"\xff" * 3_000_000]
        async with make_store() as store:
            await store.append([adding("a", *updates, checkpoint=bytes(5000))])
            assert await updates_of(store, "a") == updates
            assert (await store.load("a")).checkpoint == bytes(5000)


class TestOrder:
    async def test_seq_counts_each_document_from_one_without_holes(
        self, make_store: MakeStore
    ) -> None:
        async with make_store() as store:
            assert await append(store, [adding("a", b"1", b"2"), adding("b", b"x")]) == [2, 1]
            assert await append(store, [adding("b", b"y"), adding("a", b"3")]) == [2, 3]
            entries = await collect(store.entries("a"))
        assert [(entry.seq, entry.update) for entry in entries] == [(1, b"1"), (2, b"2"), (3, b"3")]

    async def test_a_clock_that_runs_backwards_changes_no_order(
        self, make_store: MakeStore
    ) -> None:
        async with make_store() as store:
            for update, time_ms in ((b"1", 3000), (b"2", 1000), (b"3", 2000)):
                await store.append([adding("a", update, time_ms=time_ms)])
            entries = await collect(store.entries("a"))
            assert [entry.update for entry in entries] == [b"1", b"2", b"3"]
            assert [entry.time_ms for entry in entries] == [3000, 1000, 2000]
            assert [entry.update for entry in (await store.load("a")).entries] == [b"1", b"2", b"3"]

    async def test_entries_keep_when_and_who(self, make_store: MakeStore) -> None:
        sent = [
            NewEntry(update=b"1", time_ms=1_790_000_000_123, author="ada"),
            NewEntry(update=b"2", time_ms=0, author=None),
            NewEntry(update=b"3", time_ms=-1, author=""),
            NewEntry(update=b"4", time_ms=7, author="Ünï 🦄'\""),
            NewEntry(update=b"5", time_ms=8, author="ada"),
        ]
        async with make_store() as store:
            await store.append([Append(document="a", entries=sent)])
        async with make_store() as store:
            read = await collect(store.entries("a"))
            assert tuple(read) == tuple((await store.load("a")).entries)
        assert [(entry.update, entry.time_ms, entry.author) for entry in read] == [
            (entry.update, entry.time_ms, entry.author) for entry in sent
        ]


class TestIdempotence:
    async def test_the_same_bytes_twice_are_two_entries(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            assert await append(store, [adding("a", b"same", b"same")]) == [2]
            assert await append(store, [adding("a", b"same")]) == [3]
            assert await updates_of(store, "a") == [b"same"] * 3


class TestCreation:
    async def test_reading_makes_no_document(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            stored = await store.load("a")
            with pytest.raises(DocumentNotFound) as raised:
                await collect(store.entries("a"))
            assert await names(store) == []
        assert raised.value.document == "a"
        assert (stored.document, stored.seq, list(stored.entries)) == ("a", 0, [])
        assert (stored.checkpoint, stored.checkpoint_seq) == (None, 0)

    async def test_an_append_without_entries_or_checkpoint_makes_no_document(
        self, make_store: MakeStore
    ) -> None:
        async with make_store() as store:
            assert await append(store, []) == []
            assert await append(store, [adding("a"), adding("b", b"1")]) == [0, 1]
            assert await names(store) == ["b"]
            assert await append(store, [adding("b")]) == [1]

    async def test_a_checkpoint_alone_makes_a_document(self, make_store: MakeStore) -> None:
        before_ms = time.time_ns() // 1_000_000
        async with make_store() as store:
            assert await append(store, [adding("a", checkpoint=b"whole")]) == [0]
            stored = await store.load("a")
            assert await collect(store.entries("a")) == []
            (summary,) = await store.documents()
        assert (stored.seq, stored.checkpoint, stored.checkpoint_seq) == (0, b"whole", 0)
        assert before_ms <= summary.created_ms <= time.time_ns() // 1_000_000
        assert summary.updated_ms == summary.created_ms


class TestNames:
    @pytest.mark.parametrize(
        "name",
        [
            "a/b/../c",
            "/",
            "🦄",
            'it\'s "quoted"; --',
            "%25 %_*?",
            " ",
            "e\u0301",
            "x" * 512,
            "null",
        ],
    )
    async def test_any_name_that_passes_names_a_document(
        self, make_store: MakeStore, name: str
    ) -> None:
        async with make_store() as store:
            await store.append([adding(name, b"1")])
            await store.append([adding(name, b"2")])
        async with make_store() as store:
            assert (await store.load(name)).document == name
            assert await updates_of(store, name) == [b"1", b"2"]
            assert await names(store, prefix=name) == [name]

    async def test_names_differ_by_case_and_unicode_form(self, make_store: MakeStore) -> None:
        spellings = ["Note", "note", "\u00e9", "e\u0301", "note "]
        async with make_store() as store:
            await store.append([adding(name, name.encode()) for name in spellings])
            for name in spellings:
                assert await updates_of(store, name) == [name.encode()]

    @pytest.mark.parametrize("name", ["", "a\0b", "\ud83d", "x" * 513])
    async def test_reading_refuses_what_names_no_document(
        self, make_store: MakeStore, name: str
    ) -> None:
        async with make_store() as store:
            with pytest.raises(InvalidName):
                await store.load(name)
            with pytest.raises(InvalidName):
                await collect(store.entries(name))


class TestCheckpoints:
    async def test_loading_reads_the_newest_checkpoint_and_only_what_follows(
        self, make_store: MakeStore
    ) -> None:
        async with make_store() as store:
            await store.append([adding("a", b"1", b"2", checkpoint=b"two")])
            await store.append([adding("a", b"3")])
            await store.append([adding("a", b"4", checkpoint=b"four")])
            await store.append([adding("a", b"5", b"6")])
            stored = await store.load("a")
        assert (stored.seq, stored.checkpoint, stored.checkpoint_seq) == (6, b"four", 4)
        assert [(entry.seq, entry.update) for entry in stored.entries] == [(5, b"5"), (6, b"6")]

    async def test_a_checkpoint_deletes_no_entries(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            await store.append([adding("a", b"1", b"2")])
            assert await append(store, [adding("a", checkpoint=b"two")]) == [2]
            assert await updates_of(store, "a") == [b"1", b"2"]
            stored = await store.load("a")
        assert (stored.checkpoint, stored.checkpoint_seq, list(stored.entries)) == (b"two", 2, [])

    async def test_a_checkpoint_built_on_an_older_seq_is_left_out(
        self, make_store: MakeStore
    ) -> None:
        async with make_store() as store:
            await store.append([adding("a", b"1", checkpoint=b"one", base_seq=0)])
            await store.append([adding("a", b"by another writer")])
            assert await append(store, [adding("a", b"3", checkpoint=b"1+3", base_seq=1)]) == [3]
            stored = await store.load("a")
            assert (stored.checkpoint, stored.checkpoint_seq) == (b"one", 1)
            assert [entry.update for entry in stored.entries] == [b"by another writer", b"3"]
            await store.append([adding("a", b"4", checkpoint=b"all", base_seq=3)])
            stored = await store.load("a")
        assert (stored.checkpoint, stored.checkpoint_seq, list(stored.entries)) == (b"all", 4, [])

    async def test_an_empty_checkpoint_is_not_none(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            await store.append([adding("a", b"1", checkpoint=b"")])
            assert (await store.load("a")).checkpoint == b""


class TestEntries:
    async def test_begins_after_the_seq_asked_for(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            await store.append([adding("a", b"1", b"2", b"3"), adding("b", b"x", b"y")])
            assert await updates_of(store, "a", after_seq=1) == [b"2", b"3"]
            assert await updates_of(store, "a", after_seq=3) == []
            assert await updates_of(store, "a", after_seq=99) == []
            assert await updates_of(store, "a", after_seq=-5) == [b"1", b"2", b"3"]

    async def test_streams_long_logs_whole(self, make_store: MakeStore) -> None:
        updates = [f"{index}".encode() for index in range(2_345)]
        async with make_store() as store:
            await store.append([adding("a", *updates), adding("b", b"x")])
            assert await updates_of(store, "a") == updates
            assert await updates_of(store, "a", after_seq=1_111) == updates[1_111:]

    async def test_streams_big_updates_whole(self, make_store: MakeStore) -> None:
        updates = [bytes([index]) * 400_000 for index in range(12)]
        async with make_store() as store:
            await store.append([adding("a", *updates)])
            assert await updates_of(store, "a") == updates

    async def test_ends_at_the_entry_that_was_newest_when_it_began(
        self, make_store: MakeStore
    ) -> None:
        async with make_store() as store:
            await store.append([adding("a", *[b"old"] * 1_200)])
            seen = []
            async for entry in store.entries("a"):
                seen.append(entry.update)
                if len(seen) in (1, 600):
                    await store.append([adding("a", b"new")])
            assert seen == [b"old"] * 1_200
            assert await updates_of(store, "a", after_seq=1_200) == [b"new", b"new"]

    async def test_may_be_left_at_any_time(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            await store.append([adding("a", *[b"1"] * 1_200)])
            for _ in range(20):
                stream = store.entries("a")
                assert (await anext(stream)).seq == 1
            assert await append(store, [adding("a", b"2")]) == [1_201]


class TestDocuments:
    async def test_lists_in_order_of_code_points(self, make_store: MakeStore) -> None:
        # UTF-16 would put U+FFxx after the emoji, a locale would put "b" before "B".
        expected = ["A", "B", "a", "a/b", "b", "é", "ﬀ", "\uffee", "🦄"]
        async with make_store() as store:
            await store.append([adding(name, b"1") for name in reversed(expected)])
            assert await names(store) == expected

    async def test_pages_follow_each_other_without_gap_or_overlap(
        self, make_store: MakeStore
    ) -> None:
        expected = [*sorted(f"note/{index}" for index in range(25)), "other"]
        async with make_store() as store:
            await store.append([adding(name, b"1") for name in expected])
            paged: list[str] = []
            while page := await names(store, after=paged[-1] if paged else "", limit=4):
                assert len(page) <= 4
                paged += page
            assert paged == expected
            assert await names(store, limit=0) == []
            assert await names(store, limit=-1) == []

    async def test_a_prefix_is_taken_letter_by_letter(self, make_store: MakeStore) -> None:
        there = [
            "Note/1",
            "note",
            "note%",
            "note/1",
            "note/2",
            "note_x",
            "notf",
            "\U0010ffff",
            "no",
        ]
        async with make_store() as store:
            await store.append([adding(name, b"1") for name in there])
            assert await names(store, prefix="note/") == ["note/1", "note/2"]
            assert await names(store, prefix="note/", after="note/1") == ["note/2"]
            assert await names(store, prefix="note/", after="a") == ["note/1", "note/2"]
            assert await names(store, prefix="note/", after="p") == []
            assert await names(store, prefix="note%") == ["note%"]
            assert await names(store, prefix="note_") == ["note_x"]
            assert await names(store, prefix="\U0010ffff") == ["\U0010ffff"]
            assert await names(store, prefix="note", limit=2) == ["note", "note%"]
            assert await names(store, prefix="x" * 600) == []

    async def test_bounds_that_compare_with_no_name_are_refused(
        self, make_store: MakeStore
    ) -> None:
        async with make_store() as store:
            with pytest.raises(InvalidName):
                await store.documents(prefix="\ud83d")
            with pytest.raises(InvalidName):
                await store.documents(after="\ud83d")

    async def test_a_summary_tells_times_seq_and_bytes(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            await store.append([adding("a", b"12345", time_ms=5000)])
            await store.append([adding("a", b"67", b"8", time_ms=4000, checkpoint=b"x" * 10)])
            await store.append([adding("a", checkpoint=b"x" * 100)])
            (summary,) = await store.documents()
        assert (summary.document, summary.seq, summary.bytes) == ("a", 3, 108)
        assert (summary.created_ms, summary.updated_ms) == (5000, 4000)


class TestConcurrency:
    async def test_overlapping_appends_each_get_their_own_seqs(self, make_store: MakeStore) -> None:
        got: list[tuple[int, bytes]] = []

        async def write(store: Store, task: int) -> None:
            for index in range(10):
                update = f"{task}-{index}".encode()
                (seq,) = await append(store, [adding("a", update)])
                got.append((seq, update))

        async with make_store() as store:
            async with anyio.create_task_group() as tasks:
                for task in range(8):
                    tasks.start_soon(write, store, task)
            entries = await collect(store.entries("a"))
        assert [(entry.seq, entry.update) for entry in entries] == sorted(got)
        assert [entry.seq for entry in entries] == list(range(1, 81))

    async def test_readers_see_whole_appends_or_nothing_of_them(
        self, make_store: MakeStore
    ) -> None:
        written = anyio.Event()

        async def write(store: Store) -> None:
            for seq in range(3, 603, 3):
                whole = str(seq).encode()
                await store.append(
                    [adding("a", b"1", b"2", b"3", checkpoint=whole), adding("b", b"1")]
                )
            written.set()

        async with make_store() as store, anyio.create_task_group() as tasks:
            tasks.start_soon(write, store)
            reads = 0
            while not written.is_set() or reads == 0:
                stored = await store.load("a")
                assert stored.checkpoint == (str(stored.seq).encode() if stored.seq else None)
                assert (stored.seq % 3, list(stored.entries)) == (0, [])
                listed = {line.document: line.seq for line in await store.documents()}
                assert listed.get("a", 0) == 3 * listed.get("b", 0)
                reads += 1
                await anyio.lowlevel.checkpoint()

    async def test_a_cancelled_append_is_stored_whole_or_not_at_all(
        self, make_store: MakeStore
    ) -> None:
        async with make_store() as store:
            for round_ in range(28):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(store.append, [adding("a", b"1", b"2"), adding("b", b"1")])
                    for _ in range(round_ % 7):
                        await anyio.lowlevel.checkpoint()
                    tasks.cancel_scope.cancel()
                (first, second) = await append(store, [adding("a", b"1", b"2"), adding("b", b"1")])
                assert first == 2 * second
            assert len(await updates_of(store, "a")) == first


class TestLifetime:
    async def test_every_call_outside_async_with_is_refused(self, make_store: MakeStore) -> None:
        async def refuses_all(store: Store) -> None:
            with pytest.raises(StoreError, match="expected"):
                await store.append([adding("a", b"1")])
            with pytest.raises(StoreError, match="expected"):
                await store.load("a")
            with pytest.raises(StoreError, match="expected"):
                await collect(store.entries("a"))
            with pytest.raises(StoreError, match="expected"):
                await store.documents()

        store = make_store()
        await refuses_all(store)
        async with store:
            await store.append([adding("a", b"1")])
        await refuses_all(store)

    async def test_entering_twice_is_refused(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            with pytest.raises(StoreError, match="expected"):
                await store.__aenter__()
            assert await append(store, [adding("a", b"1")]) == [1]

    async def test_the_same_store_may_be_entered_again(self, make_store: MakeStore) -> None:
        store = make_store()
        async with store:
            await store.append([adding("a", b"1")])
        async with store:
            assert await append(store, [adding("a", b"2")]) == [2]

    async def test_leaving_finishes_calls_under_way(self, make_store: MakeStore) -> None:
        store = make_store()
        done: list[int] = []
        begun: list[None] = []
        all_begun = anyio.Event()

        def begin() -> None:
            begun.append(None)
            if len(begun) == 20:
                all_begun.set()

        async def write() -> None:
            begin()
            done.extend(await append(store, [adding("a", bytes(100_000))]))

        async def read() -> None:
            begin()
            await store.load("a")
            done.append(0)

        async with anyio.create_task_group() as tasks, store:
            for _ in range(10):
                tasks.start_soon(write)
                tasks.start_soon(read)
            await all_begun.wait()
        assert sorted(done) == [0] * 10 + list(range(1, 11))
        async with store:
            assert (await store.load("a")).seq == 10
