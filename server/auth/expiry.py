"""Expiry: asks for new tokens before the old ones end, and ends sessions that bring none."""

import math
import time
from random import Random

from collab.close import CloseCode
from collab.server.rooms.member import Member
from collab.server.rooms.rooms import Rooms
from collab.server.timers import Timers

_INTERVAL_SECONDS = 2.0
"""How often all sessions are looked at: one timer for all of them."""
_LEAD_SECONDS = 30.0
"""How long before a token ends its client is asked for a new one, where the dialect can."""
_SPREAD_SECONDS = 10.0
"""Time over which clients whose tokens end together are asked, or sent away: they all come back at
once otherwise, as they did when the tokens were made."""


class Expiry:
    """Looks after the ends of tokens.

    Args:
        rooms: where sessions are.
        timers: the server's timers.
        dice: decides who goes when.
    """

    def __init__(self, rooms: Rooms, timers: Timers, dice: Random) -> None:
        self._rooms = rooms
        self._timers = timers
        self._dice = dice
        self._asked: dict[Member, float] = {}

    def start(self) -> None:
        """Looks from now on, as long as the timers run."""
        self._timers.call_later(_INTERVAL_SECONDS, self._look)

    def sweep(self, now: float) -> None:
        """Looks at every session once.

        Args:
            now: seconds since 1970.
        """
        asked = {}
        for room in self._rooms.loaded:
            for member in room.members:
                ends_at = member.session.identity.expires_at
                if ends_at is None:
                    continue
                if now >= ends_at:
                    if self._is_due(now - ends_at):
                        room.expel(member, CloseCode.EXPIRED, "the token has expired")
                elif self._asked.get(member) == ends_at or self._ask(member, ends_at - now):
                    asked[member] = ends_at
        self._asked = asked

    def _look(self) -> None:
        self._timers.call_later(_INTERVAL_SECONDS, self._look)
        self.sweep(time.time())

    def _ask(self, member: Member, left_seconds: float) -> bool:
        """Asks a client for a new token where it is time to; tells whether it was."""
        since = _LEAD_SECONDS - left_seconds
        if since < 0 or not self._is_due(since):
            return False
        question = member.session.dialect.ask_for_token()
        if question is not None:
            member.connection.send(question)
        return True

    def _is_due(self, since: float) -> bool:
        """Decides for one of many, so that each sweep within the spread takes as many.

        Args:
            since: seconds since the first sweep that could have taken it.
        """
        sweeps_left = math.ceil((_SPREAD_SECONDS - since) / _INTERVAL_SECONDS)
        return sweeps_left <= 1 or self._dice.random() * sweeps_left < 1
