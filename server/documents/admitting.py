"""Admitting: the last look at what somebody may do, right before what they asked for is done."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from collab.errors import CollabError

Admit = Callable[[], Awaitable[object]]
"""Asked when all else has been waited for; raises where it may not be done any more."""


async def admit_anyone() -> None:
    """Admits whoever works on a store that is theirs, and nobody else's."""


@asynccontextmanager
async def refused_to(admit: Admit) -> AsyncIterator[None]:
    """Has errors wait for a last look as well: that a document exists is told by them, too.

    Args:
        admit: raises instead, where the error is no longer theirs to know.
    """
    try:
        yield
    except CollabError:
        await admit()
        raise
