"""The fallback transport: event streams and polls down, POSTs up, where WebSockets are blocked."""

import secrets
from collections import defaultdict
from contextlib import suppress
from functools import partial
from http import HTTPMethod, HTTPStatus
from urllib.parse import unquote

import anyio
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from collab.close import CloseCode
from collab.errors import (
    BodyTooSlow,
    CollabError,
    InvalidQuery,
    OutOfTurn,
    ServerBusy,
    SessionEnded,
)
from collab.protocol.fallback import (
    POST_HEADER,
    SESSION_HEADER,
    name_session,
    read_place,
    split_frames,
)
from collab.protocol.hocuspocus import HOCUSPOCUS
from collab.server.auth.secret import Secret
from collab.server.endpoints import Endpoint, Handshakes
from collab.server.http.body import read_body
from collab.server.http.status import status_of
from collab.server.http.streaming import stream_head, while_there, write_piece
from collab.server.limits.strangers import Strangers
from collab.server.settings import Settings
from collab.server.timers import Timers
from collab.server.transports.resumable import ResumableConnection

FALLBACKS = (
    Endpoint("/sse/", HOCUSPOCUS, names_document=True),
    Endpoint("/sse", HOCUSPOCUS, names_document=False),
)

_Key = tuple[Endpoint, str, Secret]

_METHODS = ("GET", "POST", "DELETE")
_MAX_DIGITS = 15


class Sessions:
    """The sessions of the fallback protocol.

    Args:
        handshakes: decides on those who begin one.
        settings: the bounds.
        timers: where their ends are waited for.
        instance: this server's name among others, which their ids tell; None where it is alone.
    """

    def __init__(
        self, handshakes: Handshakes, settings: Settings, timers: Timers, instance: str | None
    ) -> None:
        self._instance = instance
        self._handshakes = handshakes
        self._settings = settings
        self._timers = timers
        self._open: dict[_Key, ResumableConnection] = {}
        self._of_address: defaultdict[str, dict[_Key, ResumableConnection]] = defaultdict(dict)

    def find(self, endpoint: Endpoint, name: str, session: str) -> ResumableConnection | None:
        """The session of this id, if it was begun at this path and is not over."""
        return self._open.get((endpoint, name, Secret(session)))

    async def begin(self, endpoint: Endpoint, name: str, handshake: Scope) -> ResumableConnection:
        """Begins a session.

        Raises:
            CollabError: what ``Handshakes.ask`` raises.
            ServerBusy: there are too many.
            NotRunning: the server is shutting down.
        """
        metrics = self._handshakes.metrics
        try:
            peer = await self._handshakes.ask(endpoint, name, handshake)
        except CollabError as error:
            metrics.count_refusal(status_of(error))
            raise
        address = self._handshakes.address_of(handshake)
        if len(self._open) >= self._settings.fallback_sessions:
            self._forget_closed()
        if len(self._open) >= self._settings.fallback_sessions:
            metrics.count_limit("fallback_sessions")
            self._make_room(address)
        if len(self._open) >= self._settings.fallback_sessions:
            raise ServerBusy(
                f"expected at most {self._settings.fallback_sessions} sessions, got one more"
            )
        session = name_session(self._instance, secrets.token_urlsafe(16))
        key = (endpoint, name, Secret(session))
        forget = partial(self._forget, key, address)
        connection = ResumableConnection(
            session, peer, self._settings, self._timers, metrics, forget
        )
        self._open[key] = self._of_address[address][key] = connection
        connection.open()
        return connection

    def _forget_closed(self) -> None:
        """Makes room: whoever was closed and has not asked why yet is not told any more."""
        for connection in [each for each in self._open.values() if each.closed]:
            connection.abort()

    def _make_room(self, address: str) -> None:
        """Sends a client away whose address has more than would be left of a fair share.

        Otherwise two addresses, with all the connections that one may have, would keep out everyone
        else. It is the last that came of those that no token has let in, if any.
        """
        most = max(self._of_address.values(), key=len)
        if len(most) > len(self._of_address.get(address, ())) + 1:
            sessions = list(most.values())
            strangers = [session for session in sessions if not session.known]
            connection = (strangers or sessions)[-1]
            connection.close(CloseCode.TRY_AGAIN_LATER, "too many clients without WebSockets")
            connection.abort()

    def _forget(self, key: _Key, address: str) -> None:
        if self._open.pop(key, None) is not None:
            del self._of_address[address][key]
            if not self._of_address[address]:
                del self._of_address[address]


class _StrangersPost:
    """A POST of a client that no token has let in yet; see ``Stranger``."""

    def __init__(self, turn: anyio.CancelScope) -> None:
        self.sent_away = False
        self._turn = turn

    def send_away(self) -> None:
        """Reads no more of it."""
        self.sent_away = True
        self._turn.cancel()


class Fallback:
    """The ASGI app of one path; the path parameter ``document`` names a document, if any."""

    def __init__(
        self, sessions: Sessions, strangers: Strangers, endpoint: Endpoint, settings: Settings
    ) -> None:
        self._sessions = sessions
        self._strangers = strangers
        self._endpoint = endpoint
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request.

        Raises:
            CollabError: it is refused; nothing was answered yet.
        """
        request = Request(scope, receive)
        name = unquote(request.path_params.get("document", ""))
        if request.method == HTTPMethod.GET:
            await self._get(name, request, send)
            return
        if request.method == HTTPMethod.POST:
            await self._post(name, request)
        else:
            self._named(name, request).abort()
        await Response(status_code=HTTPStatus.NO_CONTENT)(scope, receive, send)

    async def _get(self, name: str, request: Request, send: Send) -> None:
        place = read_place(request.headers.get("Last-Event-ID", ""))
        connection = None
        if place is not None:
            connection = self._sessions.find(self._endpoint, name, place.session)
            if connection is not None and not connection.can_resume(place.number):
                connection.abort()  # Too much got lost: the client begins anew.
                connection = None
        resumed = connection is not None
        if connection is None:
            connection = await self._sessions.begin(self._endpoint, name, request.scope)
        number = place.number if place is not None and resumed else 0
        if request.query_params.get("poll") == "1":
            await self._poll(connection, number, resumed, request, send)
        else:
            await self._stream(connection, number, resumed, request, send)

    async def _stream(
        self,
        connection: ResumableConnection,
        number: int,
        resumed: bool,
        request: Request,
        send: Send,
    ) -> None:
        begun = False

        async def write(piece: bytes) -> None:
            nonlocal begun
            if not begun:  # Not before: nobody may come between the question and its reader.
                begun = True
                with anyio.CancelScope(shield=True):  # A newer reader must not cut the head off.
                    await send(stream_head())
            await write_piece(send, piece)

        async with while_there(request.receive):
            with suppress(OSError):  # What some servers raise once the client has gone.
                await connection.stream(number, write, resumed=resumed)
                await send({"type": "http.response.body", "body": b""})

    async def _poll(
        self,
        connection: ResumableConnection,
        number: int,
        resumed: bool,
        request: Request,
        send: Send,
    ) -> None:
        events = None
        async with while_there(request.receive):
            events = await connection.poll(number, resumed=resumed)
        if events is None:
            raise OutOfTurn("expected one GET of a session at a time, got a newer one")
        await send(stream_head({"Content-Length": str(len(events))}))
        await send({"type": "http.response.body", "body": events})

    async def _post(self, name: str, request: Request) -> None:
        connection = self._named(name, request)
        number = _read_number(request.headers.get(POST_HEADER, ""))
        deadline = anyio.current_time() + self._settings.post_seconds
        body: bytes | None = None
        with connection.posting(deadline) as turn:
            stranger = _StrangersPost(turn)
            came = None if connection.known else partial(self._strangers.keep, stranger)
            try:
                body = await read_body(request, connection.post_max_bytes, came)
                frames = split_frames(body)
                await connection.readable()
            finally:
                self._strangers.keep(stranger, 0)
            connection.receive(number, frames)
            return
        if stranger.sent_away:
            raise ServerBusy("expected less that waits for tokens")
        if anyio.current_time() < turn.deadline:
            raise OutOfTurn("expected one POST of a session at a time, got a newer one")
        if body is None:
            raise BodyTooSlow(self._settings.post_seconds)
        raise ServerBusy("expected the store to keep up, got too much that waits for it")

    def _named(self, name: str, request: Request) -> ResumableConnection:
        session = request.headers.get(SESSION_HEADER)
        if session is None:
            raise InvalidQuery(f"expected a session in {SESSION_HEADER}, got none")
        connection = self._sessions.find(self._endpoint, name, session)
        if connection is None:
            raise SessionEnded("expected a session that is open, got one that is not known")
        return connection


def is_fallback(path: str) -> bool:
    """Whether a path leads to sessions of the fallback protocol."""
    return any(
        path.startswith(endpoint.path) if endpoint.names_document else path == endpoint.path
        for endpoint in FALLBACKS
    )


def fallback_routes(sessions: Sessions, strangers: Strangers, settings: Settings) -> list[Route]:
    """The routes, relative to where the app is mounted."""
    routes = []
    for endpoint in FALLBACKS:
        path = f"{endpoint.path}{{document:path}}" if endpoint.names_document else endpoint.path
        route = Route(path, Fallback(sessions, strangers, endpoint, settings))
        # Given to Route, GET would bring HEAD with it, which must begin no session.
        route.methods = set(_METHODS)
        routes.append(route)
    return routes


def _read_number(text: str) -> int:
    digits = text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS
    if not digits or int(text) == 0:
        raise InvalidQuery(f"expected a number from 1 on in {POST_HEADER}, got {text[:20]!r}")
    return int(text)
