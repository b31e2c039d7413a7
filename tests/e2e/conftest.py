"""Real clients: Node's and a browser."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, async_playwright, expect

import collab.server
from tests.clients.driver import Driver, drive
from tests.clients.installation import install
from tests.e2e.pages import WITHIN_SECONDS, check_consoles
from tests.e2e.serving import Server, serve
from tests.needs import BROWSER_FLAGS, find_program, skip_or_fail

DEMO = Path(collab.server.__file__).parent / "static" / "demo" / "index.html"


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """What Playwright and the clients' WebSockets run on; a browser stays for a module."""
    return "asyncio"


@pytest.fixture(scope="session")
def node_clients() -> None:
    """Installs the npm clients, where that is to be done."""
    find_program("node")
    find_program("npm")
    install()


@pytest.fixture
def driver(node_clients: None) -> Iterator[Driver]:
    """A Node process for clients of one test."""
    with drive() as driver:
        yield driver


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """The file of a store, not made yet."""
    return tmp_path / "collab.db"


@pytest.fixture(params=["native", "asgi"])
def transport(request: pytest.FixtureRequest) -> str:
    """What carries WebSockets."""
    return str(request.param)


@pytest.fixture
def served(request: pytest.FixtureRequest) -> None:
    """The test's own server, where it has one: begun before the pages, it ends after them.

    A page that asks something of a server in the moment it stops is answered 503, and its browser
    says so in the console.
    """
    if "server" in request.fixturenames:
        request.getfixturevalue("server")


@pytest.fixture(scope="module")
async def chromium() -> AsyncIterator[Browser]:
    """Debian's Chromium, for all tests of a module; Playwright's own is not downloaded."""
    program = find_program("chromium")
    if not DEMO.exists():
        skip_or_fail("the built demo (make run builds it)")
    expect.set_options(timeout=WITHIN_SECONDS * 1000)
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=program, args=BROWSER_FLAGS)
        yield chromium
        await chromium.close()


@pytest.fixture
async def browser(served: None, chromium: Browser) -> AsyncIterator[Browser]:
    """A browser with no page open and no profile kept; consoles must stay clean in it."""
    yield chromium
    try:
        await check_consoles(chromium)
    finally:
        for context in chromium.contexts:
            await context.close()


@pytest.fixture
def server(store: Path) -> Iterator[Server]:
    """A server on a store of its own."""
    with serve(store) as server:
        yield server
