"""What was written without a connection in documents that are no longer on the page."""

from pathlib import Path

import httpx
import pytest
from playwright.async_api import Browser, Page, expect

from tests.e2e.pages import (
    CONNECTED,
    DOCUMENT,
    NOT_CONNECTED,
    SAVED,
    WITHIN_SECONDS,
    open_page,
    type_at_end,
    wait_until,
)
from tests.e2e.serving import Server, export, serve
from tests.server.signing import SECRET, token

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.browser,
    pytest.mark.slow,
]

expect.set_options(timeout=WITHIN_SECONDS * 1000)

NAMES = "() => JSON.parse(localStorage.getItem('collab.unsent:/')).map(([name]) => name)"
UNSENT = "() => localStorage.getItem('collab.unsent:/') !== '[]'"
SENT = "() => localStorage.getItem('collab.unsent:/') === '[]'"


async def write_elsewhere_offline(page: Page) -> None:
    """Writes in a new document without a connection, and leaves it for another new one."""
    await page.context.set_offline(True)
    await page.wait_for_selector(NOT_CONNECTED)
    for name, text in (("ideas", "Fly."), ("later", "Walk.")):
        await page.get_by_test_id("new-document").click()
        await page.get_by_test_id("new-document-name").fill(name)
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", name=name, exact=True)).to_be_visible()
        await type_at_end(page, text)
        await wait_until(page, UNSENT)


async def test_what_was_written_offline_is_stored_without_being_opened_again(
    browser: Browser, server: Server, store: Path
) -> None:
    page = await open_page(browser, server.port)
    await write_elsewhere_offline(page)
    listed = page.get_by_test_id("document-list").get_by_role("link", name="ideas")
    await expect(listed).to_contain_text("Not stored yet")
    await page.context.set_offline(False)
    await wait_until(page, SENT)
    assert export(store, "ideas") == "Fly."
    assert export(store, "later") == "Walk."
    await expect(listed).to_contain_text("Edited")
    # Nobody is left there.
    await wait_until(page, "() => window.collab.connection.documents.size === 1")
    # It is the page's own again.
    await listed.click()
    await page.wait_for_selector(CONNECTED)
    await type_at_end(page, " And land.")
    await page.wait_for_selector(SAVED)
    assert export(store, "ideas") == "Fly. And land."


async def test_what_the_server_does_not_take_stays_in_the_list(
    browser: Browser, server: Server
) -> None:
    page = await open_page(browser, server.port)
    await type_at_end(page, "Dear reader,")
    await page.wait_for_selector(SAVED)
    await page.context.set_offline(True)
    await page.wait_for_selector(NOT_CONNECTED)
    await type_at_end(page, " unsent.")
    await write_elsewhere_offline(page)
    async with httpx.AsyncClient() as client:
        (await client.delete(f"{server.url}/api/docs/{DOCUMENT}")).raise_for_status()
    await page.context.set_offline(False)
    documents = page.get_by_test_id("document-list")
    await expect(documents.get_by_role("link", name="ideas")).to_contain_text("Edited")
    deleted = documents.get_by_role("link", name=DOCUMENT)
    await expect(deleted).to_contain_text("Not stored yet")
    await deleted.click()
    await expect(page.get_by_test_id("refusal")).to_contain_text("kept on this device")


async def test_what_somebody_else_wrote_is_not_stored_under_another_name(
    browser: Browser, store: Path
) -> None:
    with serve(store, options=["--jwt-secret", SECRET]) as server:
        page = await (await browser.new_context()).new_page()
        await page.goto(f"{server.url}/?doc={DOCUMENT}#token={token(user='ada')}")
        await page.wait_for_selector(CONNECTED)
        await write_elsewhere_offline(page)
        await page.get_by_test_id("sign-out").click()
        await page.get_by_role("button", name="Sign out and keep the copies").click()
        await page.context.set_offline(False)
        for user, waits in (("grace", True), ("ada", False)):
            await page.goto(f"{server.url}/?doc={DOCUMENT}#token={token(user=user)}")
            await page.wait_for_selector(CONNECTED)
            listed = page.get_by_test_id("document-list").get_by_role("link", name="ideas")
            await expect(listed).to_contain_text("Not stored yet" if waits else "Edited")
            await type_at_end(page, f"{user} was here.")
            await page.wait_for_selector(SAVED)
            await expect(page.get_by_test_id("document-list")).to_contain_text("Edited just now")
            await wait_until(page, UNSENT if waits else SENT)
            if waits:
                await page.get_by_test_id("sign-out").click()
                await page.get_by_role("button", name="Sign out and keep the copies").click()
        assert export(store, "ideas") == "Fly."


async def test_what_was_about_to_be_stored_when_a_sign_in_ends_waits_for_who_wrote_it(
    browser: Browser, store: Path
) -> None:
    with serve(store, options=["--jwt-secret", SECRET]) as server:
        page = await (await browser.new_context()).new_page()
        await page.goto(f"{server.url}/?doc={DOCUMENT}#token={token(user='ada', jti='t1')}")
        await page.wait_for_selector(CONNECTED)
        await write_elsewhere_offline(page)
        await page.evaluate("() => window.collab.connection.disconnect()")
        await page.context.set_offline(False)
        await wait_until(page, "() => window.collab.connection.documents.size === 2")
        async with httpx.AsyncClient() as client:
            revoked = await client.post(
                f"{server.url}/api/sessions/revoke",
                json={"token_id": "t1"},
                headers={"Authorization": f"Bearer {token(user='root')}"},
            )
            revoked.raise_for_status()
        await page.evaluate("() => window.collab.connection.connect()")
        await page.get_by_label("Token").fill(token(user="grace"))
        await page.keyboard.press("Enter")
        await page.wait_for_selector(SAVED)
        await wait_until(page, "() => window.collab.connection.documents.size === 1")
        assert await page.evaluate(NAMES) == ["ideas", "later"]

        await page.goto("about:blank")  # Otherwise the same page goes on for a moment.
        await page.goto(f"{server.url}/?doc={DOCUMENT}#token={token(user='ada')}")
        await wait_until(page, SENT)
        assert export(store, "ideas") == "Fly."
        assert export(store, "later") == "Walk."


async def test_a_document_with_somebody_else_s_words_opens_without_them_until_they_are_back(
    browser: Browser, store: Path
) -> None:
    with serve(store, options=["--jwt-secret", SECRET]) as server:
        page = await (await browser.new_context()).new_page()
        await page.goto(f"{server.url}/?doc={DOCUMENT}#token={token(user='ada')}")
        await page.wait_for_selector(CONNECTED)
        await page.context.set_offline(True)
        await page.wait_for_selector(NOT_CONNECTED)
        await type_at_end(page, "Ada's.")
        await wait_until(page, UNSENT)
        await page.get_by_test_id("sign-out").click()
        await page.get_by_role("button", name="Sign out and keep the copies").click()
        await page.context.set_offline(False)

        await page.goto("about:blank")  # Otherwise the same page goes on for a moment.
        await page.goto(f"{server.url}/?doc={DOCUMENT}#token={token(user='grace')}")
        await expect(page.get_by_test_id("notice")).to_contain_text("What somebody else wrote here")
        await page.wait_for_selector(CONNECTED)
        await type_at_end(page, "Grace's.")
        await page.wait_for_selector(SAVED)
        assert export(store, DOCUMENT) == "Grace's."
        assert await page.evaluate(NAMES) == [DOCUMENT]
        await page.get_by_test_id("sign-out").click()
        await page.get_by_role("button", name="Sign out and keep the copies").click()

        await page.goto("about:blank")  # Otherwise the same page goes on for a moment.
        await page.goto(f"{server.url}/?doc={DOCUMENT}#token={token(user='ada')}")
        await wait_until(page, SENT)
        assert sorted(export(store, DOCUMENT).replace("\n", "").split(".")[:2]) == [
            "Ada's",
            "Grace's",
        ]


async def test_who_signs_in_above_the_text_of_somebody_else_does_not_store_it(
    browser: Browser, store: Path
) -> None:
    with serve(store, options=["--jwt-secret", SECRET]) as server:
        page = await (await browser.new_context()).new_page()
        await page.goto(f"{server.url}/?doc={DOCUMENT}#token={token(user='ada', jti='t1')}")
        await page.wait_for_selector(CONNECTED)
        async with httpx.AsyncClient() as client:
            revoked = await client.post(
                f"{server.url}/api/sessions/revoke",
                json={"token_id": "t1"},
                headers={"Authorization": f"Bearer {token(user='root')}"},
            )
            revoked.raise_for_status()
        await expect(page.get_by_label("Token")).to_be_visible()
        await type_at_end(page, "Ada's.")
        await wait_until(page, UNSENT)

        await page.get_by_label("Token").fill(token(user="grace"))
        await page.keyboard.press("Enter")
        await page.wait_for_selector(SAVED)
        await type_at_end(page, "Grace's.")
        await page.wait_for_selector(SAVED)
        assert export(store, DOCUMENT) == "Grace's."
        assert await page.evaluate(NAMES) == [DOCUMENT]
