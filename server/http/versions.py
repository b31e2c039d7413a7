"""REST: the versions of documents."""

from functools import partial
from urllib.parse import unquote

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from collab.access import Access
from collab.errors import InvalidQuery
from collab.happenings import VersionNamed
from collab.history.records import version_record
from collab.server.auth.guard import Guard
from collab.server.documents.naming import name_version
from collab.server.http.body import read_object
from collab.server.http.past import read_to
from collab.server.http.path import document_of
from collab.server.rooms.rooms import Rooms
from collab.store import Store


class Versions:
    """``/api/docs/{document}/versions``: GET lists, POST names a point, DELETE forgets a name."""

    def __init__(self, store: Store, rooms: Rooms, guard: Guard) -> None:
        self._store = store
        self._rooms = rooms
        self._guard = guard

    def routes(self) -> list[Route]:
        """The routes, relative to where the app is mounted."""
        path = "/api/docs/{document}/versions"
        return [
            Route(path, self.list_all, methods=["GET"]),
            Route(path, self.add, methods=["POST"]),
            Route(path + "/{version}", self.remove, methods=["DELETE"]),
        ]

    async def list_all(self, request: Request) -> Response:
        """Lists a document's versions in order of seq."""
        name = document_of(request)
        permit = await self._guard.admit(request, name)
        versions = await self._store.versions(name)
        await self._guard.renewed(permit)
        return JSONResponse({"versions": [version_record(version) for version in versions]})

    async def add(self, request: Request) -> Response:
        """Names a point: ``{"name": ..., "at": ...}``; ``at`` is now by default."""
        name = document_of(request)
        permit = await self._guard.admit(request, name, Access.WRITE)
        body = await read_object(request)
        called = body.get("name")
        if not isinstance(called, str):
            raise InvalidQuery("expected name: what to call the version")
        at = read_to(body, "at") if "at" in body else None
        room = self._rooms.find(name)
        if room is not None:
            await room.programs.saved()  # Now is what people see now.
        admit = partial(self._guard.renewed, permit, Access.WRITE)
        author = permit.identity.author
        version = await name_version(self._store, name, called, author, admit, at)
        self._rooms.feeds.publish(name, VersionNamed(version))
        return JSONResponse(version_record(version), status_code=201)

    async def remove(self, request: Request) -> Response:
        """Forgets a version; what it named stays in the log."""
        name = document_of(request)
        await self._guard.admit(request, name, Access.WRITE)
        await self._store.remove_version(name, unquote(request.path_params["version"]))
        return Response(status_code=204)
