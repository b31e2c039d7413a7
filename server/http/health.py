"""Liveness and readiness, for whoever supervises the server."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from collab.server.persister import Persister


class Health:
    """``/healthz`` says that the process serves, ``/readyz`` that it can be given work."""

    def __init__(self, persister: Persister) -> None:
        self._persister = persister

    def routes(self) -> list[Route]:
        """The routes, relative to where the app is mounted."""
        return [Route("/healthz", self.healthz), Route("/readyz", self.readyz)]

    async def healthz(self, request: Request) -> Response:
        """200 as long as the event loop turns."""
        return JSONResponse({"status": "ok"})

    async def readyz(self, request: Request) -> Response:
        """200, or 503 while the store fails or too much waits for it."""
        if self._persister.failure is not None or self._persister.full:
            return JSONResponse(
                {"status": "store failing", "uncommitted_bytes": self._persister.uncommitted_bytes},
                status_code=503,
            )
        return JSONResponse({"status": "ok"})
