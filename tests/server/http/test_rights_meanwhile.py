"""Rights that end while a request waits: nothing is done or told in the name of who lost them."""

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

import httpx
import pycrdt
import pytest
from starlette.requests import HTTPConnection
from starlette.routing import Route

from collab.access import Access, Identity
from collab.archive import Base
from collab.ndjson import MEDIA_TYPE, encode_entries
from collab.server.app import Collab
from collab.storage.memory import MemoryStore
from collab.store import Append, Entry, NewEntry, Store, Stored, Summary
from collab.trash import Tombstone
from collab.versions import Version
from tests.server.fallback import DEADLINE_SECONDS
from tests.server.hosts import STREAM_WRITERS, front_door
from tests.server.transports.fallback.serving import http_to

pytestmark = [pytest.mark.anyio, STREAM_WRITERS, pytest.mark.usefixtures("collected")]

ADA = Identity(id="ada", access=Access.ADMIN, expires_at=1e12)
NEW = pycrdt.Doc({"text": pycrdt.Text("new")}).get_update()
LOG = encode_entries([NewEntry(update=NEW, time_ms=1)])
LONG_WORD = "x" * 70_000
"""Longer than one piece of an answer."""

BODIES: dict[tuple[str, str], tuple[bytes, str]] = {
    ("POST", "/api/docs/d/updates"): (NEW, ""),
    ("POST", "/api/docs/d/updates?log"): (LOG, MEDIA_TYPE),
    ("PUT", "/api/docs/d/content"): (b"new", "text/plain"),
    ("PUT", "/api/docs/empty/content"): (b"new", "text/plain"),
    ("POST", "/api/docs/d/restore"): (b'{"to": 1}', ""),
    ("POST", "/api/docs/d/versions"): (b'{"name": "w"}', ""),
    ("POST", "/api/docs/d/duplicate"): (b'{"name": "copy"}', ""),
    ("POST", "/api/docs/d/messages"): (b'{"type": "ping", "payload": 1}', ""),
    ("PUT", "/api/docs/d/retention"): (b'{"retention": "30d"}', ""),
    ("POST", "/api/sessions/revoke"): (b'{"user": "bob"}', ""),
    ("POST", "/y-sweet/d/d/update"): (NEW, ""),
    ("POST", "/y-sweet/doc/d/auth"): (b'{"userId": "bob"}', ""),
}
"""What has a body that means something."""

READS = [
    "/api/docs",
    "/api/docs?deleted=true",
    "/api/docs/d",
    "/api/docs/d/content",
    "/api/docs/d/content?at=1",
    "/api/docs/d/history",
    "/api/docs/d/diff?from=1",
    "/api/docs/d/attribution",
    "/api/docs/d/versions",
    "/api/docs/d/updates",
    "/api/docs/d/events",
    "/y-sweet/d/d/as-update",
]

WITH_A_BODY_ONLY = {
    ("POST", "/api/docs/d/messages"),
    ("PUT", "/api/docs/d/retention"),
    ("POST", "/api/sessions/revoke"),
}
"""What waits for nothing but its body."""

BODY_FIRST = {("POST", "/y-sweet/doc/d/auth")}
"""What looks at rights when its body is there, and not before."""

AT_ONCE = {
    ("GET", "/metrics"),
    ("GET", "/api/identity"),
    ("GET", "/api/docs/d/presence"),
    ("DELETE", "/api/docs/d/versions/v"),
    ("POST", "/api/docs/d/undelete"),
    ("POST", "/api/docs/d/compaction"),
    ("GET", "/api/compaction"),
    ("POST", "/api/compaction"),
    ("POST", "/y-sweet/check_store"),
    ("POST", "/y-sweet/doc/new"),
    ("GET", "/healthz"),
    ("GET", "/readyz"),
}
"""What waits for nothing once the guard was asked, or tells nothing of documents."""

WAITING = [
    *[(*request, *sent) for request, sent in BODIES.items() if request not in WITH_A_BODY_ONLY],
    *[("GET", path, b"", "") for path in READS],
    ("DELETE", "/api/docs/d", b"", ""),
]


TELLING = [
    ("PUT", "/api/docs/d/content", NEW, "application/octet-stream", 409),
    ("PUT", "/api/docs/d/content?root=map", b"new", "text/plain", 400),
    ("POST", "/api/docs/d/duplicate", b'{"name": "map"}', "", 409),
    ("POST", "/api/docs/nowhere/duplicate", b'{"name": "copy"}', "", 404),
    ("DELETE", "/api/docs/nowhere", b"", "", 404),
    ("GET", "/api/docs/nowhere", b"", "", 404),
    ("GET", "/api/docs/nowhere/content", b"", "", 404),
    ("GET", "/api/docs/d/content?root=nothing", b"", "", 404),
    ("GET", "/api/docs/d/diff?from=nothing", b"", "", 404),
    ("POST", "/api/docs/d/versions", b'{"name": "v"}', "", 409),
    ("POST", "/api/docs/nowhere/restore", b'{"to": 1}', "", 404),
]
"""What is answered with an error that tells what is there, and its status."""

ALL = WAITING + [(*request, *BODIES[request]) for request in sorted(WITH_A_BODY_ONLY)]


def names(requests: list[tuple[str, str, bytes, str]]) -> list[str]:
    return [f"{method} {path}" for method, path, *_ in requests]


class EventfulStore(MemoryStore):
    """A store that has something happen while it is read from.

    Attributes:
        event: what happens, at the end of each call; None for nothing.
        entries_before: how many entries are read before.
        asked: set once somebody has asked for something.
        visited: set once the trash was looked through, as it is when a server starts.
    """

    def __init__(self) -> None:
        super().__init__()
        self.event: Callable[[], Awaitable[object]] | None = None
        self.entries_before = 0
        self.asked = asyncio.Event()
        self.visited = asyncio.Event()

    async def _happens(self) -> None:
        if self.event is not None:
            await self.event()

    async def load(self, document: str) -> Stored:
        stored = await super().load(document)
        await self._happens()
        return stored

    async def documents(
        self, prefix: str = "", after: str = "", limit: int = 1000
    ) -> Sequence[Summary]:
        summaries = await super().documents(prefix, after, limit)
        await self._happens()
        return summaries

    async def tombstones(
        self, prefix: str = "", after: str = "", limit: int = 1000
    ) -> Sequence[Tombstone]:
        tombstones = await super().tombstones(prefix, after, limit)
        self.visited.set()
        await self._happens()
        return tombstones

    async def versions(self, document: str) -> Sequence[Version]:
        versions = await super().versions(document)
        await self._happens()
        return versions

    async def base(self, document: str) -> Base:
        base = await super().base(document)
        if not self.entries_before:
            await self._happens()
        return base

    async def entries(self, document: str, after_seq: int = 0) -> AsyncIterator[Entry]:
        read = 0
        async for entry in super().entries(document, after_seq):
            yield entry
            read += 1
            if read == self.entries_before:
                await self._happens()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def written(store: Store) -> None:
    """Writes a document of two changes and a version of it."""
    doc: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc(client_id=1)
    text = doc.get("text", type=pycrdt.Text)
    for word in ("one", " two"):
        before = doc.get_state()
        text += word
        entry = NewEntry(update=doc.get_update(before), time_ms=1)
        await store.append([Append(document="d", entries=[entry])])
    await store.add_version("d", Version(name="v", seq=1, created_ms=1))


async def kept(store: Store) -> object:
    """All that a store has."""
    documents = await store.documents()
    return [
        (
            summary,
            [entry async for entry in store.entries(summary.document)],
            await store.versions(summary.document),
        )
        for summary in documents
    ], await store.tombstones()


@contextlib.asynccontextmanager
async def serving(
    identity: Identity = ADA,
) -> AsyncIterator[tuple[Collab, EventfulStore, httpx.AsyncClient]]:
    store = EventfulStore()

    async def authenticate(connection: HTTPConnection) -> Identity | None:
        store.asked.set()
        return identity

    app = Collab(store, authenticate=authenticate)
    async with front_door(app) as port, http_to(port) as http:
        await written(store)
        await store.visited.wait()
        yield app, store, http


def revoking(app: Collab, store: EventfulStore) -> Callable[[], Awaitable[object]]:
    async def revoke() -> None:
        store.event = None
        await app.revoke(user="ada")

    return revoke


@pytest.mark.parametrize(("method", "path", "body", "media_type"), WAITING, ids=names(WAITING))
async def test_who_is_revoked_while_the_store_is_waited_for_is_refused(
    method: str, path: str, body: bytes, media_type: str
) -> None:
    async with serving() as (app, store, http):
        before = await kept(store)
        store.event = revoking(app, store)
        headers = {"Content-Type": media_type}
        answer = await http.request(method, path, content=body, headers=headers)
        assert store.event is None, "it did not wait for the store"
        assert answer.status_code == 401
        assert "revoked" in answer.json()["error"]
        assert await kept(store) == before


@pytest.mark.parametrize(("method", "path"), sorted(BODIES.keys() - BODY_FIRST))
async def test_who_is_revoked_while_their_body_comes_is_refused(method: str, path: str) -> None:
    body, media_type = BODIES[method, path]
    async with serving() as (app, store, http):
        before = await kept(store)

        async def send() -> AsyncIterator[bytes]:
            yield body[:1]
            await asyncio.wait_for(store.asked.wait(), DEADLINE_SECONDS)
            await app.revoke(user="ada")
            yield body[1:]

        headers = {"Content-Type": media_type}
        answer = await http.request(method, path, content=send(), headers=headers)
        assert answer.status_code == 401
        assert "revoked" in answer.json()["error"]
        assert await kept(store) == before


@pytest.mark.parametrize(("method", "path", "body", "media_type"), ALL, ids=names(ALL))
async def test_whose_token_ends_meanwhile_is_refused(
    method: str, path: str, body: bytes, media_type: str
) -> None:
    ends_now = Identity(id="ada", access=Access.ADMIN, expires_at=time.time())
    async with serving(ends_now) as (_, store, http):
        before = await kept(store)
        headers = {"Content-Type": media_type}
        answer = await http.request(method, path, content=body, headers=headers)
        assert answer.status_code == 401
        assert "expired" in answer.json()["error"]
        assert await kept(store) == before


@pytest.mark.parametrize(
    ("method", "path", "body", "media_type", "status"),
    TELLING,
    ids=[f"{method} {path} {status}" for method, path, _, _, status in TELLING],
)
async def test_who_is_revoked_meanwhile_is_not_told_what_exists(
    method: str, path: str, body: bytes, media_type: str, status: int
) -> None:
    mapped: pycrdt.Doc[pycrdt.Map[int]] = pycrdt.Doc({"map": pycrdt.Map({"a": 1})})
    headers = {"Content-Type": media_type}
    async with serving() as (app, store, http):
        for name in ("d", "map"):
            entry = NewEntry(update=mapped.get_update(), time_ms=1)
            await store.append([Append(document=name, entries=[entry])])
        answer = await http.request(method, path, content=body, headers=headers)
        assert answer.status_code == status, answer.text
        store.event = revoking(app, store)
        answer = await http.request(method, path, content=body, headers=headers)
        assert store.event is None, "it did not wait for the store"
        assert answer.status_code == 401
        assert "revoked" in answer.json()["error"]


async def test_a_log_breaks_off_where_its_reader_loses_the_right_to_it() -> None:
    async with serving() as (app, store, http):
        doc: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc({"text": pycrdt.Text(LONG_WORD)})
        for _ in range(3):
            entry = NewEntry(update=doc.get_update(), time_ms=1)
            await store.append([Append(document="long", entries=[entry])])
        store.entries_before = 2
        store.event = revoking(app, store)
        lines = bytearray()

        async def read() -> None:
            async with http.stream("GET", "/api/docs/long/updates") as answer:
                assert answer.status_code == 200
                async for piece in answer.aiter_raw():
                    lines.extend(piece)

        with pytest.raises(httpx.RemoteProtocolError):
            await asyncio.wait_for(read(), DEADLINE_SECONDS)
        assert [json.loads(line)["seq"] for line in lines.splitlines()] == [1, 2]


async def test_every_path_is_thought_of() -> None:
    asked = {(method, path) for method, path, *_ in WAITING} | BODIES.keys() | AT_ONCE
    paths = {(method, path.partition("?")[0].replace("empty", "d")) for method, path in asked}
    async with serving() as (app, _, _):
        for route in app.running.routes:
            if isinstance(route, Route) and route.path.startswith(("/api", "/y-sweet/d")):
                path = route.path.replace("{document:path}", "d").replace("{document}", "d")
                path = path.replace("{version}", "v")
                for method in (route.methods or {"GET"}) - {"HEAD"}:
                    assert (method, path) in paths
