"""The demo: the built editor at ``/``, or a page that says how to build it."""

import os
import re
from pathlib import Path

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

DEMO = Path(__file__).resolve().parent.parent / "static" / "demo"

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; manifest-src 'self'; worker-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'self'"
)
_FOREVER = "public, max-age=31536000, immutable"
_ASK = "no-cache"
_DECLINED = re.compile(r"q=0(\.0*)?")

_NOT_BUILT = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>collab</title>
<h1>collab is running</h1>
<p>The editor demo is not built into this installation. In a checkout, <code>make run</code>
builds it; or run <code>npm ci &amp;&amp; npm run build</code> in <code>web-demo</code>.</p>
<p>Editors connect to <code>/ws/NAME</code>; documents are listed at
<a href="api/docs">/api/docs</a>.</p>
</html>
"""


def demo_routes(directory: Path = DEMO) -> list[BaseRoute]:
    """The routes, relative to where the app is mounted; they answer what no other route does.

    Args:
        directory: where the demo is built.
    """
    if (directory / "index.html").is_file():
        return [Mount("/", _with_headers(_Built(directory=directory, html=True)))]
    return [Route("/", _not_built)]


class _Built(StaticFiles):
    """The built files; for who takes those the packed copies that the build lays beside them."""

    def __init__(self, *, directory: Path, html: bool) -> None:
        super().__init__(directory=directory, html=html)
        self._packed: dict[str, os.stat_result] = {}

    def lookup_path(self, path: str) -> tuple[str, os.stat_result | None]:
        """Looks for a file, and for its packed copy; Starlette calls it in a worker thread."""
        full_path, found = super().lookup_path(path)
        if found is not None:
            try:
                self._packed[full_path] = Path(f"{full_path}.gz").stat()
            except OSError:
                self._packed.pop(full_path, None)
        return full_path, found

    def file_response(
        self,
        full_path: str | os.PathLike[str],
        stat_result: os.stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        path = os.fspath(full_path)
        packed = self._packed.get(path)
        if packed is None:
            return super().file_response(full_path, stat_result, scope, status_code)
        if _takes_gzip(Headers(scope=scope).get("Accept-Encoding", "")):
            response = super().file_response(f"{path}.gz", packed, scope, status_code)
            response.headers["Content-Encoding"] = "gzip"
        else:
            response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers["Vary"] = "Accept-Encoding"
        return response


def _takes_gzip(accepted: str) -> bool:
    """Whether an Accept-Encoding has gzip, and not to decline it (RFC 9110, section 12.5.3)."""
    weights = {}
    for each in accepted.split(","):
        coding, _, weight = each.lower().replace(" ", "").partition(";")
        weights[coding] = weight
    return "gzip" in weights and not _DECLINED.fullmatch(weights["gzip"])


def _with_headers(app: ASGIApp) -> ASGIApp:
    """Adds what a page should say about itself: where it loads from, and how long it keeps."""

    async def served(scope: Scope, receive: Receive, send: Send) -> None:
        # The build names assets after their content; the page and its worker keep their names.
        below = scope["path"].removeprefix(scope.get("root_path", ""))
        lasting = below.startswith("/assets/")

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Content-Security-Policy"] = _POLICY
                headers["X-Content-Type-Options"] = "nosniff"
                headers["Referrer-Policy"] = "same-origin"
                found = message["status"] < 400
                headers["Cache-Control"] = _FOREVER if lasting and found else _ASK
            await send(message)

        await app(scope, receive, send_with_headers)

    return served


async def _not_built(request: Request) -> Response:
    return HTMLResponse(_NOT_BUILT)
