"""Windows of Firefox and of WebKit as Debian has them, which Playwright does not drive.

Both are told what to do as W3C's WebDriver has it: WebKit by its driver, over HTTP (WebDriver);
Firefox itself, over a WebSocket (WebDriver BiDi, https://www.w3.org/TR/webdriver-bidi/).
"""

import asyncio
import json
import os
import re
from abc import ABC, abstractmethod
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import httpx
from websockets.asyncio.client import ClientConnection, connect

from tests.e2e.pages import WITHIN_SECONDS
from tests.needs import find_program
from tests.valkey import free_port

_CONTROL, _END = "\ue009", "\ue010"
"""What WebDriver calls these keys."""

Devices = list[dict[str, object]]
"""What the keyboard and the mouse do, as both forms of WebDriver have it: WebDriver, 15."""


class Window(ABC):
    """A window of a browser, with the one page that is open in it."""

    @abstractmethod
    async def go(self, address: str) -> None:
        """Opens a page, and waits until it is loaded."""

    @abstractmethod
    async def reload(self) -> None:
        """Loads the page anew, and waits until it is loaded."""

    @abstractmethod
    async def ask(self, function: str, argument: str = "") -> object:
        """What a JavaScript function of one string returns on the page, as JSON has it."""

    @abstractmethod
    async def act(self, devices: Devices) -> None:
        """Has keys and buttons pressed."""

    async def wait_until(self, condition: str, argument: str = "") -> None:
        """Waits until a JavaScript function returns true."""
        with anyio.fail_after(WITHIN_SECONDS):
            while not await self.ask(condition, argument):  # noqa: ASYNC110 - the page's condition
                await anyio.sleep(0.05)

    async def type_at_end(self, text: str) -> None:
        """Types at the end of the demo's text, on the keyboard."""
        await self.ask("() => window.collab.view.focus()")
        leap = [("keyDown", _CONTROL), ("keyDown", _END), ("keyUp", _END), ("keyUp", _CONTROL)]
        typed = [(kind, key) for key in text for kind in ("keyDown", "keyUp")]
        keys = [{"type": kind, "value": key} for kind, key in leap + typed]
        await self.act([{"type": "key", "id": "keyboard", "actions": keys}])

    async def click(self, test_id: str) -> None:
        """Clicks in the middle of what is called so."""
        middle = await self.ask(
            """id => {
              const element = document.querySelector(`[data-testid="${id}"]`)
              const { x, y, width, height } = element.getBoundingClientRect()
              return { x: Math.round(x + width / 2), y: Math.round(y + height / 2) }
            }""",
            test_id,
        )
        assert isinstance(middle, dict)
        clicks: Devices = [{"type": "pointerMove", "origin": "viewport", **middle}]
        clicks += [{"type": kind, "button": 0} for kind in ("pointerDown", "pointerUp")]
        await self.act([{"type": "pointer", "id": "mouse", "actions": clicks}])


class _FirefoxWindow(Window):
    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._commands = 0
        self._context: object = None

    async def open(self) -> None:
        """Opens the window; the one that is there without a screen never has the focus."""
        await self._command("session.new", capabilities={})
        window = await self._command("browsingContext.create", type="window")
        self._context = window["context"]

    async def go(self, address: str) -> None:
        await self._in_window("browsingContext.navigate", url=address, wait="complete")

    async def reload(self) -> None:
        await self._in_window("browsingContext.reload", wait="complete")

    async def ask(self, function: str, argument: str = "") -> object:
        answer = await self._command(
            "script.callFunction",
            functionDeclaration=f"text => JSON.stringify(({function})(text) ?? null)",
            arguments=[{"type": "string", "value": argument}],
            target={"context": self._context},
            awaitPromise=False,
        )
        assert answer["type"] == "success", f"expected what {function} returns, got {answer}"
        result: object = json.loads(answer["result"]["value"])
        return result

    async def act(self, devices: Devices) -> None:
        await self._in_window("input.performActions", actions=devices)

    async def _in_window(self, method: str, **params: object) -> None:
        await self._command(method, context=self._context, **params)

    # What a command answers is read where it is known which one it is.
    async def _command(self, method: str, **params: object):  # type: ignore[no-untyped-def]
        self._commands += 1
        command = {"id": self._commands, "method": method, "params": params}
        await self._connection.send(json.dumps(command))
        with anyio.fail_after(WITHIN_SECONDS):
            while (answer := json.loads(await self._connection.recv())).get("id") != command["id"]:
                pass  # An event.
        assert answer["type"] == "success", f"expected {method} to succeed, got {answer}"
        return answer["result"]


class _WebKitWindow(Window):
    def __init__(self, session: httpx.AsyncClient) -> None:
        self._session = session

    async def go(self, address: str) -> None:
        await self._post("url", url=address)

    async def reload(self) -> None:
        await self._post("refresh")

    async def ask(self, function: str, argument: str = "") -> object:
        script = f"return ({function})(arguments[0])"
        return await self._post("execute/sync", script=script, args=[argument])

    async def act(self, devices: Devices) -> None:
        await self._post("actions", actions=devices)

    async def _post(self, command: str, **params: object) -> object:
        answer = await self._session.post(command, json=params)
        assert answer.is_success, f"expected {command} to succeed, got {answer.text}"
        value: object = answer.json()["value"]
        return value


@asynccontextmanager
async def open_firefox(profile: Path) -> AsyncIterator[Window]:
    """A window of Firefox.

    Args:
        profile: folder for what it keeps, empty.
    """
    command = [find_program("firefox-esr"), "--headless", "--no-remote"]
    command += ["--profile", str(profile), "--remote-debugging-port=0"]
    async with _run(command) as process:
        address = await _told(process.stderr, rb"listening on (ws://\S+)")
        async with connect(f"{address}/session", proxy=None, max_size=None) as connection:
            window = _FirefoxWindow(connection)
            await window.open()
            yield window


@asynccontextmanager
async def open_webkit() -> AsyncIterator[Window]:
    """A window of WebKit, on a screen that nobody sees."""
    port = free_port()
    screen = [find_program("Xvfb"), "-displayfd", "1", "-nolisten", "tcp"]
    driver = [find_program("WebKitWebDriver"), f"--port={port}"]
    async with _run(screen) as shown:
        display = f":{await _told(shown.stdout, rb'([0-9]+)')}"
        async with (
            _run(driver, {"DISPLAY": display}),
            httpx.AsyncClient(
                base_url=f"http://127.0.0.1:{port}/session/", timeout=WITHIN_SECONDS
            ) as sessions,
        ):
            name = await _begin(sessions)
            sessions.base_url = sessions.base_url.join(f"{name}/")
            try:
                yield _WebKitWindow(sessions)
            finally:
                await sessions.delete("")


async def _begin(sessions: httpx.AsyncClient) -> str:
    """Opens a window as soon as the driver listens; without more words it is MiniBrowser's."""
    with anyio.fail_after(WITHIN_SECONDS):
        while True:
            try:
                answer = await sessions.post("", json={"capabilities": {}})
                return str(answer.json()["value"]["sessionId"])
            except httpx.ConnectError:
                await anyio.sleep(0.05)


@asynccontextmanager
async def _run(command: list[str], environment: Mapping[str, str] = {}) -> AsyncIterator[Process]:
    """Runs a program until the end of the context."""
    process = await asyncio.create_subprocess_exec(
        *command, env={**os.environ, **environment}, stdin=DEVNULL, stdout=PIPE, stderr=PIPE
    )
    try:
        yield process
    finally:
        process.terminate()
        await process.communicate()


async def _told(lines: asyncio.StreamReader | None, pattern: bytes) -> str:
    """What a program says once it is ready."""
    assert lines is not None
    with anyio.fail_after(WITHIN_SECONDS):
        async for line in lines:
            if found := re.search(pattern, line):
                return found[1].decode()
    raise AssertionError(f"expected a line like {pattern!r}, got none")
