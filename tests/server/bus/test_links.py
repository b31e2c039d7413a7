"""The links of a bus to a real Valkey: what is left undone where it is slow, refuses or is cut."""

import anyio
import pytest

from tests.server.bus.line import Line
from tests.server.bus.way import way_to
from tests.valkey import ValkeyProcess

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("held", [b"SUBSCRIBE", b"XRANGE"])
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
        way.hold(b"XRANGE")
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
