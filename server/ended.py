"""Ended: what is answered once the app has ended, while its host serves on."""

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from collab.errors import NotRunning
from collab.server.http.precautions import Precautions
from collab.server.http.status import status_of
from collab.server.transports.asgi import refuse


async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
    error = NotRunning("expected a running app, got one that has ended")
    if scope["type"] == "websocket":
        await receive()  # websocket.connect
        await refuse(scope, send, error)
    else:
        response = JSONResponse({"error": str(error)}, status_code=status_of(error))
        await response(scope, receive, send)


ended: ASGIApp = Precautions(_refuse)
"""Answers 503 to whatever is asked."""
