"""REST: the list of documents and what is in them."""

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from collab.access import Access
from collab.document import Document
from collab.errors import DocumentNotFound, InvalidQuery
from collab.history.point import read_point
from collab.render.export import Format, export
from collab.server.auth.guard import Guard
from collab.server.documents.history import History
from collab.server.http.listing import Readable, read_page
from collab.server.http.path import document_of
from collab.server.http.query import boolean, integer
from collab.server.http.search import search_of
from collab.server.http.trash import describe
from collab.server.rooms.opening import open_document
from collab.server.rooms.rooms import Rooms
from collab.store import Store

_MEDIA_TYPES = {
    Format.TEXT: "text/plain",
    Format.JSON: "application/json",
    Format.HTML: "text/html",
    Format.MARKDOWN: "text/markdown",
    Format.UPDATE: "application/octet-stream",
}
_PAGE = 100
_PAGE_MAX = 1000


class Documents:
    """``/api/docs`` and below. Names in paths are percent-encoded, slashes included."""

    def __init__(self, store: Store, rooms: Rooms, history: History, guard: Guard) -> None:
        self._history = history
        self._store = store
        self._rooms = rooms
        self._guard = guard

    def routes(self) -> list[Route]:
        """The routes, relative to where the app is mounted."""
        return [
            Route("/api/docs", self.list_page),
            Route("/api/docs/{document}", self.show),
            Route("/api/docs/{document}/content", self.content),
        ]

    async def list_page(self, request: Request) -> Response:
        """Lists what may be read, by name, a page at a time: ``?prefix=&after=&limit=&search=``.

        With ``?deleted=true`` it lists the trash instead, where nothing is searched for.
        """
        if boolean(request, "deleted"):
            return await self._list_deleted(request)
        permit = await self._guard.admit(request, access=Access.NONE)
        prefix, after, limit = _page(request)
        page = await read_page(
            self._store, self._guard, permit.identity, prefix, after, limit, search_of(request)
        )
        await self._guard.renewed(permit, Access.NONE)
        documents = [self._describe(readable) for readable in page.documents]
        return JSONResponse({"documents": documents, "next": page.next})

    async def _list_deleted(self, request: Request) -> Response:
        permit = await self._guard.admit(request, access=Access.ADMIN)
        prefix, after, limit = _page(request)
        if search_of(request):
            raise InvalidQuery("expected either search or deleted=true, got both")
        page = await self._store.tombstones(prefix, after, limit)
        await self._guard.renewed(permit, Access.ADMIN)
        following = page[-1].document if len(page) == limit else None
        documents = [describe(tombstone) for tombstone in page]
        return JSONResponse({"documents": documents, "next": following})

    async def show(self, request: Request) -> Response:
        """Describes one document."""
        name = document_of(request)
        permit = await self._guard.admit(request, name)
        page = await self._store.documents(prefix=name, limit=1)
        if not page or page[0].document != name:
            await self._store.load(name)  # Says so where it was deleted.
            raise DocumentNotFound(name)
        permit = await self._guard.renewed(permit)
        return JSONResponse(self._describe(Readable(page[0], permit.access)))

    async def content(self, request: Request) -> Response:
        """Exports a document: ``?format=text|json|html|markdown|update&root=&at=``."""
        name = document_of(request)
        permit = await self._guard.admit(request, name)
        chosen = request.query_params.get("format", "json")
        root = request.query_params.get("root")
        at = request.query_params.get("at")
        if at is None:
            document = await self._current(name)
        else:
            seq = await self._history.find(name, read_point(at))
            document = await self._history.content(name, seq)
        body = await anyio.to_thread.run_sync(export, document, chosen, root)
        await self._guard.renewed(permit)
        return Response(body, media_type=_MEDIA_TYPES[Format(chosen)])

    async def _current(self, name: str) -> Document:
        """A copy of the document as it is now, uncommitted changes included."""
        room = self._rooms.find(name)
        if room is not None and (room.content.seq or room.members):
            state = (await room.programs.read()).encode()
            copy = Document()
            copy.apply(state)
            return copy
        opened = await open_document(self._store, name)
        if opened.stored.seq == 0 and opened.stored.checkpoint is None:
            raise DocumentNotFound(name)
        return opened.document

    def _describe(self, readable: Readable) -> dict[str, object]:
        summary = readable.summary
        room = self._rooms.find(summary.document)
        return {
            "name": summary.document,
            "seq": summary.seq,
            "created_ms": summary.created_ms,
            "updated_ms": summary.updated_ms,
            "bytes": summary.bytes,
            "epoch": summary.epoch,
            "retention": None if summary.retention is None else str(summary.retention),
            "connections": len(room.members) if room else 0,
            "access": readable.access.name.lower(),
        }


def _page(request: Request) -> tuple[str, str, int]:
    """Reads which page of a list is asked for: prefix, after, limit."""
    query = request.query_params
    limit = integer(request, "limit", default=_PAGE, most=_PAGE_MAX)
    return query.get("prefix", ""), query.get("after", ""), limit
