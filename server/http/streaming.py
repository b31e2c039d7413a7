"""Streaming: event streams over HTTP, whatever they carry."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import anyio
from starlette.types import Message, Receive, Send

from collab.errors import CollabError
from collab.event_stream import MEDIA_TYPE

_HEADERS = {
    "Content-Type": f"{MEDIA_TYPE}; charset=utf-8",
    "Cache-Control": "no-cache, no-store, no-transform",  # no-transform: nor compressed, to be sent
    "X-Accel-Buffering": "no",  # nginx passes on what comes when it comes.
}
"""What proxies must be told about an event stream."""

QUIET_SECONDS = 15.0
"""After so long without an event comes a comment: proxies cut what is quiet for 30 s or more."""


def stream_head(more: Mapping[str, str] | None = None) -> Message:
    """The beginning of an answer that is an event stream, with more headers or not."""
    headers = _HEADERS | dict(more or {})
    return {
        "type": "http.response.start",
        "status": 200,
        "headers": [(key.lower().encode(), value.encode()) for key, value in headers.items()],
    }


async def write_piece(send: Send, piece: bytes) -> None:
    """Writes a piece of an answer that goes on, and returns when there is room for another."""
    await send({"type": "http.response.body", "body": piece, "more_body": True})


@asynccontextmanager
async def while_there(receive: Receive) -> AsyncIterator[None]:
    """Cancels what is done in it when the client goes away.

    Raises:
        CollabError: the request is refused for its body, which nobody else reads.
    """
    refusal: CollabError | None = None

    async def until_gone() -> None:
        nonlocal refusal
        try:
            while (await receive())["type"] != "http.disconnect":
                pass
        except CollabError as error:  # Raised below, outside of the group it would come out in.
            refusal = error
        tasks.cancel_scope.cancel()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(until_gone)
        yield
        tasks.cancel_scope.cancel()
    if refusal is not None:
        raise refusal
