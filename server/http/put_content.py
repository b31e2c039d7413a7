"""REST: ``PUT /api/docs/{document}/content`` makes a document, or replaces a text of one."""

from functools import partial
from http import HTTPStatus

import anyio.to_thread
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from collab.access import Access
from collab.checking import check_update
from collab.errors import DocumentExists, InvalidQuery, InvalidSeed
from collab.seeding import TEXT_ROOT, parse_roots, seed_roots, seed_text
from collab.server.auth.guard import Guard
from collab.server.documents.catalogue import Catalogue
from collab.server.http.body import read_body
from collab.server.http.path import document_of
from collab.server.settings import Settings


class PutContent:
    """The endpoint. The same content makes the same document, wherever and whenever it is put."""

    def __init__(self, catalogue: Catalogue, guard: Guard, settings: Settings) -> None:
        self._catalogue = catalogue
        self._guard = guard
        self._max_bytes = settings.message_max_bytes

    def routes(self) -> list[Route]:
        """The routes, relative to where the app is mounted."""
        return [Route("/api/docs/{document}/content", self.put, methods=["PUT"])]

    async def put(self, request: Request) -> Response:
        """Takes in content: ``text/*``, ``application/json`` or ``application/octet-stream``.

        201 where it makes the document, 204 where it replaces a text (``?root=``) of one.
        """
        name = document_of(request)
        permit = await self._guard.admit(request, name, Access.WRITE)
        author = permit.identity.author
        media_type = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        root = request.query_params.get("root", TEXT_ROOT)
        body = await read_body(request, self._max_bytes)
        admit = partial(self._guard.renewed, permit, Access.WRITE)
        if not media_type.startswith("text/"):
            update = await anyio.to_thread.run_sync(_update_of, body, media_type)
            await self._catalogue.create(name, update, author=author, admit=admit)
            return Response(status_code=HTTPStatus.CREATED)
        try:
            text = body.decode()
        except UnicodeDecodeError as error:
            raise InvalidSeed(f"expected UTF-8, got: {error}") from error
        try:
            update = await anyio.to_thread.run_sync(seed_text, text, root)
            await self._catalogue.create(name, update, author=author, admit=admit)
        except DocumentExists:
            await self._catalogue.replace_text(name, text, root, author=author, admit=admit)
            return Response(status_code=HTTPStatus.NO_CONTENT)
        return Response(status_code=HTTPStatus.CREATED)


def _update_of(body: bytes, media_type: str) -> bytes:
    """Makes the update of what is no text.

    Raises:
        InvalidQuery: nothing is made of this media type.
        InvalidSeed: it is JSON that no document can begin with.
        PoisonedUpdate: it is said to be an update and is none.
    """
    if media_type == "application/json":
        return seed_roots(parse_roots(body))
    if media_type == "application/octet-stream":
        return check_update(body)
    expected = "expected text/plain, application/json or application/octet-stream"
    raise InvalidQuery(f"{expected}, got {media_type[:50]!r}")
