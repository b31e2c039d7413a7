"""The past of documents: what it says is what was, and the way back is an ordinary change."""

import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import anyio
import httpx
import pycrdt
import pytest
from starlette.requests import HTTPConnection

from collab.access import Access, Grants, Identity
from collab.archive import KEEP_ALL, Retention, Terms
from collab.document import Document
from collab.errors import (
    AccessDenied,
    BrokenEntries,
    DocumentDeleted,
    DocumentNotFound,
    PointNotFound,
    VersionNotFound,
)
from collab.history.changes import Change
from collab.history.point import FORMS
from collab.server.app import Collab
from collab.server.documents.history import History
from collab.server.documents.naming import name_version
from collab.server.documents.restoring import restore_stored
from collab.storage.memory import MemoryStore
from collab.storage.sqlite import SQLiteStore
from collab.storage.stream import EntryStream
from collab.store import Append, Entry, NewEntry, Store, Stored
from collab.versions import Version
from tests.core.history.histories import content_of, document_of, make_log
from tests.server.wire import Client
from tests.storage.damage import execute
from tests.storage.dropping import DroppingStore, keep

pytestmark = pytest.mark.anyio

HOUR_MS = 3_600_000


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return MemoryStore() if request.param == "memory" else SQLiteStore(tmp_path / "collab.db")


async def record(store: Store, log: list[bytes], *, checkpoint_every: int = 0) -> None:
    """Writes a log as a server does: entry by entry, a second apart, by two people."""
    for seq, update in enumerate(log, 1):
        due = checkpoint_every and seq % checkpoint_every == 0
        checkpoint = document_of(log[:seq]).encode() if due else None
        entry = NewEntry(update=update, time_ms=seq * 1000, author="ab"[seq % 2])
        await store.append([Append(document="d", entries=[entry], checkpoint=checkpoint)])


def typing(words: list[str]) -> list[bytes]:
    """The log of somebody who types these words one after the other."""
    doc: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc(client_id=7)
    log: list[bytes] = []
    doc.observe(lambda event: log.append(event.update))
    text = doc.get("text", type=pycrdt.Text)
    for word in words:
        text += word
    return log


def text_of(document: Document) -> str:
    return str(document.doc.get("text", type=pycrdt.Text))


async def drop_entries(store: Store, older_than_ms: int, now_ms: int) -> None:
    """Has the store forget what is too old."""
    terms = Terms(now_ms=now_ms, history=Retention(older_than_ms), quiet_ms=0)
    while (await store.compact("d", terms)).more:
        pass


class TestContent:
    @pytest.mark.parametrize("checkpoint_every", [0, 4])
    async def test_it_is_the_replay_at_every_seq_packed_or_not(
        self, store: Store, checkpoint_every: int
    ) -> None:
        log = make_log(random.Random(5), 60)
        async with store:
            await record(store, log, checkpoint_every=checkpoint_every)
            history = History(store)
            for packed in (False, True):
                if packed:
                    terms = Terms(now_ms=10 * HOUR_MS, history=KEEP_ALL, quiet_ms=0)
                    while (await store.compact("d", terms)).more:
                        pass
                for seq in range(len(log) + 1):
                    shown = content_of(await history.content("d", seq), log)
                    assert shown == content_of(document_of(log[:seq]), log)

    async def test_where_entries_were_dropped_it_begins_at_the_base(self, store: Store) -> None:
        log = typing([f"{word} " for word in range(30)])
        async with store:
            await record(store, log, checkpoint_every=10)
            await drop_entries(store, older_than_ms=5000, now_ms=31_000)
            oldest = (await store.base("d")).seq
            assert oldest > 0
            history = History(store)
            for seq in range(oldest, 31):
                assert text_of(await history.content("d", seq)) == text_of(document_of(log[:seq]))
            with pytest.raises(PointNotFound, match=f"expected a seq of {oldest}"):
                await history.content("d", oldest - 1)
            with pytest.raises(PointNotFound, match=f"expected a seq of {oldest} to 30"):
                await history.find("d", oldest - 1)

    async def test_a_pinned_version_is_there_after_its_entries_are_gone(self, store: Store) -> None:
        log = typing([f"{word} " for word in range(30)])
        async with store:
            await record(store, log, checkpoint_every=10)
            await store.add_version("d", Version(name="kept", seq=3, created_ms=0))
            await drop_entries(store, older_than_ms=5000, now_ms=31_000)
            history = History(store)
            seq = await history.find("d", "kept")
            assert seq == await history.find("d", 3) == 3
            assert text_of(await history.content("d", seq)) == "0 1 2 "

    async def test_what_began_with_a_checkpoint_alone_begins_there(self, store: Store) -> None:
        first, *rest = typing(["old ", "new ", "newer"])
        async with store:
            await store.append([Append(document="d", entries=(), checkpoint=first)])
            await record(store, rest)
            history = History(store)
            texts = [text_of(await history.content("d", seq)) for seq in range(3)]
            assert texts == ["old ", "old new ", "old new newer"]
            (text,) = await history.attribution("d", 2, pause_seconds=0.5)
            assert [(run.insert, run.change and run.change.first_seq) for run in text.runs] == [
                ("old ", None),
                ("new ", 1),
                ("newer", 2),
            ]
            assert await restore_stored(store, "d", 0)
            assert text_of(await history.content("d", 3)) == "old "

    async def test_an_unknown_document_is_named_as_such(self, store: Store) -> None:
        async with store:
            history = History(store)
            for ask in (
                lambda: history.content("d", 0),
                lambda: history.find("d", 0),
                lambda: history.changes("d"),
                lambda: history.attribution("d", 0),
                lambda: history.restoration("d", 0),
            ):
                with pytest.raises(DocumentNotFound):
                    await ask()


class TestPoints:
    async def test_a_time_is_the_last_entry_that_is_not_later(self, store: Store) -> None:
        async with store:
            await record(store, typing(["a", "b", "c"]))
            history = History(store)

            async def at(second: float) -> int:
                return await history.find("d", datetime.fromtimestamp(second, UTC))

            assert [await at(second) for second in (0.5, 1, 1.999, 2, 99)] == [0, 1, 1, 2, 3]

    async def test_a_seq_or_a_version_that_is_not_there_is_refused(self, store: Store) -> None:
        async with store:
            await record(store, typing(["a", "b"]))
            history = History(store)
            assert await history.find("d", 2) == 2
            with pytest.raises(PointNotFound, match="expected a seq of 0 to 2 of 'd', got 3"):
                await history.find("d", 3)
            with pytest.raises(VersionNotFound, match="'draft'"):
                await history.find("d", "draft")


class TestChanges:
    async def test_they_are_listed_newest_first_and_page_by_page(self, store: Store) -> None:
        words = ["a"] * 2500
        entries = [
            NewEntry(update=update, time_ms=seq // 500 * HOUR_MS + seq % 500, author="ab"[seq % 2])
            for seq, update in enumerate(typing(words))
        ]
        async with store:
            await store.append([Append(document="d", entries=entries)])
            history = History(store)
            pages = [await history.changes("d", limit=4)]
            while pages[-1].next is not None:
                pages.append(await history.changes("d", pages[-1].next, limit=4))
        assert [len(page.changes) for page in pages] == [4, 4, 2]
        listed = [change for page in pages for change in page.changes]
        assert listed[0] == Change(
            author="b",
            first_seq=2002,
            last_seq=2500,
            first_ms=4 * HOUR_MS + 1,
            last_ms=4 * HOUR_MS + 499,
            entries=250,
            bytes=sum(len(entry.update) for entry in entries[2001::2]),
        )
        assert [change.author for change in listed] == ["b", "a"] * 5
        assert sum(change.entries for change in listed) == 2500


class TestAttribution:
    async def test_runs_are_told_after_packing_and_over_a_base(self, store: Store) -> None:
        async with store:
            await record(store, typing(list("abcdef")), checkpoint_every=2)
            history = History(store)

            async def runs(seq: int) -> list[tuple[object, str | None]]:
                (text,) = await history.attribution("d", seq, pause_seconds=60)
                changes = [run.change for run in text.runs]
                authors = [change.author if change else None for change in changes]
                return list(zip([run.insert for run in text.runs], authors, strict=True))

            whole = [(letter, "ba"[place % 2]) for place, letter in enumerate("abcdef")]
            assert await runs(6) == whole
            assert await runs(3) == whole[:3]
            await drop_entries(store, older_than_ms=1, now_ms=7000)
            oldest = (await store.base("d")).seq
            assert oldest > 0
            assert await runs(6) == [("abcdef"[:oldest], None), *whole[oldest:]]


@asynccontextmanager
async def running(
    store: Store, authenticate: Callable[[HTTPConnection], object] | None = None
) -> AsyncIterator[tuple[Collab, httpx.AsyncClient]]:
    collab = Collab(store, authenticate=authenticate)  # type: ignore[arg-type]  # async at the callers
    transport = httpx.ASGITransport(collab)
    async with collab, httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        with anyio.fail_after(20):
            yield collab, client


async def guest(connection: HTTPConnection) -> Identity | None:
    """Whoever the header names: readers may read."""
    name = connection.headers["x-name"]
    return Identity(id=name, access=Access.READ if name == "reader" else Access.WRITE)


class TestRestore:
    async def test_clients_see_it_at_once_and_it_is_stored_in_the_restorers_name(
        self, store: Store
    ) -> None:
        async with running(store, guest) as (collab, http):
            room = await collab.running.rooms.acquire("d")
            client = Client(room, client_id=1).connect()
            for word in ("one ", "two ", "three "):
                client.type(word)
                await room.programs.saved()
            answer = await http.post(
                "/api/docs/d/restore", json={"to": 1}, headers={"x-name": "ada"}
            )
            assert answer.json() == {"changed": True, "seq": 4}
            client.read()
            assert client.text == "one "
            stored = await store.load("d")
            assert (stored.seq, stored.entries[-1].author) == (4, "ada")
            again = await http.post("/api/docs/d/restore", json={"to": 3}, headers={"x-name": "b"})
            client.read()
            assert (again.json()["seq"], client.text) == (5, "one two three ")
            collab.running.rooms.release(room)

    async def test_to_what_it_is_already_changes_nothing(self, store: Store) -> None:
        async with store:
            await record(store, typing(["a", "b"]))
        async with running(store) as (_, http):
            answer = await http.post("/api/docs/d/restore", json={"to": "2"})
            assert answer.json() == {"changed": False, "seq": 2}

    async def test_what_is_written_meanwhile_is_undone_and_nothing_diverges(
        self, store: Store
    ) -> None:
        async with running(store) as (collab, http):
            room = await collab.running.rooms.acquire("d")
            client = Client(room, client_id=1).connect()
            client.type("first ")
            await room.programs.saved()
            async with anyio.create_task_group() as tasks:
                for round_ in range(4):
                    tasks.start_soon(lambda: http.post("/api/docs/d/restore", json={"to": 1}))
                    client.type(f"{round_} ")
                    await anyio.lowlevel.checkpoint()
            await http.post("/api/docs/d/restore", json={"to": 1})
            client.read()
            assert client.text == "first "
            assert text_of(room.document) == "first "
            collab.running.rooms.release(room)

    async def test_from_python(self, store: Store) -> None:
        async with store:
            await record(store, typing(["a", "b"]))
        async with running(store) as (collab, _):
            async with collab.document("d", identity=Identity(id="robot")) as document:
                assert await document.restore(1)
                assert str(document.doc.get("text", type=pycrdt.Text)) == "a"
                assert not await document.restore(1)
            (change, *_) = (await collab.past.changes("d")).changes
            assert (change.author, change.first_seq) == ("robot", 3)
            reader = Identity(access=Access.READ)
            async with collab.document("d", identity=reader) as document:
                with pytest.raises(AccessDenied):
                    await document.restore(2)

    @pytest.mark.parametrize(
        ("body", "status", "says"),
        [
            ({"to": 9}, 404, "expected a seq of 0 to 2 of 'd', got 9"),
            ({"to": "draft"}, 404, f"expected {FORMS} of 'd', got 'draft'"),
            ({"to": ""}, 400, f"expected {FORMS}, got nothing"),
            ({"to": True}, 400, "expected to: a seq, a time or a version"),
            ({}, 400, "expected to: a seq, a time or a version"),
            ([], 400, "expected a JSON object as the body"),
        ],
    )
    async def test_what_makes_no_sense_is_refused(
        self, store: Store, body: object, status: int, says: str
    ) -> None:
        async with store:
            await record(store, typing(["a", "b"]))
        async with running(store) as (_, http):
            answer = await http.post("/api/docs/d/restore", json=body)
            assert (answer.status_code, answer.json()) == (status, {"error": says})
            unknown = await http.post("/api/docs/other/restore", json={"to": 0})
            assert unknown.status_code == 404

    async def test_readers_may_look_and_not_restore_nor_name(self, store: Store) -> None:
        async with store:
            await record(store, typing(["a", "b"]))
            await store.add_version("d", Version(name="v", seq=1, created_ms=0))
        async with running(store, guest) as (_, http):
            http.headers["x-name"] = "reader"
            for path in ("history", "diff?from=0", "attribution", "versions", "content?at=1"):
                assert (await http.get(f"/api/docs/d/{path}")).status_code == 200, path
            assert (await http.post("/api/docs/d/restore", json={"to": 1})).status_code == 403
            assert (await http.post("/api/docs/d/versions", json={"name": "w"})).status_code == 403
            assert (await http.delete("/api/docs/d/versions/v")).status_code == 403

    async def test_those_who_may_not_read_are_told_nothing(self, store: Store) -> None:
        async def stranger(connection: HTTPConnection) -> Identity | None:
            return Identity(id="x", grants=Grants({"other": Access.WRITE}))

        async with store:
            await record(store, typing(["a", "b"]))
        async with running(store, stranger) as (_, http):
            for path in ("history", "diff?from=0", "attribution", "versions", "content?at=1"):
                assert (await http.get(f"/api/docs/d/{path}")).status_code == 403, path


class TestRest:
    async def test_history_diff_attribution_and_content_of_a_point(self, store: Store) -> None:
        async with store:
            await record(store, typing(["hello ", "wörld 😀"]))
        async with running(store) as (_, http):
            history = (await http.get("/api/docs/d/history?pause=60")).json()
            assert [change["author"] for change in history["changes"]] == ["a", "b"]
            assert history["changes"][1] == {
                "author": "b",
                "first_seq": 1,
                "last_seq": 1,
                "first_ms": 1000,
                "last_ms": 1000,
                "entries": 1,
                "bytes": history["changes"][1]["bytes"],
            }
            assert history["next"] is None
            diff = (await http.get("/api/docs/d/diff?from=1&to=1970-01-01T00:00:02Z")).json()
            assert (diff["from"], diff["to"]) == (1, 2)
            assert diff["differences"] == [
                {
                    "root": "text",
                    "kind": "text",
                    "hunks": [
                        {
                            "start_before": 6,
                            "start_after": 6,
                            "removed": "",
                            "inserted": "wörld 😀",
                            "prefix": "hello ",
                            "suffix": "",
                        }
                    ],
                    "formats": [],
                }
            ]
            attribution = (await http.get("/api/docs/d/attribution?root=text")).json()
            assert attribution["texts"][0]["path"] == ["text"]
            assert [
                (run["insert"], run["author"], run["first_seq"])
                for run in attribution["texts"][0]["runs"]
            ] == [("hello ", "b", 1), ("wörld 😀", "a", 2)]
            content = await http.get("/api/docs/d/content?at=1&format=text")
            assert content.text == "hello "
            for path in ("diff", "diff?from=", "history?limit=0", "content?at=9999999999999999999"):
                assert (await http.get(f"/api/docs/d/{path}")).status_code == 400, path
            assert (await http.get("/api/docs/d/attribution?root=x")).status_code == 404

    async def test_versions_are_named_listed_used_and_forgotten(self, store: Store) -> None:
        async with running(store, guest) as (collab, http):
            http.headers["x-name"] = "ada"
            room = await collab.running.rooms.acquire("d")
            client = Client(room, client_id=1).connect()
            client.type("draft")
            added = await http.post("/api/docs/d/versions", json={"name": "first / 😀"})
            assert added.status_code == 201
            assert added.json() == {
                "name": "first / 😀",
                "seq": 1,
                "created_ms": added.json()["created_ms"],
                "author": "ada",
                "automatic": False,
            }
            client.type(" more")
            await room.programs.saved()
            early = await http.post("/api/docs/d/versions", json={"name": "empty", "at": 0})
            assert early.json()["seq"] == 0
            listed = (await http.get("/api/docs/d/versions")).json()["versions"]
            assert [version["name"] for version in listed] == ["empty", "first / 😀"]
            content = await http.get(
                "/api/docs/d/content", params={"at": "first / 😀", "format": "text"}
            )
            assert content.text == "draft"
            taken = await http.post("/api/docs/d/versions", json={"name": "empty"})
            assert taken.status_code == 409
            for name in ("12", "2026-11-22", " x", 5):
                refused = await http.post("/api/docs/d/versions", json={"name": name})
                assert refused.status_code == 400, name
            path = "/api/docs/d/versions/first%20%2F%20%F0%9F%98%80"
            assert (await http.delete(path)).status_code == 204
            assert (await http.delete(path)).status_code == 404
            collab.running.rooms.release(room)


@pytest.fixture
async def dropping(tmp_path: Path) -> AsyncIterator[DroppingStore]:
    """A document of 30 words, a second apart, whose entries may be dropped while it is read."""
    async with DroppingStore(tmp_path / "dropping.db") as store:
        await keep(store, *typing([f"{word} " for word in range(30)]))
        yield store


class TestEntriesDroppedMeanwhile:
    async def test_a_time_is_found_or_refused_and_never_taken_for_the_beginning(
        self, dropping: DroppingStore
    ) -> None:
        history = History(dropping)
        long_ago = datetime.fromtimestamp(5, UTC)
        dropping.drops, dropping.keep_ms = 1, 10_000
        assert await history.find("d", long_ago) == 5
        await dropping.base("d")
        with pytest.raises(PointNotFound, match="expected a time since the history of 'd' begins"):
            await history.find("d", long_ago)

    async def test_content_and_attribution_are_whole(self, dropping: DroppingStore) -> None:
        history = History(dropping)
        everything = "".join(f"{word} " for word in range(30))
        for keep_ms, seq in ((20_000, 30), (10_000, 29), (0, 30)):
            dropping.drops, dropping.keep_ms = 1, keep_ms
            (text,) = await history.attribution("d", seq)
            assert "".join(str(run.insert) for run in text.runs) in (everything, everything[:-3])
            dropping.drops = 1
            assert text_of(await history.content("d", 30)) == everything

    async def test_a_restore_to_a_version_that_outlived_them_leads_there(
        self, dropping: DroppingStore
    ) -> None:
        await dropping.add_version("d", Version(name="kept", seq=3, created_ms=0))
        dropping.drops, dropping.keep_ms = 1, 10_000
        with anyio.fail_after(20):
            assert await restore_stored(dropping, "d", "kept")
        history = History(dropping)
        assert (await dropping.base("d")).seq > 3
        assert text_of(await history.content("d", 31)) == "0 1 2 "
        assert await restore_stored(dropping, "d", 30)
        assert text_of(await history.content("d", 32)).endswith("28 29 ")

    async def test_a_version_of_what_they_dropped_is_of_no_point(
        self, dropping: DroppingStore
    ) -> None:
        async def admit() -> None:
            pass

        dropping.drops, dropping.keep_ms = 1, 10_000
        with pytest.raises(PointNotFound, match="expected a seq of 20 to 30 of 'd', got 5"):
            await name_version(dropping, "d", "early", None, admit, at=5)


class BegunAnewStore(MemoryStore):
    """Another process erases a document right after it was read, and makes it anew."""

    anew: Sequence[bytes] = ()

    async def load(self, document: str) -> Stored:
        stored = await super().load(document)
        if self.anew:
            entries = [NewEntry(update=update, time_ms=1) for update in self.anew]
            self.anew = ()
            await self.delete(document, time_ms=1)
            await self.erase(document)
            await self.readmit(document)
            await self.append([Append(document=document, entries=entries)])
        return stored

    async def __aenter__(self) -> "BegunAnewStore":
        await super().__aenter__()
        return self


class ErasedStore(SQLiteStore):
    """Another process erases a document while its log is read, and makes it anew."""

    def __init__(self, path: Path, anew: Sequence[bytes]) -> None:
        super().__init__(path)
        self._anew = anew

    def entries(self, document: str, after_seq: int = 0) -> AsyncIterator[Entry]:
        entries = super().entries(document, after_seq)

        async def read_batch() -> Sequence[Entry]:
            entry = await anext(entries, None)
            anew, self._anew = self._anew, ()
            if anew:
                await self.delete(document, time_ms=1)
                await self.erase(document)
                await self.readmit(document)
                await keep(self, *anew)
            return () if entry is None else (entry,)

        return EntryStream(read_batch)


async def test_a_document_that_is_made_anew_while_it_is_read_is_read_anew(tmp_path: Path) -> None:
    old, new = (typing([f"{mark}{word} " for word in range(600)]) for mark in "on")
    async with ErasedStore(tmp_path / "collab.db", new) as store:
        await keep(store, *old)
        assert text_of(await History(store).content("d", 600)).startswith("n0 n1 ")


async def test_a_restore_comes_into_no_other_document() -> None:
    async with BegunAnewStore() as store:
        await record(store, typing(["old", "er"]))
        store.anew = typing(["new", "er"])
        with pytest.raises(DocumentDeleted):
            await restore_stored(store, "d", 1)
        assert text_of(await History(store).content("d", 2)) == "newer"
        assert await History(store).newest("d") == 2


class TestMissingEntries:
    @pytest.mark.parametrize("missing", ["seq = 1", "seq = 10", "seq >= 15"])
    async def test_whoever_needs_them_is_told(self, tmp_path: Path, missing: str) -> None:
        path = tmp_path / "collab.db"
        async with SQLiteStore(path) as store:
            await keep(store, *typing([f"{word} " for word in range(30)]))
        execute(path, f"DELETE FROM updates WHERE {missing}")
        async with SQLiteStore(path) as store:
            history = History(store)
            for ask in (
                lambda: history.content("d", 20),
                lambda: history.attribution("d", 20),
                lambda: history.restoration("d", 20),
            ):
                with anyio.fail_after(20), pytest.raises(BrokenEntries, match="expected entries"):
                    await ask()

    async def test_a_seq_that_is_not_there_is_refused(self, store: Store) -> None:
        async with store:
            await record(store, typing(["a", "b"]))
            with anyio.fail_after(20), pytest.raises(PointNotFound, match="expected a seq up to 2"):
                await History(store).content("d", 3)
