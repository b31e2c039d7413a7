"""Real clients: Node's and a browser."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, async_playwright

import collab.server
from tests.clients.driver import Driver, drive
from tests.clients.installation import install
from tests.e2e.pages import check_consoles
from tests.e2e.serving import Server, serve
from tests.needs import BROWSER_FLAGS, find_program, skip_or_fail

DEMO = Path(collab.server.__file__).parent / "static" / "demo" / "index.html"


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
    """The test's own server, where it has one: begun before the browser, it ends after it.

    A page that asks something of a server in the moment it stops is answered 503, and its browser
    says so in the console.
    """
    if "server" in request.fixturenames:
        request.getfixturevalue("server")


@pytest.fixture
async def browser(served: None) -> AsyncIterator[Browser]:
    """Debian's Chromium; Playwright's own is not downloaded. Consoles must stay clean in it."""
    program = find_program("chromium")
    if not DEMO.exists():
        skip_or_fail("the built demo (make run builds it)")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=BROWSER_FLAGS)
        yield browser
        await check_consoles(browser)
        await browser.close()


@pytest.fixture
def server(store: Path) -> Iterator[Server]:
    """A server on a store of its own."""
    with serve(store) as server:
        yield server
