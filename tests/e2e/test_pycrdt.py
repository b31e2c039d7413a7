"""The pycrdt ecosystem's provider, over httpx-ws as its documentation has it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path

import anyio
import anyio.to_thread
import httpx
import pycrdt
import pytest
from httpx_ws import AsyncWebSocketSession, aconnect_ws
from pycrdt.websocket.websocket import HttpxWebsocket

from tests.clients.driver import Driver
from tests.clients.host import WITHIN_SECONDS
from tests.clients.kinds import Y_WEBSOCKET
from tests.e2e.serving import Server, export, serve
from tests.e2e.test_clients import WITH_TOKENS, long_document
from tests.server.signing import token

pytestmark = [pytest.mark.anyio, pytest.mark.node]

ROOM = "notes"
STOCK = Y_WEBSOCKET[2]


class Pycrdt:
    """The library, in the version that is installed."""

    package = "pycrdt"
    release = version("pycrdt")
    path = "/ws/{document}"


@asynccontextmanager
async def provided(
    server: Server, doc: "pycrdt.Doc[pycrdt.Text]", room: str = ROOM, query: str = ""
) -> AsyncIterator[None]:
    """Connects a document for as long as the context lasts."""
    url = f"{server.url}/ws/{room}{query}"
    websocket: AsyncWebSocketSession
    async with (
        aconnect_ws(url) as websocket,
        pycrdt.Provider(doc, HttpxWebsocket(websocket, room)) as provider,
    ):
        with anyio.fail_after(WITHIN_SECONDS):
            await provider.synced.wait()
        yield


async def until(doc: "pycrdt.Doc[pycrdt.Text]", text: str) -> None:
    """Waits until a document shows this."""
    content = doc.get("content", type=pycrdt.Text)
    with anyio.fail_after(WITHIN_SECONDS):
        async with doc.events() as events:
            if str(content) == text:
                return
            async for _ in events:
                if str(content) == text:
                    return


@pytest.mark.matrix("sync", client=Pycrdt)
async def test_it_shares_a_document_with_a_browser_s_client(driver: Driver, store: Path) -> None:
    with serve(store) as server:
        stock = driver.connect(STOCK, server.port, ROOM)
        stock.insert(0, "there 😀")
        stock.wait_acknowledged()
        doc: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc()
        async with provided(server, doc):
            content = doc.get("content", type=pycrdt.Text)
            await until(doc, "there 😀")
            content.insert(0, "hello ")
            await anyio.to_thread.run_sync(stock.wait_shows, "hello there 😀")
            await anyio.to_thread.run_sync(stock.insert, 0, "oh, ")
            await until(doc, "oh, hello there 😀")
        assert export(store, ROOM) == "oh, hello there 😀"


@pytest.mark.matrix("offline merge", client=Pycrdt)
async def test_what_it_wrote_between_two_connections_is_merged(driver: Driver, store: Path) -> None:
    with serve(store) as server:
        stock = driver.connect(STOCK, server.port, ROOM)
        doc: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc()
        content = doc.get("content", type=pycrdt.Text)
        async with provided(server, doc):
            content.insert(0, "one ")
            await anyio.to_thread.run_sync(stock.wait_shows, "one ")
        content.insert(4, "two ")
        stock.insert(0, "zero ")
        stock.wait_acknowledged()
        async with provided(server, doc):
            await until(doc, "zero one two ")
            await anyio.to_thread.run_sync(stock.wait_shows, "zero one two ")


@pytest.mark.matrix("read-only", client=Pycrdt)
async def test_as_a_reader_it_reads_and_what_it_writes_goes_nowhere(
    driver: Driver, store: Path
) -> None:
    with serve(store, options=WITH_TOKENS) as server:
        stock = driver.connect(STOCK, server.port, ROOM, tokens=[token()])
        doc: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc()
        content = doc.get("content", type=pycrdt.Text)
        async with provided(server, doc, query=f"?token={token(docs={ROOM: 'read'})}"):
            content.insert(0, "scribble: ")
            await anyio.to_thread.run_sync(stock.insert, 0, "read this")
            with anyio.fail_after(WITHIN_SECONDS):
                async with doc.events() as events:
                    while "read this" not in str(content):
                        await anext(events)
        await anyio.to_thread.run_sync(stock.wait_acknowledged)
        assert export(store, ROOM) == "read this"


@pytest.mark.matrix("big document", client=Pycrdt)
async def test_a_document_of_megabytes_arrives_whole(store: Path) -> None:
    update = long_document()
    with serve(store) as server:
        async with httpx.AsyncClient(base_url=server.url, timeout=30) as client:
            answer = await client.post("/api/docs/long/updates", content=update)
        answer.raise_for_status()
        doc: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc()
        async with provided(server, doc, "long"):
            whole: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc()
            whole.apply_update(update)
            assert doc.get_state() == whole.get_state()
            assert doc.get_update(whole.get_state()) == whole.get_update(doc.get_state())
