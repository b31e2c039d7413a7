"""Refusals: why a server said no over HTTP, in its own words."""

from http import HTTPStatus

import httpx

from collab.errors import RequestRefused


def read_refusal(response: httpx.Response) -> RequestRefused:
    """Reads an answer that is an error; its body must have been read."""
    try:
        reason = str(response.json()["error"])
    except (ValueError, KeyError, TypeError):
        where = f"HTTP status {response.status_code} at {response.url.path}"
        reason = f"expected an answer of collab, got {where}"
        if response.status_code == HTTPStatus.NOT_FOUND:
            reason += ": collab is mounted elsewhere, or not there"
    return RequestRefused(reason, response.status_code)
