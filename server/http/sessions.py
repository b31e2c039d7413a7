"""REST: ending sessions."""

import json
import time

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from collab.access import Access
from collab.errors import InvalidQuery
from collab.revocation import Revocation
from collab.server.auth.guard import Guard
from collab.server.auth.rights import Rights
from collab.server.http.body import read_body

_MAX_BYTES = 16 * 1024
_FIELDS = ("user", "token_id", "document")


class SessionEndpoints:
    """``/api/sessions``."""

    def __init__(self, rights: Rights, guard: Guard) -> None:
        self._rights = rights
        self._guard = guard

    def routes(self) -> list[Route]:
        """The routes, relative to where the app is mounted."""
        return [Route("/api/sessions/revoke", self.revoke, methods=["POST"])]

    async def revoke(self, request: Request) -> Response:
        """Ends sessions and refuses their tokens: ``{"user", "token_id", "document"}``, some of it.

        Needs ``Access.ADMIN``: to the document where one is named, otherwise to all.
        """
        permit = await self._guard.admit(request, access=Access.NONE)
        revocation = _read_revocation(await read_body(request, _MAX_BYTES))
        permit = await self._guard.renewed(permit, Access.NONE)
        await self._guard.permit(permit.identity, revocation.document, Access.ADMIN)
        return JSONResponse({"ended": await self._rights.revoke(revocation, time.time())})


def _read_revocation(body: bytes) -> Revocation:
    try:
        asked = json.loads(body)
    except (ValueError, RecursionError):
        asked = None
    if not isinstance(asked, dict) or not asked or not asked.keys() <= set(_FIELDS):
        raise InvalidQuery(f"expected a JSON object with some of {', '.join(_FIELDS)}")
    for name, value in asked.items():
        if not isinstance(value, str):
            raise InvalidQuery(f"expected {name} to be a string, got {type(value).__name__}")
    return Revocation(**asked)
