"""REST: a document's log as it is stored, and changes brought to it without a WebSocket."""

from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial

import anyio.to_thread
from anyio.lowlevel import checkpoint
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from collab.access import Access
from collab.errors import AccessDenied, InvalidQuery, Unauthenticated
from collab.intake import take_in
from collab.log import Log, open_log
from collab.ndjson import MEDIA_TYPE, decode_entries, encode_entry
from collab.protocol.messages import EMPTY_UPDATE
from collab.server.auth.guard import Guard, Permit
from collab.server.documents.admitting import Admit
from collab.server.http.body import read_body
from collab.server.http.path import document_of
from collab.server.http.query import integer
from collab.server.rooms.changes import now_ms
from collab.server.rooms.rooms import Rooms
from collab.server.settings import Settings
from collab.store import NewEntry, Store

_CHUNK_BYTES = 64 * 1024
_MAX_SEQ = 2**53


class Updates:
    """``/api/docs/{document}/updates``: GET streams the log, POST adds to it through the room."""

    def __init__(
        self,
        store: Store,
        rooms: Rooms,
        guard: Guard,
        settings: Settings,
    ) -> None:
        self._store = store
        self._rooms = rooms
        self._guard = guard
        self._max_bytes = settings.message_max_bytes

    def routes(self) -> list[Route]:
        """The routes, relative to where the app is mounted."""
        path = "/api/docs/{document}/updates"
        return [
            Route(path, self.stream, methods=["GET"]),
            Route(path, self.add, methods=["POST"]),
        ]

    async def stream(self, request: Request) -> "_LogAnswer":
        """Streams the durable log, a line of JSON for each entry: ``?after=SEQ``."""
        name = document_of(request)
        permit = await self._guard.admit(request, name)
        after_seq = integer(request, "after", default=0, least=0, most=_MAX_SEQ)
        log = await open_log(self._store, name, after_seq)
        await self._guard.renewed(permit)
        return _LogAnswer(_Lines(log, partial(self._guard.renewed, permit)))

    async def add(self, request: Request) -> Response:
        """Takes in one update, or a log, and answers when it is durable.

        The body is a Yjs update (v1), stored in the sender's name; or, as ``application/x-ndjson``,
        lines as ``stream`` gives them, each kept with its own time and author. The latter speaks
        for others, and so needs ``Access.ADMIN``.
        """
        media_type = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if media_type == MEDIA_TYPE:
            return await self._add_log(request)
        name = document_of(request)
        permit = await self._guard.admit(request, name, Access.WRITE)
        update = await read_body(request, self._max_bytes)
        await take_in_update(self._rooms, self._guard, permit, update)
        return Response(status_code=204)

    async def _add_log(self, request: Request) -> Response:
        name = document_of(request)
        permit = await self._guard.admit(request, name, Access.ADMIN)
        lines = await read_body(request, self._max_bytes)
        room = await self._rooms.acquire(name, seeded=False)
        try:
            state = (await room.programs.read()).encode()
            # A copy is asked, in a thread. What becomes of the room meanwhile does no harm: at
            # worst something is stored that it had come to know.
            intake = await anyio.to_thread.run_sync(lambda: take_in(state, decode_entries(lines)))
            await self._guard.renewed(permit, Access.ADMIN)
            if intake.effect is not None:
                await room.programs.take_in(intake.effect, intake.entries, bounded=False)
            else:
                await room.programs.saved()
        finally:
            self._rooms.release(room)
        refused = [{"line": each.position, "error": each.reason} for each in intake.refused]
        return JSONResponse(
            {"added": len(intake.entries), "known": intake.known, "refused": refused}
        )


async def take_in_update(rooms: Rooms, guard: Guard, permit: Permit, update: bytes) -> None:
    """Takes in one update, as a request's body brings it, and waits until it is durable.

    A long one is taken in a part at a time, and others are served meanwhile. Where that ends with
    an error, the parts before stay.

    Args:
        rooms: where the document's room is.
        guard: asked whether it may still be written, when it is all there.
        permit: of whoever writes it, from before they sent it.
        update: encoded update (v1).

    Raises:
        Unauthenticated: they are to be believed no longer.
        AccessDenied: they may not write any more.
        InvalidQuery: there is none.
        PoisonedUpdate: it does not decode or cannot be applied.
        TooLarge: no document takes it.
        DocumentFull: the document is as large as one may be; what only deletes text it takes.
        StoreError: the document cannot be loaded.
        ServerBusy: too much waits for the store.
    """
    if not update:
        raise InvalidQuery("expected an update as the body, got nothing")
    if update == EMPTY_UPDATE:
        return
    parts = await rooms.long_messages.read_update(update)
    author = permit.identity.author
    assert permit.document is not None
    room = await rooms.acquire(permit.document, seeded=False)
    try:
        for part in parts:
            await guard.renewed(permit, Access.WRITE)
            entry = NewEntry(update=part, time_ms=now_ms(), author=author)
            await room.programs.take_in(part, [entry])
            await checkpoint()
    finally:
        rooms.release(room)


class _LogAnswer:
    """An ASGI app that answers with a log, and breaks off where its reader may not have the rest.

    It has no end then, so that nobody takes it for all of the log.
    """

    def __init__(self, lines: "_Lines") -> None:
        self._lines = lines

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers the request."""
        with suppress(Unauthenticated, AccessDenied):
            await StreamingResponse(self._lines, media_type=MEDIA_TYPE)(scope, receive, send)


class _Lines(AsyncIterator[bytes]):
    """A log as lines, many at a time: a write for each would cost more than the line.

    No async generator: nobody closes it when a client goes away in the middle.

    Args:
        log: the log.
        admit: asked whether its reader may still have it, each time.
    """

    def __init__(self, log: Log, admit: Admit) -> None:
        self._log = log
        self._admit = admit

    async def __anext__(self) -> bytes:
        lines = []
        size = 0
        while size < _CHUNK_BYTES:
            entry = await anext(self._log, None)
            if entry is None:
                break
            lines.append(encode_entry(entry))
            size += len(lines[-1])
        if not lines:
            raise StopAsyncIteration
        await self._admit()
        return b"".join(lines)
