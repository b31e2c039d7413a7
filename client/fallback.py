"""FallbackWire: an event stream or polls down and POSTs up, where WebSockets are blocked.

The protocol is written down in ``docs/reference/fallback-protocol.md``.
"""

import base64
import binascii
import json
import math
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from http import HTTPStatus
from urllib.parse import urlsplit

import anyio
import httpx
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from collab.client.backoff import Backoff
from collab.client.server_address import ServerAddress
from collab.close import CloseCode
from collab.errors import ConnectionEnded, ProtocolError
from collab.event_stream import MEDIA_TYPE, Event, EventReader
from collab.protocol.fallback import (
    CLOSE,
    FRAME,
    MAX_FRAMES,
    OPEN,
    POST_HEADER,
    SESSION_HEADER,
    join_frames,
)

_OPEN_SECONDS = 5.0
"""A proxy that shows nothing of a stream in this time holds it back until it ends."""
_QUIET_SECONDS = 40.0
"""A server writes something every 20 s, and a poll takes no longer."""
_POST_SECONDS = 130.0
_POST_BYTES = 256 * 1024
"""Frames beyond this go in another POST: servers and proxies bound what comes at once."""
_GOODBYE_SECONDS = 1.0
_FRAMES_WAITING = 64
_MAX_FAILURES = 4
"""Requests that fail one after the other, before the session is given up."""
_AGAIN = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.SERVICE_UNAVAILABLE})
_LATER = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})


class _Body(httpx.AsyncByteStream, AsyncIterator[bytes]):
    """A request's body; not a generator, which would need tidying up where it is cut off."""

    def __init__(self, content: bytes) -> None:
        self._pieces = [content] if content else []

    def __aiter__(self) -> "_Body":
        return self

    async def __anext__(self) -> bytes:
        if not self._pieces:
            raise StopAsyncIteration
        return self._pieces.pop()


class FallbackWire:
    """A session of the fallback protocol; see ``collab.client.wire.Wire``.

    It outlives the requests it is made of: a stream that is cut is resumed, and a POST whose answer
    got lost is sent again.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        address: str,
        frames_in: MemoryObjectSendStream[bytes],
        frames: MemoryObjectReceiveStream[bytes],
    ) -> None:
        self._http = http
        self._frames_in = frames_in
        self._frames = frames
        self._address = address
        self._session = ""
        self._last_id: str | None = None
        self._posts = 0
        self._polls = False
        self._opened = anyio.Event()
        self._ended: ConnectionEnded | None = None
        self._finished = anyio.Event()
        self._retries = Backoff(0.1, 2.0)

    async def send(self, frames: Sequence[bytes]) -> None:
        """See ``Wire.send``; returns when the server has taken them in."""
        await self._opened.wait()
        body: list[bytes] = []
        body_bytes = 0
        for frame in frames:
            if len(body) == MAX_FRAMES or (body and body_bytes + len(frame) > _POST_BYTES):
                await self._post(join_frames(body))
                body, body_bytes = [], 0
            body.append(frame)
            body_bytes += len(frame)
        if body:
            await self._post(join_frames(body))

    async def receive(self) -> bytes:
        """See ``Wire.receive``."""
        try:
            return await self._frames.receive()
        except anyio.EndOfStream:
            assert self._ended is not None
            raise self._ended from None

    async def run(self) -> None:
        """Reads until the session is over."""
        try:
            await self._read()
        except ConnectionEnded as error:
            self._ended = error
        except ProtocolError as error:
            self._ended = ConnectionEnded(None, str(error))
        self._opened.set()
        self._finished.set()
        self._frames_in.close()

    async def close(self) -> None:
        """Ends the session, where there is one."""
        if self._session and self._ended is None:
            try:
                await (await self._request("DELETE")).aclose()
            except httpx.HTTPError:
                return  # The server gives it up by itself.

    async def _read(self) -> None:
        while True:
            try:
                if self._polls:
                    await self._poll()
                else:
                    await self._stream()
            except httpx.HTTPError as error:
                failed = repr(error)
            else:
                failed = "the stream ended"
                if self._polls:
                    continue
            if not self._session or self._retries.failures == _MAX_FAILURES:
                raise ConnectionEnded(None, failed)
            await anyio.sleep(self._retries.next_seconds())

    async def _stream(self) -> None:
        reader = EventReader()
        failure: BaseException | None = None
        with anyio.CancelScope(deadline=anyio.current_time() + _OPEN_SECONDS) as opening:
            async with aclosing(await self._request("GET")) as answer:
                self._check(answer)
                async for piece in answer.aiter_raw():
                    opening.deadline = math.inf
                    try:
                        for event in reader.feed(piece):
                            await self._take(event)
                    except (ConnectionEnded, anyio.get_cancelled_exc_class()) as error:
                        # Not raised here: only a read that is cut off ends all that reads with it.
                        failure = error
                        opening.cancel()
        if failure is not None:
            raise failure
        self._polls = opening.cancelled_caught

    async def _poll(self) -> None:
        answer = await self._request("GET", polls=True)
        await answer.aread()
        self._check(answer)
        for event in EventReader().feed(answer.content):
            await self._take(event)

    def _check(self, answer: httpx.Response) -> None:
        if answer.status_code in _LATER:
            raise ConnectionEnded(CloseCode.TRY_AGAIN_LATER, f"HTTP status {answer.status_code}")
        if answer.status_code == HTTPStatus.NOT_FOUND:
            where = f"HTTP status 404 at {self._address.partition('?')[0]}"
            raise ConnectionEnded(None, f"{where}: collab is mounted elsewhere, or not there")
        kind = answer.headers.get("Content-Type", "")
        if answer.status_code != HTTPStatus.OK or not kind.startswith(MEDIA_TYPE):
            raise ConnectionEnded(None, f"HTTP status {answer.status_code} and {kind or 'nothing'}")

    async def _take(self, event: Event) -> None:
        try:
            if event.type == FRAME:
                self._retries.reset()  # Not by ``open``: streams may be cut right after that.
                await self._frames_in.send(base64.b64decode(event.text, validate=True))
                self._last_id = event.id  # It counts as read only when it is.
            elif event.type == OPEN:
                told = json.loads(event.text)
                if self._session and not told["resumed"]:
                    self._session = ""
                    raise ConnectionEnded(None, "the session is over")
                self._session, self._last_id = told["session"], event.id
                self._opened.set()
            elif event.type == CLOSE:
                told = json.loads(event.text)
                raise ConnectionEnded(told["code"], told["reason"])
        except (binascii.Error, ValueError, KeyError, TypeError) as error:
            raise ConnectionEnded(None, f"an event that cannot be read: {error!r}") from error

    async def _post(self, body: bytes) -> None:
        self._posts += 1
        number = self._posts
        retries = Backoff(0.1, 2.0)
        while True:
            self._raise_if_ended()
            try:
                answer = await self._request("POST", content=body, post=str(number))
                await answer.aread()
            except httpx.HTTPError as error:
                failed = repr(error)
            else:
                if answer.status_code == HTTPStatus.NO_CONTENT:
                    return
                failed = f"HTTP status {answer.status_code} to a POST"
                if answer.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
                    raise ConnectionEnded(CloseCode.TOO_LARGE, failed)
                if answer.status_code not in _AGAIN:
                    # A close that comes down says why.
                    with anyio.move_on_after(_GOODBYE_SECONDS):
                        await self._finished.wait()
                    self._raise_if_ended()
                    raise ConnectionEnded(None, failed)
            if retries.failures == _MAX_FAILURES:
                raise ConnectionEnded(None, failed)
            await anyio.sleep(retries.next_seconds())

    def _raise_if_ended(self) -> None:
        if self._ended is not None:
            raise self._ended

    async def _request(
        self, method: str, *, polls: bool = False, content: bytes = b"", post: str | None = None
    ) -> httpx.Response:
        poll = f"{'&' if '?' in self._address else '?'}poll=1" if polls else ""
        host = urlsplit(self._address).netloc.rpartition("@")[2]
        headers = {"Host": host, "Accept": MEDIA_TYPE}  # A request with a stream is given none.
        if self._session:
            headers[SESSION_HEADER] = self._session
        if self._last_id is not None:
            headers["Last-Event-ID"] = self._last_id
        if post is not None:
            headers |= {POST_HEADER: post, "Content-Type": "application/octet-stream"}
            headers["Content-Length"] = str(len(content))
        request = httpx.Request(
            method, self._address + poll, headers=headers, stream=_Body(content)
        )
        if post is not None:
            request.extensions["timeout"] = httpx.Timeout(_POST_SECONDS).as_dict()
        return await self._http.send(request, stream=True)


@asynccontextmanager
async def open_fallback(
    server: ServerAddress, tls: ssl.SSLContext | None
) -> AsyncIterator[FallbackWire]:
    """Begins a session; leaving the context ends it.

    Where none comes about, the wire's first ``receive`` tells.

    Args:
        server: where.
        tls: how its certificate is checked; None for as usual.

    Raises:
        ConnectionEnded: the environment names a proxy that cannot be used.
    """
    timeout = httpx.Timeout(_QUIET_SECONDS, connect=10.0)
    try:
        client = httpx.AsyncClient(timeout=timeout, verify=True if tls is None else tls)
    except (ValueError, ImportError, httpx.InvalidURL) as error:  # SOCKS takes an extra of httpx.
        raise ConnectionEnded(None, f"no way through the proxy: {error}") from error
    frames_in, frames = anyio.create_memory_object_stream[bytes](_FRAMES_WAITING)
    async with (
        client as http,
        frames_in,
        frames,
        anyio.create_task_group() as tasks,
    ):
        wire = FallbackWire(http, server.fallback, frames_in, frames)
        tasks.start_soon(wire.run)
        try:
            yield wire
        finally:
            tasks.cancel_scope.cancel()
            with anyio.move_on_after(_GOODBYE_SECONDS, shield=True):
                await wire.close()
