"""The demo's list of documents, where there are hundreds: it is searched, by keyboard as well."""

from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from collab.storage.sqlite import SQLiteStore
from collab.store import Append, NewEntry
from tests.core import poison
from tests.e2e.pages import open_page, wait_until
from tests.e2e.serving import serve

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.browser,
    pytest.mark.slow,
]

NAMES = [f"Minutes {number:03}" for number in range(300)] + ["Menu of the Ünits", "zoo (menu)"]


@pytest.fixture
async def store(tmp_path: Path) -> Path:
    """A store with hundreds of documents."""
    store = tmp_path / "collab.db"
    entries = [NewEntry(update=poison.HELLO, time_ms=1, author=None)]
    async with SQLiteStore(store) as opened:
        await opened.append([Append(document=name, entries=entries) for name in NAMES])
    return store


async def names_listed(page: Page) -> list[str]:
    return await page.locator("#document-list .name").all_inner_texts()


async def test_a_document_is_found_and_opened_by_the_keyboard_alone(
    browser: Browser, store: Path
) -> None:
    with serve(store) as server:
        page = await open_page(browser, server.port)
        field = page.get_by_role("searchbox", name="Find a document")
        await field.focus()
        await page.keyboard.type("MENU")
        # One of them is beyond the first page of the server's list.
        await expect(page.locator("#document-list a")).to_have_count(2)
        await expect(page.get_by_text("2 documents found")).to_have_count(1)
        assert sorted(await names_listed(page)) == ["Menu of the Ünits", "zoo (menu)"]
        await page.keyboard.type(" unity")
        await expect(page.get_by_text("No document has a name like that.")).to_be_visible()
        await page.keyboard.press("Backspace")
        await expect(page.locator("#document-list a")).to_have_count(1)
        for _ in range(5):
            await page.keyboard.press("Backspace")
        await expect(page.locator("#document-list a")).to_have_count(2)

        await page.keyboard.press("ArrowDown")
        await page.keyboard.press("ArrowDown")
        await expect(page.get_by_role("link", name="zoo (menu)")).to_be_focused()
        await page.keyboard.press("ArrowUp")
        await page.keyboard.press("ArrowUp")
        await expect(field).to_be_focused()
        await page.keyboard.type(" zoo")
        await expect(page.locator("#document-list a")).to_have_count(1)
        await page.keyboard.press("Enter")
        await wait_until(page, "() => window.collab?.provider.name === 'zoo (menu)'")
        await expect(page.get_by_test_id("editor").locator(".cm-content")).to_be_focused()

        await field.focus()
        await page.keyboard.press("Escape")
        await expect(field).to_have_value("")
        await expect(page.get_by_role("button", name="Show more")).to_be_visible()


async def test_what_is_found_is_not_mixed_with_what_was_searched_for_before(
    browser: Browser, store: Path
) -> None:
    with serve(store) as server:
        page = await open_page(browser, server.port)
        field = page.get_by_role("searchbox", name="Find a document")
        await field.fill("minutes 1")
        more = page.get_by_role("button", name="Show more")
        await expect(page.get_by_text("100 or more documents found")).to_have_count(1)
        await more.click()
        await expect(page.get_by_text("138 documents found")).to_have_count(1)
        # An answer that is late is one to a question of before.
        await page.route("**/api/docs?search=minutes**", lambda route: None)
        async with page.expect_request("**/api/docs?search=minutes**"):
            await field.fill("minutes 2")
        await field.fill("zoo")
        await expect(page.locator("#document-list a")).to_have_count(1)
        assert await names_listed(page) == ["zoo (menu)"]


async def test_without_the_server_what_was_opened_on_this_device_is_searched(
    browser: Browser, store: Path
) -> None:
    with serve(store) as server:
        page = await open_page(browser, server.port)
        field = page.get_by_role("searchbox", name="Find a document")
        await field.fill("zoo")
        await page.get_by_role("link", name="zoo (menu)").click()
        await wait_until(page, "() => window.collab?.provider.synced")
        await page.context.set_offline(True)
        await field.fill("let")
        await expect(page.get_by_text("The server is out of reach.")).to_be_visible()
        await expect(page.locator("#document-list a")).to_have_count(1)
        assert await names_listed(page) == ["letter"]
        await field.fill("nothing of this kind")
        await expect(page.get_by_text("Nothing you opened on this device")).to_be_visible()
