"""The demo where something is missing: room, what a browser keeps, a name, access, speed."""

from pathlib import Path

import httpx
import pytest
from playwright.async_api import Browser, Locator, Page, expect

from tests.e2e.pages import (
    CONNECTED,
    DOCUMENT,
    NOT_CONNECTED,
    SAVED,
    open_page,
    type_at_end,
)
from tests.e2e.serving import Server, export, serve
from tests.server.signing import SECRET, token

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.browser,
    pytest.mark.slow,
]


async def test_a_page_whose_text_is_kept_nowhere_else_asks_before_it_is_left(
    browser: Browser, server: Server
) -> None:
    context = await browser.new_context()
    page = await context.new_page()
    await page.add_init_script("Object.defineProperty(window, 'indexedDB', { value: undefined })")
    await page.goto(f"{server.url}/?doc={DOCUMENT}")
    await page.wait_for_selector(CONNECTED)
    await type_at_end(page, "stored")
    await page.wait_for_selector(SAVED)
    await context.set_offline(True)
    await page.wait_for_selector(NOT_CONNECTED)
    await type_at_end(page, " and not")
    await expect(page.get_by_test_id("saved")).to_contain_text("keep this page open")
    async with page.expect_event("dialog") as asked:
        await page.close(run_before_unload=True)
    question = await asked.value
    assert question.type == "beforeunload"
    await question.dismiss()

    await context.set_offline(False)
    await page.wait_for_selector(SAVED)
    async with page.expect_event("close"):
        await page.close(run_before_unload=True)


async def test_what_a_device_has_no_room_for_is_not_said_to_be_kept(
    browser: Browser, server: Server
) -> None:
    page = await open_page(browser, server.port)
    await type_at_end(page, "kept")
    await page.wait_for_selector(SAVED)
    # As a browser does that is out of space.
    await page.evaluate(
        """() => {
          const { add } = IDBObjectStore.prototype
          IDBObjectStore.prototype.add = function (...values) {
            const adding = add.apply(this, values)
            this.transaction.abort()
            return adding
          }
        }"""
    )
    await page.context.set_offline(True)
    await page.wait_for_selector(NOT_CONNECTED)
    await type_at_end(page, ".!")
    await expect(page.get_by_test_id("saved")).to_have_text(
        "2 changes waiting, keep this page open"
    )
    await page.close()  # Its console tells of what could not be kept.


async def fill(page: Page) -> Locator:
    """Writes more than a document of 2,000 bytes takes; gives what the page says of that."""
    await page.get_by_test_id("editor").locator(".cm-content").focus()
    await page.keyboard.insert_text("A long letter. " * 200)
    await page.wait_for_selector(SAVED)
    await type_at_end(page, "And more.")
    told = page.get_by_test_id("refusal")
    await expect(told).to_contain_text("This document is full")
    return told


async def test_a_document_that_is_full_says_so_and_what_becomes_of_what_is_written(
    browser: Browser, store: Path
) -> None:
    with serve(store, options=["--document-max-bytes", "2000"]) as server:
        page = await open_page(browser, server.port)
        told = await fill(page)
        await expect(told).to_contain_text("kept on this device alone")
        await expect(told.get_by_role("button")).to_have_count(0)
        await expect(page.get_by_test_id("saved")).to_have_text("Not stored")
        await page.reload()
        await expect(told).to_contain_text("This document is full")
        await expect(page.get_by_test_id("saved")).to_have_text("Not stored")
        await page.close()


async def test_a_full_document_goes_on_once_text_is_deleted_with_what_it_refused(
    browser: Browser, store: Path
) -> None:
    options = ["--document-max-bytes", "2000", "--checkpoint-seconds", "0.001"]
    with serve(store, options=options) as server:
        page = await open_page(browser, server.port)
        told = await fill(page)
        await page.keyboard.press("Control+a")
        await page.keyboard.insert_text("A short one.")
        await page.wait_for_selector(SAVED)
        await expect(told).to_be_hidden()
        await type_at_end(page, " It goes on.")
        await page.wait_for_selector(SAVED)
        assert export(store, DOCUMENT) == "A short one. It goes on."


async def test_an_address_that_can_name_no_document_is_not_passed_over(
    browser: Browser, server: Server
) -> None:
    page = await (await browser.new_context()).new_page()
    await page.goto(f"{server.url}/?doc={'x' * 600}")
    await expect(page.get_by_test_id("notice")).to_contain_text("at most 512 bytes")


async def test_where_the_browser_keeps_nothing_the_page_works_until_it_is_left(
    browser: Browser, server: Server
) -> None:
    page = await (await browser.new_context()).new_page()
    # As it does where all cookies are blocked.
    await page.add_init_script(
        """for (const name of ['localStorage', 'sessionStorage']) {
          const get = () => { throw new DOMException('denied', 'SecurityError') }
          Object.defineProperty(window, name, { get })
        }"""
    )
    await page.goto(f"{server.url}/?doc={DOCUMENT}")
    await type_at_end(page, "Dear reader,")
    await page.wait_for_selector(SAVED)
    await page.get_by_test_id("user-name").fill("Ada")
    await page.keyboard.press("Enter")
    await page.wait_for_selector(CONNECTED)
    await expect(page.get_by_test_id("presence").get_by_role("button")).to_have_text(["A"])


async def test_a_page_that_is_not_loaded_yet_is_not_called_offline(
    browser: Browser, server: Server
) -> None:
    page = await (await browser.new_context(java_script_enabled=False)).new_page()
    await page.goto(f"{server.url}/?doc={DOCUMENT}")
    await expect(page.get_by_test_id("status")).to_have_text("Opening…")


async def offered(page: Page) -> list[str]:
    """Opens the document's menu; gives what can be done."""
    await page.get_by_role("button", name="Document", exact=True).click()
    choices = page.get_by_role("group", name="Document").get_by_role("button")
    return await choices.all_inner_texts()


async def test_who_has_no_access_is_offered_nothing_of_what_the_server_keeps(
    browser: Browser, store: Path
) -> None:
    with serve(store, options=["--jwt-secret", SECRET]) as server:
        context = await browser.new_context(viewport={"width": 390, "height": 844})
        page = await context.new_page()
        bearer = token(user="vera", docs={"another": "write"})
        await page.goto(f"{server.url}/?doc={DOCUMENT}#token={bearer}")
        await expect(page.get_by_test_id("refusal")).to_contain_text("You have no access")
        kept = ["Find and replace", "Copy the address", "Download the text"]
        assert await offered(page) == kept
        await page.keyboard.press("Escape")
        await page.set_viewport_size({"width": 1280, "height": 800})
        for hidden in ("open-history", "show-authors"):
            await expect(page.get_by_test_id(hidden)).to_be_hidden()
        # Another document is none of that.
        await page.goto(f"{server.url}/?doc=another")
        await page.wait_for_selector(CONNECTED)
        await expect(page.get_by_test_id("open-history")).to_be_visible()
        await page.set_viewport_size({"width": 390, "height": 844})
        assert (await offered(page))[:2] == ["History", "Who wrote what"]


async def test_who_wrote_offline_in_what_was_deleted_meanwhile_is_told_where_that_is(
    browser: Browser, server: Server
) -> None:
    page = await open_page(browser, server.port)
    await type_at_end(page, "Dear reader,")
    await page.wait_for_selector(SAVED)
    await page.get_by_test_id("open-history").click()
    await page.context.set_offline(True)
    await page.wait_for_selector(NOT_CONNECTED)
    await type_at_end(page, " unsent.")
    async with httpx.AsyncClient() as client:
        (await client.delete(f"{server.url}/api/docs/{DOCUMENT}")).raise_for_status()
    await page.context.set_offline(False)
    told = page.get_by_test_id("refusal")
    await expect(told).to_contain_text("This document was deleted")
    await expect(told).to_contain_text("not stored yet is kept on this device")
    await expect(page.get_by_test_id("history")).to_be_hidden()
    assert "Download the text" in await offered(page)
    await page.keyboard.press("Escape")
    await told.get_by_role("button", name="Bring it back").click()
    await page.wait_for_selector(SAVED)
    await expect(page.get_by_test_id("editor")).to_contain_text("Dear reader, unsent.")


async def test_over_a_slow_network_there_is_little_to_wait_for(
    browser: Browser, server: Server
) -> None:
    page = await open_page(browser, server.port)
    sizes = await page.evaluate(
        """() => Object.fromEntries(['navigation', 'resource']
          .flatMap((type) => performance.getEntriesByType(type))
          .filter(({ name }) => !name.includes('/api/'))
          .map(({ name, encodedBodySize }) => [name.split('/').at(-1), encodedBodySize]))"""
    )
    # The page, its style and its script, packed.
    assert len(sizes) >= 3
    assert 150_000 < sum(sizes.values()) < 190_000, sizes
