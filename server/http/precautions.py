"""Precautions: what every HTTP answer says to browsers, and what none says of our failures."""

from collections.abc import Mapping
from http import HTTPStatus

from starlette.datastructures import MutableHeaders
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

PRECAUTIONS: Mapping[str, str] = {
    "Content-Security-Policy": (
        "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",  # Addresses may carry tokens.
    "Cache-Control": "no-store",  # What somebody may read is no proxy's to keep.
}
"""Headers of answers that say nothing else: nothing in them is run, framed, kept or guessed at."""


class Precautions:
    """ASGI middleware: adds to each answer what it does not say itself."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one ASGI scope."""

        async def send_with_precautions(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                message.setdefault("headers", [])
                headers = MutableHeaders(scope=message)
                for name, value in PRECAUTIONS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_with_precautions)


def discreet(app: ASGIApp) -> ASGIApp:
    """Makes an app whose answers say, where it fails, that it did and nothing more.

    The failure goes on to the server, which logs it.
    """
    return ServerErrorMiddleware(app, handler=_say_nothing)


async def _say_nothing(request: Request, error: Exception) -> Response:
    return JSONResponse(
        {"error": "the server failed; its log says how"}, HTTPStatus.INTERNAL_SERVER_ERROR
    )
