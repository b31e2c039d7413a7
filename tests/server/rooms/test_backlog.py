"""Backlog: past a bound, writers wait for what is not durable yet, here or on other instances."""

from pathlib import Path

import pytest

from collab.errors import ServerBusy
from collab.server.bus.in_process import Exchange
from collab.server.rooms.backlog import Backlog
from collab.server.rooms.promises import Promises
from collab.server.settings import Settings
from collab.storage.memory import MemoryStore
from collab.storage.sqlite import SQLiteStore
from collab.store import NewEntry
from tests.core import poison
from tests.server.rooms.conftest import MakeBus, over_each_bus
from tests.server.stores import SteeredStore
from tests.server.wire import Client, house

SMALL = Settings(uncommitted_max_bytes=300)

HELLO = NewEntry(update=poison.HELLO, time_ms=1)
LONG = poison.update_of(poison.in_root(4, b"\x90\x03" + b"x" * 400), client=1)


@pytest.mark.anyio
class TestWriters:
    """Who waits, and for what."""

    @over_each_bus
    async def test_they_wait_for_what_others_have_passed_on_of_any_document(
        self, tmp_path: Path, make_bus: MakeBus
    ) -> None:
        held = SteeredStore(SQLiteStore(tmp_path / "collab.db"))
        async with (
            house(held, bus=make_bus()) as one,
            house(SQLiteStore(tmp_path / "collab.db"), SMALL, bus=make_bus()) as other,
        ):
            ann = Client(await one.rooms.acquire("e"), client_id=1).connect()
            reader = Client(await other.rooms.acquire("e"), client_id=3).connect()
            bob = Client(await other.rooms.acquire("d"), client_id=2).connect()
            held.hold_appends()
            ann.type("x" * 400)
            await reader.read_until(lambda: len(reader.text) == 400)
            assert other.persister.backlog.full
            update = bob.type("!")
            assert not bob.wire.reading
            assert reader.wire.reading
            with pytest.raises(ServerBusy):
                await bob.room.programs.take_in(poison.HELLO, [HELLO])
            held.let_append()
            await bob.wire.until(lambda: bob.wire.reading)
            await bob.read_until(lambda: update in bob.acknowledged)
            assert other.persister.backlog.passed_on_bytes == 0

    async def test_what_a_dead_instance_has_passed_on_is_logged_though_it_is_too_much(self) -> None:
        async with house(MemoryStore(), SMALL, bus=Exchange().bus()) as server:
            room = await server.rooms.acquire("d")
            bob = Client(room, client_id=2).connect()
            assert server.relays is not None
            server.relays.changed("d", LONG, "another", 1)
            await bob.read_until(lambda: len(bob.text) == 400)
            update = bob.type("!")
            assert not bob.wire.reading
            server.relays.died("another", turn=0)
            await bob.wire.until(lambda: bob.wire.reading)
            await bob.read_until(lambda: update in bob.acknowledged)

    async def test_a_document_that_is_unloaded_holds_nobody_back(self) -> None:
        settings = Settings(uncommitted_max_bytes=300, unload_seconds=0.01)
        async with house(MemoryStore(), settings, bus=Exchange().bus()) as server:
            room = await server.rooms.acquire("d")
            assert server.relays is not None
            server.relays.changed("d", LONG, "another", 1)
            assert server.persister.backlog.full
            bob = Client(await server.rooms.acquire("e"), client_id=2).connect()
            bob.type("!")
            assert not bob.wire.reading
            server.rooms.release(room)
            await bob.wire.until(lambda: bob.wire.reading)
            assert server.persister.backlog.passed_on_bytes == 0


class TestPromises:
    """What of them is counted."""

    def test_what_is_waited_for_is_counted_until_it_is_durable(self) -> None:
        backlog = Backlog(100)
        promises = Promises(backlog)
        told: list[bool] = []
        promises.add("one", 1, b"x" * 60, 0.0)
        promises.add("other", 1, b"x" * 60, 0.0)
        backlog.when_space(lambda: told.append(backlog.full))
        assert backlog.full
        promises.mark("one", 1)
        assert (backlog.passed_on_bytes, told) == (60, [False])
        promises.forget("other")
        assert backlog.passed_on_bytes == 0

    def test_what_no_mark_is_told_of_is_not(self) -> None:
        backlog = Backlog(100)
        promises = Promises(backlog)
        promises.add("old", None, b"x" * 60, 0.0)
        promises.add("old", 1, b"x" * 10, 0.0)
        assert backlog.passed_on_bytes == 10
        promises.mark("old", 1)
        assert backlog.passed_on_bytes == 0

    def test_what_is_not_kept_any_more_is_not(self) -> None:
        backlog = Backlog(100)
        promises = Promises(backlog)
        for number in range(1, 7):
            promises.add("one", number, bytes(1 << 20), 0.0)
        assert backlog.passed_on_bytes == 4 << 20
        promises.mark("one", 3)
        assert backlog.passed_on_bytes == 3 << 20
        promises.leave()
        assert backlog.passed_on_bytes == 0
        promises.mark("one", 6)
        assert backlog.passed_on_bytes == 0
