"""Request bodies, bounded in length and time."""

import json
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

import anyio
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from collab.errors import BodyTooLarge, BodyTooSlow, InvalidQuery

_OBJECT_MAX_BYTES = 64 * 1024


async def read_body(
    request: Request, max_bytes: int, came: Callable[[int], None] | None = None
) -> bytes:
    """Reads a request's body, no further than the bound.

    Args:
        request: whose body.
        max_bytes: the bound.
        came: told how much is there, as it comes.

    Raises:
        BodyTooLarge: it is longer than ``max_bytes``.
        InvalidQuery: it broke off.
    """
    length = request.headers.get("Content-Length", "")
    if length.isascii() and length.isdigit() and int(length) > max_bytes:
        raise BodyTooLarge(max_bytes)
    chunks = []
    size = 0
    try:
        async with aclosing(request.stream()) as stream:
            async for chunk in stream:
                size += len(chunk)
                if size > max_bytes:
                    raise BodyTooLarge(max_bytes)
                chunks.append(chunk)
                if came is not None:
                    came(size)
    except ClientDisconnect:
        raise InvalidQuery("expected a whole body, got one that broke off") from None
    return b"".join(chunks)


async def read_object(request: Request, max_bytes: int = _OBJECT_MAX_BYTES) -> dict[str, Any]:
    """Reads a request's body as a JSON object, no further than the bound.

    Raises:
        BodyTooLarge: it is far longer than one that means something.
        InvalidQuery: it is something else, or broke off.
    """
    body = await read_body(request, max_bytes)
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise InvalidQuery("expected a JSON object as the body")
    return value


class BodyTime:
    """ASGI middleware: a request's body comes in time, or the request is refused.

    Whoever sends a byte now and then would otherwise hold a request, and what it has brought so
    far, for ever. Where the answer has begun, the client counts as gone instead.

    Args:
        app: what reads bodies.
        seconds: how long a body may take, from when it is asked for.
    """

    def __init__(self, app: ASGIApp, seconds: float) -> None:
        self._app = app
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one ASGI scope.

        Raises:
            BodyTooSlow: the body took too long.
        """
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        deadline: float | None = None
        whole = answering = False

        async def send_and_note(message: Message) -> None:
            nonlocal answering
            answering = True
            await send(message)

        async def receive_in_time() -> Message:
            nonlocal deadline, whole
            if whole:  # What comes now is that the client went away.
                return await receive()
            if deadline is None:
                deadline = anyio.current_time() + self._seconds
            with anyio.move_on_at(deadline) as patience:
                message = await receive()
                whole = not message.get("more_body", False)
                return message
            assert patience.cancelled_caught
            if answering:
                return {"type": "http.disconnect"}
            raise BodyTooSlow(self._seconds)

        await self._app(scope, receive_in_time, send_and_note)
