"""Pulse: what happens while nobody waits is not missed."""

from collections.abc import AsyncIterator

import anyio
import pytest

from collab.client.pulse import Beats, Pulse

pytestmark = pytest.mark.anyio


async def has_come(beats: AsyncIterator[None]) -> bool:
    """Whether there is a beat that need not be waited for."""
    with anyio.move_on_after(0):
        await anext(beats)
        return True
    return False


async def test_a_beat_while_nobody_waits_is_not_missed() -> None:
    pulse = Pulse()
    beats = Beats(pulse, lambda: False)
    pulse.beat()
    assert await has_come(beats)


async def test_beats_while_nobody_waits_are_one() -> None:
    pulse = Pulse()
    beats = Beats(pulse, lambda: False)
    pulse.beat()
    pulse.beat()
    assert await has_come(beats)
    assert not await has_come(beats)


async def test_everyone_has_all_beats_since_they_began_to_listen() -> None:
    pulse = Pulse()
    first = Beats(pulse, lambda: False)
    pulse.beat()
    second = Beats(pulse, lambda: False)
    assert await has_come(first)
    assert not await has_come(second)


async def test_they_end_when_nothing_more_will_come() -> None:
    pulse = Pulse()
    beats = Beats(pulse, lambda: True)
    pulse.beat()
    with pytest.raises(StopAsyncIteration):
        await anext(beats)
