"""Full documents: what they refused is brought again, ever more rarely, until there is room."""

import re
from pathlib import Path

import anyio
import httpx
import pytest

import collab
from collab.client import RemoteDocument, Status, Timing
from collab.errors import NotSaved
from tests.client.writing import WITHIN_SECONDS, text_of, until_shows, write
from tests.e2e.serving import Server, serve

pytestmark = pytest.mark.anyio

_FULL = ["--document-max-bytes", "2000", "--checkpoint-seconds", "0.001"]
_SOON = Timing(full_seconds=0.05, full_cap_seconds=60, leave_seconds=WITHIN_SECONDS)


def refusals(server: Server) -> int:
    """How often a document was full."""
    figures = httpx.get(f"{server.url}/metrics").text
    found = re.search(r'limits_reached_total\{limit="document_max_bytes"\} (\d+)', figures)
    return int(found[1]) if found is not None else 0


def content(server: Server) -> str:
    return httpx.get(f"{server.url}/api/docs/d/content?format=text").text.strip()


async def tried(document: RemoteDocument, server: Server, times: int) -> None:
    """Waits until a document was full so often."""
    changes = document.changes()
    while refusals(server) < times:
        await anext(changes)


async def fill(document: RemoteDocument) -> None:
    write(document, "A long letter. " * 200)
    await document.saved()


async def refused(document: RemoteDocument) -> None:
    """Waits until a change of a document is refused."""
    with anyio.fail_after(WITHIN_SECONDS), pytest.raises(NotSaved):
        await document.saved()


async def saved(document: RemoteDocument) -> None:
    """Waits until all is durable, however often it is refused before."""
    with anyio.fail_after(WITHIN_SECONDS):
        while document.pending_changes:
            await anext(document.changes())


@pytest.mark.parametrize("transport", ["native", "asgi"])
async def test_what_was_refused_is_saved_once_somebody_makes_room(
    store: Path, transport: str
) -> None:
    with serve(store, transport=transport, options=_FULL) as server:
        async with (
            collab.connect(server.url, "d", timing=_SOON) as ada,
            collab.connect(server.url, "d", timing=_SOON) as ben,
        ):
            await fill(ada)
            await until_shows(ben, str(text_of(ada)))
            write(ben, "And more.")
            await refused(ben)
            del text_of(ada)[0:3000]
            await saved(ben)
            assert ben.status is Status.CONNECTED
            await until_shows(ada, "And more.")


async def test_who_deletes_what_was_refused_with_the_rest_goes_on(store: Path) -> None:
    with serve(store, options=_FULL) as server:
        async with collab.connect(server.url, "d", timing=_SOON) as document:
            await fill(document)
            write(document, "And more.")
            await refused(document)
            text_of(document).clear()
            write(document, "A short one.")
            await saved(document)
        assert content(server) == "A short one."


async def test_it_is_tried_ever_more_rarely_until_something_changes(store: Path) -> None:
    async def write_too_much(server: Server) -> None:
        timing = Timing(full_seconds=0.05, full_cap_seconds=60)
        async with collab.connect(server.url, "d", timing=timing) as document:
            await fill(document)
            write(document, "And more.")
            await tried(document, server, 5)
            before = refusals(server)
            with anyio.move_on_after(0.5) as rest:
                await tried(document, server, before + 2)
            assert rest.cancelled_caught
            write(document, "And more.")
            with anyio.fail_after(WITHIN_SECONDS):
                await tried(document, server, before + 3)

    with serve(store, options=_FULL) as server, pytest.raises(NotSaved):
        await write_too_much(server)
