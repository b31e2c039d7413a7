"""REST: what happens in a document, who is in it, and what is said there."""

import time

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from collab.app_messages import AppMessage
from collab.errors import InvalidMessage, InvalidQuery, TooMany
from collab.happenings import presence_records
from collab.server.http.body import read_object
from collab.server.http.following import Followed, Following
from collab.server.http.path import document_of
from collab.server.limits.pace import Pace
from collab.server.metrics import Metrics
from collab.server.settings import Settings

_MAX_SEQ_DIGITS = 16
_MAX_PACES = 1024
"""Senders whose pace is remembered before those who rest are forgotten."""


class Events:
    """``/api/docs/{document}/events``, ``presence`` and ``messages``."""

    def __init__(self, followed: Followed, settings: Settings, metrics: Metrics) -> None:
        self._followed = followed
        self._settings = settings
        self._metrics = metrics
        self._paces: dict[str, Pace] = {}

    def routes(self) -> list[Route]:
        """The routes, relative to where the app is mounted."""
        path = "/api/docs/{document}"
        return [
            Route(f"{path}/events", self.follow, methods=["GET"]),
            Route(f"{path}/presence", self.presence, methods=["GET"]),
            Route(f"{path}/messages", self.say, methods=["POST"]),
        ]

    async def follow(self, request: Request) -> Following:
        """Streams what happens, from now on or after the change that ``Last-Event-ID`` names."""
        permit = await self._followed.guard.admit(request, document_of(request))
        return Following(self._followed, permit, _last_seq(request))

    async def presence(self, request: Request) -> Response:
        """Lists who is here: each awareness client and what it published."""
        name = document_of(request)
        await self._followed.guard.admit(request, name)
        room = self._followed.rooms.find(name)
        states = room.presence.states() if room is not None else {}
        return JSONResponse({"present": presence_records(states)})

    async def say(self, request: Request) -> Response:
        """Passes on an application message: ``{"type", "payload", "to"}``, the last if it likes."""
        name = document_of(request)
        permit = await self._followed.guard.admit(request, name)
        identity = permit.identity
        body = await read_object(request, self._settings.app_message_max_bytes)
        await self._followed.guard.renewed(permit)
        if not {"type", "payload"} <= body.keys() <= {"type", "payload", "to"}:
            raise InvalidMessage("expected type, payload and perhaps to, got others or too few")
        kind, to = body["type"], body.get("to")
        if not isinstance(kind, str) or not (to is None or isinstance(to, str)):
            raise InvalidMessage("expected strings for type and to, got something else")
        message = AppMessage(type=kind, payload=body["payload"], to=to, sender=identity.id)
        self._check_pace(request, identity.id)
        return JSONResponse({"receivers": self._followed.rooms.say(name, message)})

    def _check_pace(self, request: Request, user: str | None) -> None:
        """Refuses who says too much.

        Raises:
            TooMany: they do.
        """
        now = time.monotonic()
        sender = f"user {user}" if user else self._followed.census.address_of(request.scope)
        pace = self._paces.get(sender)
        if pace is None:
            if len(self._paces) >= _MAX_PACES:
                for other in [key for key, each in self._paces.items() if each.is_full(now)]:
                    del self._paces[other]
            pace = self._paces[sender] = Pace(self._settings.app_messages_per_second)
        if not pace.allows(now):
            self._metrics.count_limit("app_messages_per_second")
            raise TooMany("expected fewer messages a second")


def _last_seq(request: Request) -> int | None:
    text = request.headers.get("Last-Event-ID")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= _MAX_SEQ_DIGITS):
        raise InvalidQuery(f"expected a seq in Last-Event-ID, got {text[:20]!r}")
    return int(text)
