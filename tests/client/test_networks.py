"""Documents over networks that fail: cuts, blocks, servers that are killed."""

from contextlib import ExitStack
from pathlib import Path

import anyio
import anyio.lowlevel
import anyio.to_thread
import pycrdt
import pytest

import collab
from collab.client import Status, Timing
from collab.errors import ConnectionEnded, NotSaved
from tests.client.gate import gate_to
from tests.client.writing import WITHIN_SECONDS, text_of, until, until_shows, write
from tests.e2e.serving import Server, load, serve

pytestmark = pytest.mark.anyio


async def test_edits_made_offline_are_sent_and_merged_on_return(server: Server, room: str) -> None:
    with gate_to(server.port) as gate:
        async with (
            collab.connect(gate.url, room) as ada,
            collab.connect(server.url, room) as ben,
        ):
            write(ada, "hello")
            await until_shows(ben, "hello")
            await ada.saved()
            gate.cut()
            await until(ada, lambda: ada.status is Status.OFFLINE, "a cut")
            assert ada.presence() == {}
            write(ada, " from the train")
            text_of(ben).insert(0, "Oh, ")
            await ben.saved()
            assert ada.pending_changes == 1
            gate.mend()
            await until_shows(ben, "Oh, hello from the train")
            await until_shows(ada, "Oh, hello from the train")
            with anyio.fail_after(WITHIN_SECONDS):
                await ada.saved()


async def test_deletions_made_offline_are_sent_too(server: Server, room: str) -> None:
    with gate_to(server.port) as gate:
        async with collab.connect(gate.url, room) as ada:
            write(ada, "hello world")
            await ada.saved()
            gate.cut()
            await until(ada, lambda: ada.status is Status.OFFLINE, "a cut")
            del text_of(ada)[5:]
            gate.mend()
        async with collab.connect(server.url, room) as ben:
            await until_shows(ben, "hello")


async def test_presence_comes_back_with_the_connection(server: Server, room: str) -> None:
    with gate_to(server.port) as gate:
        async with (
            collab.connect(gate.url, room) as ada,
            collab.connect(server.url, room) as ben,
        ):
            ada.show({"name": "Ada"})
            here = ada.doc.client_id
            await until(ben, lambda: here in ben.presence(), "Ada")
            gate.cut()
            await until(ben, lambda: here not in ben.presence(), "Ada gone")
            gate.mend()
            await until(ben, lambda: here in ben.presence(), "Ada again")


async def test_who_never_reached_a_server_is_told_on_leaving(room: str) -> None:
    with gate_to(1) as gate:
        gate.cut()

        async def leave() -> None:
            timing = Timing(leave_seconds=0.2)
            async with collab.connect(gate.url, room, timing=timing) as document:
                write(document, "hello")
                with pytest.raises(ConnectionEnded):
                    await document.send_message("ping", None)

        with pytest.raises(NotSaved, match="1 change that is not known"):
            await leave()


async def test_who_waits_no_longer_than_so_keeps_what_was_changed(
    server: Server, room: str
) -> None:
    with gate_to(server.port) as gate:
        gate.cut()
        async with collab.connect(gate.url, room) as document:
            write(document, "hello")
            with pytest.raises(TimeoutError), anyio.fail_after(0.1):
                await document.saved()
            assert document.pending_changes == 1
            gate.mend()
            with anyio.fail_after(WITHIN_SECONDS):
                await document.saved()


@pytest.mark.parametrize("holds_back_streams", [False, True], ids=["stream", "polls"])
async def test_the_fallback_is_used_where_websockets_are_blocked(
    server: Server, room: str, holds_back_streams: bool
) -> None:
    with gate_to(server.port) as gate:
        gate.blocks_websockets = True
        gate.holds_back_streams = holds_back_streams
        async with (
            collab.connect(gate.url, room) as ada,
            collab.connect(server.url, room) as ben,
        ):
            ada.show({"name": "Ada"})
            write(ada, "hello")
            await until_shows(ben, "hello")
            await until(ben, lambda: bool(ben.presence()), "Ada")
            write(ben, " world")
            await until_shows(ada, "hello world")
            with anyio.fail_after(WITHIN_SECONDS):
                await ada.saved()
        assert any("poll=1" in line for line in gate.asked) == holds_back_streams


async def test_a_stream_that_is_cut_is_resumed_without_being_missed(
    server: Server, room: str
) -> None:
    with gate_to(server.port) as gate:
        gate.blocks_websockets = True
        async with (
            collab.connect(gate.url, room) as ada,
            collab.connect(server.url, room) as ben,
        ):
            await ada.synced()
            gate.cut()
            gate.mend()
            write(ben, "hello")
            await until_shows(ada, "hello")
            write(ada, " world")
            await until_shows(ben, "hello world")
            assert ada.status is Status.CONNECTED


async def test_it_climbs_back_to_websockets(server: Server, room: str) -> None:
    with gate_to(server.port) as gate:
        gate.blocks_websockets = True
        timing = Timing(climb_seconds=0.2)
        async with collab.connect(gate.url, room, timing=timing) as ada:
            await ada.synced()
            write(ada, "hello")
            await ada.saved()
            gate.blocks_websockets = False
            await until(ada, lambda: ada.status is Status.OFFLINE, "the stream's end")
            await until(ada, lambda: ada.status is Status.CONNECTED, "a WebSocket")
            handshakes = sum("/hocuspocus" in line for line in gate.asked)
            assert handshakes >= 2
            write(ada, " world")
            await ada.saved()


async def test_it_climbs_back_soon_after_an_outage_behind_a_proxy(
    server: Server, room: str
) -> None:
    with gate_to(server.port) as gate:
        gate.lacks_server = True
        timing = Timing(base_seconds=0.01, cap_seconds=0.01, climb_seconds=0.2)
        async with collab.connect(gate.url, room, timing=timing) as ada:
            await until(ada, lambda: len(gate.asked) >= 30, "many attempts")
            gate.blocks_websockets = True
            gate.lacks_server = False
            await until(ada, lambda: ada.status is Status.CONNECTED, "the fallback")
            gate.blocks_websockets = False
            await until(ada, lambda: ada.status is Status.OFFLINE, "the stream's end")
            await until(ada, lambda: ada.status is Status.CONNECTED, "a WebSocket")


@pytest.mark.slow
async def test_what_is_saved_survives_sigkill_and_what_is_not_is_sent_again(
    store: Path, room: str
) -> None:
    with ExitStack() as servers:

        async def start(port: int = 0) -> Server:
            return await anyio.to_thread.run_sync(servers.enter_context, serve(store, port=port))

        first = await start()
        async with collab.connect(first.url, room) as document:
            for number in range(3):
                for word in range(20):
                    write(document, f"{number}.{word} ")
                    await anyio.lowlevel.checkpoint()
                await document.saved()
                saved = str(text_of(document))
                write(document, "and more ")
                first.kill()
                stored = pycrdt.Doc[pycrdt.Text]()
                loaded = await anyio.to_thread.run_sync(load, store, room)
                if loaded.checkpoint is not None:
                    stored.apply_update(loaded.checkpoint)
                for entry in loaded.entries:
                    stored.apply_update(entry.update)
                assert str(stored.get("content", type=pycrdt.Text)).startswith(saved)
                first = await start(first.port)
            with anyio.fail_after(WITHIN_SECONDS):
                await document.saved()
            words = str(text_of(document))
        async with collab.connect(first.url, room) as other:
            await until_shows(other, words)


async def test_a_server_that_restarts_is_found_again(store: Path, room: str) -> None:
    with ExitStack() as servers:

        async def start(port: int = 0) -> Server:
            return await anyio.to_thread.run_sync(servers.enter_context, serve(store, port=port))

        first = await start()
        async with collab.connect(first.url, room) as document:
            write(document, "before")
            await document.saved()
            await anyio.to_thread.run_sync(first.terminate)
            await until(document, lambda: document.status is Status.OFFLINE, "the end")
            write(document, ", meanwhile")
            first = await start(first.port)
            with anyio.fail_after(WITHIN_SECONDS):
                await document.saved()
        async with collab.connect(first.url, room) as other:
            await until_shows(other, "before, meanwhile")


@pytest.mark.slow
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("blocks_websockets", [False, True], ids=["websocket", "fallback"])
async def test_a_document_of_twenty_megabytes_goes_up_and_comes_down_whole(
    store: Path, room: str, blocks_websockets: bool
) -> None:
    long = "twenty megabytes 😀 " * 1_000_000
    with serve(store) as server, gate_to(server.port) as gate:
        gate.blocks_websockets = blocks_websockets
        async with collab.connect(gate.url, room) as ada:
            write(ada, long)
            with anyio.fail_after(2 * WITHIN_SECONDS):
                await ada.saved()
        async with collab.connect(gate.url, room) as ben:
            with anyio.fail_after(2 * WITHIN_SECONDS):
                await ben.synced()
            assert str(text_of(ben)) == long
