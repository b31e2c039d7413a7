"""Tasks: work that outlives the call that asks for it."""

import logging
from collections.abc import Callable, Coroutine
from typing import Any

from anyio.abc import TaskGroup

logger = logging.getLogger("collab")

Work = Callable[[], Coroutine[Any, Any, None]]
Spawn = Callable[[Work], None]
"""Runs a coroutine function in the background."""


def spawner(tasks: TaskGroup) -> Spawn:
    """Returns what runs work in a task group; work that raises is logged.

    One room's or one connection's fault must not end the others.
    """

    async def guarded(work: Work) -> None:
        try:
            await work()
        except Exception:
            logger.exception("work in the background failed")

    def spawn(work: Work) -> None:
        tasks.start_soon(guarded, work)

    return spawn
