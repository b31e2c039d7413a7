"""Several servers over one store, and what breaks between them: they converge, nothing is lost."""

from pathlib import Path

import anyio.to_thread
import pytest
from redis.crc import key_slot
from websockets.asyncio.client import ClientConnection, connect

from collab.awareness import decode_entries, encode_entries
from collab.protocol import yjs
from collab.protocol.messages import AwarenessUpdate
from collab.storage.sqlite import SQLiteStore
from tests.client.gate import gate_to
from tests.durability.editor import Crowd, check_account, online, words_on_disk
from tests.durability.servers import ROOM, group, ready, rooms, type_more
from tests.e2e.serving import locked
from tests.needs import skip_or_fail
from tests.valkey import ValkeyProcess, cluster, running, wait_until, watched

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


async def check_agreed(crowd: Crowd, store: Path, name: str = ROOM) -> None:
    """Checks that everyone sees every word once, and that the store has them."""
    words = await crowd.agree()
    check_account(words, set(crowd.typed))
    check_account(await words_on_disk(store, name), set(crowd.typed))


async def test_when_the_primary_dies_servers_follow_the_sentinel_to_its_replica(
    store: Path, tmp_path: Path
) -> None:
    crowd = Crowd(4, seed=1)
    with watched(tmp_path) as (primary, replica, bus):
        async with group(store) as servers:
            one, other = await servers.start(bus, bus)
            await ready(one, "ok")
            async with online(crowd, *rooms([one, other])):
                await type_more(crowd)
                primary.kill()
                await ready(one, "degraded")
                await type_more(crowd)
                await ready(one, "ok")
                await ready(other, "ok")
                await type_more(crowd)
                await check_agreed(crowd, store)
        assert "'role': 'master'" in str(replica.ask("INFO", "replication"))


async def test_documents_of_all_nodes_of_a_cluster_are_shared_also_after_one_was_killed(
    store: Path, tmp_path: Path
) -> None:
    with cluster(tmp_path) as (nodes, bus):
        names = [name_on(node) for node in range(3)]
        crowds = [Crowd(2, seed=node) for node in range(3)]
        async with group(store) as servers:
            one, other = await servers.start(bus, bus)
            await ready(one, "ok")
            async with (
                online(crowds[0], *rooms([one, other], names[0])),
                online(crowds[1], *rooms([one, other], names[1])),
                online(crowds[2], *rooms([one, other], names[2])),
            ):
                for crowd in crowds:
                    await type_more(crowd)
                for crowd in crowds:
                    await crowd.agree()
                nodes[0].kill()
                await ready(one, "degraded")
                for crowd in crowds:
                    await type_more(crowd)
                await ready(one, "ok")
                await ready(other, "ok")
                for crowd, name in zip(crowds, names, strict=True):
                    await check_agreed(crowd, store, name)


def name_on(node: int) -> str:
    """The name of a document whose stream is on one of the three nodes."""
    each = 16384 / 3
    return next(
        name
        for name in map("d{}".format, range(1000))
        if node * each < key_slot(f"collab:0:d:{name}".encode()) < (node + 1) * each - 1
    )


async def test_a_bus_that_comes_back_empty_brings_writers_together_again(
    store: Path, tmp_path: Path
) -> None:
    valkey = ValkeyProcess(tmp_path)
    crowd = Crowd(4, seed=2)
    with running(valkey):
        async with group(store) as servers:
            both = await servers.start(*[f"valkey://{valkey.address}"] * 2)
            async with online(crowd, *rooms(both)):
                for _ in range(3):
                    await type_more(crowd)
                    valkey.kill()
                    await type_more(crowd)
                    await anyio.to_thread.run_sync(valkey.start)
                for server in both:
                    await ready(server, "ok")
                await check_agreed(crowd, store)


async def test_a_server_cut_off_from_the_bus_serves_stores_and_catches_up_both_ways(
    store: Path, tmp_path: Path
) -> None:
    valkey = ValkeyProcess(tmp_path)
    ours, theirs = Crowd(2, seed=3), Crowd(2, seed=4, first=2)
    with running(valkey), gate_to(valkey.port) as gate:
        async with group(store) as servers:
            near, cut = await servers.start(
                f"valkey://{valkey.address}", f"valkey://127.0.0.1:{gate.port}"
            )
            async with online(ours, *rooms([near])), online(theirs, *rooms([cut])):
                await type_more(ours)
                gate.cut()
                await ready(cut, "degraded")
                await type_more(ours)
                await type_more(theirs)
                await ready(near, "ok")
                acknowledged = ours.acknowledged | theirs.acknowledged
                check_account(await words_on_disk(store, ROOM), acknowledged)
                gate.mend()
                await ready(cut, "ok")
                ours.typing = theirs.typing = False
                everything = set(ours.typed) | set(theirs.typed)
                for crowd in (ours, theirs):
                    await crowd.until(
                        lambda crowd=crowd: all(  # type: ignore[misc]  # a closure in a loop
                            set(editor.seen()) == everything for editor in crowd.editors
                        ),
                        "what the others typed",
                    )


async def test_a_bus_that_hangs_is_noticed(store: Path, tmp_path: Path) -> None:
    valkey = ValkeyProcess(tmp_path)
    with running(valkey):
        async with group(store) as servers:
            (server,) = await servers.start(f"valkey://{valkey.address}")
            await ready(server, "ok")
            valkey.halt()
            try:
                await ready(server, "degraded")
            finally:
                valkey.go_on()
            await ready(server, "ok")


async def test_a_new_document_opened_by_many_on_two_servers_at_once_is_one(
    store: Path, tmp_path: Path
) -> None:
    valkey = ValkeyProcess(tmp_path)
    with running(valkey):
        async with group(store) as servers:
            both = await servers.start(*[f"valkey://{valkey.address}"] * 2)
            for number in range(5):
                crowd = Crowd(4, seed=number)
                crowd.type()  # From the first moment they are in sync.
                async with online(crowd, *rooms(both, f"new/{number}")):
                    await type_more(crowd, words=8)
                    await check_agreed(crowd, store, f"new/{number}")


async def test_what_a_killed_server_had_committed_is_read_from_the_store_by_one_that_was_cut_off(
    store: Path, tmp_path: Path
) -> None:
    valkey = ValkeyProcess(tmp_path)
    ours, theirs = Crowd(1, seed=5), Crowd(1, seed=6, first=1)
    with running(valkey), gate_to(valkey.port) as gate:
        async with group(store) as servers:
            near, cut = await servers.start(
                f"valkey://{valkey.address}", f"valkey://127.0.0.1:{gate.port}"
            )
            async with online(ours, *rooms([near])), online(theirs, *rooms([cut])):
                await type_more(ours)
                gate.cut()
                await ready(cut, "degraded")
                await type_more(ours)
                ours.typing = False
                await ours.until(lambda: ours.editors[0].settled, "all echoes")
                near.kill()
                gate.mend()
                await theirs.until(
                    lambda: set(theirs.editors[0].seen()) == set(ours.typed), "the other's words"
                )


async def test_what_a_killed_server_passed_on_and_did_not_commit_is_logged_by_another_one(
    store: Path, tmp_path: Path
) -> None:
    valkey = ValkeyProcess(tmp_path)
    ours, theirs = Crowd(1, seed=7), Crowd(1, seed=8, first=1)
    ours.ahead = 1
    with running(valkey):
        async with group(store) as servers:
            one, other = await servers.start(*[f"valkey://{valkey.address}"] * 2)
            async with online(theirs, *rooms([other])):
                async with online(ours, *rooms([one])):
                    await type_more(ours)
                    with locked(store):
                        stored = set(await words_on_disk(store, ROOM))
                        await theirs.until(
                            lambda: set(theirs.editors[0].seen()) > stored,
                            "a word that is not committed",
                        )
                        seen = set(theirs.editors[0].seen())
                        one.kill()
                assert set(await words_on_disk(store, ROOM)) == stored

                def are_stored() -> bool:
                    return seen <= set(anyio.run(words_on_disk, store, ROOM))

                await anyio.to_thread.run_sync(wait_until, are_stored)


async def test_presence_of_a_killed_servers_clients_goes_within_ten_seconds(
    store: Path, tmp_path: Path
) -> None:
    valkey = ValkeyProcess(tmp_path)
    with running(valkey):
        async with group(store) as servers:
            one, other = await servers.start(*[f"valkey://{valkey.address}"] * 2)
            async with connect(*rooms([other])) as bob, connect(*rooms([one])) as ann:
                state = (7, 1, b'{"name":"ann"}')
                await ann.send(yjs.awareness(encode_entries([state])))
                await hear(bob, state)
                one.kill()
                with anyio.fail_after(10):
                    await hear(bob, (7, 1, b"null"))


async def hear(client: ClientConnection, entry: tuple[int, int, bytes]) -> None:
    """Waits until a client is told this of somebody's presence."""
    async for frame in client:
        assert isinstance(frame, bytes)
        message = yjs.decode(frame)
        if isinstance(message, AwarenessUpdate) and entry in decode_entries(message.payload):
            return


async def test_servers_whose_clocks_are_hours_apart_converge(store: Path, tmp_path: Path) -> None:
    valkey = ValkeyProcess(tmp_path)
    crowd = Crowd(4, seed=9)
    with running(valkey):
        address = f"valkey://{valkey.address}"
        async with group(store) as servers:
            (ahead,) = await servers.start(address, under=shifted("+1h"))
            (behind,) = await servers.start(address, under=shifted("-1h"))
            async with online(crowd, *rooms([ahead, behind])):
                for _ in range(2):  # What is typed behind comes after what was typed ahead.
                    await type_more(crowd)
                    await check_agreed(crowd, store)
                logged = await times_on_disk(store)
                assert max(logged) - min(logged) > 3600_000
                assert logged != sorted(logged)


def shifted(by: str) -> tuple[str, ...]:
    """What runs a command whose clock is off."""
    libraries = list(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    if not libraries:
        skip_or_fail("libfaketime")
    return "env", f"LD_PRELOAD={libraries[0]}", "FAKETIME_DONT_FAKE_MONOTONIC=1", f"FAKETIME={by}"


async def times_on_disk(store: Path) -> list[int]:
    """When the store's entries were made, in their order, milliseconds since 1970."""
    async with SQLiteStore(store, create=False) as opened:
        return [entry.time_ms async for entry in opened.entries(ROOM)]
