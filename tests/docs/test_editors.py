"""The editors on the documentation's pages, in a real browser against a real server."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from tests.docs.pages import DOCS, ROOT, blocks
from tests.docs.running import run
from tests.e2e.serving import Server, serve
from tests.needs import BROWSER_FLAGS, find_program

pytestmark = [pytest.mark.browser, pytest.mark.node]

EDITORS = ROOT / "tests" / "docs" / "editors"
(TUTORIAL,) = blocks(DOCS / "tutorial.md", "js")
CONNECTION, CODEMIRROR, TIPTAP, QUILL, HOCUSPOCUS, Y_SWEET = blocks(
    DOCS / "how-to" / "connect-editors.md", "js"
)[:6]


KEPT_ENTRIES = """
    ([name, least]) => new Promise((resolve, reject) => {
      const opening = indexedDB.open(name)
      opening.onerror = reject
      opening.onsuccess = () => {
        const counting = opening.result.transaction('updates').objectStore('updates').count()
        counting.onsuccess = () => {
          opening.result.close()
          resolve(counting.result >= least)
        }
      }
    })
"""
"""Whether a page's database holds so many updates."""

READ_LATE = """
    const decrypt = SubtleCrypto.prototype.decrypt
    SubtleCrypto.prototype.decrypt = async function (...given) {
      while (!window.provider?.synced) await new Promise((done) => setTimeout(done, 10))
      return decrypt.apply(this, given)
    }
"""
"""Has a page read its database only when it is synchronised."""

SERVED = """
    async (document) => {
      const answer = await fetch(`/api/docs/${document}/content?format=text&root=content`)
      return await answer.text() === 'online offline'
    }
"""
"""Whether the server has what was written online and offline."""


@pytest.fixture(scope="module")
def installed() -> None:
    """Installs the pinned editors where the lock is newer than what is there."""
    npm = find_program("npm")
    stamp = EDITORS / "node_modules" / ".package-lock.json"
    lock = EDITORS / "package-lock.json"
    if not stamp.exists() or stamp.stat().st_mtime < lock.stat().st_mtime:
        subprocess.run([npm, "ci", "--no-audit", "--no-fund"], cwd=EDITORS, check=True, timeout=100)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A real Chromium."""
    program = find_program("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=BROWSER_FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with a store of its own."""
    store = tmp_path_factory.mktemp("store") / "collab.db"
    # The pages have no address here.
    with serve(store, options=["--allow-origin", "null"]) as server:
        yield server


def bundle(folder: Path, document: str, sources: dict[str, str], url: str) -> tuple[str, str]:
    """Builds a page's modules, the first one being the page's; gives script and style."""
    there = url.removesuffix("/ws").partition("://")[2]
    for name, source in sources.items():
        here = re.sub(
            r"\b(ws|http)s?://[^'/]+(?:/[^'/]+)??/(ws|hocuspocus|y-sweet)\b",
            rf"\1://{there}/\2",
            source,
        )
        here = here.replace("'notes'", f"'{document}'").replace("/doc/notes/", f"/doc/{document}/")
        (folder / name).write_text(here)
    (folder / "node_modules").symlink_to(EDITORS / "node_modules")
    esbuild = str(EDITORS / "node_modules" / ".bin" / "esbuild")
    built = folder / "built"
    command = [esbuild, next(iter(sources)), "--bundle", f"--outdir={built}", "--log-level=error"]
    subprocess.run([*command, "--format=iife"], cwd=folder, check=True)
    (script,) = built.glob("*.js")
    style = script.with_suffix(".css")
    return script.read_text(), style.read_text() if style.exists() else ""


def wait_until(page: Page, condition: str, argument: object) -> None:
    """Waits until a JavaScript function gives a promise of true."""
    # Playwright's wait_for_function waits for a promise, and takes it for true whatever it holds.
    page.evaluate(
        f"""async (argument) => {{
            const began = performance.now()
            while (!(await ({condition})(argument))) {{
              if (performance.now() - began > 30_000) throw new Error('waited in vain')
              await new Promise((done) => setTimeout(done, 50))
            }}
        }}""",
        argument,
    )


def type_at_the_end(page: Page, editor: Locator, text: str) -> None:
    """Types in a page that is in front and has the focus, as a person's has."""
    page.bring_to_front()
    editor.click()
    expect(editor).to_be_focused()
    page.wait_for_function("document.hasFocus()")
    editor.press("End")
    page.keyboard.insert_text(text)
    editor.get_by_text(text.strip()).wait_for()


@pytest.mark.parametrize(
    ("editor", "source", "connection", "root"),
    [
        pytest.param("tutorial", TUTORIAL, "", "content", id="the tutorial's page"),
        pytest.param("codemirror", CODEMIRROR, CONNECTION, "content", id="CodeMirror"),
        pytest.param("tiptap", TIPTAP, CONNECTION, "default", id="Tiptap"),
        pytest.param("hocuspocus", TIPTAP, HOCUSPOCUS, "default", id="Tiptap over Hocuspocus"),
        pytest.param("y-sweet", TIPTAP, Y_SWEET, "default", id="Tiptap over y-sweet"),
        pytest.param("quill", QUILL, CONNECTION, "quill", id="Quill"),
    ],
)
def test_two_people_type_in_an_editor_of_the_page(
    installed: None,
    browser: Browser,
    server: Server,
    tmp_path: Path,
    editor: str,
    source: str,
    connection: str,
    root: str,
) -> None:
    sources = {"editor.js": source, "connection.js": connection}
    script, style = bundle(tmp_path, editor, sources, server.websockets)
    pages = [browser.new_page() for _ in range(2)]
    for page in pages:
        page.set_content(f'<style>{style}</style><div id="editor"></div>')
        page.add_script_tag(content=script)
    first, second = (page.locator("[contenteditable=true]") for page in pages)
    type_at_the_end(pages[0], first, "Hello ")
    second.get_by_text("Hello").wait_for()
    type_at_the_end(pages[1], second, "😀")
    first.get_by_text("😀").wait_for()
    if source == TIPTAP:
        first.locator(".collaboration-carets__label", has_text="Ada").wait_for()
    content = httpx.get(f"{server.url}/api/docs/{editor}/content?format=text&root={root}")
    assert content.text.removesuffix("\n") == "Hello 😀"
    for page in pages:
        page.close()


@pytest.mark.parametrize("late", [False, True], ids=["read first", "read when synchronised"])
def test_what_y_sweet_keeps_on_the_device_is_there_offline_and_merged_later(
    installed: None, browser: Browser, server: Server, tmp_path: Path, *, late: bool
) -> None:
    page_js = """
        import { ydoc, provider } from './connection.js'
        Object.assign(window, { text: ydoc.getText('content'), provider })
    """
    sources = {"page.js": page_js, "connection.js": Y_SWEET}
    document = "kept-late" if late else "kept"
    script, _ = bundle(tmp_path, document, sources, server.websockets)
    # An answer of the API allows no scripts; here it stands for a page that does.
    context = browser.new_context(bypass_csp=True)
    page = context.new_page()
    asked = "**/y-sweet/doc/**"

    def come() -> None:
        page.goto(f"{server.url}/healthz")  # Databases belong to an origin, so it needs a page.
        page.add_script_tag(content=script)

    come()
    page.wait_for_function("provider.synced")
    page.evaluate("text.insert(0, 'online ')")
    page.wait_for_function("!provider.hasLocalChanges")
    wait_until(page, KEPT_ENTRIES, [f"y-sweet-{document}", 1])
    page.route(asked, lambda route: route.abort())
    come()
    page.wait_for_function("text.toString() === 'online '")
    page.evaluate("text.insert(7, 'offline')")
    wait_until(page, KEPT_ENTRIES, [f"y-sweet-{document}", 2])
    page.unroute(asked)
    if late:
        context.add_init_script(READ_LATE)
    come()
    # The provider does not send what it read too late, until it is asked once more.
    wait_until(page, SERVED, document)
    page.wait_for_function("text.toString() === 'online offline' && !provider.hasLocalChanges")
    context.close()


@pytest.mark.parametrize("page", ["tutorial.md", "how-to/connect-editors.md"])
def test_pages_install_what_is_tested(page: str) -> None:
    tested = json.loads((EDITORS / "package.json").read_text())["dependencies"]
    found = re.findall(r"^npm install ((?:.*\\\n)*.*)$", (DOCS / page).read_text(), re.MULTILINE)
    packages = {word for line in found for word in line.replace("\\", "").split()}
    assert "yjs" in packages
    for package in packages - {"vite"}:
        scope = package[0] if package.startswith("@") else ""
        name, _, version = package.removeprefix("@").partition("@")
        assert version in ("", tested[scope + name])


@pytest.mark.parametrize("way", [0, 1], ids=["parameter", "subprotocol"])
def test_a_page_hands_its_token_over(
    installed: None, browser: Browser, tmp_path: Path, way: int
) -> None:
    authenticate = DOCS / "how-to" / "authenticate.md"
    (app,), snippets = blocks(authenticate, "python"), blocks(authenticate, "js")
    source = f"""
        import * as Y from 'yjs'
        import {{ WebsocketProvider }} from 'y-websocket'
        const ydoc = new Y.Doc()
        {snippets[way]}
        const nextToken = async () => '9b07'
        {snippets[2]}
        provider.on('sync', (synced) => {{ document.title = `synced: ${{synced}}` }})
        window.tokenEnds = () => {{
          provider.emit('connection-close', [{{ code: 4500 }}, provider])
          return new Promise((done) => setTimeout(() => done(provider.params.token)))
        }}
    """
    # The page has no address here.
    listed = 'authenticate=authenticate, allow_origins=["null"],'
    shared = app.replace("authenticate=authenticate,", listed)
    assert shared != app
    with run(shared, tmp_path) as address:
        script, _ = bundle(tmp_path, "notes", {"page.js": source}, f"{address}/collab/ws")
        page = browser.new_page()
        page.add_script_tag(content=script)
        page.wait_for_function("document.title === 'synced: true'")
        assert page.evaluate("tokenEnds()") == "9b07"
        page.close()
