"""Two servers on one Postgres with a bus between them: they converge, and nothing is doubled."""

from collections import Counter
from collections.abc import Sequence

import anyio
import psycopg
import pytest

from collab.archive import Terms
from collab.document import Document
from collab.storage.postgres.store import PostgresStore
from collab.store import Entry
from collab.structs import read_structs
from tests.durability.editor import WITHIN_SECONDS, Crowd, check_account, online, words_in
from tests.durability.servers import ROOM, group, rooms, type_more
from tests.postgres import PostgresServer
from tests.valkey import one_server

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


@pytest.fixture
def address(postgres: PostgresServer) -> str:
    return postgres.new_database()


async def logged(address: str) -> Sequence[Entry]:
    """The log, in order and without holes."""
    async with PostgresStore(address, create=False) as store:
        entries = [entry async for entry in store.entries(ROOM)]
    assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
    return entries


async def words_stored(address: str) -> list[str]:
    async with PostgresStore(address, create=False) as store:
        return words_in(Document.load(await store.load(ROOM)))


def check_logged_once(entries: Sequence[Entry]) -> None:
    """Checks that no part of a change is in two entries."""
    clocks = Counter(
        (struct.client, clock)
        for entry in entries
        for struct in read_structs(entry.update)
        for clock in range(struct.clock, struct.clock + struct.length)
    )
    twice = [change for change, times in clocks.items() if times > 1]
    assert twice == []


async def test_writers_on_both_converge_and_each_change_is_logged_once(address: str) -> None:
    crowd = Crowd(6, seed=1)
    with one_server() as valkey:
        async with group(address) as servers:
            both = await servers.start(*[f"valkey://{valkey.address}"] * 2)
            async with online(crowd, *rooms(both)):
                await type_more(crowd, words=100)
                words = await crowd.agree()
    check_account(words, set(crowd.typed))
    assert await words_stored(address) == words
    check_logged_once(await logged(address))


async def test_a_change_that_survivors_log_for_a_dead_server_is_logged_once(address: str) -> None:
    dead, alive = Crowd(2, seed=2), Crowd(2, seed=3, first=2)
    with one_server() as valkey:
        async with group(address) as servers:
            one, two, three = await servers.start(*[f"valkey://{valkey.address}"] * 3)
            async with online(alive, *rooms([two, three])):
                async with online(dead, *rooms([one])):
                    await type_more(dead)
                    with psycopg.connect(address) as locking:
                        locking.execute("LOCK TABLE collab.updates IN EXCLUSIVE MODE")
                        stored = set(await words_stored(address))
                        await alive.until(
                            lambda: all(set(each.seen()) > stored for each in alive.editors),
                            "a word that is not committed",
                        )
                        one.kill()
                        locking.rollback()
                seen = {word for editor in alive.editors for word in editor.seen()}
                with anyio.fail_after(WITHIN_SECONDS):
                    while not seen <= set(await words_stored(address)):
                        await type_more(alive, words=1)
                alive.typing = False
                await alive.until(lambda: all(each.settled for each in alive.editors), "all echoes")
    check_logged_once(await logged(address))


async def test_compaction_by_both_at_once_leaves_what_is_typed_meanwhile(address: str) -> None:
    crowd = Crowd(4, seed=4)
    with one_server() as valkey:
        async with (
            group(address) as servers,
            PostgresStore(address) as one_store,
            PostgresStore(address) as other_store,
        ):
            both = await servers.start(*[f"valkey://{valkey.address}"] * 2)
            async with online(crowd, *rooms(both)):
                for _ in range(4):
                    await type_more(crowd, words=40)
                    async with anyio.create_task_group() as tasks:
                        for store in (one_store, other_store):
                            tasks.start_soon(compact, store)
                words = await crowd.agree()
    check_account(words, set(crowd.typed))
    assert await words_stored(address) == words
    check_logged_once(await logged(address))


async def compact(store: PostgresStore) -> None:
    """Packs all that can be packed."""
    while (await store.compact(ROOM, Terms(now_ms=2**42, quiet_ms=0))).more:
        pass
