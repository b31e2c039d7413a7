"""Metrics over HTTP, for Prometheus."""

from prometheus_client.exposition import choose_encoder
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from collab.access import Access
from collab.server.auth.guard import Guard
from collab.server.metrics import Metrics


class MetricsPage:
    """``/metrics``: for administrators, because it tells how the server fares."""

    def __init__(self, metrics: Metrics, guard: Guard) -> None:
        self._metrics = metrics
        self._guard = guard

    def routes(self) -> list[Route]:
        """The routes, relative to where the app is mounted."""
        return [Route("/metrics", self.show)]

    async def show(self, request: Request) -> Response:
        """All metrics, in the format the reader asks for."""
        await self._guard.admit(request, access=Access.ADMIN)
        encode, media_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(self._metrics.registry), headers={"content-type": media_type})
