"""Two people in the demo, in real Chromium pages, beside stock clients in Node."""

from pathlib import Path

import anyio
import pytest
from playwright.async_api import Browser, Page, expect
from playwright.async_api import TimeoutError as PlaywrightTimeout

from tests.clients.driver import Client, Driver
from tests.e2e.crowd import check_account, gather, rest_all, type_all
from tests.e2e.pages import (
    CONNECTED,
    DOCUMENT,
    NOT_CONNECTED,
    SAVED,
    UNSAVED,
    open_page,
    type_at_end,
    wait_shows,
    wait_until,
)
from tests.e2e.serving import Server, export, locked

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.browser,
    pytest.mark.node,
    pytest.mark.slow,
]

OFFLINE = "[data-testid=status][data-status=offline]"
LONGER = "least => window.collab.doc.getText('content').length > Number(least)"


async def kept_on_device(page: Page) -> None:
    """Waits until everything written so far is in the page's IndexedDB."""
    # A transaction on the same store begins when those before it are done.
    await page.evaluate(
        """name => new Promise((resolve, reject) => {
          const opening = indexedDB.open(`collab:/:${name}`)
          opening.onerror = reject
          opening.onsuccess = () => {
            const waiting = opening.result.transaction('updates', 'readwrite')
            waiting.objectStore('updates').count()
            waiting.oncomplete = () => { opening.result.close(); resolve() }
          }
        })""",
        DOCUMENT,
    )


async def agreed(driver: Driver, clients: list[Client], pages: list[Page]) -> str:
    """Waits until all clients and pages show the same text and have it saved."""
    for page in pages:
        await page.wait_for_selector(SAVED)
    text = await anyio.to_thread.run_sync(driver.wait_agreed, clients)
    for page in pages:
        await wait_shows(page, text)
    return text


async def test_two_pages_and_node_clients_converge_while_typing_at_once(
    browser: Browser, server: Server, driver: Driver, store: Path
) -> None:
    clients = gather(driver, server.websockets, DOCUMENT, 3)
    pages = [await open_page(browser, server.port) for _ in range(2)]
    written = ["The quick brown fox 😀 jumps. " * 3, "Zwölf Boxkämpfer jagen é quer. " * 3]
    type_all(clients, seed=5)
    async with anyio.create_task_group() as tasks:
        for page, text in zip(pages, written, strict=True):
            tasks.start_soon(type_at_end, page, text)
    rest_all(clients)
    text = await agreed(driver, clients, pages)
    check_account(text, clients, besides="".join(written))
    assert export(store, DOCUMENT) == text


async def test_what_both_type_at_the_same_place_while_one_is_offline_is_kept_once(
    browser: Browser, server: Server, driver: Driver, store: Path
) -> None:
    proxy = driver.proxy(server.port)
    [client] = gather(driver, server.websockets, DOCUMENT, 1)
    away = await open_page(browser, proxy.port)
    there = await open_page(browser, server.port)
    await type_at_end(away, "Dear reader,")
    await wait_shows(there, "Dear reader,")

    proxy.cut()
    await away.wait_for_selector(NOT_CONNECTED)
    await type_at_end(away, " from the train 😀.")
    await type_at_end(there, " from the desk.")
    await there.wait_for_selector(SAVED)
    assert await away.query_selector(UNSAVED), "expected nothing saved without a connection"
    await wait_shows(away, "Dear reader, from the train 😀.")
    await wait_shows(there, "Dear reader, from the desk.")

    proxy.mend()
    await away.wait_for_selector(CONNECTED)
    text = await agreed(driver, [client], [away, there])
    assert text in {
        "Dear reader, from the train 😀. from the desk.",
        "Dear reader, from the desk. from the train 😀.",
    }
    assert export(store, DOCUMENT) == text


async def test_a_page_whose_copy_another_tab_has_deleted_goes_on(
    browser: Browser, server: Server
) -> None:
    pages = [await open_page(browser, server.port) for _ in range(2)]
    first, second = pages
    await type_at_end(first, "Kept.")
    await first.wait_for_selector(SAVED)
    await first.evaluate(
        """name => new Promise((resolve, reject) => {
          const deleting = indexedDB.deleteDatabase(`collab:/:${name}`)
          deleting.onerror = reject
          deleting.onsuccess = resolve
        }).then(() => undefined)""",
        DOCUMENT,
    )
    await type_at_end(first, " And sent.")
    await wait_shows(second, "Kept. And sent.")
    await type_at_end(second, " And heard.")
    await wait_shows(first, "Kept. And sent. And heard.")
    await first.wait_for_selector(SAVED)


async def test_a_reload_without_a_connection_keeps_page_and_text_and_what_is_typed_then(
    browser: Browser, server: Server, driver: Driver
) -> None:
    proxy = driver.proxy(server.port)
    [client] = gather(driver, server.websockets, DOCUMENT, 1)
    page = await open_page(browser, proxy.port)
    await page.evaluate("navigator.serviceWorker.ready.then(() => undefined)")
    await type_at_end(page, "Written with a connection.")
    await page.wait_for_selector(SAVED)

    proxy.cut()
    await page.wait_for_selector(NOT_CONNECTED)
    for text, addition in [
        ("Written with a connection.", " And without."),
        ("Written with a connection. And without.", " Twice."),
    ]:
        await kept_on_device(page)
        await page.reload()
        await wait_until(page, "() => window.collab !== undefined")
        await wait_shows(page, text)
        assert await page.query_selector(UNSAVED), "expected nothing saved without a connection"
        await type_at_end(page, addition)

    proxy.mend()
    text = await agreed(driver, [client], [page])
    assert text == "Written with a connection. And without. Twice."


async def test_a_reload_shows_the_kept_page_where_a_proxy_answers_for_a_server_that_is_down(
    browser: Browser, server: Server, driver: Driver
) -> None:
    proxy = driver.http_proxy(server.port)
    page = await open_page(browser, proxy.port)
    await page.evaluate("navigator.serviceWorker.ready.then(() => undefined)")
    await type_at_end(page, "Written before.")
    await page.wait_for_selector(SAVED)
    await kept_on_device(page)
    proxy.stand_in()
    await page.wait_for_selector(NOT_CONNECTED)
    await page.reload()
    await wait_until(page, "() => window.collab !== undefined")
    await wait_shows(page, "Written before.")
    proxy.mend()
    await page.wait_for_selector(CONNECTED)
    await page.wait_for_selector(SAVED)
    await page.close()  # Its console tells of each 502.


async def test_a_page_says_saved_only_when_the_store_has_committed(
    browser: Browser, server: Server, store: Path
) -> None:
    writing = await open_page(browser, server.port)
    reading = await open_page(browser, server.port)
    await type_at_end(writing, "Safe.")
    await writing.wait_for_selector(SAVED)
    with locked(store):
        await type_at_end(writing, " Not yet.")
        # The others have it long before the store does.
        await wait_shows(reading, "Safe. Not yet.")
        with pytest.raises(PlaywrightTimeout):
            await writing.wait_for_selector(SAVED, timeout=2_000)
        # Where it takes long the page says where the text is meanwhile.
        saved = writing.get_by_test_id("saved")
        await expect(saved).to_have_text("9 changes waiting on this device")
    await writing.wait_for_selector(SAVED)
    assert export(store, DOCUMENT) == "Safe. Not yet."


async def carried_by(page: Page, transport: str) -> None:
    """Waits until this carries what the page says and hears."""
    condition = "kind => window.collab?.connection.transport === kind"
    await wait_until(page, condition, transport)
    await page.wait_for_selector(CONNECTED)


async def test_where_websockets_are_blocked_people_go_on_over_plain_http(
    browser: Browser, server: Server, driver: Driver, store: Path
) -> None:
    proxy = driver.http_proxy(server.port)
    [client] = gather(driver, server.websockets, DOCUMENT, 1)
    page = await open_page(browser, proxy.port)
    await carried_by(page, "websocket")
    await type_at_end(page, "One.")
    proxy.block_websockets()
    await type_at_end(page, " Two.")
    await carried_by(page, "stream")
    await type_at_end(page, " Three.")
    assert await agreed(driver, [client], [page]) == "One. Two. Three."
    proxy.allow()
    await carried_by(page, "websocket")
    await type_at_end(page, " Four.")
    assert await agreed(driver, [client], [page]) == "One. Two. Three. Four."
    assert export(store, DOCUMENT) == "One. Two. Three. Four."


async def test_where_streams_are_held_back_too_polls_carry_the_text_and_the_cursors(
    browser: Browser, server: Server, driver: Driver
) -> None:
    proxy = driver.http_proxy(server.port)
    proxy.block_websockets()
    proxy.hold_streams()
    behind = await open_page(browser, proxy.port)
    outside = await open_page(browser, server.port)
    await carried_by(behind, "poll")
    await type_at_end(behind, "Behind.")
    await wait_shows(outside, "Behind.")
    await type_at_end(outside, " Outside.")
    await outside.wait_for_selector(SAVED)
    await wait_shows(behind, "Behind. Outside.")
    for page in (behind, outside):
        await wait_until(page, "() => window.collab.provider.presence.others.length === 1")


async def test_over_a_slow_network_that_drops_connections_two_pages_end_with_the_same(
    browser: Browser, server: Server, driver: Driver, store: Path
) -> None:
    proxy = driver.http_proxy(server.port)
    [client] = gather(driver, server.websockets, DOCUMENT, 1)
    pages = [await open_page(browser, proxy.port) for _ in range(2)]
    proxy.delay(ms=100)
    written = ["Slow as it is, nothing is lost. " * 3, "Zwölf 😀 reden durcheinander. " * 3]
    async with anyio.create_task_group() as tasks:
        for page, text in zip(pages, written, strict=True):
            tasks.start_soon(type_at_end, page, text)
        for length in (20, 60, 120):
            # Whatever is under way then is lost on the way.
            await wait_until(pages[0], LONGER, f"{length}")
            await anyio.to_thread.run_sync(proxy.drop)
    text = await agreed(driver, [client], pages)
    check_account(text, [client], besides="".join(written))
    assert export(store, DOCUMENT) == text


async def test_a_browser_without_a_network_says_so_and_connects_when_it_is_online_again(
    browser: Browser, server: Server, driver: Driver
) -> None:
    proxy = driver.http_proxy(server.port)
    [client] = gather(driver, server.websockets, DOCUMENT, 1)
    page = await open_page(browser, proxy.port)
    await type_at_end(page, "At home.")
    await page.wait_for_selector(SAVED)
    proxy.cut()
    await page.context.set_offline(True)
    await page.wait_for_selector(OFFLINE)
    await type_at_end(page, " In the tunnel.")
    assert await page.query_selector(UNSAVED), "expected nothing saved without a network"
    proxy.mend()
    await page.context.set_offline(False)
    await page.wait_for_selector(CONNECTED)
    assert await agreed(driver, [client], [page]) == "At home. In the tunnel."
