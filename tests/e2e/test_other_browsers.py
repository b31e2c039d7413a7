"""The demo in Firefox and in WebKit, beside a page in Chromium."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, expect

from tests.e2e.pages import DOCUMENT, SAVED, open_page, type_at_end, wait_shows
from tests.e2e.serving import Server
from tests.e2e.windows import Window, open_firefox, open_webkit

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.browser,
    pytest.mark.slow,
]

SYNCED = "() => window.collab?.provider.synced ?? false"
SHOWS = """text => window.collab.doc.getText('content').toString() === text
  && window.collab.view.state.doc.toString() === text"""
CARETS = "() => window.collab.view.contentDOM.querySelectorAll('.cm-remote-caret').length"

FIRST = "() => document.querySelector('[data-testid=history-list] button')"
LISTED = f"() => ({FIRST})() !== null"
MARKED = """() => {
  const { shadowRoot } = document.getElementById('preview-text')
  const inserted = shadowRoot?.querySelector('.cm-inserted')
  return inserted && getComputedStyle(inserted).backgroundColor === 'rgb(217, 240, 226)'
}"""


@pytest.fixture(params=["firefox", "webkit"])
async def window(
    request: pytest.FixtureRequest, server: Server, tmp_path: Path
) -> AsyncIterator[Window]:
    """A window with the document in it, in sync."""
    async with open_firefox(tmp_path) if request.param == "firefox" else open_webkit() as window:
        await window.go(f"{server.url}/?doc={DOCUMENT}")
        await window.wait_until(SYNCED)
        yield window


async def test_two_people_write_together_whichever_browser_they_have(
    window: Window, browser: Browser, server: Server
) -> None:
    page = await open_page(browser, server.port, name="Ada")
    # Firefox tells of the emoji's key as of two, one for each half.
    await window.type_at_end("Dear reader 😀,")
    await wait_shows(page, "Dear reader 😀,")
    await expect(page.locator(".cm-remote-caret")).to_have_count(1)
    await type_at_end(page, " hello.")
    await page.wait_for_selector(SAVED)
    await window.wait_until(SHOWS, "Dear reader 😀, hello.")
    await window.wait_until(f"() => ({CARETS})() === 1")

    await window.reload()
    await window.wait_until(SYNCED)
    await window.wait_until(SHOWS, "Dear reader 😀, hello.")
    await window.click("open-history")
    await window.wait_until(LISTED)
    await window.ask(f"() => ({FIRST})().click()")
    await window.wait_until(MARKED)
