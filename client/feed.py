"""Feed: what happens in a document, as its server tells programs that follow it."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import NoReturn, Protocol

import anyio
import httpx

from collab.client.backoff import Backoff
from collab.client.refusal import read_refusal
from collab.client.server_address import ServerAddress
from collab.errors import ConnectionEnded, ProtocolError
from collab.event_stream import MEDIA_TYPE, EventReader
from collab.render.values import Json

_CONNECT_SECONDS = 10.0
_QUIET_SECONDS = 45.0
"""A server writes something every 20 s."""
_LATER = frozenset(
    {
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)
"""HTTP statuses of a server that is there again in a while."""


class Follower(Protocol):
    """Who follows a document; all is called on the event loop."""

    def hear(self, happened: Mapping[str, Json], *, begins: bool) -> None:
        """Hears what happened.

        Args:
            happened: ``{"type": ..., "payload": ...}``, as ``/api/docs/{document}/events`` says it.
            begins: whether it is the first after a connection was made: it tells who is here.
        """
        ...

    def lost(self, reason: str) -> None:
        """The connection is lost; it is tried again until it is back."""
        ...

    def back(self) -> None:
        """The connection is back, and what happened meanwhile follows."""
        ...


class Feed:
    """Follows a document through cuts; no change is left out, and none comes twice.

    Args:
        server: where.
        document: document name.
        token: what to show; empty where the server asks for none.
        backoff: how long to wait between two attempts.
    """

    def __init__(
        self, server: ServerAddress, document: str, token: str, backoff: Backoff | None = None
    ) -> None:
        self._url = server.events(document)
        self._headers = {"Accept": MEDIA_TYPE}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"
        self._backoff = backoff or Backoff(0.5, 10.0)
        self._last_id: str | None = None
        self._reached = False
        self._lost = False

    async def follow(self, follower: Follower) -> NoReturn:
        """Tells what happens from now on, until the server refuses.

        Raises:
            RequestRefused: it does.
            ConnectionEnded: it could not be reached when this began.
        """
        timeout = httpx.Timeout(_QUIET_SECONDS, connect=_CONNECT_SECONDS)
        async with httpx.AsyncClient(timeout=timeout) as http:
            while True:
                try:
                    reason = await self._listen(http, follower)
                except httpx.HTTPError as error:
                    reason = str(error) or type(error).__name__
                except ProtocolError as error:
                    reason = str(error)
                if not self._reached:
                    raise ConnectionEnded(None, reason)
                if not self._lost:
                    self._lost = True
                    follower.lost(reason)
                await anyio.sleep(self._backoff.next_seconds())

    async def _listen(self, http: httpx.AsyncClient, follower: Follower) -> str:
        """Listens for as long as the connection lasts; returns why it ended."""
        resumed = {} if self._last_id is None else {"Last-Event-ID": self._last_id}
        async with http.stream("GET", self._url, headers=self._headers | resumed) as answer:
            if answer.status_code != HTTPStatus.OK:
                await answer.aread()
                refusal = read_refusal(answer)
                if self._reached and answer.status_code in _LATER:
                    return str(refusal)
                raise refusal
            kind = answer.headers.get("Content-Type", "nothing")
            if not kind.startswith(MEDIA_TYPE):
                raise ConnectionEnded(None, f"an answer of {kind}, which is no collab server's")
            reader = EventReader()
            begins = True
            async for piece in answer.aiter_bytes():
                for event in reader.feed(piece):
                    if begins:
                        self._begin(follower)
                    follower.hear(_read(event.text), begins=begins)
                    self._last_id = event.id
                    begins = False
        return "the server ended it"

    def _begin(self, follower: Follower) -> None:
        self._reached = True
        self._backoff.reset()
        if self._lost:
            self._lost = False
            follower.back()


def _read(text: str) -> Mapping[str, Json]:
    try:
        happened = json.loads(text)
    except ValueError as error:
        raise ProtocolError(f"expected JSON, got {text[:40]!r}: {error}") from None
    if not isinstance(happened, dict) or not happened.keys() >= {"type", "payload"}:
        raise ProtocolError(f"expected a type and a payload, got {text[:40]!r}")
    return happened
