"""Answering: what requests and answers pass between the server and the routes."""

from collections.abc import Sequence
from http import HTTPStatus
from urllib.parse import quote, unquote

from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from collab.errors import CollabError
from collab.protocol.fallback import POST_HEADER, SESSION_HEADER
from collab.server.auth.guard import Guard
from collab.server.auth.origins import OriginCheck, Origins
from collab.server.http.body import BodyTime
from collab.server.http.precautions import Precautions, discreet
from collab.server.http.status import status_of
from collab.server.http.unanswered import Unanswered


def answering(
    routes: Sequence[BaseRoute], origins: Origins, guard: Guard, body_seconds: float
) -> ASGIApp:
    """Makes an app of routes.

    Args:
        routes: what is asked for.
        origins: the web pages that may ask, and be shown the answers.
        guard: asked again before an error is told: what is not there, or there already, is told by
            errors, and not to who lost their rights while it was looked for.
        body_seconds: how long the body of a request may take.
    """
    timed = BodyTime(Router(routes), body_seconds)
    checked = OriginCheck(timed, origins)

    async def explain(request: Request, error: Exception) -> Response:
        try:
            await guard.check_admitted(request)
        except CollabError as refusal:
            error = refusal
        return _explain(error)

    handlers = {CollabError: explain, HTTPException: Unanswered(routes).explain}
    explained = ExceptionMiddleware(checked, handlers=handlers)
    return _encoded_paths(Precautions(_shared(discreet(explained), origins)))


def _encoded_paths(app: ASGIApp) -> ASGIApp:
    """Routes by the path as it was sent, so that ``%2F`` in a document name is not a slash."""

    async def routed(scope: Scope, receive: Receive, send: Send) -> None:
        raw_path = scope.get("raw_path")
        path = raw_path.decode("ascii") if raw_path else quote(scope["path"])
        here = {"path": path, "root_path": _mount(scope, path)}
        # Without an app, routes say in plain text what they do not answer, where they raise it.
        await app({"app": app, **scope, **here}, receive, send)

    return routed


def _mount(scope: Scope, path: str) -> str:
    """Where the app is mounted.

    Some hosts, such as Litestar, take it off the path and do not say so; the path as it was sent
    has it still.
    """
    root: str = scope.get("root_path", "")
    asked, below = unquote(path).rstrip("/"), scope["path"].rstrip("/")
    if root or asked == below or not asked.endswith(below):
        return root
    return quote(asked.removesuffix(below))


def _shared(app: ASGIApp, origins: Origins) -> ASGIApp:
    """Lets browsers hand answers to pages of the origins listed."""
    if not origins.allowed:
        return app
    return CORSMiddleware(
        app,
        allow_origins=origins.allowed,
        allow_methods=("GET", "POST", "PUT", "PATCH", "DELETE"),
        allow_headers=(
            "Authorization",
            "Content-Type",
            "Last-Event-ID",
            SESSION_HEADER,
            POST_HEADER,
        ),
    )


def _explain(error: Exception) -> Response:
    assert isinstance(error, CollabError)
    status = status_of(error)
    # RFC 9110, section 11.6.1: who is told 401 is told how to authenticate.
    headers = {"WWW-Authenticate": "Bearer"} if status == HTTPStatus.UNAUTHORIZED else None
    return JSONResponse({"error": str(error)}, status_code=status, headers=headers)
