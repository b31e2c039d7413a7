"""What documents begin with: a callable, files and REST; and clients of another life."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import httpx
import pycrdt
import pytest

from collab.access import Identity
from collab.errors import DocumentDeleted, InvalidSeed, SeedUnavailable, SettingsError
from collab.protocol.messages import EMPTY_UPDATE
from collab.seeding import seed_roots, seed_text
from collab.server.app import Collab
from collab.server.rooms.seeds import SeedFiles
from collab.server.settings import Settings
from collab.storage.memory import MemoryStore
from collab.storage.sqlite import SQLiteStore
from tests.server.stores import SteeredStore
from tests.server.wire import Client

pytestmark = pytest.mark.anyio


async def template(name: str) -> bytes | None:
    return seed_text(f"# {name}", "text")


@asynccontextmanager
async def joined(app: Collab, name: str = "d", client_id: int = 1) -> AsyncIterator[Client]:
    room = await app.running.rooms.acquire(name)
    client = Client(room, client_id=client_id)
    await client.sync()
    yield client
    client.leave()
    app.running.rooms.release(room)


def requests_to(app: Collab) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost")


async def entries(store: SteeredStore | MemoryStore, name: str = "d") -> list[bytes]:
    return [entry.update async for entry in store.entries(name)]


def foreign_histories(app: Collab) -> float:
    value = app.running.metrics.registry.get_sample_value("collab_foreign_histories_total")
    assert value is not None
    return value


class TestCallable:
    async def test_a_document_begins_with_its_seed_once(self) -> None:
        store = MemoryStore()
        asked: list[str] = []

        async def seed(name: str) -> bytes | None:
            asked.append(name)
            return await template(name)

        settings = Settings(unload_seconds=0.001)
        async with Collab(store, seed=seed, settings=settings) as app:
            for _ in range(3):
                async with joined(app) as client:
                    assert client.text == "# d"
                while app.running.rooms.loaded:
                    await anyio.lowlevel.checkpoint()
            assert asked == ["d"]
            assert await entries(store) == [seed_text("# d", "text")]

    async def test_many_who_open_it_at_once_ask_for_it_once(self) -> None:
        store = SteeredStore()
        asked: list[str] = []
        answer = anyio.Event()

        async def seed(name: str) -> bytes | None:
            asked.append(name)
            await answer.wait()
            return await template(name)

        async with Collab(store, seed=seed) as app:

            async def join(client_id: int) -> None:
                async with joined(app, client_id=client_id) as client:
                    assert client.text == "# d"

            async with anyio.create_task_group() as tasks:
                for number in range(1, 6):
                    tasks.start_soon(join, number)
                while not asked:
                    await anyio.lowlevel.checkpoint()
                answer.set()
            assert asked == ["d"]
            assert len(await entries(store)) == 1

    async def test_a_document_that_another_process_makes_meanwhile_is_not_seeded_again(
        self, tmp_path: Path
    ) -> None:
        path = tmp_path / "collab.db"

        async def other_seed(name: str) -> bytes | None:
            async with (
                Collab(SQLiteStore(path), seed=template) as other,
                joined(other, client_id=1) as first,
            ):
                assert first.text == "# d"
            return seed_text("begun here", "text")

        async with (
            Collab(SQLiteStore(path), seed=other_seed) as app,
            joined(app, client_id=2) as client,
        ):
            assert client.text == "# d"
        async with SQLiteStore(path) as store:
            assert (await store.load("d")).seq == 1

    async def test_it_is_durable_before_it_is_shown(self) -> None:
        store = SteeredStore()
        async with Collab(store, seed=template) as app:
            store.hold_appends()
            shown = anyio.Event()

            async def join() -> None:
                async with joined(app):
                    shown.set()

            async with anyio.create_task_group() as tasks:
                tasks.start_soon(join)
                await store.append_began.wait()
                await anyio.wait_all_tasks_blocked()
                assert not shown.is_set()
                store.let_append()
                await shown.wait()

    async def test_a_document_without_a_seed_is_not_made_by_joining(self) -> None:
        async def none(name: str) -> bytes | None:
            return EMPTY_UPDATE if name == "empty" else None

        store = MemoryStore()
        async with Collab(store, seed=none) as app:
            for name in ("d", "empty"):
                async with joined(app, name) as client:
                    assert client.text == ""
            assert await store.documents() == []

    @pytest.mark.parametrize("update", [b"", b"\xff\xff", None])
    async def test_a_seed_that_cannot_be_had_leaves_the_document_unopened(
        self, update: bytes | None, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def broken(name: str) -> bytes | None:
            if update is None:
                raise LookupError("no template")
            return update

        store = MemoryStore()
        async with Collab(store, seed=broken) as app:
            with pytest.raises(SeedUnavailable):
                await app.running.rooms.acquire("d")
            assert await store.documents() == []
        assert "seeding 'd'" in caplog.text

    async def test_what_was_deleted_is_not_seeded_anew(self) -> None:
        store = MemoryStore()
        async with Collab(store, seed=template) as app:
            async with joined(app):
                pass
            async with requests_to(app) as client:
                await client.delete("/api/docs/d?now=true")
            with pytest.raises(DocumentDeleted):
                await app.running.rooms.acquire("d")

    async def test_content_that_is_brought_takes_the_place_of_the_seed(self) -> None:
        store = MemoryStore()
        async with Collab(store, seed=template) as app, requests_to(app) as client:
            update = seed_text("brought", "text")
            await client.post("/api/docs/d/updates", content=update)
            async with joined(app) as reader:
                assert reader.text == "brought"

    async def test_two_servers_that_seed_one_document_make_it_once(self) -> None:
        store = MemoryStore()
        held: list[Client] = []
        for _ in range(2):  # The second time the file is lost.
            async with Collab(MemoryStore(), seed=template) as app, joined(app) as client:
                held.append(client)
        async with Collab(store, seed=template) as app:
            room = await app.running.rooms.acquire("d")
            for number, client in enumerate(held, 10):
                again = Client(room, client_id=number, doc=client.doc)
                await again.sync()
                assert again.text == "# d"
            await room.programs.saved()
            assert len(await entries(store)) == 1


class TestLineage:
    async def test_a_client_of_a_lost_life_is_told_and_its_text_is_there_once(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        async with Collab(MemoryStore(), seed=template) as app, joined(app) as held:
            held.type(" and more")
            await held.read_until(lambda: len(held.acknowledged) == 1)
        async with Collab(MemoryStore(), seed=template) as app:
            room = await app.running.rooms.acquire("d")
            again = Client(room, client_id=1, doc=held.doc, identity=Identity(id="ada"))
            await again.sync()
            await room.programs.saved()
            assert foreign_histories(app) == 1
            async with joined(app, client_id=9) as other:
                assert other.text == "# d and more"
            assert foreign_histories(app) == 1
        (said,) = [record for record in caplog.records if "history" in record.getMessage()]
        assert said.levelno == logging.WARNING
        assert "'d' (ada)" in said.getMessage()

    async def test_clients_that_wrote_offline_raise_no_alarm(self) -> None:
        store = MemoryStore()
        async with Collab(store, seed=template) as app, joined(app) as held:
            held.type(" and more")
            await held.read_until(lambda: len(held.acknowledged) == 1)
        second = pycrdt.Doc[pycrdt.Text](client_id=2)  # The same page, opened again without a net.
        second.apply_update(held.doc.get_update())
        text = second.get("text", type=pycrdt.Text)
        text += " offline"
        async with Collab(store, seed=template) as app:
            room = await app.running.rooms.acquire("d")
            again = Client(room, client_id=2, doc=second)
            await again.sync()
            await room.programs.saved()
            assert foreign_histories(app) == 0
            async with joined(app, client_id=9) as other:
                assert other.text == "# d and more offline"

    async def test_a_client_of_an_erased_document_is_told_when_there_is_a_new_one(self) -> None:
        store = MemoryStore()
        async with Collab(store) as app, requests_to(app) as client:
            held = [
                Client(await app.running.rooms.acquire("d"), client_id=number) for number in (1, 2)
            ]
            for each in held:
                await each.sync()
                each.type(str(each.client_id))
                each.room.content.flush()
            held[0].read()
            await client.delete("/api/docs/d?now=true")
            answer = await client.put(
                "/api/docs/d/content", content="new", headers={"Content-Type": "text/plain"}
            )
            assert answer.status_code == 201
            room = await app.running.rooms.acquire("d")
            again = Client(room, client_id=1, doc=held[0].doc)
            await again.sync()
            assert foreign_histories(app) == 1


class TestPut:
    async def test_it_makes_a_document_and_then_replaces_its_text(self) -> None:
        store = MemoryStore()

        async def authenticate(_: object) -> Identity:
            return Identity(id="ada")

        async with Collab(store, authenticate=authenticate) as app, requests_to(app) as client:
            plain = {"Content-Type": "text/plain; charset=utf-8"}
            path = "/api/docs/d/content?root=text"
            assert (await client.put(path, content="one two", headers=plain)).status_code == 201
            assert await entries(store) == [seed_text("one two", "text")]
            async with joined(app) as reader:
                assert (await client.put(path, content="one 2", headers=plain)).status_code == 204
                await reader.read_until(lambda: reader.text == "one 2")
            assert (await client.put(path, content="one 2", headers=plain)).status_code == 204
            authors = [entry.author async for entry in store.entries("d")]
            assert authors == ["ada", "ada"]

    async def test_put_twice_or_on_two_servers_it_is_there_once(self) -> None:
        documents = []
        for _ in range(2):
            async with Collab(MemoryStore()) as app, requests_to(app) as client:
                for _ in range(2):
                    await client.put(
                        "/api/docs/d/content?root=text",
                        content="text",
                        headers={"Content-Type": "text/markdown"},
                    )
                async with joined(app) as reader:
                    documents.append(reader.doc.get_update())
        assert documents[0] == documents[1]

    async def test_json_and_updates_make_documents_and_replace_none(self) -> None:
        store = MemoryStore()
        async with Collab(store) as app, requests_to(app) as client:
            roots = {"cards": ["a"], "text": "b"}
            assert (await client.put("/api/docs/j/content", json=roots)).status_code == 201
            assert await entries(store, "j") == [seed_roots({"cards": ["a"], "text": "b"})]
            binary = {"Content-Type": "application/octet-stream"}
            update = seed_text("x")
            answer = await client.put("/api/docs/u/content", content=update, headers=binary)
            assert answer.status_code == 201
            assert (await client.put("/api/docs/j/content", json=roots)).status_code == 409
            answer = await client.put("/api/docs/u/content", content=update, headers=binary)
            assert answer.status_code == 409

    async def test_it_is_the_way_back_for_an_erased_name_and_not_for_one_in_the_trash(self) -> None:
        async with Collab(MemoryStore()) as app, requests_to(app) as client:
            plain = {"Content-Type": "text/plain"}
            await client.put("/api/docs/d/content", content="old", headers=plain)
            epoch = (await client.get("/api/docs/d")).json()["epoch"]
            await client.delete("/api/docs/d")
            answer = await client.put("/api/docs/d/content", content="new", headers=plain)
            assert answer.status_code == 410
            await client.delete("/api/docs/d?now=true")
            answer = await client.put("/api/docs/d/content", content="new", headers=plain)
            assert answer.status_code == 201
            assert (await client.get("/api/docs/d")).json()["epoch"] != epoch
            shown = await client.get("/api/docs/d/content?format=text")
            assert shown.text.strip() == "new"

    async def test_of_many_that_make_it_at_once_one_does_and_the_others_replace(self) -> None:
        store = MemoryStore()
        async with Collab(store) as app, requests_to(app) as client:
            statuses: list[int] = []

            async def put(word: str) -> None:
                answer = await client.put(
                    "/api/docs/d/content", content=word, headers={"Content-Type": "text/plain"}
                )
                statuses.append(answer.status_code)

            async with anyio.create_task_group() as tasks:
                for word in ("one", "two", "three"):
                    tasks.start_soon(put, word)
            assert sorted(statuses) == [201, 204, 204]
            shown = (await client.get("/api/docs/d/content?format=text")).text.strip()
            assert shown in ("one", "two", "three")

    @pytest.mark.parametrize(
        ("media_type", "content", "error"),
        [
            ("application/json", b"[]", "expected a JSON object of roots"),
            ("application/octet-stream", b"\xff", "expected an update"),
            ("text/plain", b"\xff", "expected UTF-8"),
            ("image/png", b"", "expected text/plain, application/json or"),
            ("", b"", "expected text/plain, application/json or"),
        ],
    )
    async def test_what_makes_no_document_is_told(
        self, media_type: str, content: bytes, error: str
    ) -> None:
        store = MemoryStore()
        async with Collab(store) as app, requests_to(app) as client:
            answer = await client.put(
                "/api/docs/d/content", content=content, headers={"Content-Type": media_type}
            )
            assert answer.status_code == 400
            assert answer.json()["error"].startswith(error)
            assert await store.documents() == []


class TestFiles:
    async def test_one_file_is_for_all_documents(self, tmp_path: Path) -> None:
        path = tmp_path / "template.md"
        path.write_text("# New")
        seed = SeedFiles(path)
        assert await seed("a") == await seed("b/c") == seed_text("# New")

    async def test_a_folder_has_a_file_for_each(self, tmp_path: Path) -> None:
        inner = tmp_path / "seeds"
        (inner / "team").mkdir(parents=True)
        (tmp_path / "secret.txt").write_text("secret")
        (inner / "team" / "plan.txt").write_text("Plan")
        (inner / "board.json").write_text('{"cards": []}')
        (inner / "kept.update").write_bytes(seed_text("kept", "text"))
        seed = SeedFiles(inner)
        assert await seed("team/plan") == seed_text("Plan")
        assert await seed("board") == seed_roots({"cards": []})
        assert await seed("kept") == seed_text("kept", "text")
        for name in ("other", "team", "../secret", "team/../../secret", f"{tmp_path}/secret"):
            assert await seed(name) is None

    async def test_a_file_that_holds_something_else_is_told(self, tmp_path: Path) -> None:
        for ending, content in ((".txt", b"\xff"), (".json", b"1"), (".update", b"\xff")):
            path = tmp_path / f"x{ending}"
            path.write_bytes(content)
            with pytest.raises(InvalidSeed, match=r"^expected"):
                await SeedFiles(path)("d")

    def test_a_path_without_a_seed_is_refused(self, tmp_path: Path) -> None:
        (tmp_path / "seed.doc").touch()
        for name in ("missing", "seed.doc"):
            with pytest.raises(SettingsError, match=r"^expected a file"):
                SeedFiles(tmp_path / name)
