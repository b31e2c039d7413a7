"""The apps in the how-to pages, under the servers they name."""

import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import anyio
import httpx
import pycrdt
import pytest
from pycrdt.websocket import WebsocketServer
from websockets.exceptions import InvalidStatus

from collab.access import Identity
from collab.server import Collab
from collab.storage.memory import MemoryStore
from collab.storage.ystore import CollabYStore
from collab.versions import Version
from tests.docs.pages import DOCS, blocks
from tests.docs.running import SERVERS, edit, run
from tests.valkey import one_server

HOW_TO = DOCS / "how-to"
_WITHIN_SECONDS = 30.0
_ENTERED = """
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route


@asynccontextmanager
async def lifespan(app):
    yield {"said": "entered"}


async def say(request):
    return PlainTextResponse(request.state.said)


application = Starlette(lifespan=lifespan, routes=[Route("/anything", say)])
"""


def written(text: str) -> "pycrdt.Doc[pycrdt.Text]":
    """A Doc with a text in it."""
    doc: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc()
    doc["content"] = pycrdt.Text(text)
    return doc


def authors(store: Path) -> set[str]:
    """Who is named as an author in a store."""
    with closing(sqlite3.connect(store)) as database:
        return {name for (name,) in database.execute("SELECT name FROM authors")}


@pytest.mark.parametrize("server", SERVERS)
def test_the_embedded_app_edits_a_document_that_somebody_has_open(
    tmp_path: Path, server: str
) -> None:
    example, *_ = blocks(HOW_TO / "embed.md", "python")
    with (
        run(example, tmp_path, server) as address,
        edit(f"{address}/collab/ws/minutes", doc=written("We met.\n")) as editor,
    ):
        editor.send()
        signed = "Minutes\n\nWe met.\n\nSigned, the robot\n"
        assert httpx.post(f"{address}/sign").json() == {"text": signed, "here": 0}
        assert editor.sees(signed)
        content = httpx.get(f"{address}/collab/api/docs/minutes/content", params={"format": "text"})
        assert content.text == signed
        assert authors(tmp_path / "collab.db") == {"robot"}


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_the_embedded_app_with_a_bus_shares_documents_through_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    *_, example = blocks(HOW_TO / "embed.md", "py")
    monkeypatch.chdir(tmp_path)
    with one_server() as valkey, anyio.fail_after(_WITHIN_SECONDS):
        here = example.replace("redis://127.0.0.1:6379", f"redis://{valkey.address}")
        assert here != example
        one, other = _made_by(here), _made_by(here)
        async with one, other, one.document("d") as writer, other.document("d") as reader:
            arrived = aiter(reader.messages())
            text = writer.doc.get("content", type=pycrdt.Text)
            text += "hello"
            writer.send_message("written", None)
            assert (await anext(arrived)).type == "written"
            await writer.saved()


def _made_by(example: str) -> Collab:
    made: dict[str, Collab] = {}
    exec(example, made)
    return made["collab"]


def test_the_embedded_app_says_so_when_it_is_not_entered(tmp_path: Path) -> None:
    page = (HOW_TO / "embed.md").read_text()
    example, *_ = blocks(HOW_TO / "embed.md", "python")
    forgotten = example.replace("    async with collab:\n        yield", "    yield")
    assert forgotten != example
    message = "expected a running app: enter it in the host's lifespan, `async with collab: ...`"
    assert message in page
    with run(forgotten, tmp_path) as address:
        assert httpx.get(f"{address}/collab/api/docs").status_code == 500


@pytest.mark.parametrize("server", SERVERS)
def test_the_embedded_app_follows_what_people_type(tmp_path: Path, server: str) -> None:
    example, follows, _ = blocks(HOW_TO / "embed.md", "python")
    before, _, rest = example.partition("@asynccontextmanager")
    following = f"{before}{follows}\n\nasync def sign{rest.partition('async def sign')[2]}"
    with (
        run(following, tmp_path, server) as address,
        edit(f"{address}/collab/ws/minutes", doc=written("We met twice.\n")) as editor,
    ):
        editor.send()
        counts = editor.doc.get("counts", type=pycrdt.Map)
        assert editor.until(lambda: counts.get("words") == 3)


def test_the_test_of_the_embedded_app_passes(tmp_path: Path) -> None:
    example, _, test = blocks(HOW_TO / "embed.md", "python")
    assert _outcome(tmp_path, example, test) == pytest.ExitCode.OK


def test_the_test_of_the_embedded_app_fails_where_nothing_is_signed(tmp_path: Path) -> None:
    example, _, test = blocks(HOW_TO / "embed.md", "python")
    unsigned = example.replace("Signed, the robot", "The robot")
    assert unsigned != example
    assert _outcome(tmp_path, unsigned, test) == pytest.ExitCode.TESTS_FAILED


def _outcome(folder: Path, app: str, test: str) -> int:
    (folder / "app.py").write_text(app)
    (folder / "test_app.py").write_text(test)
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "test_app.py"]
    return subprocess.run(command, cwd=folder, capture_output=True, timeout=60).returncode


def test_the_app_around_another_framework_serves_both(tmp_path: Path) -> None:
    _, example, *_ = blocks(HOW_TO / "embed.md", "py")
    (tmp_path / "yourproject").mkdir()
    (tmp_path / "yourproject" / "asgi.py").write_text(
        "from starlette.responses import PlainTextResponse\n"
        "application = PlainTextResponse('the other')\n"
    )
    with (
        run(example, tmp_path) as address,
        edit(f"{address}/collab/ws/notes", doc=written("hello")) as editor,
    ):
        editor.send()
        assert httpx.get(f"{address}/anything").text == "the other"


@pytest.mark.parametrize("server", ["uvicorn", "hypercorn"])
def test_the_app_beside_a_framework_that_waits_for_lifespan_events_serves_both(
    tmp_path: Path, server: str
) -> None:
    _, _, example, _ = blocks(HOW_TO / "embed.md", "py")
    (tmp_path / "yourproject.py").write_text(_ENTERED)
    with (
        run(example, tmp_path, server) as address,
        edit(f"{address}/collab/ws/notes", doc=written("hello")) as editor,
    ):
        editor.send()
        assert httpx.get(f"{address}/anything").text == "entered"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The app that authenticates, running."""
    (example,) = blocks(HOW_TO / "authenticate.md", "python")
    with run(example, tmp_path_factory.mktemp("app")) as address:
        yield f"{address}/collab"


class TestAuthentication:
    def test_somebody_unknown_is_refused(self, address: str) -> None:
        with pytest.raises(InvalidStatus) as caught, edit(f"{address}/ws/notes?token=guess"):
            pass
        assert caught.value.response.status_code == 401
        assert httpx.get(f"{address}/api/docs").status_code == 401

    def test_a_writer_writes_and_others_read_along(self, address: str) -> None:
        with (
            edit(f"{address}/ws/team%2Fplan?token=3f1c", doc=written("by Ada")) as ada,
            edit(f"{address}/ws/team/plan?token=9b07") as grace,
        ):
            ada.send()
            assert grace.sees("by Ada")

    def test_a_header_names_somebody_as_well(self, address: str) -> None:
        with edit(
            f"{address}/ws/notes",
            doc=written("hello"),
            headers={"Authorization": "Bearer 3f1c"},
        ) as ada:
            ada.send()
        listed = httpx.get(f"{address}/api/docs/notes", headers={"Authorization": "Bearer 9b07"})
        assert listed.json()["name"] == "notes"

    def test_a_reader_s_changes_are_refused_as_the_page_says(self, address: str) -> None:
        with edit(f"{address}/ws/draft?token=9b07", doc=written("by Grace")) as grace:
            assert grace.refused() in (HOW_TO / "authenticate.md").read_text()
        assert httpx.get(f"{address}/api/docs/draft?token=3f1c").status_code == 404


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_the_lines_of_python_on_history_restore_a_document(anyio_backend_name: str) -> None:
    (example,) = blocks(HOW_TO / "history.md", "python")
    code = f"async def example(collab):\n{textwrap.indent(example, '    ')}"
    names: dict[str, Any] = {"Identity": Identity}
    exec(code, names)
    store = MemoryStore()
    async with Collab(store) as app:
        async with app.document("notes") as document:
            text = document.doc.get("content", type=pycrdt.Text)
            text += "tea"
            await document.saved()
            await store.add_version("notes", Version(name="first list", seq=1, created_ms=0))
            text += ", bread"
        await names["example"](app)
        async with app.document("notes") as document:
            assert str(document.doc.get("content", type=pycrdt.Text)) == "tea"
    async with store:
        assert (await store.load("notes")).entries[-1].author == "robot"


def test_the_app_that_seeds_gives_documents_what_the_page_says(tmp_path: Path) -> None:
    (example,) = blocks(HOW_TO / "seed.md", "python")
    with run(example.replace("collab = ", "app = "), tmp_path) as address:
        with edit(f"{address}/ws/minutes/1") as editor:
            assert editor.sees("# Minutes\n")
        with edit(f"{address}/ws/board/1") as editor:
            assert editor.sees("New board", "title")
        with edit(f"{address}/ws/other") as editor:
            assert editor.sees("")
        listed = httpx.get(f"{address}/api/docs").json()["documents"]
        assert [document["name"] for document in listed] == ["board/1", "minutes/1"]


def test_a_room_of_pycrdt_websocket_is_kept_as_the_page_on_jupyter_says(tmp_path: Path) -> None:
    page = HOW_TO / "jupyter.md"
    (configuration,), (rooms,) = blocks(page, "python"), blocks(page, "py")
    path = tmp_path / "collab.db"
    placed = configuration.replace("/var/lib/jupyter/collab.db", str(path))
    assert placed != configuration
    names = {"c": SimpleNamespace(YDocExtension=SimpleNamespace())}
    exec(placed + rooms, names)
    store = cast("type[CollabYStore]", names["c"].YDocExtension.ystore_class)
    kept_server = cast("type[WebsocketServer]", names["KeptServer"])

    async def write_and_open() -> str:
        # Jupyter gives its configuration to the class.
        async with store(path=".notebook:1.y", log=None, config={}) as opened:  # type: ignore[call-arg]  # the page's class takes it
            await opened.encode_state_as_update(written("kept"))
        async with kept_server() as server:
            room = await server.get_room(".notebook:1.y")
            assert room.ready
            return str(room.ydoc.get("content", type=pycrdt.Text))

    assert anyio.run(write_and_open) == "kept"
