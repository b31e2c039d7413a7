"""Admitting: the last look at what somebody may do, right before what they asked for is done."""

from collections.abc import Awaitable, Callable

Admit = Callable[[], Awaitable[object]]
"""Asked when all else has been waited for; raises where it may not be done any more."""


async def admit_anyone() -> None:
    """Admits whoever works on a store that is theirs, and nobody else's."""
