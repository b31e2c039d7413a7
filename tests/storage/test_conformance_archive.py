"""The contract of ``collab.archive``, sentence by sentence, over every store."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace

import anyio
import pycrdt
import pytest

from collab.archive import KEEP_ALL, Base, Retention, Terms
from collab.document import Document
from collab.errors import DocumentDeleted, DocumentNotFound, InvalidName, PointNotFound, StoreError
from collab.storage.postgres.store import PostgresStore
from collab.store import Append, Entry, NewEntry, Store, Stored
from collab.versions import Version
from tests.storage.appending import append

pytestmark = pytest.mark.anyio

MakeStore = Callable[[], Store]

DAY = 86_400_000
AT_ONCE = Terms(now_ms=0, quiet_ms=0)


def typed(count: int) -> list[bytes]:
    """The updates of somebody who types letters and deletes every fifth."""
    doc: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc(client_id=7)
    text = doc.get("text", type=pycrdt.Text)
    updates: list[bytes] = []
    subscription = doc.observe(lambda event: updates.append(event.update))
    for number in range(count):
        if number % 5 == 4:
            del text[len(str(text)) // 2]
        else:
            text.insert(len(str(text)) // 3, chr(97 + number % 26))
    doc.unobserve(subscription)
    return updates


async def write(
    store: Store, count: int, *, document: str = "d", first_ms: int = 0, step_ms: int = 10
) -> None:
    news = [
        NewEntry(
            update=update,
            time_ms=first_ms + number * step_ms,
            author=(None, "ada", "Ünï 🦄")[number // 7 % 3],
        )
        for number, update in enumerate(typed(count))
    ]
    await store.append([Append(document=document, entries=news)])


async def settle(store: Store, terms: Terms, document: str = "d") -> int:
    """Compacts a document until nothing is left to do; returns the number of steps."""
    for steps in range(1000):
        if not (await store.compact(document, terms)).more:
            return steps
    raise AssertionError("expected an end, got a thousand steps")


async def collect(entries: AsyncIterator[Entry]) -> list[Entry]:
    return [entry async for entry in entries]


def text_of(stored: Stored) -> str:
    return str(Document.load(stored).doc.get("text", type=pycrdt.Text))


def replayed(base: Base, entries: Sequence[Entry]) -> str:
    return text_of(
        Stored(
            document="d",
            seq=base.seq + len(entries),
            checkpoint=base.update,
            checkpoint_seq=base.seq,
            entries=entries,
        )
    )


class TestLossless:
    @pytest.mark.parametrize("count", [19, 20, 999, 1000, 1001, 2345])
    async def test_compacting_changes_no_entry_and_no_content(
        self, make_store: MakeStore, count: int
    ) -> None:
        async with make_store() as store:
            await write(store, count)
            before = await collect(store.entries("d"))
            text = text_of(await store.load("d"))
            await settle(store, AT_ONCE)
        async with make_store() as store:
            assert await collect(store.entries("d")) == before
            assert text_of(await store.load("d")) == text
            assert await store.base("d") == Base(seq=0, update=None)

    async def test_reading_begins_and_ends_anywhere_in_what_is_packed(
        self, make_store: MakeStore
    ) -> None:
        async with make_store() as store:
            await write(store, 2100)
            before = await collect(store.entries("d"))
            await settle(store, AT_ONCE)
            for after_seq in (1, 998, 999, 1000, 1001, 2000, 2080, 2100, 2200):
                assert await collect(store.entries("d", after_seq)) == before[after_seq:]

    async def test_opening_reads_a_state_and_at_most_few_entries(
        self, make_store: MakeStore
    ) -> None:
        async with make_store() as store:
            await write(store, 300)
            await settle(store, AT_ONCE)
            stored = await store.load("d")
        assert stored.checkpoint is not None
        assert len(stored.entries) < 20

    async def test_a_document_goes_on_where_it_was(self, make_store: MakeStore) -> None:
        updates = typed(1500)
        async with make_store() as store:
            for first in range(0, 1500, 100):
                news = [NewEntry(update=each, time_ms=1) for each in updates[first : first + 100]]
                assert await append(store, [Append(document="d", entries=news)]) == [first + 100]
                await settle(store, AT_ONCE)
            assert [entry.update for entry in await collect(store.entries("d"))] == updates
            stored = await store.load("d")
        assert (stored.seq, stored.checkpoint_seq) == (1500, 1500)

    async def test_what_somebody_just_wrote_is_left_alone(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            await write(store, 500, step_ms=0, first_ms=1000)
            assert not (await store.compact("d", Terms(now_ms=1000 + 3_599_999))).more
            assert (await store.load("d")).checkpoint is None
            assert (await store.compact("d", Terms(now_ms=1000 + 3_600_000))).more
            assert (await store.load("d")).checkpoint_seq == 500

    async def test_size_is_counted_as_before(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            await write(store, 1200)
            await settle(store, AT_ONCE)
            (summary,) = await store.documents()
            entries = await collect(store.entries("d"))
            checkpoint = (await store.load("d")).checkpoint
        assert checkpoint is not None
        assert summary.bytes == sum(len(entry.update) for entry in entries) + len(checkpoint)

    async def test_an_update_that_waits_for_others_is_in_the_checkpoint(
        self, make_store: MakeStore
    ) -> None:
        updates = typed(60)
        async with make_store() as store:
            news = [NewEntry(update=each, time_ms=1) for each in updates[:30] + updates[31:]]
            await store.append([Append(document="d", entries=news)])
            await settle(store, AT_ONCE)
            await store.append(
                [Append(document="d", entries=[NewEntry(update=updates[30], time_ms=1)])]
            )
            stored = await store.load("d")
        assert stored.checkpoint_seq == 59
        document = Document()
        for update in updates:
            document.apply(update)
        assert text_of(stored) == str(document.doc.get("text", type=pycrdt.Text))


class TestRetention:
    async def test_old_entries_go_and_the_content_stays(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            await write(store, 1500, step_ms=DAY // 10)
            before = await collect(store.entries("d"))
            text = text_of(await store.load("d"))
            await settle(store, Terms(now_ms=150 * DAY, history=Retention(30 * DAY)))
        async with make_store() as store:
            base = await store.base("d")
            kept = await collect(store.entries("d"))
            stored = await store.load("d")
            assert text_of(stored) == text
            (summary,) = await store.documents()
        assert kept == before[base.seq :]
        assert kept[0].time_ms == 120 * DAY + DAY // 10
        assert replayed(base, kept) == text
        assert base.update == (
            Document.load(
                Stored(
                    document="d",
                    seq=base.seq,
                    checkpoint=None,
                    checkpoint_seq=0,
                    entries=before[: base.seq],
                )
            ).encode()
        )
        states = len(base.update) + len(stored.checkpoint or b"")
        assert summary.bytes == sum(len(entry.update) for entry in kept) + states

    async def test_without_history_a_quiet_document_keeps_its_state_alone(
        self, make_store: MakeStore
    ) -> None:
        async with make_store() as store:
            await write(store, 2345)
            text = text_of(await store.load("d"))
            await settle(store, Terms(now_ms=DAY, history=Retention(0)))
            assert await collect(store.entries("d")) == []
            stored = await store.load("d")
            base = await store.base("d")
            (summary,) = await store.documents()
        assert text_of(stored) == text
        assert (stored.seq, stored.checkpoint_seq, stored.checkpoint) == (2345, 2345, base.update)
        assert base.update is not None
        assert summary.bytes == len(base.update)

    async def test_a_document_without_history_is_written_on(self, make_store: MakeStore) -> None:
        updates = typed(200)
        async with make_store() as store:
            for first in range(0, 200, 40):
                news = [NewEntry(update=each, time_ms=1) for each in updates[first : first + 40]]
                assert await append(store, [Append(document="d", entries=news)]) == [first + 40]
                assert [entry.seq for entry in await collect(store.entries("d"))] == list(
                    range(first + 1, first + 41)
                )
                await settle(store, Terms(now_ms=DAY, history=Retention(0)))
            stored = await store.load("d")
        document = Document()
        for update in updates:
            document.apply(update)
        assert text_of(stored) == str(document.doc.get("text", type=pycrdt.Text))

    async def test_a_document_goes_by_its_own_retention_first(self, make_store: MakeStore) -> None:
        terms = Terms(now_ms=100 * DAY, history=Retention(0))
        async with make_store() as store:
            await write(store, 50, document="kept")
            await write(store, 50, document="dropped")
            await store.retain("kept", KEEP_ALL)
            for name in ("kept", "dropped"):
                await settle(store, terms, name)
            assert len(await collect(store.entries("kept"))) == 50
            assert await collect(store.entries("dropped")) == []
            await store.retain("kept", None)
            await settle(store, terms, "kept")
            assert await collect(store.entries("kept")) == []

    async def test_retention_is_listed_and_lasts(self, make_store: MakeStore) -> None:
        chosen = {"a": None, "b": KEEP_ALL, "c": Retention(0), "d": Retention(30 * DAY)}
        async with make_store() as store:
            for name, retention in chosen.items():
                await write(store, 1, document=name)
                await store.retain(name, retention)
        async with make_store() as store:
            listed = {each.document: each.retention for each in await store.documents()}
        assert listed == chosen

    async def test_entries_outstay_their_time_by_an_eighth_at_most(
        self, make_store: MakeStore
    ) -> None:
        async with make_store() as store:
            await write(store, 100, step_ms=0)
            assert not (await store.compact("d", Terms(now_ms=8 * 999, quiet_ms=8999))).more
            await settle(store, Terms(now_ms=8 * 1125 - 1, history=Retention(8000), quiet_ms=0))
            assert len(await collect(store.entries("d"))) == 100
            await settle(store, Terms(now_ms=8 * 1125, history=Retention(8000), quiet_ms=0))
            assert await collect(store.entries("d")) == []

    async def test_what_follows_a_younger_entry_stays(self, make_store: MakeStore) -> None:
        news = [
            NewEntry(update=update, time_ms=time_ms)
            for update, time_ms in zip(typed(60), [0] * 20 + [99 * DAY] + [0] * 39, strict=True)
        ]
        async with make_store() as store:
            await store.append([Append(document="d", entries=news)])
            await settle(store, Terms(now_ms=100 * DAY, history=Retention(DAY * 10)))
            assert [entry.seq for entry in await collect(store.entries("d"))] == [*range(21, 61)]

    @pytest.mark.parametrize("packs_first", [False, True])
    @pytest.mark.parametrize(
        ("days", "kept_seqs"),
        [
            ([0] * 20 + [9000] * 5 + [50] * 20 + [99] * 15, range(46, 61)),
            ([9000] * 25 + [50] * 20 + [99] * 15, range(46, 61)),
            ([0] * 20 + [9000] * 5 + [99] * 35, range(21, 61)),
            ([9000] * 60, range(1, 61)),
            ([0] * 10 + [9000], range(11, 12)),
        ],
    )
    async def test_what_a_clock_dated_far_ahead_goes_with_what_was_written_next(
        self, make_store: MakeStore, days: list[int], kept_seqs: range, packs_first: bool
    ) -> None:
        news = [
            NewEntry(update=update, time_ms=day * DAY)
            for update, day in zip(typed(len(days)), days, strict=True)
        ]
        terms = Terms(now_ms=100 * DAY, history=Retention(DAY * 10))
        async with make_store() as store:
            await store.append([Append(document="d", entries=news)])
            text = text_of(await store.load("d"))
            if packs_first:
                await settle(store, replace(terms, history=KEEP_ALL, quiet_ms=0))
            await settle(store, terms)
            assert [entry.seq for entry in await collect(store.entries("d"))] == [*kept_seqs]
            assert text_of(await store.load("d")) == text
            assert await store.due(terms) == []

    async def test_versions_are_pinned_before_their_entries_go(self, make_store: MakeStore) -> None:
        updates = typed(100)
        contents = {}
        document = Document()
        for seq, update in enumerate(updates, 1):
            contents[seq - 1] = str(document.doc.get("text", type=pycrdt.Text))
            document.apply(update)
        async with make_store() as store:
            await write(store, 100)
            for seq in (0, 1, 50, 51, 100):
                await store.add_version("d", Version(name=f"v{seq}", seq=seq, created_ms=1))
            await store.add_version("d", Version(name="other", seq=50, created_ms=2))
            await settle(store, Terms(now_ms=DAY, history=Retention(0)))
            pinned = {version.name: version.pinned for version in await store.versions("d")}
            assert pinned == {
                "v0": True,
                "v1": True,
                "v50": True,
                "other": True,
                "v51": True,
                "v100": False,
            }
            for version in await store.versions("d"):
                if version.pinned:
                    pin = await store.pinned("d", version.name)
                    base = Base(seq=version.seq, update=pin)
                    assert replayed(base, []) == contents[version.seq]

    async def test_no_version_is_named_before_the_base(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            await write(store, 50)
            await settle(store, Terms(now_ms=DAY, history=Retention(0)))
            with pytest.raises(PointNotFound, match="expected a seq of 50 to 50"):
                await store.add_version("d", Version(name="v", seq=49, created_ms=1))
            await store.add_version("d", Version(name="v", seq=50, created_ms=1))


class TestTrash:
    async def test_a_copy_has_all_that_was_packed_and_dropped(self, make_store: MakeStore) -> None:
        terms = Terms(now_ms=150 * DAY, history=Retention(30 * DAY))
        async with make_store() as store:
            await write(store, 1500, step_ms=DAY // 10)
            await settle(store, terms)
            await store.duplicate("d", "copy")
            await store.delete("d", time_ms=1)
            await store.erase("d")
            assert (await store.base("copy")).seq > 0
            entries = await collect(store.entries("copy"))
            assert entries[-1].seq == 1500
            assert replayed(await store.base("copy"), entries) == text_of(await store.load("copy"))

    async def test_a_deleted_document_is_left_alone_and_comes_back_whole(
        self, make_store: MakeStore
    ) -> None:
        async with make_store() as store:
            await write(store, 1500)
            before = await collect(store.entries("d"))
            await store.delete("d", time_ms=1)
            assert list(await store.due(AT_ONCE)) == []
            for call in (store.compact("d", AT_ONCE), store.retain("d", None), store.base("d")):
                with pytest.raises(DocumentDeleted):
                    await call
            await store.undelete("d")
            await settle(store, AT_ONCE)
            assert await collect(store.entries("d")) == before


class TestBase:
    async def test_a_document_that_began_with_a_checkpoint_begins_there(
        self, make_store: MakeStore
    ) -> None:
        first, *updates = typed(80)
        async with make_store() as store:
            await store.append([Append(document="d", entries=[], checkpoint=first)])
            news = [NewEntry(update=update, time_ms=1) for update in updates]
            await store.append([Append(document="d", entries=news)])
            text = text_of(await store.load("d"))
            await settle(store, AT_ONCE)
            base = await store.base("d")
            assert base == Base(seq=0, update=first)
            assert text_of(await store.load("d")) == text
            assert replayed(base, await collect(store.entries("d"))) == text
            (summary,) = await store.documents()
            assert summary.bytes > sum(map(len, updates)) + len(first)

    async def test_an_unknown_document_has_none(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            for call in (
                store.base("d"),
                store.retain("d", None),
                store.compact("d", AT_ONCE),
            ):
                with pytest.raises(DocumentNotFound):
                    await call
            for name in ("", "a\0b", "\ud83d"):
                with pytest.raises(InvalidName):
                    await store.base(name)


class TestSteps:
    async def test_due_names_what_compact_has_something_to_do_for(
        self, make_store: MakeStore
    ) -> None:
        names = [f"{number:03d}" for number in range(450)]
        async with make_store() as store:
            await store.append(
                [
                    Append(document=name, entries=[NewEntry(update=b"\0\0", time_ms=0)] * 30)
                    for name in names
                ]
            )
            for name in names[1:440]:
                await settle(store, AT_ONCE, name)
            found: list[str] = []
            while due := await store.due(AT_ONCE, found[-1] if found else ""):
                found += due
            assert found == [names[0], *names[440:]]
            for name in found:
                await settle(store, AT_ONCE, name)
            assert list(await store.due(AT_ONCE)) == []

    async def test_a_step_is_bounded(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            updates = [NewEntry(update=update, time_ms=0) for update in typed(2500) * 5]
            await store.append([Append(document="d", entries=updates)])
            assert await settle(store, Terms(now_ms=DAY, history=Retention(0))) > 2
            assert await collect(store.entries("d")) == []

    async def test_an_entry_that_cannot_be_applied_is_left_out_of_states_alone(
        self, make_store: MakeStore
    ) -> None:
        updates = typed(60)
        updates.insert(30, b"no update")
        async with make_store() as store:
            news = [NewEntry(update=update, time_ms=0) for update in updates]
            await store.append([Append(document="d", entries=news)])
            await settle(store, AT_ONCE)
            assert [entry.update for entry in await collect(store.entries("d"))] == updates
            stored = await store.load("d")
        assert stored.checkpoint_seq == 61
        document = Document()
        for update in updates[:30] + updates[31:]:
            document.apply(update)
        assert text_of(stored) == str(document.doc.get("text", type=pycrdt.Text))

    async def test_a_state_that_cannot_be_applied_stops_it_and_harms_nothing(
        self, make_store: MakeStore
    ) -> None:
        async with make_store() as store:
            news = [NewEntry(update=update, time_ms=0) for update in typed(40)]
            await store.append([Append(document="d", entries=news[:1], checkpoint=b"broken")])
            await store.append([Append(document="d", entries=news[1:])])
            with pytest.raises(StoreError):
                await store.compact("d", AT_ONCE)
            assert len(await collect(store.entries("d"))) == 40
            assert (await store.load("d")).checkpoint == b"broken"

    async def test_reclaiming_comes_to_an_end(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            big = [NewEntry(update=bytes(60_000), time_ms=0)] * 100
            await store.append([Append(document="d", entries=big, checkpoint=b"\0\0")])
            before = await store.bytes_on_disk()
            await settle(store, Terms(now_ms=DAY))
            steps = 1
            while await store.reclaim():
                steps += 1
        assert steps < 20
        async with make_store() as store:
            kept = await store.bytes_on_disk()
            # Memory takes no space on a disk, and Postgres uses what is free by itself.
            shrinks = before > 0 and not isinstance(store, PostgresStore)
            assert kept < before / 2 or not shrinks
            while await store.reclaim(spare=False):
                pass
        async with make_store() as store:
            spared = await store.bytes_on_disk()
            assert spared < kept or not shrinks
            await store.rebuild()
        async with make_store() as store:
            assert await store.bytes_on_disk() <= spared
            assert [len(entry.update) for entry in await collect(store.entries("d"))] == [
                60_000
            ] * 100


class TestConcurrency:
    async def test_two_that_compact_at_once_do_it_once(self, make_store: MakeStore) -> None:
        async with make_store() as store:
            await write(store, 3000)
            before = await collect(store.entries("d"))
            async with anyio.create_task_group() as tasks:
                for _ in range(4):
                    tasks.start_soon(settle, store, AT_ONCE)
            assert await collect(store.entries("d")) == before

    async def test_appends_go_on_beside_it(self, make_store: MakeStore) -> None:
        updates = typed(3000)
        async with make_store() as store:

            async def append_all() -> None:
                for first in range(0, 3000, 50):
                    news = [
                        NewEntry(update=each, time_ms=first) for each in updates[first : first + 50]
                    ]
                    await store.append([Append(document="d", entries=news)])
                done.set()

            done = anyio.Event()
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(append_all)
                while not done.is_set():
                    await anyio.lowlevel.checkpoint()
                    if await store.documents():
                        await settle(store, AT_ONCE)
            await settle(store, AT_ONCE)
            assert [entry.update for entry in await collect(store.entries("d"))] == updates
            text = text_of(await store.load("d"))
        document = Document()
        for update in updates:
            document.apply(update)
        assert text == str(document.doc.get("text", type=pycrdt.Text))

    async def test_a_stream_sees_every_entry_while_they_are_packed(
        self, make_store: MakeStore
    ) -> None:
        async with make_store() as store:
            await write(store, 3000)
            seqs = []
            async for entry in store.entries("d"):
                seqs.append(entry.seq)
                if entry.seq % 100 == 0:
                    await store.compact("d", AT_ONCE)
        assert seqs == list(range(1, 3001))
