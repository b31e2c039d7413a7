"""Pages of the demo in a real browser, as people use them."""

import re

import anyio
from playwright.async_api import Browser, Page

DOCUMENT = "letter"
WITHIN_SECONDS = 30.0
CONNECTED = "[data-testid=status][data-status=connected]"
NOT_CONNECTED = "[data-testid=status]:not([data-status=connected])"
SAVED = "[data-testid=saved][data-saved=true]"
UNSAVED = "[data-testid=saved][data-saved=false]"

_CUT = re.compile(r"net::ERR_|^WebSocket connection to ")
"""What a browser logs by itself where there is no connection."""


async def open_page(
    browser: Browser, port: int, *, name: str | None = None, phone: bool = False
) -> Page:
    """Opens the document as somebody new, and waits until it is in sync.

    Args:
        browser: each page has a profile of its own in it.
        port: of the server.
        name: what they call themselves; None takes what the page makes up.
        phone: whether on a small screen.
    """
    context = await browser.new_context(
        viewport={"width": 390, "height": 844} if phone else {"width": 1280, "height": 800}
    )
    page = await context.new_page()
    page.set_default_timeout(WITHIN_SECONDS * 1000)
    if name is not None:
        await page.add_init_script(f"localStorage.setItem('collab.user.name', {name!r})")
    await page.goto(f"http://127.0.0.1:{port}/?doc={DOCUMENT}")
    await wait_until(page, "() => window.collab?.provider.synced")
    return page


async def check_consoles(browser: Browser) -> None:
    """Checks that nothing went wrong in the open pages, and nothing was asked for in vain."""
    for context in browser.contexts:
        for page in context.pages:
            errors = [str(error) for error in await page.page_errors()]
            errors += [
                f"{message.text} ({message.location['url']})"
                for message in await page.console_messages()
                if message.type in ("error", "warning") and not _CUT.search(message.text)
            ]
            assert not errors, f"expected a clean console, got {errors}"


async def wait_until(page: Page, condition: str, argument: str | None = None) -> None:
    """Waits until a JavaScript function returns true."""
    # Playwright's wait_for_function evaluates strings in the page, which its policy forbids.
    with anyio.fail_after(WITHIN_SECONDS):
        await page.evaluate(
            f"""async argument => {{
              while (!({condition})(argument)) await new Promise(requestAnimationFrame)
            }}""",
            argument,
        )


async def type_at_end(page: Page, text: str) -> None:
    """Types at the end of the text, on the keyboard."""
    await page.get_by_test_id("editor").locator(".cm-content").focus()
    await page.keyboard.press("Control+End")
    await page.keyboard.type(text, delay=15)


async def wait_shows(page: Page, text: str) -> None:
    """Waits until both the document and the editor on the page hold exactly this text."""
    await wait_until(
        page,
        "text => window.collab?.doc.getText('content').toString() === text"
        " && window.collab.view.state.doc.toString() === text",
        text,
    )
