"""REST: how long a document's changes are kept, and compaction at once instead of in time."""

import json
import time

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from collab.access import Access
from collab.archive import Retention, Terms
from collab.errors import InvalidQuery, SettingsError
from collab.server.auth.guard import Guard
from collab.server.http.body import read_body
from collab.server.http.path import document_of
from collab.store import Store

_BODY_BYTES = 1000
_EXPECTED = 'expected {"retention": "all", "none", a span like "30d", or null}'


class Compaction:
    """``/api/docs/{document}/retention`` and ``.../compaction``, and ``/api/compaction`` for all.

    Args:
        store: what is compacted.
        guard: who may: all of it needs ``Access.ADMIN``.
        history: how long entries are kept of documents that have no retention of their own.
    """

    def __init__(self, store: Store, guard: Guard, history: Retention) -> None:
        self._store = store
        self._guard = guard
        self._history = history

    def routes(self) -> list[Route]:
        """The routes, relative to where the app is mounted."""
        return [
            Route("/api/docs/{document}/retention", self.retain, methods=["PUT"]),
            Route("/api/docs/{document}/compaction", self.compact, methods=["POST"]),
            Route("/api/compaction", self.measure, methods=["GET"]),
            Route("/api/compaction", self.reclaim, methods=["POST"]),
        ]

    async def retain(self, request: Request) -> Response:
        """Sets how long a document's changes are kept: ``{"retention": "30d"}``.

        ``null`` leaves it to the server.
        """
        name = document_of(request)
        permit = await self._guard.admit(request, name, Access.ADMIN)
        retention = _read_retention(await read_body(request, _BODY_BYTES))
        await self._guard.renewed(permit, Access.ADMIN)
        await self._store.retain(name, retention)
        return JSONResponse({"retention": None if retention is None else str(retention)})

    async def compact(self, request: Request) -> Response:
        """Takes the next step for a document: ``?history=`` in the place of the server's own."""
        name = document_of(request)
        await self._guard.admit(request, name, Access.ADMIN)
        text = request.query_params.get("history")
        history = self._history if text is None else _parse(text)
        terms = Terms(now_ms=time.time_ns() // 1_000_000, history=history, quiet_ms=0)
        step = await self._store.compact(name, terms)
        return JSONResponse({"bytes": step.bytes, "more": step.more})

    async def measure(self, request: Request) -> Response:
        """Tells how much space the store takes."""
        await self._guard.admit(request, access=Access.ADMIN)
        return JSONResponse({"bytes": await self._store.bytes_on_disk()})

    async def reclaim(self, request: Request) -> Response:
        """Gives a part of the store's free space back to the system."""
        await self._guard.admit(request, access=Access.ADMIN)
        more = await self._store.reclaim(spare=False)
        return JSONResponse({"bytes": await self._store.bytes_on_disk(), "more": more})


def _read_retention(body: bytes) -> Retention | None:
    try:
        text = json.loads(body)["retention"]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise InvalidQuery(f"{_EXPECTED}, got {body[:40]!r}") from None
    if text is None:
        return None
    if not isinstance(text, str):
        raise InvalidQuery(f"{_EXPECTED}, got {body[:40]!r}")
    return _parse(text)


def _parse(text: str) -> Retention:
    try:
        return Retention.parse(text)
    except SettingsError as error:
        raise InvalidQuery(str(error)[:200]) from error
