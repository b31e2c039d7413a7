"""Request bodies, bounded."""

from contextlib import aclosing

from starlette.requests import ClientDisconnect, Request

from collab.errors import BodyTooLarge, InvalidQuery


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
