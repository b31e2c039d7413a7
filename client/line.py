"""Line: keeps a replica connected, with one wire after another."""

import logging
import ssl
from collections.abc import Awaitable, Callable
from enum import StrEnum
from functools import partial

import anyio

from collab.client.backoff import Backoff
from collab.client.credentials import Credentials
from collab.client.fallback import open_fallback
from collab.client.presence import RENEWAL_SECONDS
from collab.client.pulse import Pulse
from collab.client.replica import Replica
from collab.client.server_address import ServerAddress
from collab.client.timing import Timing
from collab.client.websocket import open_websocket
from collab.client.wire import Wire
from collab.close import CloseCode
from collab.errors import (
    AccessDenied,
    CollabError,
    ConnectionEnded,
    DocumentDeleted,
    ProtocolError,
    TooLarge,
    Unauthenticated,
    WebSocketsBlocked,
    WrongThread,
)

logger = logging.getLogger("collab")

_MAX_CLIMB_SECONDS = 3600.0
_WAIT = frozenset({CloseCode.TRY_AGAIN_LATER, CloseCode.RATE})


class Status(StrEnum):
    """Where a document stands with its server."""

    OFFLINE = "offline"
    """There is no connection now; one is being made."""
    CONNECTED = "connected"
    """The server has let it in."""
    REFUSED = "refused"
    """The server will not have it, or this client cannot vouch for it: it is not asked again."""


class Line:
    """Connects, and comes back, until the server refuses.

    It begins with WebSockets. Where something on the way blocks these it goes on with the fallback,
    and looks from time to time whether they are still blocked.

    Args:
        server: where to.
        name: document name.
        replica: what to keep connected.
        credentials: what to show.
        pulse: beats when the replica has something to send, and when something has changed.
        timing: how patient it is.
        tls: how the server's certificate is checked; None for as usual.

    Attributes:
        refusal: why the server will not have us; None while it may.
        falls_back: whether WebSockets are taken to be blocked.
    """

    def __init__(
        self,
        server: ServerAddress,
        name: str,
        replica: Replica,
        credentials: Credentials,
        pulse: Pulse,
        timing: Timing,
        tls: ssl.SSLContext | None,
    ) -> None:
        self.refusal: CollabError | None = None
        self.falls_back = False
        self._server = server
        self._name = name
        self._replica = replica
        self._credentials = credentials
        self._pulse = pulse
        self._timing = timing
        self._tls = tls
        self._backoff = Backoff(timing.base_seconds, timing.cap_seconds)
        self._climb_seconds = timing.climb_seconds
        self._ended: ConnectionEnded | None = None
        self._opened = False  # The present wire came about,
        self._heard = False  # and something came over it.
        self._renewed = False
        self._warned = False

    @property
    def status(self) -> Status:
        """Where the document stands with its server."""
        if self.refusal is not None:
            return Status.REFUSED
        return Status.CONNECTED if self._replica.admitted else Status.OFFLINE

    @property
    def outage(self) -> str | None:
        """Why there is no connection now; None where there is one, or none has failed yet."""
        return None if self._ended is None or self._replica.admitted else self._ended.reason

    async def run(self) -> None:
        """Keeps the replica connected until the server refuses."""
        while self.refusal is None:
            began = anyio.current_time()
            self._ended = ended = await self._connect()
            self._look_for_blocks(ended)
            if self._replica.admitted:
                self._renewed = self._warned = False
                if anyio.current_time() - began > self._timing.cap_seconds:
                    self._backoff.reset()
            seconds = self._judge(ended)
            self._replica.disconnect()
            if self.refusal is None:
                self._warn(ended)
                await anyio.sleep(seconds)

    async def _connect(self) -> ConnectionEnded:
        """Connects, and stays for as long as the connection does; returns why it ended."""
        self._opened = self._heard = False
        open_wire = open_fallback if self.falls_back else open_websocket
        try:
            token = await self._token()
            async with open_wire(self._server, self._tls) as wire:
                self._opened = True
                return await self._talk(wire, token)
        except ConnectionEnded as error:
            return error

    async def _talk(self, wire: Wire, token: str) -> ConnectionEnded:
        endings: list[ConnectionEnded] = []
        async with anyio.create_task_group() as tasks:

            async def until_ended(part: Callable[[], Awaitable[None]]) -> None:
                try:
                    await part()
                except ConnectionEnded as error:
                    endings.append(error)
                except ProtocolError as error:
                    endings.append(ConnectionEnded(None, str(error)))
                tasks.cancel_scope.cancel()

            self._replica.connect(token)
            tasks.start_soon(until_ended, partial(self._listen, wire))
            tasks.start_soon(until_ended, partial(self._speak, wire))
            tasks.start_soon(until_ended, self._renew_presence)
            tasks.start_soon(until_ended, self._renew_token)
            tasks.start_soon(until_ended, self._bring_again)
            if self.falls_back:
                tasks.start_soon(until_ended, self._climb)
        return endings[0]

    async def _listen(self, wire: Wire) -> None:
        while True:
            timing = self._timing
            seconds = timing.silence_seconds if self._heard else timing.answer_seconds
            frame: bytes | None = None
            with anyio.move_on_after(seconds):
                frame = await wire.receive()
            if frame is None:
                raise ConnectionEnded(None, f"the server said nothing for {seconds:g} s")
            self._heard = True
            self._replica.receive(frame)

    async def _speak(self, wire: Wire) -> None:
        while True:
            await self._pulse.until(self._replica.has_something_to_send)
            await wire.send(self._replica.take())

    async def _renew_presence(self) -> None:
        while True:
            await anyio.sleep(RENEWAL_SECONDS)
            self._replica.send_presence(self._replica.presence.renew())

    async def _renew_token(self) -> None:
        while self._credentials.renewable:
            await self._pulse.until(lambda: self._replica.asked_for_token)
            self._credentials.expire()
            self._replica.send_token(await self._token())
        await anyio.sleep_forever()

    async def _bring_again(self) -> None:
        """Brings a full document again what it has refused: somebody may have made room."""
        replica, first = self._replica, self._timing.full_seconds
        seconds = first
        while True:
            await self._pulse.until(lambda: replica.is_full)
            known = replica.changes
            with anyio.move_on_after(seconds - first):
                await self._pulse.until(partial(self._has_changed_since, known))
            await anyio.sleep(first)
            if self._has_changed_since(known):
                seconds = first
            if replica.is_full:
                replica.bring_again()
                await self._pulse.until(lambda: replica.is_full or not replica.ledger.pending)
            seconds = min(seconds * 2, self._timing.full_cap_seconds) if replica.is_full else first

    def _has_changed_since(self, changes: int) -> bool:
        return self._replica.changes != changes

    async def _climb(self) -> None:
        while True:
            await anyio.sleep(self._climb_seconds)
            try:
                async with open_websocket(self._server, self._tls):
                    break
            except ConnectionEnded:
                self._climb_later()
        self.falls_back = False
        raise ConnectionEnded(None, "there are WebSockets again")

    def _climb_later(self) -> None:
        self._climb_seconds = min(self._climb_seconds * 2, _MAX_CLIMB_SECONDS)

    async def _token(self) -> str:
        try:
            return await self._credentials.token()
        except Unauthenticated as error:
            self.refusal = error
            raise ConnectionEnded(None, str(error)) from error
        except Exception as error:
            raise ConnectionEnded(None, f"no token could be had: {error!r}") from error

    def _look_for_blocks(self, ended: ConnectionEnded) -> None:
        if self._heard:
            if not self.falls_back and self._opened:
                self._climb_seconds = self._timing.climb_seconds
        elif self.falls_back:
            self.falls_back = False  # That was not it: a proxy is up, and its server is not.
            self._climb_seconds = self._timing.climb_seconds
        elif isinstance(ended, WebSocketsBlocked) or (self._opened and ended.code is None):
            self.falls_back = True
            self._climb_later()

    def _judge(self, ended: ConnectionEnded) -> float:
        """Decides what follows an end: a refusal, or a new attempt after so many seconds."""
        code, reason = ended.code, ended.reason
        renewable = self._credentials.renewable
        if self._replica.thread.strayed:
            self.refusal = WrongThread(self._name)
        elif code == CloseCode.EXPIRED and renewable:
            self._credentials.expire()
        elif code == CloseCode.UNAUTHENTICATED and renewable and not self._credentials.fresh:
            self._credentials.expire()  # It may have ended while there was no connection.
        elif code == CloseCode.UNAUTHENTICATED and renewable and not self._renewed:
            self._credentials.expire()
            self._renewed = True
        elif code in (CloseCode.UNAUTHENTICATED, CloseCode.EXPIRED):
            self.refusal = Unauthenticated(f"expected a token that is good, got: {reason}")
        elif code == CloseCode.FORBIDDEN:
            why = f"expected access to {self._name!r}, got: {reason}"
            self.refusal = AccessDenied(why, self._name)
        elif code == CloseCode.NOT_FOUND:
            self.refusal = DocumentDeleted(self._name)
        elif code == CloseCode.TOO_LARGE:
            self.refusal = TooLarge(f"expected messages that the server takes, got: {reason}")
        elif code in (CloseCode.MALFORMED, CloseCode.POLICY):
            self.refusal = ProtocolError(f"expected messages that the server takes, got: {reason}")
        elif code == CloseCode.RESTART:
            self._backoff.reset()
        least = self._timing.try_again_seconds if code in _WAIT else 0.0
        return least + self._backoff.next_seconds()

    def _warn(self, ended: ConnectionEnded) -> None:
        """Says once in an outage that there is one."""
        if not self._warned and not self._heard:
            self._warned = True
            logger.warning("no connection to %s: %s", self._server.base, ended.reason)
