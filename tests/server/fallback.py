"""A client of the fallback protocol, over real HTTP: a stream or polls down, POSTs up."""

import base64
import json
from collections import deque
from collections.abc import AsyncIterator
from types import TracebackType

import anyio
import httpx

from collab.event_stream import Event, EventReader
from collab.protocol.fallback import (
    CLOSE,
    FRAME,
    OPEN,
    POST_HEADER,
    SESSION_HEADER,
    join_frames,
)

DEADLINE_SECONDS = 30.0


class FallbackClient:
    """One client; entering it begins a session.

    Attributes:
        session: id of the session, as the last ``open`` said.
        resumed: whether that was the session that was asked for.
        last_id: id of the last event that came.
        closed: code and reason of the ``close`` that came, or None.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        path: str = "/sse/room",
        *,
        poll: bool = False,
        token: str | None = None,
    ) -> None:
        self.session = ""
        self.resumed = False
        self.last_id: str | None = None
        self.closed: tuple[int, str] | None = None
        self.poll = poll
        self._http = http
        self._path = path
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        self._posts = 0
        self._events: deque[Event] = deque()
        self._response: httpx.Response | None = None
        self._pieces: AsyncIterator[bytes] | None = None
        self._reader = EventReader()

    async def __aenter__(self) -> "FallbackClient":
        await self.connect()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.cut()

    async def connect(self) -> None:
        """Begins a session, or goes on with the one that there is, and waits for ``open``."""
        self._posts = 0 if self.last_id is None else self._posts
        before = self.session
        while not self._events:
            await self._read()
        event = self._events.popleft()
        assert event.type == OPEN, event
        self._take_open(event)
        if self.session != before:
            self._posts = 0

    async def cut(self) -> None:
        """Ends the stream, as a network that goes away does."""
        if self._response is not None:
            await self._response.aclose()
        self._response = self._pieces = None
        self._events.clear()
        self._reader = EventReader()

    async def end(self) -> None:
        """Leaves for good, and reads a stream to its end."""
        headers = {**self._headers, SESSION_HEADER: self.session}
        answer = await self._http.delete(self._path, headers=headers)
        assert answer.status_code == 204
        if self._pieces is not None:
            with anyio.fail_after(DEADLINE_SECONDS):
                async for _ in self._pieces:
                    pass

    async def post(self, *frames: bytes, number: int | None = None) -> httpx.Response:
        """Sends frames; returns the answer."""
        if number is None:
            self._posts += 1
            number = self._posts
        headers = {**self._headers, SESSION_HEADER: self.session, POST_HEADER: str(number)}
        return await self._http.post(self._path, content=join_frames([*frames]), headers=headers)

    async def say(self, *frames: bytes) -> None:
        """Sends frames, which the server takes in."""
        answer = await self.post(*frames)
        assert answer.status_code == 204, answer.text

    async def frame(self) -> bytes:
        """The next frame."""
        with anyio.fail_after(DEADLINE_SECONDS):
            while True:
                while self._events:
                    event = self._events.popleft()
                    if event.type == FRAME:
                        self.last_id = event.id
                        return base64.b64decode(event.text, validate=True)
                    self._take(event)
                await self._read()

    async def until(self, frame: bytes) -> list[bytes]:
        """Waits for a frame; returns those before it."""
        before: list[bytes] = []
        while (came := await self.frame()) != frame:
            before.append(came)
        return before

    async def until_closed(self) -> tuple[int, str]:
        """Waits for the session's end; returns code and reason."""
        with anyio.fail_after(DEADLINE_SECONDS):
            while self.closed is None:
                while self._events:
                    self._take(self._events.popleft())
                if self.closed is None:
                    await self._read()
        return self.closed

    def _take(self, event: Event) -> None:
        if event.type == OPEN:
            self._take_open(event)
        elif event.type == CLOSE:
            told = json.loads(event.text)
            self.closed = (told["code"], told["reason"])

    def _take_open(self, event: Event) -> None:
        told = json.loads(event.text)
        self.session, self.resumed, self.last_id = told["session"], told["resumed"], event.id

    async def _read(self) -> None:
        """Reads one piece more, of the stream or by another poll."""
        headers = {**self._headers, "Accept": "text/event-stream"}
        if self.last_id is not None:
            headers["Last-Event-ID"] = self.last_id
        if self.poll:
            answer = await self._http.get(self._path, params={"poll": "1"}, headers=headers)
            answer.raise_for_status()
            self._events.extend(EventReader().feed(answer.content))
            return
        if self._pieces is None:
            request = self._http.build_request("GET", self._path, headers=headers)
            self._response = await self._http.send(request, stream=True)
            if self._response.is_error:
                await self._response.aread()
                self._response.raise_for_status()
            self._pieces = self._response.aiter_raw()
        piece = await anext(self._pieces, None)
        if piece is None:
            raise ConnectionError("expected more events, got the end of the stream")
        self._events.extend(self._reader.feed(piece))
