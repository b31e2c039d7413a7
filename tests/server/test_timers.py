"""Timers: calls in order, each once, and a fault of one stops no other."""

import asyncio
from collections.abc import AsyncIterator
from contextvars import Context

import anyio
import pytest

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


async def after(timers: Timers, seconds: float) -> None:
    due = anyio.Event()
    timers.call_later(seconds, due.set)
    await due.wait()


async def test_calls_are_made_in_the_order_they_fall_due(timers: Timers) -> None:
    called: list[str] = []
    timers.call_later(0.03, lambda: called.append("last"))
    timers.call_later(0.0, lambda: called.append("first"))
    timers.call_later(0.015, lambda: called.append("second"))
    await after(timers, 0.05)
    assert called == ["first", "second", "last"]


async def test_a_nearer_call_does_not_wait_for_a_farther_one(timers: Timers) -> None:
    timers.call_later(60, lambda: None)
    await after(timers, 0.01)


async def test_a_cancelled_call_is_not_made(timers: Timers) -> None:
    called: list[str] = []
    timer = timers.call_later(0.01, lambda: called.append("cancelled"))
    timer.cancel()
    timer.cancel()
    await after(timers, 0.03)
    assert called == []


async def test_a_call_that_raises_is_logged_and_the_others_are_made(
    timers: Timers, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise RuntimeError("broken call")

    timers.call_later(0.0, fail)
    await after(timers, 0.01)
    assert "broken call" in caplog.text


async def test_a_call_may_ask_for_the_next_one(timers: Timers) -> None:
    done = anyio.Event()
    left = 20

    def again() -> None:
        nonlocal left
        left -= 1
        if left:
            timers.call_later(0.0, again)
        else:
            done.set()

    again()
    await done.wait()


async def test_none_is_made_after_the_end() -> None:
    timers = make_timers()
    called: list[str] = []
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(timers.run)
        await anyio.wait_all_tasks_blocked()
        timers.call_later(0.01, lambda: called.append("late"))
        tasks.cancel_scope.cancel()
    elsewhere = make_timers()
    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(elsewhere.run)
            await anyio.wait_all_tasks_blocked()
            await after(elsewhere, 0.03)
            tasks.cancel_scope.cancel()
    assert called == []


def test_a_call_may_start_tasks_on_a_loop_that_anyio_did_not_start() -> None:
    async def start_one() -> None:
        with anyio.fail_after(30):
            async with anyio.create_task_group() as tasks:
                timers = make_timers()
                tasks.start_soon(timers.run)
                started = anyio.Event()

                async def work() -> None:
                    started.set()

                def start() -> None:
                    tasks.start_soon(work)

                timers.call_later(0.0, start)
                await started.wait()
                tasks.cancel_scope.cancel()

    Context().run(asyncio.run, start_one())
