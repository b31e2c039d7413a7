"""REST: what documents were, who made them so, and the way back."""

from functools import partial

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from collab.access import Access
from collab.errors import InvalidQuery
from collab.history.point import Point, read_point
from collab.history.records import change_record, difference_record, text_record
from collab.server.auth.guard import Guard
from collab.server.documents.history import History
from collab.server.documents.restoring import restore
from collab.server.http.body import read_object
from collab.server.http.path import document_of
from collab.server.http.query import integer
from collab.server.rooms.rooms import Rooms

_PAGE = 100
_PAGE_MAX = 1000
_PAUSE_MAX_SECONDS = 86_400
_MAX_SEQ = 2**53


class Past:
    """``/api/docs/{document}/history``, ``diff``, ``attribution`` and ``restore``."""

    def __init__(self, history: History, rooms: Rooms, guard: Guard) -> None:
        self._history = history
        self._rooms = rooms
        self._guard = guard

    def routes(self) -> list[Route]:
        """The routes, relative to where the app is mounted."""
        path = "/api/docs/{document}"
        return [
            Route(f"{path}/history", self.list_changes, methods=["GET"]),
            Route(f"{path}/diff", self.compare, methods=["GET"]),
            Route(f"{path}/attribution", self.attribute, methods=["GET"]),
            Route(f"{path}/restore", self.restore, methods=["POST"]),
        ]

    async def list_changes(self, request: Request) -> Response:
        """Lists changes, the newest first, a page at a time: ``?before=&limit=&pause=``."""
        name = document_of(request)
        permit = await self._guard.admit(request, name)
        before = integer(request, "before", default=_MAX_SEQ, most=_MAX_SEQ)
        limit = integer(request, "limit", default=_PAGE, most=_PAGE_MAX)
        pause = integer(request, "pause", default=120, most=_PAUSE_MAX_SECONDS)
        page = await self._history.changes(name, before, limit, pause)
        await self._guard.renewed(permit)
        changes = [change_record(change) for change in page.changes]
        return JSONResponse({"changes": changes, "next": page.next})

    async def compare(self, request: Request) -> Response:
        """Tells what differs between two points, ``?from=&to=&root=``; ``to`` is now by default."""
        name = document_of(request)
        permit = await self._guard.admit(request, name)
        points = request.query_params
        if "from" not in points:
            raise InvalidQuery("expected from: a seq, a time or a version, got nothing")
        before = await self._history.find(name, read_point(points["from"]))
        after = await self._seq(request, name, "to")
        found = await self._history.compare(name, before, after, points.get("root"))
        await self._guard.renewed(permit)
        records = [difference_record(difference) for difference in found]
        return JSONResponse({"from": before, "to": after, "differences": records})

    async def attribute(self, request: Request) -> Response:
        """Tells who wrote each run of the texts: ``?at=&root=&pause=``."""
        name = document_of(request)
        permit = await self._guard.admit(request, name)
        pause = integer(request, "pause", default=120, most=_PAUSE_MAX_SECONDS)
        seq = await self._seq(request, name, "at")
        root = request.query_params.get("root")
        texts = await self._history.attribution(name, seq, root, pause)
        await self._guard.renewed(permit)
        records = [text_record(text) for text in texts]
        return JSONResponse({"seq": seq, "texts": records})

    async def restore(self, request: Request) -> Response:
        """Takes a document back to a point, ``{"to": ...}``; answers when that is durable."""
        name = document_of(request)
        permit = await self._guard.admit(request, name, Access.WRITE)
        to = read_to(await read_object(request))
        room = await self._rooms.acquire(name)
        try:
            changed = await restore(
                self._history,
                room,
                to,
                permit.identity.author,
                partial(self._guard.renewed, permit, Access.WRITE),
            )
        finally:
            self._rooms.release(room)
        return JSONResponse({"changed": changed, "seq": room.content.seq})

    async def _seq(self, request: Request, name: str, parameter: str) -> int:
        text = request.query_params.get(parameter)
        if text is None:
            return await self._history.newest(name)
        return await self._history.find(name, read_point(text))


def read_to(body: dict[str, object], field: str = "to") -> Point:
    """Reads a point out of a JSON object: a string, or a number that is a seq.

    Raises:
        InvalidQuery: there is none.
        InvalidPoint: it is no point.
    """
    value = body.get(field)
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        raise InvalidQuery(f"expected {field}: a seq, a time or a version")
    return read_point(str(value))
