"""Files of a store that are moved or removed under a running server, while people type."""

from collections.abc import Sequence
from pathlib import Path

import anyio
import httpx
import pytest

from tests.durability.editor import WITHIN_SECONDS, Crowd, check_account, online, words_on_disk
from tests.e2e.serving import Server, serve

pytestmark = [pytest.mark.timeout(100), pytest.mark.anyio, pytest.mark.slow]

ROOM = "lost-file"


async def until_status(server: Server, status_code: int) -> None:
    """Asks ``/readyz`` until it answers so."""
    with anyio.fail_after(WITHIN_SECONDS):
        async with httpx.AsyncClient(base_url=server.url) as client:
            while True:
                if (await client.get("/readyz")).status_code == status_code:
                    return
                await anyio.sleep(0.02)


async def test_nothing_is_acknowledged_while_the_file_is_elsewhere_and_all_is_kept_meanwhile(
    store: Path, tmp_path: Path
) -> None:
    aside, log = tmp_path / "aside.db", tmp_path / "log"
    crowd = Crowd(3, seed=1)
    with serve(store, log=log) as server:
        async with online(crowd, f"{server.websockets}/{ROOM}"):
            crowd.type()
            await crowd.until(lambda: crowd.acknowledgements > 50, "acks")
            store.rename(aside)  # noqa: ASYNC240  A moment.
            await until_status(server, 503)
            acknowledged = crowd.acknowledged
            crowd.type(ahead=20)
            await crowd.until(lambda: len(crowd.typed) >= len(acknowledged) + 30, "words")
            crowd.typing = False
            async with httpx.AsyncClient(base_url=server.url) as client:
                assert (await client.get(f"/api/docs/{ROOM}/content")).is_success
            assert crowd.acknowledged == acknowledged
            assert f"{store} to be the file that was opened, got none" in log.read_text()
            aside.rename(store)
            await until_status(server, 200)
            words = await crowd.agree()
            assert sorted(words) == sorted(crowd.typed)
        await anyio.to_thread.run_sync(server.terminate)
    assert await words_on_disk(store, ROOM) == words
    assert log.read_text().count("the store works again") == 1


async def test_a_server_stops_without_a_word_in_the_file_that_took_the_place_of_its_own(
    store: Path, tmp_path: Path
) -> None:
    backup = tmp_path / "backup.db"
    crowd = Crowd(3, seed=1)
    with serve(backup) as server:
        async with online(crowd, f"{server.websockets}/{ROOM}"):
            crowd.type()
            await crowd.until(lambda: crowd.acknowledgements > 10, "acks")
            before = await crowd.agree()
        await anyio.to_thread.run_sync(server.terminate)
    with serve(store) as server:
        async with online(crowd, f"{server.websockets}/{ROOM}"):
            crowd.type()
            await crowd.until(lambda: crowd.acknowledgements > 50, "acks")
            backup.replace(store)
            await until_status(server, 503)
            crowd.typing = False
            await anyio.to_thread.run_sync(server.terminate)
        assert await words_on_disk(store, ROOM) == before
        with serve(store, port=server.port) as server:
            async with online(crowd, f"{server.websockets}/{ROOM}"):
                words = await crowd.agree()
                assert sorted(words) == sorted(crowd.typed)
            await anyio.to_thread.run_sync(server.terminate)
    assert await words_on_disk(store, ROOM) == words


@pytest.mark.parametrize("suffixes", [["-wal"], ["-wal", "-shm"]])
async def test_a_write_ahead_log_that_is_removed_costs_nothing_acknowledged_after_it(
    store: Path, suffixes: Sequence[str]
) -> None:
    crowd = Crowd(3, seed=1)
    with serve(store) as server:
        async with online(crowd, f"{server.websockets}/{ROOM}"):
            crowd.type()
            await crowd.until(lambda: crowd.acknowledgements > 50, "acks")
            for suffix in suffixes:
                store.with_name(store.name + suffix).unlink()
            heard = crowd.acknowledgements
            await crowd.until(lambda: crowd.acknowledgements > heard + 50, "acks")
            server.kill()
            acknowledged = crowd.acknowledged
    check_account(await words_on_disk(store, ROOM), acknowledged)
