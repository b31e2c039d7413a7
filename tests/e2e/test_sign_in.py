"""Signing in to the demo with tokens: by a link, by pasting one, anew, and out again."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx
import pycrdt
import pytest
from playwright.async_api import Browser, Page, expect

from tests.e2e.pages import (
    CONNECTED,
    DOCUMENT,
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
    pytest.mark.slow,
]

OPTIONS = ["--jwt-secret", SECRET, "--jwt-leeway", "0"]
SYNCED = "() => window.collab?.provider.synced"


@pytest.fixture
def server(store: Path) -> Iterator[Server]:
    """A server that takes tokens and nothing else."""
    with serve(store, options=OPTIONS) as server:
        yield server


async def arrive(browser: Browser, server: Server, bearer: str | None) -> Page:
    """Opens the document's address as somebody new, with a token in it or without."""
    context = await browser.new_context(viewport={"width": 1280, "height": 800})
    page = await context.new_page()
    page.set_default_timeout(WITHIN_SECONDS * 1000)
    fragment = "" if bearer is None else f"#token={bearer}"
    await page.goto(f"{server.url}/?doc={DOCUMENT}{fragment}")
    return page


async def paste(page: Page, text: str) -> None:
    """Puts text into the field for tokens at once, and presses Enter there."""
    field = page.get_by_label("Token")
    await expect(field).to_be_visible()  # Nothing that is hidden takes the focus.
    await field.focus()
    await page.keyboard.insert_text(text)
    await page.keyboard.press("Enter")


async def sign_out(page: Page, choice: str) -> None:
    """Signs out, and says what becomes of the copies on the device."""
    await page.get_by_test_id("sign-out").click()
    await page.get_by_role("dialog", name="Sign out").get_by_role("button", name=choice).click()


def ask_as_root(server: Server, method: str, path: str, **wish: Any) -> None:
    """Has an administrator do something by REST."""
    headers = {"Authorization": f"Bearer {token(user='root')}"}
    httpx.request(method, f"{server.url}/api/{path}", headers=headers, **wish).raise_for_status()


def write(server: Server, text: str) -> None:
    """Has an administrator write something into the document."""
    doc = pycrdt.Doc({"content": pycrdt.Text(text)})
    ask_as_root(server, "POST", f"docs/{DOCUMENT}/updates", content=doc.get_update())


async def test_a_link_signs_in_and_leaves_no_token_in_the_address(
    browser: Browser, server: Server
) -> None:
    page = await arrive(browser, server, token(user="ana", name="Ana Lima"))
    await wait_until(page, SYNCED)
    assert page.url == f"{server.url}/?doc={DOCUMENT}"
    assert await page.evaluate("history.length") == 2  # about:blank, and this.
    await expect(page.get_by_test_id("known-name")).to_have_text("Ana Lima")
    await expect(page.get_by_test_id("user-name")).to_be_hidden()
    await expect(page.get_by_test_id("sign-in")).to_be_hidden()
    await type_at_end(page, "Dear reader,")
    await page.wait_for_selector(SAVED)
    # The list, the history and its events bring the token too: the fixture sees what is refused.
    await expect(page.get_by_test_id("document-list")).to_contain_text("Edited")
    await page.get_by_test_id("open-history").click()
    history = page.get_by_test_id("history-list")
    await expect(history).to_contain_text("Ana Lima")
    write(server, " hello.")
    await expect(history).to_contain_text("root")
    await page.get_by_test_id("open-trash").click()
    await expect(page.get_by_test_id("trash")).to_contain_text("Nothing is in the trash")
    await page.get_by_role("button", name="Close", exact=True).click()
    await page.reload()
    await wait_until(page, SYNCED)


async def test_who_has_no_token_pastes_one_and_a_wrong_one_is_refused_with_the_reason(
    browser: Browser, server: Server
) -> None:
    page = await arrive(browser, server, None)
    field, error = page.get_by_label("Token"), page.get_by_test_id("sign-in-error")
    await expect(page.get_by_role("region", name="Sign in")).to_be_visible()
    await expect(field).to_be_focused()
    await expect(error).to_be_empty()
    for hidden in ("editor", "open-trash", "new-document", "status"):
        await expect(page.get_by_test_id(hidden)).to_be_hidden()

    await page.keyboard.press("Enter")
    await expect(error).to_have_text("Paste a token first.")
    await paste(page, token(key="another secret of more than thirty-two bytes"))
    await expect(error).to_contain_text("expected a token with a valid signature, got another one")
    await expect(field).to_be_focused()
    await expect(field).to_have_attribute("aria-invalid", "true")

    # What was refused is selected: the next one takes its place.
    await paste(page, f"  {token(user='ana')}\n")
    await wait_until(page, SYNCED)
    await expect(page.get_by_test_id("known-name")).to_have_text("ana")
    await page.keyboard.type("Dear reader,")  # The text has the focus now.
    await wait_shows(page, "Dear reader,")


async def test_what_is_typed_while_a_token_ends_is_stored_when_a_fresh_one_is_pasted(
    browser: Browser, server: Server, store: Path
) -> None:
    page = await arrive(browser, server, token(user="ana", seconds=6))
    await wait_until(page, SYNCED)
    await type_at_end(page, "Before.")
    await page.wait_for_selector(SAVED)
    # Typing goes on in the text, whatever is asked for above it.
    await expect(page.get_by_role("region", name="Your sign-in has ended")).to_be_visible()
    await page.keyboard.type(" While it ends.")
    await expect(page.get_by_test_id("sign-in-error")).to_contain_text("got one that has expired")
    await wait_until(page, "() => window.collab.provider.access === null")
    await page.keyboard.type(" After.")
    await wait_shows(page, "Before. While it ends. After.")
    await expect(page.get_by_test_id("status")).to_have_text("Not signed in")
    assert export(store, DOCUMENT) != "Before. While it ends. After."

    await paste(page, token(user="ana"))
    await page.wait_for_selector(CONNECTED)
    await expect(page.get_by_test_id("sign-in")).to_be_hidden()
    await page.keyboard.type(" Again.")
    await page.wait_for_selector(SAVED)
    await wait_shows(page, "Before. While it ends. After. Again.")
    assert export(store, DOCUMENT) == "Before. While it ends. After. Again."


async def test_a_token_that_is_taken_back_has_the_page_ask_for_another(
    browser: Browser, server: Server, store: Path
) -> None:
    page = await arrive(browser, server, token(user="eve", jti="t1"))
    await wait_until(page, SYNCED)
    await type_at_end(page, "One.")
    await page.wait_for_selector(SAVED)
    ask_as_root(server, "POST", "sessions/revoke", json={"token_id": "t1"})
    await expect(page.get_by_test_id("sign-in-error")).to_contain_text("got revoked ones")
    await page.keyboard.type(" Two.")
    await paste(page, token(user="eve", jti="t2"))
    await page.wait_for_selector(SAVED)
    await wait_shows(page, "One. Two.")
    assert export(store, DOCUMENT) == "One. Two."


async def test_who_may_only_read_is_offered_nothing_else(browser: Browser, server: Server) -> None:
    write(server, "Dear reader,")
    page = await arrive(browser, server, token(user="vera", docs={"**": "read"}))
    await wait_shows(page, "Dear reader,")
    await expect(page.get_by_test_id("saved")).to_have_text("Read only")
    await type_at_end(page, " hello.")
    await wait_shows(page, "Dear reader,")
    await expect(page.get_by_test_id("open-trash")).to_be_hidden()
    await expect(page.get_by_test_id("new-document")).to_be_hidden()
    listed = page.get_by_test_id("document-list")
    await expect(listed).to_contain_text("Edited")
    await expect(listed.get_by_role("button")).to_have_count(0)
    await page.get_by_role("button", name="Document", exact=True).click()
    await expect(page.get_by_role("button", name="Copy the address")).to_be_visible()
    await expect(page.get_by_role("button", name="Delete", exact=True)).to_be_hidden()
    async with page.expect_download() as downloading:
        await page.get_by_role("button", name="Download the text").click()
    download = await downloading.value
    assert download.suggested_filename == f"{DOCUMENT}.md"
    assert await anyio.Path(await download.path()).read_text() == "Dear reader,"
    await page.get_by_test_id("open-history").click()
    await expect(page.get_by_test_id("history-list")).to_contain_text("root")
    await expect(page.get_by_test_id("name-now")).to_be_hidden()

    ask_as_root(server, "DELETE", f"docs/{DOCUMENT}")
    told = page.get_by_test_id("refusal")
    await expect(told).to_contain_text("This document was deleted")
    await expect(told.get_by_role("button", name="Bring it back")).to_have_count(0)


@pytest.mark.parametrize(
    ("access", "width", "first"),
    [
        ("write", 1280, "New document"),
        ("write", 390, "New document"),
        ("read", 1280, "Read what others write"),
        ("read", 390, "Open a document"),
    ],
)
async def test_who_signs_in_with_no_document_open_has_the_focus_on_what_comes_first(
    browser: Browser, server: Server, access: str, width: int, first: str
) -> None:
    context = await browser.new_context(viewport={"width": width, "height": 800})
    page = await context.new_page()
    await page.goto(server.url)
    await paste(page, token(user="vera", docs={"**": access}))
    focused = page.locator("#welcome :focus")
    await expect(focused).to_have_text(first)
    await expect(focused).to_be_in_viewport()


async def test_who_signs_out_leaves_no_token_and_nothing_to_see_until_somebody_signs_in(
    browser: Browser, server: Server
) -> None:
    page = await arrive(browser, server, token(user="ana"))
    await wait_until(page, SYNCED)
    await type_at_end(page, "Dear reader,")
    await page.wait_for_selector(SAVED)
    await sign_out(page, "Sign out and keep the copies")
    await expect(page.get_by_role("region", name="You are signed out")).to_be_visible()
    await expect(page.get_by_label("Token")).to_be_focused()
    await expect(page.get_by_test_id("editor")).to_be_hidden()
    await expect(page.get_by_test_id("document-list")).to_be_hidden()
    assert await page.evaluate("sessionStorage.length") == 0
    assert await page.evaluate("window.collab === undefined")
    await page.reload()
    await expect(page.get_by_role("region", name="Sign in")).to_be_visible()

    await paste(page, token(user="grace", docs={DOCUMENT: "read"}))
    await wait_shows(page, "Dear reader,")
    await expect(page.get_by_test_id("known-name")).to_have_text("grace")
    await expect(page.get_by_test_id("saved")).to_have_text("Read only")


async def test_who_signs_out_is_told_what_is_unsent_and_keeps_it_unless_they_remove_it(
    browser: Browser, server: Server, store: Path
) -> None:
    copies = "async () => (await indexedDB.databases()).length"
    page = await arrive(browser, server, token(user="ana"))
    await wait_until(page, SYNCED)
    await type_at_end(page, "Dear reader,")
    await page.wait_for_selector(SAVED)
    await page.get_by_test_id("sign-out").click()
    dialog, unsent = page.get_by_test_id("leaving"), page.get_by_test_id("leaving-names")
    await expect(dialog).to_be_visible()
    await expect(unsent).to_be_hidden()
    await dialog.get_by_role("button", name="Cancel").click()

    await page.context.set_offline(True)
    await wait_until(page, "() => window.collab.provider.status === 'offline'")
    await type_at_end(page, " unsent.")
    await page.get_by_test_id("sign-out").click()
    await expect(unsent).to_have_text(DOCUMENT)
    await expect(page.get_by_test_id("leaving-remove")).to_have_text(
        "Sign out and lose what is unsent"
    )
    await dialog.get_by_role("button", name="Sign out and keep the copies").click()
    await expect(page.locator("#sign-in-about")).to_contain_text("waits on this device")

    # What was kept is sent by whoever signs in next, and what is stored is no longer unsent.
    await page.context.set_offline(False)
    await paste(page, token(user="ana"))
    await wait_shows(page, "Dear reader, unsent.")
    await page.wait_for_selector(SAVED)
    assert export(store, DOCUMENT) == "Dear reader, unsent."
    assert await page.evaluate(copies) == 1
    await sign_out(page, "Sign out and remove the copies")
    await expect(page.locator("#sign-in-about")).to_contain_text(
        "copies on this device are removed"
    )
    assert await page.evaluate(copies) == 0
    assert await page.evaluate("localStorage.getItem('collab.documents')") is None


async def test_who_may_write_some_names_is_told_which_and_makes_a_document_of_one(
    browser: Browser, server: Server, store: Path
) -> None:
    grants = {"team/**": "write", "team/closed": "read", "**": "read"}
    page = await arrive(browser, server, token(user="ana", docs=grants))
    await wait_until(page, SYNCED)
    await page.get_by_test_id("new-document").click()
    dialog, name = page.get_by_role("dialog"), page.get_by_test_id("new-document-name")
    await expect(dialog).to_contain_text("names like team/**, where * stands for anything")
    assert (await name.input_value()).startswith("team/")
    for refused in ("minutes", "team/closed"):
        await name.fill(refused)
        await page.keyboard.press("Enter")
        await expect(dialog.get_by_role("alert")).to_have_text(
            "You may not write a document of this name."
        )
    await name.fill("team/minutes")
    await page.keyboard.press("Enter")
    await expect(dialog).to_be_hidden()
    await wait_until(page, SYNCED)
    await page.keyboard.type("We met.")
    await page.wait_for_selector(SAVED)
    assert export(store, "team/minutes") == "We met."
