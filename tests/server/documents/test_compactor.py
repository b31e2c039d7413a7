"""Compaction beside a server: in rounds, after everybody else, and through REST."""

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import anyio
import httpx
import pytest
from starlette.requests import HTTPConnection

from collab.access import Access, Identity
from collab.archive import KEEP_ALL, Retention, Step, Terms
from collab.errors import StoreError, StoreUnavailable
from collab.server.app import Collab
from collab.server.documents.compactor import Compactor
from collab.server.metrics import Metrics
from collab.server.rooms.persister import Persister, Write
from collab.server.settings import Settings
from collab.server.timers import make_timers
from collab.store import Append, NewEntry
from tests.server.rooms.test_persister import Listener
from tests.server.stores import SteeredStore
from tests.storage.compacting_process import typed

pytestmark = pytest.mark.anyio

OFTEN = Settings(compaction_seconds=0.001)


class ArchiveStore(SteeredStore):
    """Says what of the archive was asked for, and fails as told.

    Attributes:
        rounds: how many were begun.
        compacted: documents whose steps were taken, in order.
        archive_failure: what a round begins with; None lets it through.
        broken: documents that cannot be compacted.
    """

    def __init__(self) -> None:
        super().__init__()
        self.rounds = 0
        self.compacted: list[str] = []
        self.archive_failure: Exception | None = None
        self.broken: set[str] = set()

    async def due(self, terms: Terms, after: str = "") -> Sequence[str]:
        self.rounds += after == ""
        if self.archive_failure is not None:
            raise self.archive_failure
        return await super().due(terms, after)

    async def compact(self, document: str, terms: Terms) -> Step:
        if document in self.broken:
            raise StoreError(f"expected a document in order, got {document!r}")
        self.compacted.append(document)
        return await super().compact(document, terms)


async def write(store: SteeredStore, document: str, count: int = 30) -> None:
    entries = [NewEntry(update=typed(number), time_ms=0) for number in range(count)]
    await store.append([Append(document=document, entries=entries)])


@asynccontextmanager
async def compacting(
    store: SteeredStore, history: Retention = KEEP_ALL
) -> AsyncIterator[Persister]:
    async with store, anyio.create_task_group() as tasks:
        timers = make_timers()
        persister = Persister(store, OFTEN, timers, Metrics())
        for task in (timers.run, persister.run, Compactor(store, persister, OFTEN, history).run):
            tasks.start_soon(task)
        with anyio.fail_after(20):
            yield persister
        tasks.cancel_scope.cancel()


async def rounds(store: ArchiveStore, count: int) -> None:
    """Waits until so many rounds were begun after this."""
    last = store.rounds + count
    while store.rounds < last:
        await anyio.lowlevel.checkpoint()


def lines(logged: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in logged.records if record.name == "collab"]


class TestRounds:
    async def test_documents_nobody_has_open_are_compacted(self) -> None:
        store = ArchiveStore()
        async with compacting(store):
            for name in ("a", "b", "c"):
                await write(store, name)
            while any([(await store.load(name)).checkpoint is None for name in ("a", "b", "c")]):
                await anyio.lowlevel.checkpoint()

    async def test_the_server_says_how_long_changes_are_kept(self) -> None:
        store = ArchiveStore()
        async with compacting(store, Retention(0)):
            await write(store, "dropped")
            while (await store.base("dropped")).seq < 30:
                await anyio.lowlevel.checkpoint()

    async def test_changes_that_wait_for_the_store_go_first(self) -> None:
        store = ArchiveStore()
        async with compacting(store) as persister:
            await write(store, "a")
            await rounds(store, 2)
            store.compacted.clear()
            store.hold_appends()
            persister.submit(Write(Listener(), "b", [NewEntry(update=typed(0), time_ms=0)]))
            await store.append_began.wait()
            entries = [NewEntry(update=typed(number), time_ms=0) for number in range(30)]
            await store.kept.append([Append(document="c", entries=entries)])
            for _ in range(300):
                await anyio.lowlevel.checkpoint()
            assert store.compacted == []
            store.let_append()
            while store.compacted == []:
                await anyio.lowlevel.checkpoint()

    async def test_a_store_that_fails_is_told_of_once_and_again_when_it_works(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO, "collab")
        store = ArchiveStore()
        async with compacting(store):
            store.archive_failure = StoreUnavailable("expected space, got none")
            await rounds(store, 4)
            assert lines(caplog) == ["compaction waits for the store: expected space, got none"]
            store.archive_failure = None
            await rounds(store, 3)
        assert lines(caplog)[1:] == ["compaction goes on"]

    async def test_what_nobody_foresaw_ends_a_round_and_no_more(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        store = ArchiveStore()
        async with compacting(store):
            store.archive_failure = RuntimeError("unforeseen")
            await rounds(store, 2)
            store.archive_failure = None
            await write(store, "a")
            while (await store.load("a")).checkpoint is None:
                await anyio.lowlevel.checkpoint()
        assert "a round of compaction failed" in lines(caplog)

    async def test_a_document_that_cannot_be_compacted_is_told_of_once_and_stops_no_other(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        store = ArchiveStore()
        store.broken.add("b")
        async with compacting(store):
            for name in ("a", "b", "c"):
                await write(store, name)
            await rounds(store, 4)
            assert (await store.load("c")).checkpoint is not None
            assert (await store.load("b")).checkpoint is None
        assert lines(caplog) == ["'b' cannot be compacted: expected a document in order, got 'b'"]


def requests_to(app: Collab, user: str = "") -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app),
        base_url="http://localhost",
        headers={"Authorization": user},
    )


async def admit(connection: HTTPConnection) -> Identity | None:
    access = {"admin": Access.ADMIN, "writer": Access.WRITE}
    user = connection.headers["Authorization"]
    return Identity(id=user, access=access[user])


class TestRest:
    async def test_retention_is_set_shown_and_left_to_the_server_again(self) -> None:
        store = SteeredStore()
        async with Collab(store) as app, requests_to(app) as client:
            await write(store, "a/b")
            for text in ("30d", "none", "all", None):
                answer = await client.put("/api/docs/a%2Fb/retention", json={"retention": text})
                assert (answer.status_code, answer.json()) == (200, {"retention": text})
                assert (await client.get("/api/docs/a%2Fb")).json()["retention"] == text

    @pytest.mark.parametrize(
        "body", ["", "[]", "30d", '{"retention": 30}', '{"retention": "30"}', '{"history": "all"}']
    )
    async def test_other_bodies_are_refused(self, body: str) -> None:
        store = SteeredStore()
        async with Collab(store) as app, requests_to(app) as client:
            await write(store, "a")
            answer = await client.put("/api/docs/a/retention", content=body)
            assert answer.status_code == 400
            assert answer.json()["error"].startswith("expected ")

    async def test_a_document_is_compacted_step_by_step(self) -> None:
        store = SteeredStore()
        async with Collab(store) as app, requests_to(app) as client:
            await write(store, "a")
            path = "/api/docs/a/compaction?history=none"
            steps = 0
            while (await client.post(path)).json()["more"]:
                steps += 1
            assert steps == 2
            assert (await store.base("a")).seq == 30

    async def test_space_is_measured_and_given_back(self) -> None:
        async with Collab(SteeredStore()) as app, requests_to(app) as client:
            assert (await client.get("/api/compaction")).json() == {"bytes": 0}
            assert (await client.post("/api/compaction")).json() == {"bytes": 0, "more": False}

    async def test_it_takes_somebody_who_may_administer(self) -> None:
        store = SteeredStore()
        async with Collab(store, authenticate=admit) as app:
            await write(store, "a")
            for user, status in (("writer", 403), ("admin", 200)):
                async with requests_to(app, user) as client:
                    answers = [
                        await client.put("/api/docs/a/retention", json={"retention": "all"}),
                        await client.post("/api/docs/a/compaction"),
                        await client.get("/api/compaction"),
                        await client.post("/api/compaction"),
                    ]
                assert [answer.status_code for answer in answers] == [status] * 4

    async def test_an_unknown_document_is_not_found(self) -> None:
        async with Collab(SteeredStore()) as app, requests_to(app) as client:
            assert (await client.post("/api/docs/a/compaction")).status_code == 404
            answer = await client.put("/api/docs/a/retention", json={"retention": "all"})
            assert answer.status_code == 404
