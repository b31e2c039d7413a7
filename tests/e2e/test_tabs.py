"""Several tabs of one browser on one document, while the server is out of reach."""

from pathlib import Path

import pytest
from playwright.async_api import Browser, BrowserContext, Page, expect

from tests.clients.driver import Driver
from tests.e2e.pages import (
    CONNECTED,
    DOCUMENT,
    NOT_CONNECTED,
    SAVED,
    WITHIN_SECONDS,
    type_at_end,
    wait_shows,
    wait_until,
)
from tests.e2e.serving import Server, export, serve
from tests.server.signing import SECRET, token

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.browser,
    pytest.mark.node,
    pytest.mark.slow,
]


ALONE = "() => window.collab.provider.presence.others.length === 0"
TOGETHER = "() => window.collab.provider.presence.others.length === 1"


async def open_tab(context: BrowserContext, port: int, fragment: str = "") -> Page:
    """Opens the document in one more tab of a browser, and waits until it is there."""
    page = await context.new_page()
    page.set_default_timeout(WITHIN_SECONDS * 1000)
    await page.goto(f"http://127.0.0.1:{port}/?doc={DOCUMENT}{fragment}")
    await wait_until(page, "() => window.collab !== undefined")
    return page


async def test_tabs_without_a_server_write_together_and_what_they_wrote_is_stored_once(
    browser: Browser, server: Server, driver: Driver, store: Path
) -> None:
    proxy = driver.proxy(server.port)
    context = await browser.new_context()
    first, second = [await open_tab(context, proxy.port) for _ in range(2)]
    for page in (first, second):
        await page.wait_for_selector(CONNECTED)
    await first.evaluate("navigator.serviceWorker.ready.then(() => undefined)")
    await type_at_end(second, "Dear reader,")
    await wait_shows(first, "Dear reader,")

    proxy.cut()
    for page in (first, second):
        await page.wait_for_selector(NOT_CONNECTED)
    await type_at_end(first, " from here 😀")
    await wait_shows(second, "Dear reader, from here 😀")
    await type_at_end(second, " and there.")
    await wait_shows(first, "Dear reader, from here 😀 and there.")
    await expect(first.locator(".cm-remote-caret")).to_have_count(1)
    # Nobody takes back what somebody else wrote.
    await first.keyboard.press("Control+z")
    await wait_shows(second, "Dear reader, and there.")
    await first.keyboard.press("Control+y")
    await wait_shows(second, "Dear reader, from here 😀 and there.")
    # What comes into a page that is loaded without a server is there as well.
    third = await open_tab(context, proxy.port)
    await type_at_end(second, " Farewell.")
    text = "Dear reader, from here 😀 and there. Farewell."
    await wait_shows(third, text)
    await third.close()
    await second.close()
    await wait_until(first, ALONE)

    proxy.mend()
    await first.wait_for_selector(SAVED)
    await wait_shows(first, text)
    assert export(store, DOCUMENT) == text
    again = await open_tab(context, proxy.port)
    await wait_shows(again, text)
    for page in (first, again):
        await page.wait_for_selector(SAVED)
        await wait_until(page, TOGETHER)


async def test_without_a_server_tabs_of_two_who_signed_in_learn_nothing_of_each_other(
    browser: Browser, store: Path, driver: Driver
) -> None:
    with serve(store, options=["--jwt-secret", SECRET]) as server:
        proxy = driver.proxy(server.port)
        context = await browser.new_context()
        bearers = [token(user=user) for user in ("ada", "grace")]
        tabs = [
            await open_tab(context, proxy.port, f"#token={bearer}")
            for bearer in (*bearers, bearers[0])
        ]
        ada, grace, again = tabs
        for page in tabs:
            await page.wait_for_selector(CONNECTED)
        proxy.cut()
        for page in tabs:
            await page.wait_for_selector(NOT_CONNECTED)
        await type_at_end(ada, "Ada was here.")
        await wait_shows(again, "Ada was here.")
        await wait_shows(grace, "")
        await wait_until(grace, ALONE)
        proxy.mend()
        for page in tabs:
            await wait_shows(page, "Ada was here.")
