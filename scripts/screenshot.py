"""Takes the pictures of the demo that the README shows: ``make screenshot``."""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from playwright.sync_api import Browser, Page, expect, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "images"
CHROMIUM = os.environ.get("COLLAB_CHROMIUM", "/usr/bin/chromium")
CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
]

DOCUMENT = "Field trip to the observatory"
TEXT = """\
# Field trip to the observatory

We leave on **Friday at six**, from the north gate. The sky should be clear until two; \
if it is not, we meet on Saturday instead.

## Who brings what

- [x] Two thermos flasks of tea
- [x] Red lamps, so that our eyes stay used to the dark
- [ ] Star charts for November, printed *large*
- [ ] Blankets for everyone, it was cold last year

> The dome opens at nine. Ask for Ms Rubin at the door.

1. Jupiter and its moons, low in the east
2. The Pleiades, best without a telescope
3. The great nebula in Orion, after midnight 🔭
"""
OTHERS = {
    "Reading list": "# Reading list\n\n- A Room of One's Own\n- The Periodic Table\n",
    "Meeting notes, 20 Nov": "# Meeting notes\n\nAgreed: ship on Thursday.\n",
    "Recipes/Lentil soup": "# Lentil soup\n\n300 g red lentils, two carrots, one lemon.\n",
}

# Not wait_for_function, which evaluates strings in the page: its policy forbids that.
SYNCED = """async () => {
  while (!window.collab?.provider.synced) await new Promise(requestAnimationFrame)
}"""

SELECT = """([from, to]) => {
  const { view } = window.collab
  const text = view.state.doc.toString()
  view.focus()
  const head = text.indexOf(to) + to.length
  view.dispatch({ selection: { anchor: from === null ? head : text.indexOf(from), head } })
}"""


@contextmanager
def serving() -> Iterator[str]:
    """Runs ``collab serve`` on a free port over a store of its own; gives its address."""
    collab = Path(sys.executable).with_name("collab")
    with tempfile.TemporaryDirectory() as folder:
        store = f"sqlite:///{Path(folder) / 'collab.db'}"
        process = subprocess.Popen(
            [collab, "serve", "--bind", "127.0.0.1:0", "--store", store],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            listening = re.fullmatch(r"collab: listening on (http://\S+)\n", line)
            if listening is None:
                raise SystemExit(f"expected collab serve to print its address, got {line!r}")
            yield listening[1]
        finally:
            process.terminate()
            process.communicate(timeout=15)


def open_page(browser: Browser, address: str, document: str, name: str, color: str) -> Page:
    """Opens a document in a browser profile of its own, 1280 by 800 and light."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, color_scheme="light")
    return join(context.new_page(), address, document, name, color)


def join(page: Page, address: str, document: str, name: str, color: str) -> Page:
    """Opens a document under a name and in a colour, and waits until it has arrived."""
    page.add_init_script(
        f"localStorage.setItem('collab.user.name', {name!r});"
        f"localStorage.setItem('collab.user.color', {color!r})"
    )
    page.goto(f"{address}/?doc={quote(document)}")
    page.evaluate(SYNCED)
    return page


def write(page: Page, text: str) -> None:
    """Puts a text into the open document, at its beginning, and waits until it is stored."""
    page.evaluate("text => window.collab.doc.getText('content').insert(0, text)", text)
    expect(page.get_by_test_id("saved")).to_have_attribute("data-saved", "true")
    expect(page.get_by_test_id("saved")).to_have_text("Saved")


def take(browser: Browser, address: str) -> None:
    """Takes both pictures."""
    for name, text in OTHERS.items():
        page = open_page(browser, address, name, "Vera", "#a3458f")
        write(page, text)
        page.context.close()

    ada = open_page(browser, address, DOCUMENT, "Ada", "#0b7a6f")
    write(ada, TEXT)
    grace = open_page(browser, address, DOCUMENT, "Grace", "#3f6bc4")
    alan = open_page(browser, address, DOCUMENT, "Alan", "#c13c63")
    phone = join(
        browser.new_context(
            viewport={"width": 390, "height": 844},
            device_scale_factor=2,
            color_scheme="dark",
            is_mobile=True,
            has_touch=True,
        ).new_page(),
        address,
        DOCUMENT,
        "Vera",
        "#a8620f",
    )
    expect(ada.get_by_test_id("presence").locator("li")).to_have_count(4)
    # Where there is little room the row counts the rest.
    expect(phone.get_by_test_id("presence").locator("li").last).to_contain_text("+2")

    ada.evaluate(SELECT, [None, "midnight"])
    for page, selected in ((grace, ["Blankets", "everyone"]), (alan, ["Ask", "Ms Rubin"])):
        page.evaluate(SELECT, selected)
    IMAGES.mkdir(parents=True, exist_ok=True)
    for page, others, picture in (
        (ada, 2, "demo.png"),
        (phone, 3, "demo-dark-phone.png"),
    ):
        expect(page.locator(".cm-remote-named")).to_have_count(others)
        page.screenshot(path=IMAGES / picture, animations="disabled")


def main() -> None:
    """Serves, takes the pictures, and says where they are."""
    with serving() as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGUMENTS)
        take(browser, address)
        browser.close()
    for picture in sorted(IMAGES.glob("demo*.png")):
        print(picture.relative_to(ROOT))


if __name__ == "__main__":
    main()
