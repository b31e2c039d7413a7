"""Window: at once where it is quiet, gathered where flushing is costly, never longer than told."""

import time
from collections.abc import AsyncIterator

import anyio
import pytest

from collab.server.rooms.window import Window
from collab.server.timers import Timers, make_timers

pytestmark = pytest.mark.anyio


@pytest.fixture
async def timers() -> AsyncIterator[Timers]:
    timers = make_timers()
    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(timers.run)
            await anyio.wait_all_tasks_blocked()
            yield timers
            tasks.cancel_scope.cancel()


class Flush:
    """A flush that costs so much; counts and tells when it was made."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.count = 0
        self.made = anyio.Event()
        self.seconds = seconds

    def __call__(self) -> float:
        until = time.monotonic() + self.seconds
        while time.monotonic() < until:
            pass
        self.count += 1
        self.made.set()
        self.made = anyio.Event()
        return 0.0


async def test_cheap_flushes_that_do_not_come_together_are_made_at_once(timers: Timers) -> None:
    async def ten_are_made_at_once() -> bool:
        flush = Flush()
        window = Window(timers, 0.05, flush)
        for made in range(1, 11):
            window.touch()
            if flush.count != made:
                return False
            await anyio.sleep(0.001)
        return window.seconds == 0.0

    # Where the machine is busy, some ten of them are held up, and look costly.
    assert any([await ten_are_made_at_once() for _ in range(100)])


async def test_a_burst_is_flushed_when_all_of_it_is_taken_in(timers: Timers) -> None:
    async def it_takes_two_flushes() -> bool:
        flush = Flush()
        window = Window(timers, 0.05, flush)
        for _ in range(500):
            window.touch()
        assert flush.count == 1
        made = flush.made
        began = time.monotonic()
        await made.wait()
        return flush.count == 2 and time.monotonic() - began < 0.003

    # Where the machine is busy, the first flush is held up, looks costly, and opens a window.
    assert any([await it_takes_two_flushes() for _ in range(100)])


async def test_a_widened_window_is_as_long_as_it_may_be_once(timers: Timers) -> None:
    flush = Flush()
    window = Window(timers, 0.2, flush)
    window.widen()
    window.touch()
    began = time.monotonic()
    assert flush.count == 1
    window.touch()
    assert flush.count == 1
    await flush.made.wait()
    assert time.monotonic() - began >= 0.19
    assert window.seconds < 0.2


async def test_after_a_costly_flush_what_follows_is_gathered_into_one(timers: Timers) -> None:
    flush = Flush(0.01)
    window = Window(timers, 0.05, flush)
    window.touch()
    assert flush.count == 1
    for _ in range(10):
        window.touch()
    assert flush.count == 1
    await flush.made.wait()
    assert flush.count == 2


async def test_what_was_gathered_elsewhere_waits_half_as_long(timers: Timers) -> None:
    flush = Flush()
    window = Window(timers, 1.0, flush)
    window.widen()
    window.touch()
    began = time.monotonic()
    window.touch()
    window.touch(gathered=True)
    window.touch()
    assert flush.count == 1
    await flush.made.wait()
    assert 0.49 <= time.monotonic() - began < 0.95
    assert flush.count == 2


async def test_the_window_is_bounded(timers: Timers) -> None:
    window = Window(timers, 0.02, Flush(0.02))
    window.touch()
    assert window.seconds == 0.02


async def test_the_window_shrinks_when_flushes_get_cheap_again(timers: Timers) -> None:
    flush = Flush(0.01)
    window = Window(timers, 0.05, flush)
    window.run()
    wide = window.seconds
    flush.seconds = 0.0
    for _ in range(30):
        window.run()
    assert wide > 0.0
    assert window.seconds == 0.0


async def test_running_it_by_hand_takes_the_waiting_flush_along(timers: Timers) -> None:
    flush = Flush(0.01)
    window = Window(timers, 0.05, flush)
    window.touch()
    window.touch()
    window.run()
    assert flush.count == 2
    due = anyio.Event()
    timers.call_later(0.1, due.set)
    await due.wait()
    assert flush.count == 2
