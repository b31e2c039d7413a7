"""When frames are read, on asyncio and on trio."""

import anyio
import pytest

from collab.server.metrics import Metrics
from collab.server.settings import Settings
from collab.server.transports.intake import Intake
from tests.server.wire import DEADLINE_SECONDS

pytestmark = pytest.mark.anyio

SLOW = Settings(connection_messages_per_second=1)


async def is_open(intake: Intake) -> bool:
    """Whether frames may be read at once."""
    with anyio.move_on_after(0):
        await intake.opened()
        return True
    return False


async def test_a_room_that_asks_for_it_is_waited_for() -> None:
    intake = Intake(Settings(), Metrics())
    assert await is_open(intake)
    intake.pause()
    intake.pause()
    assert not await is_open(intake)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(intake.opened)
        await anyio.lowlevel.checkpoint()
        intake.resume()
    assert await is_open(intake)


async def test_whoever_sends_too_fast_is_read_from_later_and_counted_once_a_rest() -> None:
    metrics = Metrics()
    intake = Intake(SLOW, metrics)
    for _ in range(10):
        intake.count(1)
    assert not await is_open(intake)
    labels = {"limit": "connection_messages_per_second"}
    assert metrics.registry.get_sample_value("collab_limits_reached_total", labels) == 1


async def test_after_the_end_nothing_is_held_back() -> None:
    intake = Intake(SLOW, Metrics())
    for _ in range(10):
        intake.count(1)
    intake.pause()
    async with anyio.create_task_group() as tasks:
        with anyio.fail_after(DEADLINE_SECONDS):
            tasks.start_soon(intake.opened)
            await anyio.lowlevel.checkpoint()
            intake.end()
    intake.pause()
    assert await is_open(intake)
