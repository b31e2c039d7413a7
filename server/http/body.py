"""Request bodies, bounded."""

import json
from contextlib import aclosing
from typing import Any

from starlette.requests import ClientDisconnect, Request

from collab.errors import BodyTooLarge, InvalidQuery

_OBJECT_MAX_BYTES = 64 * 1024


async def read_body(request: Request, max_bytes: int) -> bytes:
    """Reads a request's body, no further than the bound.

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
