"""y-sweet: what its clients and its SDK ask over HTTP, before a WebSocket and beside it.

Source: https://github.com/jamsocket/y-sweet, js-pkg/sdk/src/main.ts and connection.ts.
"""

import json
import time
import uuid
from dataclasses import dataclass, replace
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from collab.access import Access, Identity, check_name
from collab.errors import InvalidQuery, StoreError
from collab.server.auth.guard import Guard, Permit
from collab.server.auth.passes import Passes
from collab.server.http.body import read_body
from collab.server.http.path import document_of
from collab.server.http.updates import take_in_update
from collab.server.rooms.rooms import Rooms
from collab.server.settings import Settings
from collab.store import Store

_WISH_MAX_BYTES = 64 * 1024
"""Longest wish for a client token; they have some hundred bytes."""
_DEFAULT_SECONDS = 3600
_MAX_SECONDS = 24 * 3600
"""How long a client token is good at most: longer ones would outlive who was let go meanwhile."""

_ACCESSES = {"full": Access.WRITE, "read-only": Access.READ}
_AUTHORIZATIONS = {access: name for name, access in _ACCESSES.items()}


class YSweet:
    """``/y-sweet``: client tokens, and documents as updates.

    A client token is a pass: it is for one document, for a while, and for no more than was wished.

    Args:
        store: looked at for whether it works.
        rooms: where documents are.
        guard: decides who may have a client token.
        passes: gives out the tokens, and lets in who brings one.
        settings: how long an update may be.
    """

    def __init__(
        self, store: Store, rooms: Rooms, guard: Guard, passes: Passes, settings: Settings
    ) -> None:
        self._store = store
        self._rooms = rooms
        self._guard = guard
        self._passes = passes
        self._max_bytes = settings.message_max_bytes

    def routes(self) -> list[Route]:
        """The routes, relative to where the app is mounted."""
        document = "/y-sweet/d/{document:path}"  # The SDK leaves slashes in names as they are.
        return [
            Route("/y-sweet/check_store", self.check_store, methods=["POST"]),
            Route("/y-sweet/doc/new", self.create, methods=["POST"]),
            Route("/y-sweet/doc/{document:path}/auth", self.authorize, methods=["POST"]),
            Route(f"{document}/as-update", self.read, methods=["GET"]),
            Route(f"{document}/update", self.write, methods=["POST"]),
        ]

    async def check_store(self, request: Request) -> Response:
        """Says whether the store works."""
        await self._guard.identify(request)
        try:
            await self._store.documents(limit=1)
        except StoreError as error:
            return JSONResponse({"ok": False, "error": str(error)})
        return JSONResponse({"ok": True})

    async def create(self, request: Request) -> Response:
        """Names a new document, or finds that one of this name may be written to.

        Nothing is stored: a document begins with its first change.
        """
        wish = await _read_wish(request)
        name = check_name(wish.document or str(uuid.uuid4()))
        await self._guard.admit(request, name, Access.WRITE)
        return JSONResponse({"docId": name})

    async def authorize(self, request: Request) -> Response:
        """Gives out a client token: where to connect, and what to show there.

        Who may administer the document may have one for somebody else (``userId``). Nobody gets
        more than they may do: who may only read is told ``read-only``, whatever they wished.
        """
        name = document_of(request)
        wish = await _read_wish(request)
        if wish.document not in (None, name):
            raise InvalidQuery(f"expected the document {name!r}, got {wish.document!r}")
        asker = permit = await self._guard.admit(request, name)
        now = time.time()
        if wish.user not in (None, asker.identity.id):
            permit = await self._permit_other(asker, wish, now)
        # Who asks will connect; where there is nothing to connect to any more, it is told now.
        self._rooms.release(await self._rooms.acquire(name))
        await self._guard.renewed(asker, Access.READ if permit is asker else Access.ADMIN)
        permit = await self._guard.renewed(permit)
        access = min(permit.access, wish.access)
        here = _base(request)
        answer = {
            "url": f"{here.replace('http', 'ws', 1)}y-sweet/ws",
            "baseUrl": f"{here}y-sweet/d/{quote(name, safe='')}",
            "docId": name,
            "authorization": _AUTHORIZATIONS[access],
        }
        if not self._guard.open or access < Access.WRITE:
            answer["token"] = self._issue(permit.identity, name, access, now + wish.seconds)
        return JSONResponse(answer)

    async def read(self, request: Request) -> Response:
        """The document as it is now, as one update."""
        name = document_of(request)
        permit = await self._passes.admit(request, name)
        room = await self._rooms.acquire(name)
        try:
            await self._guard.renewed(permit)
            update = (await room.programs.read()).encode()
        finally:
            self._rooms.release(room)
        return Response(update, media_type="application/octet-stream")

    async def write(self, request: Request) -> Response:
        """Takes in one update, and answers when it is durable."""
        name = document_of(request)
        permit = await self._passes.admit(request, name, Access.WRITE)
        update = await read_body(request, self._max_bytes)
        await take_in_update(self._rooms, self._guard, permit, update)
        return Response(status_code=204)

    async def _permit_other(self, permit: Permit, wish: "_Wish", now: float) -> Permit:
        """What somebody else may do, for whom this one speaks."""
        await self._guard.permit(permit.identity, permit.document, Access.ADMIN)
        other = replace(permit.identity, id=wish.user, name=None, issued_at=now)
        return await self._guard.permit(other, permit.document)

    def _issue(self, identity: Identity, document: str, access: Access, expires_at: float) -> str:
        if identity.expires_at is not None:
            expires_at = min(expires_at, identity.expires_at)
        bearer = replace(identity, at_most=min(access, identity.at_most), expires_at=expires_at)
        return self._passes.issue(bearer, document, expires_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wish:
    """What the SDK asks for.

    Attributes:
        document: name of the document, where the body has one.
        access: what the token is to be good for.
        user: id of who it is for; None for who asks.
        seconds: how long it is to be good.
    """

    document: str | None
    access: Access
    user: str | None
    seconds: float


async def _read_wish(request: Request) -> _Wish:
    body = await read_body(request, _WISH_MAX_BYTES)
    try:
        wish = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        raise InvalidQuery("expected JSON as the body, got something else") from None
    if not isinstance(wish, dict):
        raise InvalidQuery("expected a JSON object as the body, got something else")
    authorization = wish.get("authorization", "full")
    if authorization not in ("full", "read-only"):
        raise InvalidQuery(f"expected authorization full or read-only, got {authorization!r}")
    seconds = wish.get("validForSeconds") or _DEFAULT_SECONDS
    if not isinstance(seconds, int | float) or not 0 < seconds <= _MAX_SECONDS:
        raise InvalidQuery(f"expected validForSeconds of 1 to {_MAX_SECONDS}, got {seconds!r}")
    return _Wish(
        document=_text(wish, "docId"),
        access=_ACCESSES[authorization],
        user=_text(wish, "userId"),
        seconds=seconds,
    )


def _text(wish: dict[str, object], name: str) -> str | None:
    value = wish.get(name)
    if value is None or isinstance(value, str):
        return value
    raise InvalidQuery(f"expected {name} as text, got {value!r}")


def _base(request: Request) -> str:
    """Where the app is, as who asks sees it: a proxy says what it was asked for itself."""
    here = request.url
    scheme = request.headers.get("x-forwarded-proto", here.scheme)
    host = request.headers.get("x-forwarded-host", here.netloc)
    # Not base_url, which leads to the host's root, and not to where this app is mounted in it.
    mount = request.scope.get("root_path", "").rstrip("/")
    return f"{'https' if scheme == 'https' else 'http'}://{host}{mount}/"
