"""Following: an answer that tells a program what happens in a document, as it happens."""

import json
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from functools import partial
from http import HTTPMethod

import anyio
import anyio.to_thread
from starlette.types import Receive, Scope, Send

from collab.errors import CollabError, DocumentNotFound
from collab.event_stream import PADDING, SIGN_OF_LIFE, Event, encode_event
from collab.happenings import Changed, Happening, PresenceChanged, Said, happening_record
from collab.server.auth.guard import Guard, Permit
from collab.server.documents.history import History
from collab.server.http.streaming import QUIET_SECONDS, stream_head, while_there, write_piece
from collab.server.limits.census import Census
from collab.server.rooms.feeds import Subscription
from collab.server.rooms.rooms import Rooms
from collab.store import Entry, Store

_LONG_BYTES = 64 * 1024
"""Changes longer than this are looked at in a thread."""

Write = Callable[[bytes], Awaitable[None]]


class Followed:
    """What can be followed, and the way there.

    Args:
        store: where changes are read that a program has missed.
        rooms: where presence is, and what happens.
        history: knows how far a document is.
        guard: decides who may hear of them.
        census: counts programs as it counts clients.
    """

    def __init__(
        self,
        store: Store,
        rooms: Rooms,
        history: History,
        guard: Guard,
        census: Census,
    ) -> None:
        self.store = store
        self.rooms = rooms
        self.history = history
        self.guard = guard
        self.census = census


class Following:
    """An ASGI app that answers one request with an event stream.

    Changes that came after ``since`` are read from the log first; the feed is followed before that,
    so that none is missed in between, and none comes twice.

    Args:
        followed: what can be followed.
        permit: who asks, and about which document.
        since: seq of the last change the program has; None where it begins now.
    """

    def __init__(self, followed: Followed, permit: Permit, since: int | None) -> None:
        assert permit.document is not None
        self._followed = followed
        self._document = permit.document
        self._permit = permit
        self._seq = since

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers the request.

        Raises:
            CollabError: it is refused; nothing was answered yet.
        """
        if scope["method"] == HTTPMethod.HEAD:
            await send(stream_head())
            await send({"type": "http.response.body", "body": b""})
            return
        user = self._permit.identity.id
        visit = self._followed.census.visit(scope)
        visit.check_user(user)
        visit.begin()
        visit.open(user)
        try:
            identity = self._permit.identity
            rooms = self._followed.rooms
            async with AsyncExitStack() as exits:
                follow = rooms.feeds.follow(self._document, self._wants, identity)
                subscription = exits.enter_context(follow)
                await exits.enter_async_context(rooms.listening(self._document))
                newest = await self._newest()
                await self._check()
                async with while_there(receive):
                    await send(stream_head())
                    # Whoever is sent away here is told why when they come back.
                    with suppress(CollabError, OSError):
                        await self._write(subscription, newest, partial(write_piece, send))
                    await send({"type": "http.response.body", "body": b""})
        finally:
            visit.end()

    async def _write(self, subscription: Subscription, newest: int, write: Write) -> None:
        # A seq that is not there yet is one of a document that was deleted since.
        self._seq = newest if self._seq is None else min(self._seq, newest)
        await write(PADDING)
        await self._check()
        room = self._followed.rooms.find(self._document)
        present = PresenceChanged(room.presence.states() if room is not None else {})
        await write(_encode(present, str(self._seq)))
        if self._seq < newest:
            await self._write_log(write)
        while True:
            happening = None
            with anyio.move_on_after(QUIET_SECONDS):
                happening = await anext(subscription, None)
                if happening is None:
                    return
            await self._check()
            if happening is None:
                await write(SIGN_OF_LIFE)
            elif isinstance(happening, Changed):
                if happening.entry.seq > self._seq + 1:
                    # What other servers write is told later than what this one does.
                    await self._write_log(write)
                await self._write_change(happening.entry, write)
            else:
                await write(_encode(happening))

    async def _write_log(self, write: Write) -> None:
        """Writes what the log has beyond the last change that was written."""
        assert self._seq is not None
        async for entry in self._followed.store.entries(self._document, self._seq):
            await self._check()
            await self._write_change(entry, write)

    async def _write_change(self, entry: Entry, write: Write) -> None:
        assert self._seq is not None
        if entry.seq <= self._seq:
            return
        self._seq = entry.seq
        change, event_id = Changed(entry), str(entry.seq)
        if len(entry.update) > _LONG_BYTES:
            await write(await anyio.to_thread.run_sync(_encode, change, event_id))
        else:
            await write(_encode(change, event_id))

    async def _check(self) -> None:
        """Ends the stream of who may not read the document any more.

        Raises:
            CollabError: they may not.
        """
        self._permit = await self._followed.guard.renewed(self._permit)

    async def _newest(self) -> int:
        """The seq of the newest change; 0 where nobody ever made one."""
        try:
            return await self._followed.history.newest(self._document)
        except DocumentNotFound:
            await self._followed.store.load(self._document)  # Says so where it was deleted.
            return 0

    def _wants(self, happening: Happening) -> bool:
        user = self._permit.identity.id
        return not isinstance(happening, Said) or happening.message.to in (None, user)


def _encode(happening: Happening, event_id: str | None = None) -> bytes:
    return encode_event(Event("", json.dumps(happening_record(happening)), event_id))
