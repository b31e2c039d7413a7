"""A store that takes its time: people go on typing together, and are told nothing too early."""

from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import pytest

from benchmarks.measure import percentile
from collab.document import Document
from collab.state_vector import decode
from collab.storage.sqlite import SQLiteStore
from collab.structs import read_structs
from tests.load.peer import Author, Heard, Peer, crowd, latencies, pace, updates_in
from tests.load.serving import serve_here
from tests.server.stores import SteeredStore

pytestmark = [pytest.mark.alone, pytest.mark.anyio, pytest.mark.slow]

APPEND_SECONDS = 5.0
WRITERS = 5
EVERY_SECONDS = 0.1
SEEN_MOST_SECONDS = 0.2


async def test_people_type_together_at_once_on_a_store_that_takes_five_seconds(
    store: Path, transport: str
) -> None:
    steered = SteeredStore(SQLiteStore(store))
    authors = [Author(1000 + number) for number in range(WRITERS)]
    async with AsyncExitStack() as exits:
        base = await exits.enter_async_context(serve_here(steered, transport=transport))
        writers = await exits.enter_async_context(crowd(f"{base}/slow", WRITERS))
        steered.hold_appends()
        async for beat in pace(EVERY_SECONDS, int(APPEND_SECONDS / EVERY_SECONDS)):
            for author, writer in zip(authors, writers, strict=True):
                author.write(writer, f"line {beat}")
        for own, writer in zip(authors, writers, strict=True):
            others = [author for author in authors if author is not own]
            await writer.until(partial(knows, writer, others), what="what the others wrote")
            took = latencies(writer.frames, others, since=0.0)
            assert percentile(sorted(took), 0.99) < SEEN_MOST_SECONDS
            assert own.client not in writer.clocks, "expected no echo before the commit"
        assert steered.appends == []

        steered.let_append()
        for writer in writers:
            await writer.until(partial(knows, writer, authors), what="its echo")
        for writer in writers:
            check_order(writer.frames)
    async with SQLiteStore(store) as kept:
        stored = decode(Document.load(await kept.load("slow")).state_vector)
    assert stored == {author.client: author.clock for author in authors}


def knows(peer: Peer, authors: list[Author]) -> bool:
    """Whether a peer was told of all that they wrote."""
    return all(peer.clocks.get(author.client) == author.clock for author in authors)


def check_order(frames: list[Heard]) -> None:
    """Checks that each client's changes came one after the other, each once."""
    known: dict[int, int] = {}
    for _, update in updates_in(frames):
        for struct in read_structs(update):
            assert struct.clock == known.get(struct.client, 0)
            known[struct.client] = struct.clock + struct.length
