"""Requests to an app without a socket."""

import httpx
from starlette.types import ASGIApp


def requests_to(app: ASGIApp, prefix: str = "") -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url=f"http://localhost{prefix}"
    )
