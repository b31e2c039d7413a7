"""Changes longer than the messages that a server takes."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pycrdt
import pytest

import collab
from collab.client import Status
from collab.errors import TooLarge
from tests.client.gate import gate_to
from tests.client.writing import WITHIN_SECONDS, text_of, until, until_shows, write
from tests.e2e.serving import Server, count_rows, serve
from tests.server.signing import SECRET, token

pytestmark = pytest.mark.anyio

MESSAGE_BYTES = 300_000
LONG = "emoji 😀 and words " * 100_000
"""More than six messages."""

_MARKS = 140_000


@pytest.fixture(scope="module")
def terse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that takes short messages only."""
    store = tmp_path_factory.mktemp("long") / "collab.db"
    with serve(store, options=["--message-max-bytes", str(MESSAGE_BYTES)]) as running:
        yield running


@pytest.mark.parametrize("blocks_websockets", [False, True], ids=["websocket", "fallback"])
async def test_a_long_change_arrives_whole(
    terse: Server, room: str, blocks_websockets: bool
) -> None:
    with gate_to(terse.port) as gate:
        gate.blocks_websockets = blocks_websockets
        async with collab.connect(gate.url, room) as ada:
            write(ada, LONG)  # Before there is a connection: it goes with the first sync,
            with anyio.fail_after(WITHIN_SECONDS):
                await ada.saved()
            assert ada.pending_changes == 0
            write(ada, LONG)  # and by itself.
            with anyio.fail_after(WITHIN_SECONDS):
                await ada.saved()
    async with collab.connect(terse.url, room) as ben:
        with anyio.fail_after(WITHIN_SECONDS):
            await ben.synced()
        assert str(text_of(ben)) == LONG * 2


async def test_a_long_change_that_is_cut_off_arrives_whole_and_counts_as_saved_only_then(
    terse: Server, room: str
) -> None:
    with gate_to(terse.port) as gate:
        async with collab.connect(gate.url, room) as ada, collab.connect(terse.url, room) as ben:
            await ada.synced()
            gate.allowance = 3 * MESSAGE_BYTES
            write(ada, LONG)
            await until(ben, lambda: bool(str(text_of(ben))), "a part of it")
            gate.cut()
            await until(ada, lambda: ada.status is Status.OFFLINE, "a cut")
            assert ada.pending_changes == 1
            assert str(text_of(ben)) != LONG
            gate.allowance = None
            gate.mend()
            with anyio.fail_after(WITHIN_SECONDS):
                await ada.saved()
            await until_shows(ben, LONG)


async def test_a_value_longer_than_a_message_is_refused_by_name(terse: Server, room: str) -> None:
    async def save() -> None:
        async with collab.connect(terse.url, room) as document:
            doc: pycrdt.Doc[Any] = document.doc
            doc.get("files", type=pycrdt.Map)["large"] = bytes(MESSAGE_BYTES)
            with anyio.fail_after(WITHIN_SECONDS):
                await document.saved()

    with pytest.raises(TooLarge, match="expected messages that the server takes"):
        await save()


@pytest.fixture(scope="module")
def riddled() -> bytes:
    """A document of which so much was deleted, here and there, that telling that is long."""
    doc: pycrdt.Doc[Any] = pycrdt.Doc()
    marks = doc.get("marks", type=pycrdt.Map)
    with doc.transaction():
        for number in range(_MARKS):
            marks[str(number)] = True
    with doc.transaction():
        for number in range(0, _MARKS, 2):
            del marks[str(number)]
    assert len(doc.get_update(doc.get_state())) > 256 * 1024
    return doc.get_update()


def copy_of(update: bytes) -> "pycrdt.Doc[Any]":
    doc: pycrdt.Doc[Any] = pycrdt.Doc()
    doc.apply_update(update)
    return doc


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_who_brings_what_the_server_has_already_is_told_so_and_changes_nothing(
    store: Path, riddled: bytes
) -> None:
    with serve(store, options=["--jwt-secret", SECRET]) as server:
        async with collab.connect(
            server.url, "notes", token=token(), doc=copy_of(riddled)
        ) as writer:
            with anyio.fail_after(2 * WITHIN_SECONDS):
                await writer.saved()
        stored = count_rows(store, "notes").all
        for access in ("read", "write"):
            shown = token(docs={"notes": access})
            async with collab.connect(
                server.url, "notes", token=shown, doc=copy_of(riddled)
            ) as again:
                assert again.pending_changes == 1
                with anyio.fail_after(WITHIN_SECONDS):
                    await again.saved()
        assert count_rows(store, "notes").all == stored
