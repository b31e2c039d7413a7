"""The demo's page around the text: the list of documents, the trash, and who may only read."""

import re
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect
from starlette.requests import HTTPConnection

from collab.access import Access, Identity
from collab.server import Collab
from collab.storage.memory import MemoryStore
from tests.e2e.pages import (
    CONNECTED,
    DOCUMENT,
    NOT_CONNECTED,
    SAVED,
    open_page,
    type_at_end,
    wait_shows,
    wait_until,
)
from tests.e2e.serving import Server, export, serve
from tests.server.hosts import front_door

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.browser,
    pytest.mark.slow,
]


async def delete_by_menu(page: Page) -> None:
    await page.get_by_role("button", name="Document", exact=True).click()
    await page.get_by_role("button", name="Delete", exact=True).click()


async def test_a_new_document_has_an_empty_history_and_asks_for_nothing_in_vain(
    browser: Browser, server: Server
) -> None:
    # The browser's fixture fails the test where anything is logged, such as a 404.
    page = await open_page(browser, server.port, name="Ada")
    await page.get_by_test_id("show-authors").click()
    await expect(page.get_by_test_id("legend")).to_contain_text("Nothing is written yet")
    await page.get_by_test_id("open-history").click()
    await expect(page.locator("#history-empty")).to_be_visible()
    await delete_by_menu(page)
    await expect(page.get_by_test_id("notice")).to_contain_text(
        "Nothing of this document is stored"
    )

    await type_at_end(page, "Dear reader,")
    await expect(page.get_by_test_id("history-list").get_by_role("button")).to_have_count(1)
    await expect(page.get_by_test_id("legend")).to_contain_text("Ada")


async def test_a_document_that_is_made_is_typed_in_at_once_and_listed_as_it_is(
    browser: Browser, server: Server
) -> None:
    page = await open_page(browser, server.port)
    listed = page.get_by_test_id("document-list").get_by_role("link", name="minutes")
    await page.get_by_test_id("new-document").click()
    await page.get_by_test_id("new-document-name").fill("minutes")
    await page.keyboard.press("Enter")
    await wait_until(page, "() => window.collab?.provider.synced")
    await expect(listed).to_contain_text("Nothing written yet")
    await page.keyboard.type("We met.")
    await page.wait_for_selector(SAVED)
    await wait_shows(page, "We met.")
    await expect(listed).to_contain_text("Edited just now", timeout=3_000)


async def test_a_document_is_deleted_in_the_list_and_comes_back_out_of_the_trash(
    browser: Browser, server: Server
) -> None:
    page = await open_page(browser, server.port)
    await type_at_end(page, "Dear reader,")
    await page.wait_for_selector(SAVED)
    await page.goto(f"{server.url}/")
    listed = page.get_by_test_id("document-list").get_by_role("link", name=DOCUMENT)
    await listed.hover()
    await page.get_by_role("button", name=f"Delete {DOCUMENT}").click()
    await expect(listed).to_have_count(0)
    await page.get_by_role("button", name="Dismiss").click()

    trash = page.get_by_role("dialog", name="Trash")
    await page.get_by_test_id("open-trash").click()
    await expect(trash).to_contain_text("Deleted just now")
    await page.get_by_role("button", name=f"Bring back {DOCUMENT}").click()
    await wait_shows(page, "Dear reader,")
    await expect(listed).to_be_visible()
    await page.get_by_test_id("open-trash").click()
    await expect(trash).to_contain_text("Nothing is in the trash")


async def test_who_has_a_document_open_that_is_deleted_is_told_and_can_bring_it_back(
    browser: Browser, server: Server
) -> None:
    ada = await open_page(browser, server.port, name="Ada")
    grace = await open_page(browser, server.port, name="Grace")
    await type_at_end(ada, "Dear reader,")
    await ada.wait_for_selector(SAVED)
    await delete_by_menu(ada)
    told = grace.get_by_test_id("refusal")
    await expect(told).to_contain_text("This document was deleted")
    await expect(grace.get_by_test_id("status")).to_have_text("Deleted")
    await told.get_by_role("button", name="Bring it back").click()
    await grace.wait_for_selector(CONNECTED)
    await type_at_end(grace, " hello.")
    await grace.wait_for_selector(SAVED)
    await wait_shows(grace, "Dear reader, hello.")


async def test_buttons_with_the_initials_of_people_are_called_by_them_too(
    browser: Browser, server: Server
) -> None:
    page = await open_page(browser, server.port, name="Ada Lovelace")
    await open_page(browser, server.port, name="Grace")
    people = page.get_by_test_id("presence").get_by_role("button")
    await expect(people).to_have_text(["AL", "G"])
    await expect(people.first).to_have_accessible_name("Ada Lovelace, AL, you")
    await expect(people.last).to_have_accessible_name("Grace, G: show where")
    own = page.get_by_role("button", name="Change my colour")
    await expect(own).to_have_text("AL")
    await expect(own).to_have_accessible_name("Change my colour, AL")


async def covers_the_line_before(page: Page) -> bool:
    """Whether somebody's name is on the first line, where their caret is in the second."""
    name = await page.locator(".cm-remote-name").bounding_box()
    line = await page.locator(".cm-line").first.bounding_box()
    assert name is not None
    assert line is not None
    return name["y"] < line["y"] + line["height"]


async def test_the_name_of_who_types_at_the_end_of_a_line_covers_nothing_written(
    browser: Browser, server: Server
) -> None:
    ada = await open_page(browser, server.port, name="Ada")
    grace = await open_page(browser, server.port, name="Grace")
    await type_at_end(ada, "Dear reader,\nhello there")
    await wait_shows(grace, "Dear reader,\nhello there")
    caret = grace.locator(".cm-remote-caret")
    await ada.keyboard.type("!")
    await expect(caret).to_contain_class("cm-remote-beside")
    assert not await covers_the_line_before(grace)
    # Where words follow it is above them.
    await ada.keyboard.press("Home")
    await expect(caret).not_to_contain_class("cm-remote-beside")
    assert await covers_the_line_before(grace)


async def test_the_keyboard_alone_leads_to_the_text_and_back(
    browser: Browser, server: Server
) -> None:
    page = await open_page(browser, server.port)
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to the text")).to_be_focused()
    await page.keyboard.press("Enter")
    await page.keyboard.type("Dear reader,")
    await wait_shows(page, "Dear reader,")
    await page.keyboard.press("Shift+Tab")
    await expect(page.get_by_role("button", name="Document", exact=True)).to_be_focused()
    await page.keyboard.press("Tab")
    await page.keyboard.type(" hello.")
    await wait_shows(page, "Dear reader, hello.")


async def test_on_a_phone_the_list_of_documents_covers_what_is_searched_for_in_the_text(
    browser: Browser, server: Server
) -> None:
    page = await open_page(browser, server.port, phone=True)
    await page.get_by_role("button", name="Document", exact=True).click()
    await page.get_by_role("button", name="Find and replace").click()
    await page.get_by_role("button", name="Open the document list").click()
    # Refused where something else lies over it.
    await page.get_by_test_id("new-document").click()
    await expect(page.get_by_role("dialog", name="New document")).to_be_visible()


async def test_on_a_phone_the_keyboard_stays_in_the_list_of_documents_until_it_is_closed(
    browser: Browser, server: Server
) -> None:
    page = await open_page(browser, server.port, phone=True)
    await page.get_by_role("button", name="Open the document list").click()
    await expect(page.get_by_role("button", name="Close the document list")).to_be_focused()
    for _ in range(12):
        await page.keyboard.press("Tab")
        assert not await page.evaluate("document.activeElement.closest('main') !== null")
    await page.keyboard.press("Shift+Tab")
    await page.get_by_test_id("user-name").focus()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("button", name="Open the document list")).to_be_focused()


async def test_in_a_narrow_window_what_is_deleted_in_the_list_is_brought_back_at_once(
    browser: Browser, server: Server
) -> None:
    page = await open_page(browser, server.port, phone=True)
    await type_at_end(page, "Dear reader,")
    await page.wait_for_selector(SAVED)
    await page.get_by_role("button", name="Open the document list").click()
    await page.get_by_test_id("document-list").get_by_role("link", name=DOCUMENT).hover()
    await page.get_by_role("button", name=f"Delete {DOCUMENT}").click()
    await page.get_by_test_id("notice").get_by_role("button", name="Undo").click()
    await wait_shows(page, "Dear reader,")


async def test_the_whole_text_is_printed_and_nothing_else(browser: Browser, server: Server) -> None:
    page = await open_page(browser, server.port)
    await page.get_by_test_id("editor").locator(".cm-content").focus()
    await page.keyboard.insert_text("A line of many.\n" * 200)
    await page.wait_for_selector(SAVED)
    printed = await page.pdf()
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) > 3
    await page.emulate_media(media="print")
    await expect(page.get_by_role("heading", name=DOCUMENT)).to_be_visible()
    await expect(page.get_by_role("button")).to_have_count(0)


async def test_each_line_runs_as_its_own_letters_do(browser: Browser, server: Server) -> None:
    page = await open_page(browser, server.port)
    await type_at_end(page, "- שלום (hello) 123.\nDear reader,\n")
    # How far each line's beginning is from the left of the text, as a share of its width.
    begins = await page.evaluate(
        """() => {
          const { view } = window.collab
          const { left, width } = view.contentDOM.querySelector('.cm-line').getBoundingClientRect()
          return [1, 2].map((line) =>
            (view.coordsAtPos(view.state.doc.line(line).from).left - left) / width)
        }"""
    )
    assert begins[0] > 0.9
    assert begins[1] < 0.1
    # An arrow to the left goes to the left: on, in the first line.
    await page.keyboard.press("Control+Home")
    await page.keyboard.press("ArrowLeft")
    assert await page.evaluate("window.collab.view.state.selection.main.head") == 1


async def test_the_text_is_searched_from_the_menu_on_a_phone(
    browser: Browser, server: Server
) -> None:
    page = await open_page(browser, server.port, phone=True)
    await type_at_end(page, "Dear reader,")
    await page.get_by_role("button", name="Document", exact=True).click()
    await page.get_by_role("button", name="Find and replace").click()
    field = page.get_by_role("textbox", name="Find")
    await expect(field).to_be_focused()
    await page.keyboard.type("reader")
    await page.keyboard.press("Enter")
    assert await page.evaluate("window.collab.view.state.selection.main.from") == 5
    count = page.get_by_role("status").filter(has_text="1 of 1")
    await expect(count).to_be_visible()
    # Somebody else writes it once more.
    other = await open_page(browser, server.port)
    await type_at_end(other, " gentle reader.")
    await expect(page.get_by_role("status").filter(has_text="1 of 2")).to_be_visible()
    for each in (field, page.get_by_role("button", name="Next", exact=True)):
        box = await each.bounding_box()
        assert box is not None
        assert box["height"] >= 40  # What a thumb finds.


async def test_a_paste_longer_than_the_servers_messages_is_saved_and_reaches_the_others(
    browser: Browser, store: Path
) -> None:
    line, times = "- a line of a *log* that somebody pastes 😀\n", 120_000  # 5 MB
    with serve(store, options=["--message-max-bytes", "300000"]) as server:
        ada = await open_page(browser, server.port)
        grace = await open_page(browser, server.port)
        await ada.evaluate(
            """([line, times]) => {
              const { view } = window.collab
              view.dispatch(view.state.replaceSelection(line.repeat(times)))
            }""",
            [line, times],
        )
        await ada.wait_for_selector(SAVED)
        length = "length => window.collab.view.state.doc.length === Number(length)"
        await wait_until(grace, length, str(times * len(line.encode("utf-16-le")) // 2))
        await type_at_end(grace, "The end.")
        await grace.wait_for_selector(SAVED)
    assert export(store, DOCUMENT) == line * times + "The end."


async def test_who_may_only_read_is_told_so_and_cannot_type(browser: Browser) -> None:
    async def authenticate(connection: HTTPConnection) -> Identity:
        name = connection.query_params.get("name")
        return Identity(name=name, access=Access.WRITE if name == "Ada" else Access.READ)

    async with front_door(Collab(MemoryStore(), authenticate=authenticate, demo=True)) as port:
        ada = await open_page(browser, port, name="Ada")
        await type_at_end(ada, "Dear reader,")
        reader = await open_page(browser, port, name="Vera")
        await wait_shows(reader, "Dear reader,")
        await expect(reader.get_by_test_id("saved")).to_have_text("Read only")
        await type_at_end(reader, " hello.")
        await type_at_end(ada, " farewell.")
        await wait_shows(reader, "Dear reader, farewell.")

        # Without a connection what was said last holds.
        await reader.context.set_offline(True)
        await wait_until(reader, "() => window.collab.provider.status === 'offline'")
        await type_at_end(reader, " hello.")
        await wait_shows(reader, "Dear reader, farewell.")


async def overflows(page: Page, selector: str) -> bool:
    """Whether an element is too small for what is in it."""
    return bool(
        await page.locator(selector).evaluate(
            "({ scrollWidth, clientWidth, scrollHeight, clientHeight }) =>"
            " scrollWidth > clientWidth || scrollHeight > clientHeight"
        )
    )


async def test_on_a_phone_what_waits_and_where_it_is_kept_can_be_read_to_the_end(
    browser: Browser, server: Server
) -> None:
    page = await open_page(browser, server.port, phone=True)
    await page.context.set_offline(True)
    await page.wait_for_selector(NOT_CONNECTED)
    await type_at_end(page, "In the tunnel.")
    await expect(page.get_by_test_id("saved")).to_have_text("14 changes waiting on this device")
    assert not await overflows(page, ".marks")
    server.terminate()
    await page.context.set_offline(False)
    await expect(page.get_by_test_id("status")).to_have_text("Reconnecting…")
    assert not await overflows(page, ".marks")


async def test_however_many_people_are_here_their_number_fits_its_mark(
    browser: Browser, server: Server
) -> None:
    page = await open_page(browser, server.port)
    await page.evaluate(
        """() => {
          const { awareness } = window.collab.provider
          const added = Array.from({ length: 200 }, (_, index) => index + 1)
          for (const client of added) awareness.states.set(client, { user: { name: 'Ada' } })
          awareness.emit('change', [{ added, updated: [], removed: [] }, 'test'])
        }"""
    )
    await expect(page.locator(".avatar.rest")).to_have_text("+196")
    assert not await overflows(page, ".avatar.rest")


async def test_everyone_who_is_here_is_listed_and_shown_where_they_are_on_a_phone_too(
    browser: Browser, server: Server
) -> None:
    page = await open_page(browser, server.port, name="Ada", phone=True)
    for name in ("Grace", "Barbara"):
        await open_page(browser, server.port, name=name)
    far = await open_page(browser, server.port, name="Radia")
    await far.get_by_test_id("editor").locator(".cm-content").focus()
    await far.keyboard.insert_text("A line.\n" * 200)
    await expect(page.locator(".cm-remote-caret")).to_have_count(0)
    await page.get_by_role("button", name="show everyone").click()
    everyone = page.get_by_test_id("everyone").get_by_role("button")
    await expect(everyone).to_have_count(4)
    await expect(everyone.first).to_have_text("Ada (you)")
    await everyone.get_by_text("Radia").click()
    await expect(page.get_by_test_id("everyone")).to_be_hidden()
    await expect(page.locator(".cm-remote-caret")).to_be_in_viewport()


async def test_who_has_the_focus_on_somebody_keeps_it_when_others_come(
    browser: Browser, server: Server
) -> None:
    page = await open_page(browser, server.port, name="Ada")
    await open_page(browser, server.port, name="Grace")
    grace = page.get_by_role("button", name="Grace")
    await grace.focus()
    await open_page(browser, server.port, name="Barbara")
    await expect(page.get_by_role("button", name="Barbara")).to_be_visible()
    await expect(grace).to_be_focused()


async def test_names_beside_carets_are_no_words_of_the_text_that_is_read_out(
    browser: Browser, server: Server
) -> None:
    page = await open_page(browser, server.port)
    other = await open_page(browser, server.port, name="Grace")
    await type_at_end(other, "Dear reader,")
    await expect(page.locator(".cm-remote-name")).to_have_text("Grace")
    devtools = await page.context.new_cdp_session(page)
    tree = await devtools.send("Accessibility.getFullAXTree")
    said = [node["name"]["value"] for node in tree["nodes"] if not node["ignored"]]
    assert "Dear reader," in said
    assert "Grace" not in said


async def test_in_forced_colours_people_keep_theirs_and_what_is_current_is_marked(
    browser: Browser, server: Server
) -> None:
    context = await browser.new_context(forced_colors="active")
    page = await context.new_page()
    await page.goto(f"{server.url}/?doc={DOCUMENT}")
    other = await open_page(browser, server.port)
    await type_at_end(other, "Dear reader,")
    caret = page.locator(".cm-remote-caret")
    own = await caret.evaluate("caret => getComputedStyle(caret).getPropertyValue('--person')")
    assert own
    shown = await caret.evaluate("caret => getComputedStyle(caret, '::before').backgroundColor")
    red, green, blue = (int(own[at : at + 2], 16) for at in (1, 3, 5))
    assert shown == f"rgb({red}, {green}, {blue})"
    current = page.get_by_test_id("document-list").get_by_role("link", name=DOCUMENT)
    await expect(current).to_have_css("outline-style", "solid")
