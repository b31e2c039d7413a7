"""Census: which connections there are, and how many each address and each user has."""

from collections import Counter
from collections.abc import Collection, Sequence

import anyio
from starlette.types import Scope

from collab.close import CloseCode
from collab.errors import NotRunning, TooMany
from collab.server.connection import Connection
from collab.server.limits.addresses import Network, client_address, one_client
from collab.server.metrics import Metrics
from collab.server.settings import Settings

RESTARTS = "the server restarts"
"""What clients are told that are to come back, to another server where there is one."""


class Census:
    """Counts connections by address and by user, and says when there are too many.

    A check comes before a client is let in, the count when it is there: a few that come at the same
    instant may pass together.

    Args:
        settings: the bounds.
        metrics: where they are counted.
        proxies: networks whose word on a client's address is taken.
    """

    def __init__(self, settings: Settings, metrics: Metrics, proxies: Sequence[Network]) -> None:
        self._proxies = proxies
        self._settings = settings
        self._metrics = metrics
        self._addresses: Counter[str] = Counter()
        self._users: Counter[str] = Counter()
        self._connections: set[Connection] = set()
        self._gone: anyio.Event | None = None
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether nobody is let in any more."""
        return self._closed

    @property
    def connections(self) -> Collection[Connection]:
        """The connections of clients, of whatever transport."""
        return self._connections

    def close(self) -> None:
        """Lets nobody in any more: the server stops."""
        self._closed = True

    async def deserted(self) -> None:
        """Waits until no connection is left."""
        while self._connections:
            self._gone = anyio.Event()
            await self._gone.wait()

    def visit(self, handshake: Scope) -> "Visit":
        """Gives a place to a client that would come in.

        Args:
            handshake: scope of its handshake.

        Raises:
            NotRunning: the server stops.
            TooMany: as many have come from there as may.
        """
        self.check_open()
        address = self.address_of(handshake)
        if address and self._addresses[address] >= self._settings.address_connections:
            self._metrics.count_limit("address_connections")
            raise TooMany("expected fewer connections from your address")
        return Visit(self, address)

    def check_open(self) -> None:
        """Refuses everybody once the server stops.

        Raises:
            NotRunning: it does.
        """
        if self._closed:
            raise NotRunning("the server is shutting down")

    def address_of(self, scope: Scope) -> str:
        """Names the address a request comes from; see ``client_address`` and ``one_client``."""
        return one_client(client_address(scope, self._proxies))

    def check_user(self, user: str | None) -> None:
        """Refuses a user with too many documents open; nobody unnamed is counted.

        Raises:
            TooMany: there are as many as there may be.
        """
        if user is not None and self._users[user] >= self._settings.user_connections:
            self._metrics.count_limit("user_connections")
            raise TooMany("expected fewer connections of yours")

    def count(self, address: str, change: int) -> None:
        """Counts connections of an address more, or less."""
        self._metrics.connections += change
        _count(self._addresses, address, change)

    def add(self, connection: Connection) -> None:
        """A client's connection is there; it is closed where the server has come to stop."""
        self._connections.add(connection)
        if self._closed:
            connection.close(CloseCode.RESTART, RESTARTS)

    def remove(self, connection: Connection) -> None:
        """A client's connection is gone."""
        self._connections.discard(connection)
        if self._gone is not None and not self._connections:
            self._gone.set()

    def count_user(self, user: str | None, change: int) -> None:
        """Counts documents that a user has open more, or less."""
        if user is not None:
            _count(self._users, user, change)


class Visit:
    """One connection's place in the census."""

    __slots__ = ("_address", "_census", "_connection", "_users")

    def __init__(self, census: Census, address: str) -> None:
        self._census = census
        self._address = address
        self._connection: Connection | None = None
        self._users: list[str | None] = []

    def check_open(self) -> None:
        """See ``Census.check_open``."""
        self._census.check_open()

    def check_user(self, user: str | None) -> None:
        """See ``Census.check_user``."""
        self._census.check_user(user)

    def begin(self, connection: Connection | None = None) -> bool:
        """It has come.

        Args:
            connection: how a client is to be told to go; None for whatever ends otherwise.

        Returns:
            Whether it may stay: a client is told to go where the server has come to stop.
        """
        self._census.count(self._address, 1)
        self._connection = connection
        if connection is not None:
            self._census.add(connection)
        return not self._census.closed

    def open(self, user: str | None) -> None:
        """A document is open for a user."""
        self._users.append(user)
        self._census.count_user(user, 1)

    def close(self, user: str | None) -> None:
        """It is open no more."""
        self._users.remove(user)
        self._census.count_user(user, -1)

    def end(self) -> None:
        """It is gone, and so is whatever was open on it."""
        if self._connection is not None:
            self._census.remove(self._connection)
        for user in tuple(self._users):
            self.close(user)
        self._census.count(self._address, -1)


def _count(counts: Counter[str], key: str, change: int) -> None:
    counts[key] += change
    if not counts[key]:
        del counts[key]
