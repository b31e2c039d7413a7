"""REST: documents deleted, brought back and copied."""

from functools import partial
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from collab.access import Access, check_name
from collab.errors import InvalidQuery
from collab.server.auth.guard import Guard
from collab.server.documents.catalogue import Catalogue
from collab.server.http.body import read_object
from collab.server.http.path import document_of
from collab.server.http.query import boolean
from collab.trash import Tombstone


class TrashEndpoints:
    """What changes whole documents, below ``/api/docs/{document}``."""

    def __init__(self, catalogue: Catalogue, guard: Guard) -> None:
        self._catalogue = catalogue
        self._guard = guard

    def routes(self) -> list[Route]:
        """The routes, relative to where the app is mounted."""
        return [
            Route("/api/docs/{document}", self.delete, methods=["DELETE"]),
            Route("/api/docs/{document}/undelete", self.undelete, methods=["POST"]),
            Route("/api/docs/{document}/duplicate", self.duplicate, methods=["POST"]),
        ]

    async def delete(self, request: Request) -> Response:
        """Deletes a document; with ``?now=true`` it is erased at once."""
        name = document_of(request)
        permit = await self._guard.admit(request, name, Access.ADMIN)
        now = boolean(request, "now")
        author = permit.identity.author
        admit = partial(self._guard.renewed, permit, Access.ADMIN)
        tombstone = await self._catalogue.delete(name, author=author, admit=admit, now=now)
        return JSONResponse(describe(tombstone))

    async def undelete(self, request: Request) -> Response:
        """Brings a deleted document back."""
        name = document_of(request)
        await self._guard.admit(request, name, Access.ADMIN)
        await self._catalogue.undelete(name)
        return Response(status_code=204)

    async def duplicate(self, request: Request) -> Response:
        """Copies a document: ``{"name": COPY, "history": false}``."""
        name = document_of(request)
        reader = await self._guard.admit(request, name)
        copy, history = _read_copy(await read_object(request))
        writer = await self._guard.admit(request, copy, Access.WRITE)

        async def admit() -> None:
            await self._guard.renewed(reader)
            await self._guard.renewed(writer, Access.WRITE)

        author = writer.identity.author
        await self._catalogue.duplicate(name, copy, history=history, author=author, admit=admit)
        return JSONResponse({"name": copy}, status_code=201)


def describe(tombstone: Tombstone) -> dict[str, object]:
    """What is told of a deleted document."""
    return {
        "name": tombstone.document,
        "deleted_ms": tombstone.deleted_ms,
        "deleted_by": tombstone.author,
        "bytes": tombstone.bytes,
    }


def _read_copy(wanted: dict[str, Any]) -> tuple[str, bool]:
    name, history = wanted.get("name"), wanted.get("history", False)
    known = wanted.keys() <= {"name", "history"}
    if not known or not isinstance(name, str) or not isinstance(history, bool):
        raise InvalidQuery('expected {"name": COPY, "history": BOOLEAN}, got something else')
    return check_name(name), history
