"""Heartbeat: finds peers that are gone without a word, and shows the others that we are not."""

import time

from collab.close import CloseCode
from collab.protocol import yjs
from collab.protocol.messages import EMPTY_AWARENESS
from collab.server.rooms.member import Member
from collab.server.rooms.room import Room
from collab.server.rooms.rooms import Rooms
from collab.server.settings import Settings
from collab.server.timers import Timers

_SWEEPS = 8
"""Sweeps within ``Settings.heartbeat_seconds``."""

_ALIVE = yjs.awareness(EMPTY_AWARENESS)
"""Clients give a silent server up after 30 s; this says nothing, and that we are here."""


class Heartbeat:
    """Sweeps over all members: one timer for all of them, nothing on the way of a frame."""

    def __init__(self, rooms: Rooms, timers: Timers, settings: Settings) -> None:
        self._rooms = rooms
        self._timers = timers
        self._settings = settings
        self._interval = settings.heartbeat_seconds / _SWEEPS

    def start(self) -> None:
        """Sweeps from now on, as long as the timers run."""
        self._timers.call_later(self._interval, self._sweep)

    def _sweep(self) -> None:
        self._timers.call_later(self._interval, self._sweep)
        now = time.monotonic()
        for room in self._rooms.loaded:
            room.sweep()
            for member in room.members:
                self._check(room, member, now)

    def _check(self, room: Room, member: Member, now: float) -> None:
        connection = member.connection
        if connection.heard or member.held_back:
            connection.heard = False
            member.heard_at = now
        if connection.told:
            connection.told = False
            member.told_at = now
        if member.paused:
            queued_bytes = connection.queued_bytes
            if queued_bytes < member.queued_bytes:
                member.paused_at = now  # A slow link is no blocked one.
            member.queued_bytes = queued_bytes
        if member.session.has_refused:
            room.ask_again(member)
        silence = now - member.heard_at
        if silence > self._settings.dead_seconds:
            connection.close(CloseCode.TRY_AGAIN_LATER, "no sign of life")
            connection.abort()
        elif member.paused and now - member.paused_at > self._settings.blocked_seconds:
            # Who reads on in time learns why; a close that is not read cuts it soon enough.
            connection.close(CloseCode.TRY_AGAIN_LATER, "reading too slowly")
        elif silence > self._settings.heartbeat_seconds and not connection.probe():
            connection.send(member.session.dialect.probe(room.document.state_vector))
        elif now - member.told_at > self._settings.heartbeat_seconds:
            connection.send(_ALIVE)
