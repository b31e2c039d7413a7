"""The demo's history: who wrote what and when, the text as it was, and the way back."""

import base64
import json

import httpx
import pycrdt
import pytest
from playwright.async_api import Browser, Locator, Page, expect

from tests.e2e.pages import DOCUMENT, SAVED, open_page, type_at_end, wait_shows
from tests.e2e.serving import Server

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.browser,
    pytest.mark.slow,
]

DAY_MS = 86_400_000
EPOCH_MS = 1_760_000_000_000


Part = tuple[str, str, int]
"""What somebody adds to the text, who it is, and when: milliseconds since 1970."""

HOUR_MS = 3_600_000
LETTER: list[Part] = [
    ("Dear reader,", "~Ada", EPOCH_MS),
    (" hello 😀.", "~Grace", EPOCH_MS + HOUR_MS),
]


async def written(server: Server, parts: list[Part]) -> None:
    """Stores what people wrote, one after the other."""
    doc: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc()
    text = doc.get("content", type=pycrdt.Text)
    lines = []
    for seq, (added, author, time_ms) in enumerate(parts, 1):
        before = doc.get_state()
        text += added
        update = base64.b64encode(doc.get_update(before)).decode()
        entry = {"seq": seq, "time_ms": time_ms, "author": author, "update": update}
        lines.append(json.dumps(entry))
    async with httpx.AsyncClient(base_url=server.url) as http:
        answer = await http.post(
            f"/api/docs/{DOCUMENT}/updates",
            content="\n".join(lines),
            headers={"Content-Type": "application/x-ndjson"},
        )
    assert answer.json()["added"] == len(parts)


async def meet(browser: Browser, server: Server) -> tuple[Page, Page]:
    """Ada and Grace open the letter that they wrote some time ago."""
    await written(server, LETTER)
    ada = await open_page(browser, server.port, name="Ada")
    return ada, await open_page(browser, server.port, name="Grace")


def rows(page: Page) -> Locator:
    return page.get_by_test_id("history-list").get_by_role("button")


async def open_history(page: Page, count: int) -> Locator:
    """Opens the history and waits for so many rows."""
    await page.get_by_test_id("open-history").click()
    await expect(rows(page)).to_have_count(count)
    return rows(page)


async def shows_then(page: Page, text: str) -> None:
    """Waits until the page shows this text as one of the past."""
    await expect(page.get_by_test_id("preview").locator(".cm-content")).to_have_text(text)


async def test_each_row_names_its_author_and_shows_the_text_of_then_with_what_changed(
    browser: Browser, server: Server
) -> None:
    ada = await open_page(browser, server.port, name="Ada")
    grace = await open_page(browser, server.port, name="Grace")
    await type_at_end(ada, "Dear reader,")
    await ada.wait_for_selector(SAVED)
    await wait_shows(grace, "Dear reader,")
    await type_at_end(grace, " hello 😀.")
    await grace.wait_for_selector(SAVED)
    listed = await open_history(ada, 2)
    await expect(listed.nth(0)).to_contain_text("Grace")
    await expect(listed.nth(1)).to_contain_text("Ada")

    await listed.nth(1).click()
    await shows_then(ada, "Dear reader,")
    await expect(listed.nth(1)).to_have_attribute("aria-current", "true")
    await ada.keyboard.press("ArrowUp")
    await ada.keyboard.press("Enter")
    await shows_then(ada, "Dear reader, hello 😀.")
    await expect(ada.get_by_test_id("preview").locator(".cm-inserted")).to_have_text(" hello 😀.")
    await expect(ada.get_by_test_id("restore")).to_be_disabled()

    await ada.keyboard.press("Escape")
    await expect(ada.get_by_test_id("preview")).to_be_hidden()
    await ada.keyboard.press("Escape")
    await expect(ada.get_by_test_id("history")).to_be_hidden()
    await expect(ada.get_by_test_id("open-history")).to_be_focused()


async def test_a_restore_reaches_everybody_and_can_be_undone_at_once_or_later(
    browser: Browser, server: Server
) -> None:
    ada, grace = await meet(browser, server)
    listed = await open_history(ada, 2)
    await listed.nth(1).click()
    await shows_then(ada, "Dear reader,")
    await ada.get_by_test_id("restore").click()
    for page in (ada, grace):
        await wait_shows(page, "Dear reader,")
    told = grace.get_by_test_id("notice")
    await expect(told).to_contain_text("Ada restored the text of")
    await expect(told).to_contain_text("What was written since is in the history")
    await ada.get_by_test_id("notice-action").click()
    await expect(told).to_contain_text("Ada restored what there was before")
    for page in (ada, grace):
        await wait_shows(page, "Dear reader, hello 😀.")

    # The way back is there for the others, too, when the notice is long gone.
    await listed.filter(has_text="Ada").last.click()
    await shows_then(ada, "Dear reader,")
    await ada.get_by_test_id("restore").click()
    await wait_shows(grace, "Dear reader,")
    await expect(told).to_contain_text("Ada restored the text of")
    await told.get_by_role("button", name="History").click()
    # The restore says what it is, and what it took everybody back to.
    restored = rows(grace).filter(has_text="Restored the text of")
    await expect(restored).to_have_count(1)
    await expect(restored).to_contain_text("Ada")
    await rows(grace).filter(has_text="Before Ada restored").click()
    await shows_then(grace, "Dear reader, hello 😀.")
    await grace.get_by_test_id("restore").click()
    await wait_shows(ada, "Dear reader, hello 😀.")


async def test_what_is_named_and_written_meanwhile_shows_up_in_a_history_that_is_open(
    browser: Browser, server: Server
) -> None:
    ada, grace = await meet(browser, server)
    seen = await open_history(grace, 2)
    await open_history(ada, 2)
    await ada.get_by_test_id("name-now").click()
    await ada.get_by_test_id("version-name").fill("42")
    await ada.keyboard.press("Enter")
    await expect(ada.locator("#naming-error")).to_contain_text("neither as a number")
    await ada.get_by_test_id("version-name").fill("First draft")
    await ada.keyboard.press("Enter")
    await expect(seen.nth(0)).to_contain_text("First draft")
    await expect(seen.nth(0)).to_contain_text("by Ada")
    await expect(ada.get_by_role("dialog")).to_be_hidden()

    await type_at_end(ada, " More.")
    await expect(seen).to_have_count(4)
    await expect(seen.nth(0)).to_contain_text("Ada")
    await seen.nth(1).click()
    await shows_then(grace, "Dear reader, hello 😀.")
    await grace.get_by_role("button", name="Forget the name").click()
    await expect(seen.filter(has_text="First draft")).to_have_count(0)


def tinted(page: Page, name: str) -> Locator:
    return page.get_by_test_id("editor").locator(f".cm-written[title={name}]")


async def test_who_wrote_what_is_tinted_and_stays_right_while_people_type(
    browser: Browser, server: Server
) -> None:
    ada, grace = await meet(browser, server)
    await ada.get_by_test_id("show-authors").click()
    await expect(tinted(ada, "Ada")).to_have_text("Dear reader,")
    await expect(tinted(ada, "Grace")).to_have_text(" hello 😀.")
    await expect(ada.get_by_test_id("legend")).to_contain_text("Ada")

    await type_at_end(ada, " Yours, A.")
    await expect(tinted(ada, "Ada")).to_have_text(["Dear reader,", " Yours, A."])
    await ada.wait_for_selector(SAVED)
    await wait_shows(grace, "Dear reader, hello 😀. Yours, A.")
    await type_at_end(grace, "!")
    await expect(tinted(ada, "Grace")).to_have_text([" hello 😀.", "!"])

    await ada.get_by_test_id("show-authors").click()
    await expect(ada.locator(".cm-written")).to_have_count(0)


async def test_offline_the_history_says_so_and_changes_nothing_and_goes_on_later(
    browser: Browser, server: Server
) -> None:
    ada, grace = await meet(browser, server)
    listed = await open_history(ada, 2)
    await ada.context.set_offline(True)
    note = ada.locator("#history-note")
    await expect(note).to_contain_text("Offline")
    await expect(ada.get_by_test_id("name-now")).to_be_disabled()
    await grace.get_by_test_id("open-history").click()
    await grace.get_by_test_id("name-now").click()
    await grace.get_by_test_id("version-name").fill("Meanwhile")
    await grace.keyboard.press("Enter")
    await expect(rows(grace)).to_have_count(3)
    await ada.context.set_offline(False)
    await expect(listed.nth(0)).to_contain_text("Meanwhile")
    await expect(note).to_be_empty()


async def test_a_page_that_asks_until_it_is_closed_is_answered_until_then(
    browser: Browser, server: Server
) -> None:
    # A server that ended before the browser would refuse some of it, which the console tells of.
    page = await open_page(browser, server.port, name="Ada")
    asked = "async () => (await fetch('readyz')).status"
    await page.evaluate(f"() => {{ (async () => {{ while (await ({asked})()) ; }})() }}")
    assert await page.evaluate(asked) == 200


async def test_on_a_phone_the_history_fills_the_screen_and_leads_back(
    browser: Browser, server: Server
) -> None:
    await written(server, LETTER)
    phone = await open_page(browser, server.port, name="Vera", phone=True)
    await phone.get_by_role("button", name="Document", exact=True).click()
    await phone.get_by_role("button", name="History").click()
    await expect(rows(phone)).to_have_count(2)
    box = await phone.get_by_test_id("history").bounding_box()
    assert box is not None
    assert (box["width"], box["height"]) == (390, 844)
    await rows(phone).nth(1).click()
    await shows_then(phone, "Dear reader,")
    await expect(phone.get_by_test_id("history")).to_be_hidden()
    await phone.get_by_role("button", name="Back to the text as it is now").click()
    await expect(phone.get_by_test_id("history")).to_be_visible()
    await expect(rows(phone).nth(1)).to_be_focused()


async def test_older_changes_come_as_one_scrolls(browser: Browser, server: Server) -> None:
    days = 230
    await written(
        server,
        [(f"Day {day}.\n", f"~Writer {day % 3}", EPOCH_MS + day * DAY_MS) for day in range(days)],
    )
    page = await open_page(browser, server.port)
    await page.get_by_test_id("open-history").click()
    await expect(rows(page).first).to_contain_text("Writer 1")
    await expect(rows(page)).to_have_count(200)
    await rows(page).last.scroll_into_view_if_needed()
    await expect(rows(page)).to_have_count(days)
    await rows(page).last.click()
    await shows_then(page, "Day 0.")


async def test_a_document_that_is_deleted_is_brought_back(browser: Browser, server: Server) -> None:
    ada, _ = await meet(browser, server)
    await ada.get_by_role("button", name="Document", exact=True).click()
    await ada.get_by_role("button", name="Delete", exact=True).click()
    await expect(ada.get_by_role("heading", name="Write something together")).to_be_visible()
    await ada.get_by_test_id("notice-action").click()
    await wait_shows(ada, "Dear reader, hello 😀.")
    await ada.wait_for_selector(SAVED)
