"""Takes the pictures of the demo that the README shows: ``make screenshot``."""

import base64
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import httpx
import pycrdt
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
STORY = [
    (
        "Ada",
        72.0,
        ("", ""),
        "# Field trip to the observatory\n\n"
        "We leave on **Friday at six**, from the north gate.\n\n## Who brings what\n\n",
    ),
    (
        "Grace",
        70.5,
        ("north gate.", ""),
        " The sky should be clear until two; if it is not, we meet on Saturday instead.",
    ),
    (
        "Ada",
        26.0,
        ("## Who brings what\n\n", ""),
        "- [ ] Two thermos flasks of tea\n"
        "- [ ] Red lamps, so that our eyes stay used to the dark\n"
        "- [ ] Star charts for November, printed *large*\n",
    ),
    (
        "Alan",
        25.0,
        ("*large*\n", ""),
        "- [ ] Blankets\n\n> The dome opens at eight. Ask for Ms Rubin at the door.\n\n",
    ),
    (
        "Vera",
        3.2,
        ("the door.\n\n", ""),
        "1. Jupiter and its moons, low in the east\n"
        "2. The Pleiades, best without a telescope\n"
        "3. The great nebula in Orion, after midnight 🔭\n",
    ),
    ("Ada", 2.1, ("- [", " "), "x"),
    ("Ada", 2.1, ("of tea\n- [", " "), "x"),
    ("Grace", 0.4, ("Blankets", ""), " for everyone, it was cold last year"),
    ("Grace", 0.4, ("dome opens at ", "eight"), "nine"),
]
"""Who wrote what, how many hours ago, behind what and in the place of what."""
VERSION = ("Sent to the group", 4)
"""A version, and how many of the changes it has."""
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


def live(address: str) -> None:
    """Stores the story of the document, as if people had written it over days."""
    doc: pycrdt.Doc[pycrdt.Text] = pycrdt.Doc()
    text = doc.get("content", type=pycrdt.Text)
    now_ms = time.time() * 1000
    lines = []
    for seq, (author, hours, (behind, removed), inserted) in enumerate(STORY, 1):
        before = doc.get_state()
        found = str(text).partition(behind)[0] if behind else ""
        at = len((found + behind).encode())  # pycrdt counts bytes.
        with doc.transaction():
            if removed:
                del text[at : at + len(removed)]
            text.insert(at, inserted)
        update = base64.b64encode(doc.get_update(before)).decode()
        time_ms = int(now_ms - hours * 3_600_000)
        entry = {"seq": seq, "time_ms": time_ms, "author": f"~{author}", "update": update}
        lines.append(json.dumps(entry))
    place = f"{address}/api/docs/{quote(DOCUMENT)}"
    media_type = {"Content-Type": "application/x-ndjson"}
    httpx.post(f"{place}/updates", content="\n".join(lines), headers=media_type).raise_for_status()
    name, at = VERSION
    version = {"name": name, "at": at}
    httpx.post(f"{place}/versions?name=Ada", json=version).raise_for_status()


def take(browser: Browser, address: str) -> None:
    """Takes the pictures."""
    live(address)
    for name, text in OTHERS.items():
        page = open_page(browser, address, name, "Vera", "#a3458f")
        write(page, text)
        page.context.close()

    ada = open_page(browser, address, DOCUMENT, "Ada", "#0b7a6f")
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

    ada.get_by_test_id("open-history").click()
    ada.get_by_test_id("history-list").get_by_role("button").first.click()
    expect(ada.get_by_test_id("preview").locator(".cm-inserted")).to_have_count(2)
    ada.mouse.move(0, 0)
    ada.screenshot(path=IMAGES / "demo-history.png", animations="disabled")
    ada.keyboard.press("Escape")
    ada.keyboard.press("Escape")
    ada.get_by_test_id("show-authors").click()
    expect(ada.get_by_test_id("legend").get_by_role("listitem")).to_have_count(4)
    ada.mouse.move(0, 0)
    ada.screenshot(path=IMAGES / "demo-authors.png", animations="disabled")


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
