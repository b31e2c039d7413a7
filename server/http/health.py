"""Liveness and readiness, for whoever supervises the server."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from collab.server.company import Company
from collab.server.limits.census import Census
from collab.server.rooms.persister import Persister
from collab.server.rooms.relays import Relays

_SERVED_TWICE = "another process serves it, too, and no bus ties them together"


class Health:
    """``/healthz`` says that the process serves, ``/readyz`` that it can be given work.

    Args:
        persister: knows how the store is.
        relays: know how the bus is, where there is one.
        company: knows whether others serve the store, where there is none.
        census: knows whether the server stops.
    """

    def __init__(
        self, persister: Persister, relays: Relays | None, company: Company, census: Census
    ) -> None:
        self._company = company
        self._census = census
        self._persister = persister
        self._relays = relays

    def routes(self) -> list[Route]:
        """The routes, relative to where the app is mounted."""
        return [Route("/healthz", self.healthz), Route("/readyz", self.readyz)]

    async def healthz(self, request: Request) -> Response:
        """200 as long as the event loop turns."""
        return JSONResponse({"status": "ok"})

    async def readyz(self, request: Request) -> Response:
        """200, or 503 once the server stops, while the store fails or too much waits for it.

        An instance that is cut off from the others, or never was tied to them, serves and stores
        what it is given: it says that it is degraded, with 200. Otherwise all would be taken out of
        service, as with the bus.
        """
        if self._census.closed:
            return JSONResponse({"status": "stopping"}, status_code=503)
        backlog = self._persister.backlog
        if self._persister.failure is not None or backlog.full:
            return JSONResponse(
                {"status": "store failing", "uncommitted_bytes": backlog.uncommitted_bytes},
                status_code=503,
            )
        if self._relays is not None and self._relays.failure is not None:
            return JSONResponse({"status": "degraded", "bus": self._relays.failure})
        if self._company.kept:
            return JSONResponse({"status": "degraded", "store": _SERVED_TWICE})
        return JSONResponse({"status": "ok"})
