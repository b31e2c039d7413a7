"""The demo: the built editor at ``/``, or a page that says how to build it."""

from pathlib import Path

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

DEMO = Path(__file__).resolve().parent.parent / "static" / "demo"

_NOT_BUILT = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>collab</title>
<h1>collab is running</h1>
<p>The editor demo is not built into this installation. In a checkout, <code>make run</code>
builds it; or run <code>npm ci &amp;&amp; npm run build</code> in <code>web-demo</code>.</p>
<p>Editors connect to <code>/ws/NAME</code>; documents are listed at
<a href="api/docs">/api/docs</a>.</p>
</html>
"""


def demo_routes() -> list[BaseRoute]:
    """The routes, relative to where the app is mounted; they answer what no other route does."""
    if (DEMO / "index.html").is_file():
        return [Mount("/", StaticFiles(directory=DEMO, html=True))]
    return [Route("/", _not_built)]


async def _not_built(request: Request) -> Response:
    return HTMLResponse(_NOT_BUILT)
