"""Unanswered: what is said where no route answers, because of the path or because of the method."""

from collections.abc import Sequence
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Scope

_API = "/api/"
_DOCUMENTS = "/api/docs/"
_FILE_METHODS = frozenset({"GET", "HEAD"})
_LONGEST_TAIL = 2
"""Most segments that a path has after a document's name: ``versions/VERSION``."""


class Unanswered:
    """Says what is wrong with requests that no route answers, in the form of all other errors.

    Args:
        routes: what is served.
    """

    def __init__(self, routes: Sequence[BaseRoute]) -> None:
        self._routes = [route for route in routes if isinstance(route, Route)]

    async def explain(self, request: Request, error: Exception) -> Response:
        """Answers 405 where another method would do, and otherwise what the routes have raised."""
        assert isinstance(error, HTTPException)
        scope, status = request.scope, HTTPStatus(error.status_code)
        methods = self._methods(scope)
        if not methods and status is HTTPStatus.METHOD_NOT_ALLOWED:
            # The demo's files, which are asked for all that nothing else answers.
            if _below(scope, _API):
                status = HTTPStatus.NOT_FOUND
            else:
                methods = _FILE_METHODS
        headers = dict(error.headers or {})
        if methods:
            status = HTTPStatus.METHOD_NOT_ALLOWED
            headers["Allow"] = ", ".join(sorted(methods))
            others = " or ".join(sorted(methods - {"HEAD"}))
            words = f"expected {others} on this path, got {request.method}"
        elif status is HTTPStatus.NOT_FOUND:
            meant = self._meant(scope)
            expected = "a path that is served here"
            if meant is not None:
                expected = f"slashes in a document's name as %2F, as in {meant!r}"
            words = f"expected {expected}, got {scope['path']!r}"
        else:
            words = error.detail
        return JSONResponse({"error": words}, status_code=status, headers=headers)

    def _methods(self, scope: Scope) -> frozenset[str]:
        """The methods that would be answered on this path."""
        return frozenset(
            method
            for route in self._routes
            if route.matches(scope)[0] is Match.PARTIAL
            for method in route.methods or ()
        )

    def _meant(self, scope: Scope) -> str | None:
        """The path of a document whose name came with its slashes as they are, or None."""
        if not _below(scope, _DOCUMENTS):
            return None
        prefix = _root(scope) + _DOCUMENTS
        segments = scope["path"].removeprefix(prefix).split("/")
        if "" in segments:
            return None
        for tail in range(_LONGEST_TAIL, -1, -1):
            end = len(segments) - tail
            if end < 2:
                continue
            path = prefix + "/".join(["%2F".join(segments[:end]), *segments[end:]])
            if any(r.matches({**scope, "path": path})[0] is not Match.NONE for r in self._routes):
                return path
        return None


def _root(scope: Scope) -> str:
    """Where the app is mounted."""
    root: str = scope.get("root_path", "")
    return root


def _below(scope: Scope, path: str) -> bool:
    """Whether something is asked for below a path of the app."""
    asked: str = scope["path"]
    return asked.startswith(_root(scope) + path)
