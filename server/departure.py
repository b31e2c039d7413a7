"""Departure: how the clients of a server that stops are sent to others."""

from random import Random

import anyio

from collab.close import CloseCode
from collab.server.limits.census import RESTARTS, Census

_WAVE_SECONDS = 0.02
"""Those whose moments are closer than this are told together."""
_CLIENTS_PER_SECOND = 200
"""Fewer are told in less time than there is: others take in so many without noticing."""
_GOODBYE_SECONDS = 1.0
"""How long those who were told may take to go."""


async def send_away(census: Census, seconds: float, dice: Random) -> None:
    """Tells every client to come back, each at a moment of its own, and waits until they are gone.

    All at once would have them all come in the same instant to the servers that go on.

    Args:
        census: who is there; it is closed already.
        seconds: over how long they are told; 0 tells all at once.
        dice: draws the moments.
    """
    connections = list(census.connections)
    seconds = min(seconds, len(connections) / _CLIENTS_PER_SECOND)
    moments = sorted(dice.uniform(0, seconds) for _ in connections)
    dice.shuffle(connections)
    began = anyio.current_time()
    for connection, moment in zip(connections, moments, strict=True):
        ahead = began + moment - anyio.current_time()
        if ahead > _WAVE_SECONDS:
            await anyio.sleep(ahead)
        if connection in census.connections:
            connection.close(CloseCode.RESTART, RESTARTS)
    with anyio.move_on_after(_GOODBYE_SECONDS):
        await census.deserted()
