"""The links of a bus to a real Valkey: what is left undone where it is slow, refuses or is cut."""

import anyio
import anyio.lowlevel
import pytest

from tests.server.bus.line import Line
from tests.server.bus.way import way_to
from tests.valkey import ValkeyProcess, free_port

pytestmark = pytest.mark.anyio

_DEADLINE_SECONDS = 20.0


@pytest.mark.parametrize("held", [b"SUBSCRIBE", b"EVALSHA"])
async def test_what_a_slow_bus_leaves_undone_when_a_document_opens_is_done_once_it_answers(
    valkey: ValkeyProcess, line: Line, held: bytes
) -> None:
    await line.keep("d", {"i": b"another", "n": b"1", "u": b"a"})
    async with way_to(valkey.port) as way, line.bus(port=way.port) as (bus, ear):
        way.hold(held)
        await bus.subscribe("d")
        assert way.held.is_set()
        assert (ear.changes, ear.misses) == ([], 0)
        way.let_go()
        await ear.until(lambda: ear.misses == 1)
        assert (ear.changes, ear.numbers, ear.cuts) == ([b"a"], [1], 0)


async def test_a_document_whose_opening_is_cut_off_from_the_bus_is_made_good_with_the_others(
    valkey: ValkeyProcess, line: Line
) -> None:
    await line.keep("d", {"i": b"another", "n": b"1", "u": b"a"})
    async with way_to(valkey.port) as way, line.bus(port=way.port) as (bus, ear):
        way.hold(b"EVALSHA")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(bus.subscribe, "d")
            await way.held.wait()
            way.cut()
        await ear.until(lambda: ear.misses > 0)
        assert (ear.changes, ear.cuts, ear.returns) == ([b"a"], 1, 2)


async def test_a_document_that_opens_while_links_are_made_is_read_as_well(
    valkey: ValkeyProcess, line: Line
) -> None:
    await line.keep("late", {"i": b"another", "n": b"1", "u": b"a"})
    async with way_to(valkey.port) as way, line.bus(port=way.port) as (bus, ear):
        way.cut()
        await ear.until(lambda: ear.cuts == 1)
        way.hold(b"SUBSCRIBE")
        await way.held.wait()
        await bus.subscribe("late")
        assert ear.changes == []
        way.let_go()
        await ear.until(lambda: ear.misses == 1)
        assert ear.changes == [b"a"]


async def test_a_document_that_closes_while_links_are_made_is_not_heard_any_more(
    valkey: ValkeyProcess, line: Line
) -> None:
    async with way_to(valkey.port) as way, line.bus(port=way.port) as (bus, ear):
        await bus.subscribe("d")
        await bus.subscribe("closed")
        way.cut()
        await ear.until(lambda: ear.cuts == 1)
        way.hold(b"SUBSCRIBE")
        await way.held.wait()
        bus.unsubscribe("closed")
        way.let_go()
        await ear.until(lambda: ear.misses == 1)
        assert await line.heard_of() == ["d"]


async def test_a_full_bus_carries_changes_on(valkey: ValkeyProcess, line: Line) -> None:
    async with line.bus() as (one, own), line.bus() as (other, ear):
        await one.subscribe("d")
        await other.subscribe("d")
        valkey.ask("CONFIG", "RESETSTAT")
        valkey.ask("CONFIG", "SET", "maxmemory", 1)
        try:
            one.change("d", b"a")
            with anyio.fail_after(_DEADLINE_SECONDS):
                while "errorstat_OOM" not in str(valkey.ask("INFO", "errorstats")):
                    await anyio.lowlevel.checkpoint()
        finally:
            valkey.ask("CONFIG", "SET", "maxmemory", 0)
        one.change("d", b"b")
        assert await line.kept("d", 1) == [b"b"]
        assert (ear.changes, own.cuts) == ([b"a", b"b"], 0)


async def test_long_streams_of_many_documents_are_read_when_the_bus_is_back(
    valkey: ValkeyProcess, line: Line
) -> None:
    documents = [str(number) for number in range(45)]
    async with line.bus() as (bus, ear):
        for document in documents:
            for number in (b"1", b"2"):
                fields = {"i": b"another", "n": number, "u": number * 500_000}
                await line.keep(document, fields)
            await bus.subscribe(document)
        assert len(ear.changes) == 2 * len(documents)
        valkey.ask("CLIENT", "KILL", "TYPE", "pubsub")
        await ear.until(lambda: ear.misses == len(documents))
        assert ear.changes == ear.changes[: 2 * len(documents)] * 2
        assert ear.cuts == 1


async def test_what_no_instance_has_put_into_a_stream_is_left_alone(line: Line) -> None:
    await line.keep("d", {"what": b"?"})
    await line.keep("d", {"i": b"\xff", "n": b"1", "u": b"x"})
    await line.keep("d", {"i": b"another", "n": b"one", "u": b"x"})
    await line.keep("d", {"i": b"another", "n": b"1", "u": b"a"})
    async with line.bus() as (bus, ear):
        await bus.subscribe("d")
        assert ear.changes == [b"a"]


async def test_a_server_that_has_become_a_replica_is_away_until_it_takes_commands_again(
    valkey: ValkeyProcess, line: Line
) -> None:
    async with line.bus() as (bus, ear):
        await bus.subscribe("d")
        valkey.ask("REPLICAOF", "127.0.0.1", free_port())
        try:
            bus.change("d", b"late")
            with anyio.fail_after(_DEADLINE_SECONDS):
                while "got a replica of another" not in str(bus.failure):
                    await anyio.lowlevel.checkpoint()
            bus.change("d", b"later")
        finally:
            valkey.ask("REPLICAOF", "NO", "ONE")
        assert await line.kept("d", 2) == [b"late", b"later"]
        assert (bus.failure, ear.cuts, ear.returns) == (None, 1, 2)
