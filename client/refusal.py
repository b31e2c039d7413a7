"""Refusals: why a server said no over HTTP, in its own words."""

import httpx

from collab.errors import RequestRefused


def read_refusal(response: httpx.Response) -> RequestRefused:
    """Reads an answer that is an error; its body must have been read."""
    try:
        reason = str(response.json()["error"])
    except (ValueError, KeyError, TypeError):
        reason = f"expected the server to do it, got HTTP status {response.status_code}"
    return RequestRefused(reason, response.status_code)
