"""Where the keyboard is in the demo when what had the focus is gone."""

import re

import pytest
from playwright.async_api import Browser, Page, expect

from tests.e2e.pages import SAVED, open_page, type_at_end, wait_shows
from tests.e2e.serving import Server

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.browser,
    pytest.mark.slow,
]


async def press(page: Page, test_id: str) -> None:
    """Presses a button by the keyboard."""
    await page.get_by_test_id(test_id).focus()
    await page.keyboard.press("Enter")


async def test_in_the_history_the_focus_goes_back_to_the_row_that_was_chosen_or_the_next(
    browser: Browser, server: Server
) -> None:
    page = await open_page(browser, server.port, name="Ada")
    await type_at_end(page, "Dear reader,")
    await page.wait_for_selector(SAVED)
    await press(page, "open-history")
    rows = page.get_by_test_id("history-list").get_by_role("button")
    await expect(rows).to_have_count(1)
    await press(page, "name-now")
    await page.keyboard.type("First draft")
    await page.keyboard.press("Enter")
    await expect(page.get_by_test_id("name-now")).to_be_focused()
    await type_at_end(page, " hello.")
    await page.wait_for_selector(SAVED)
    first = rows.filter(has_text=re.compile(r"^\s*First draft"))
    await first.focus()
    await page.keyboard.press("Enter")
    await press(page, "restore")
    await wait_shows(page, "Dear reader,")
    await expect(first).to_be_focused()

    await press(page, "notice-action")
    await wait_shows(page, "Dear reader, hello.")
    await expect(first).to_be_focused()

    await page.keyboard.press("Enter")
    await page.get_by_role("button", name="Forget the name").focus()
    await page.keyboard.press("Enter")
    await expect(first).to_have_count(0)
    assert await page.evaluate("document.activeElement.matches('#history-list button')")


async def test_who_deletes_the_open_document_or_dismisses_a_notice_is_not_left_nowhere(
    browser: Browser, server: Server
) -> None:
    page = await open_page(browser, server.port)
    await type_at_end(page, "Dear reader,")
    await page.wait_for_selector(SAVED)
    menu = page.get_by_role("button", name="Document", exact=True)
    for choice in ("Copy the address", "Delete"):
        await menu.focus()
        await page.keyboard.press("Enter")
        await page.get_by_role("button", name=choice, exact=True).focus()
        await page.keyboard.press("Enter")
        if choice == "Copy the address":
            await page.get_by_role("button", name="Dismiss").focus()
            await page.keyboard.press("Enter")
            await expect(menu).to_be_focused()
    await expect(page.locator("#welcome-new")).to_be_focused()
    await press(page, "notice-action")
    await expect(page.get_by_test_id("editor").locator(".cm-content")).to_be_focused()
