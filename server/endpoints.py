"""Endpoints: which WebSocket path speaks which dialect, and who is let in there."""

from dataclasses import dataclass

from starlette.requests import HTTPConnection
from starlette.types import Scope

from collab.access import check_name
from collab.protocol.dialect import Dialect
from collab.protocol.hocuspocus import HOCUSPOCUS
from collab.protocol.yjs import Y_WEBSOCKET
from collab.protocol.ysweet import Y_SWEET
from collab.server.auth.guard import Guard, Permit
from collab.server.auth.origins import Origins
from collab.server.auth.passes import Passes
from collab.server.limits.census import Census, Visit
from collab.server.limits.strangers import Strangers
from collab.server.metrics import Metrics
from collab.server.peers.hocuspocus import HocuspocusPeer
from collab.server.peers.peer import Peer
from collab.server.peers.shared import SharedConnection
from collab.server.peers.single import SinglePeer
from collab.server.rooms.rooms import Rooms
from collab.server.settings import Settings
from collab.server.timers import Timers


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One WebSocket path.

    Attributes:
        path: the path, or what it begins with where a document name follows.
        dialect: what clients speak there.
        names_document: whether a document name follows; otherwise clients name documents later.
        takes_passes: whether clients come with a pass of ours there.
    """

    path: str
    dialect: Dialect
    names_document: bool
    takes_passes: bool = False


ENDPOINTS = (
    Endpoint("/ws/", Y_WEBSOCKET, names_document=True),
    Endpoint("/hocuspocus", HOCUSPOCUS, names_document=False),
    Endpoint("/y-sweet/ws/", Y_SWEET, names_document=True, takes_passes=True),
)


def find_endpoint(path: str) -> tuple[Endpoint, str] | None:
    """Finds what a path leads to.

    Args:
        path: as it was sent, percent-encoded.

    Returns:
        The endpoint and the document name as it was sent, empty where there is none.
    """
    for endpoint in ENDPOINTS:
        if endpoint.names_document:
            if path.startswith(endpoint.path):
                return endpoint, path.removeprefix(endpoint.path)
        elif path.removesuffix("/") == endpoint.path:
            return endpoint, ""
    return None


class Handshakes:
    """Decides on handshakes, the same way whatever the transport.

    Args:
        rooms: where clients are led to.
        guard: decides who is let in.
        passes: decides on those who may bring a pass.
        origins: which web pages may come.
        settings: the server's settings.
        timers: the server's timers.
        census: counts who is connected.
        metrics: counts who is refused.

    Attributes:
        metrics: as given.
        strangers: bounds what is kept of clients before it is known who they are.
    """

    def __init__(
        self,
        rooms: Rooms,
        guard: Guard,
        passes: Passes,
        origins: Origins,
        settings: Settings,
        timers: Timers,
        census: Census,
        metrics: Metrics,
    ) -> None:
        self.metrics = metrics
        self.strangers = Strangers(settings, metrics)
        self._census = census
        self._rooms = rooms
        self._guard = guard
        self._passes = passes
        self._origins = origins
        self._settings = settings
        self._timers = timers

    def address_of(self, handshake: Scope) -> str:
        """Names the address a client comes from; see ``Census.address_of``."""
        return self._census.address_of(handshake)

    def instant(self, endpoint: Endpoint) -> bool:
        """Whether ``admit_anyone`` can be called at once: anyone may do anything."""
        return self._guard.open and not endpoint.takes_passes

    async def ask(self, endpoint: Endpoint, name: str, handshake: Scope) -> Peer:
        """Finds out who a client is and lets it in.

        Args:
            endpoint: where it came to.
            name: document name; empty where the endpoint names none.
            handshake: scope of the handshake.

        Raises:
            OriginRefused: it is a web page from elsewhere.
            InvalidName: this cannot name a document, or who comes.
            Unauthenticated: nobody is known by the request's credentials.
            AccessDenied: somebody is, who may not read the document.
            TooMany: its address or its user has too many connections.
            NotRunning: the server stops, or has come to while it was asked.
        """
        connection = HTTPConnection(handshake)
        self._origins.check(connection)
        visit = self._census.visit(handshake)
        if not endpoint.names_document:
            return self._peer_of_many(handshake, visit)
        admits = self._passes if endpoint.takes_passes else self._guard
        permit = await admits.admit(connection, check_name(name))
        visit.check_open()
        return self._peer_of_one(endpoint, permit, visit)

    def admit_anyone(self, endpoint: Endpoint, name: str, handshake: Scope) -> Peer:
        """Lets a client in where anyone may do anything; for ``ask``, without the wait.

        Raises:
            OriginRefused: it is a web page from elsewhere.
            InvalidName: this cannot name a document, or who comes.
            TooMany: its address or its user has too many connections.
            NotRunning: the server stops.
        """
        connection = HTTPConnection(handshake)
        self._origins.check(connection)
        visit = self._census.visit(handshake)
        if not endpoint.names_document:
            return self._peer_of_many(handshake, visit)
        permit = self._guard.permit_anyone(connection, check_name(name))
        return self._peer_of_one(endpoint, permit, visit)

    def _peer_of_one(self, endpoint: Endpoint, permit: Permit, visit: Visit) -> Peer:
        visit.check_user(permit.identity.id)
        return SinglePeer(self._rooms, self._guard, permit, endpoint.dialect, visit)

    def _peer_of_many(self, handshake: Scope, visit: Visit) -> Peer:
        """Each document will bring a token of its own."""
        shared = SharedConnection(
            self._rooms,
            self._guard,
            handshake,
            self._settings,
            self._timers,
            visit,
            self.strangers,
        )
        return HocuspocusPeer(shared, self._settings.connection_documents)
