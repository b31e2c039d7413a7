"""REST: who a request speaks for, so that a page can tell its user, or have them sign in."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from collab.access import Access, check_name
from collab.errors import Unauthenticated
from collab.server.auth.guard import Guard


class WhoAsks:
    """``/api/identity``."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard

    def routes(self) -> list[Route]:
        """The routes, relative to where the app is mounted."""
        return [Route("/api/identity", self.show)]

    async def show(self, request: Request) -> Response:
        """Tells who asks, and what they may do with all documents at once.

        With ``?document=`` it tells what they may do with that one.

        Who is not known is an answer as well and no error: browsers put those into their consoles,
        and a page asks in order to find out.
        """
        document = request.query_params.get("document")
        if document is not None:
            check_name(document)
        try:
            identity = await self._guard.identify(request)
            permit = await self._guard.permit(identity, document, Access.NONE)
        except Unauthenticated as error:
            return _answer(refused=str(error))
        expires_at = identity.expires_at
        return _answer(
            id=identity.id,
            name=identity.id if identity.name is None else identity.name,
            access=permit.access.name.lower(),
            writable=self._guard.writable_patterns(identity),
            expires_ms=None if expires_at is None else int(expires_at * 1000),
        )


def _answer(**known: object) -> Response:
    unknown: dict[str, object] = {
        "id": None,
        "name": None,
        "access": "none",
        "writable": [],
        "expires_ms": None,
        "refused": None,
    }
    return JSONResponse(unknown | known, headers={"Cache-Control": "no-store"})
