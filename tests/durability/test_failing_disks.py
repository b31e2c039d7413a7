"""Disks that fail under a running server: it says so, keeps everything, and goes on by itself."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path

import anyio
import httpx
import pytest

from tests.durability.editor import WITHIN_SECONDS, Crowd, check_account, online, words_on_disk
from tests.e2e.serving import Server, serve
from tests.storage.disks import disk_of, file_size_limit, locked_by_another_process

pytestmark = [pytest.mark.timeout(100), pytest.mark.anyio, pytest.mark.slow]

ROOM = "bad-disk"
EDITORS = 5
WORD_BYTES = 2_000
BOUND_BYTES = 200_000
TYPED_AHEAD = 250
TYPED_BYTES = 2_000_000
TAKEN_IN_MOST_BYTES = 1_000_000
"""The bound, and what was on its way in when it was reached."""

Fault = Callable[[Path, Server], AbstractContextManager[None]]


@contextmanager
def full(store: Path, _server: Server) -> Iterator[None]:
    """Fills the disk to the last page."""
    ballast = store.with_name("ballast")
    with ballast.open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 12):
            try:
                while file.write(bytes(size)) == size:
                    pass
            except OSError:
                continue
    yield
    ballast.unlink()


@contextmanager
def faulty(_store: Path, server: Server) -> Iterator[None]:
    """Has the server's writes fail, those of a write-ahead log that is begun anew, too."""
    with file_size_limit(4096, server.process.pid):
        yield


def locked(store: Path, _server: Server) -> AbstractContextManager[None]:
    """Has another program hold the lock that every commit needs."""
    return locked_by_another_process(store)


async def until_ready(server: Server, *, ready: bool) -> dict[str, object]:
    """Asks ``/readyz`` until it says so; returns what else it says."""
    with anyio.fail_after(WITHIN_SECONDS):
        async with httpx.AsyncClient(base_url=server.url) as client:
            while True:
                assert (await client.get("/healthz")).status_code == 200
                answer = await client.get("/readyz")
                if (answer.status_code == 200) is ready:
                    return dict(answer.json())
                await anyio.sleep(0.02)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system that is quickly filled."""
    with disk_of(64, tmp_path / "disk") as disk:
        yield disk


@pytest.mark.parametrize("fault", [full, faulty, locked])
async def test_a_store_that_fails_withholds_acks_pushes_back_and_recovers_with_everything(
    fault: Fault, disk: Path, tmp_path: Path
) -> None:
    store, log = disk / "collab.db", tmp_path / "log"
    crowd = Crowd(EDITORS, seed=1, padding=WORD_BYTES)
    options = ["--uncommitted-max-bytes", str(BOUND_BYTES)]
    with serve(store, options=options, log=log) as server:
        async with online(crowd, f"{server.websockets}/{ROOM}"):
            crowd.type()
            await crowd.until(lambda: crowd.acknowledgements > 50, "acks")
            with fault(store, server):
                said = await until_ready(server, ready=False)
                assert said["status"] == "store failing"
                typed_before = len(crowd.typed)
                crowd.type(ahead=TYPED_AHEAD)
                await crowd.until(partial(has_typed, crowd, typed_before), "words")
                # Twice the bound stays unread, or is in the sockets' buffers.
                said = await until_ready(server, ready=False)
                taken_in = said["uncommitted_bytes"]
                assert isinstance(taken_in, int)
                assert BOUND_BYTES <= taken_in < TAKEN_IN_MOST_BYTES
                crowd.typing = False
                kept = await words_on_disk(store, ROOM)
                check_account(kept, crowd.acknowledged)
                assert len(kept) < len(crowd.typed)
                assert log.read_text().count("the store fails") == 1
                assert "works again" not in log.read_text()
            await until_ready(server, ready=True)
            words = await crowd.agree()
            assert sorted(words) == sorted(crowd.typed)
        await anyio.to_thread.run_sync(server.terminate)
    assert await words_on_disk(store, ROOM) == words
    assert log.read_text().count("the store fails") == 1
    assert log.read_text().count("the store works again") == 1


def has_typed(crowd: Crowd, typed_before: int) -> bool:
    """Whether so much was typed since."""
    return (len(crowd.typed) - typed_before) * WORD_BYTES > TYPED_BYTES
