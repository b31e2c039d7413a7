"""Census: how many connections each address and each user has."""

from collections import Counter
from collections.abc import Sequence

from starlette.types import Scope

from collab.errors import TooMany
from collab.server.limits.addresses import Network, client_address
from collab.server.metrics import Metrics
from collab.server.settings import Settings


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

    def visit(self, handshake: Scope) -> "Visit":
        """Gives a place to a client that would come in.

        Args:
            handshake: scope of its handshake.

        Raises:
            TooMany: as many have come from there as may.
        """
        address = self.address_of(handshake)
        if address and self._addresses[address] >= self._settings.address_connections:
            self._metrics.count_limit("address_connections")
            raise TooMany("expected fewer connections from your address")
        return Visit(self, address)

    def address_of(self, scope: Scope) -> str:
        """Names the address a request comes from; see ``client_address``."""
        return client_address(scope, self._proxies)

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

    def count_user(self, user: str | None, change: int) -> None:
        """Counts documents that a user has open more, or less."""
        if user is not None:
            _count(self._users, user, change)


class Visit:
    """One connection's place in the census."""

    __slots__ = ("_address", "_census", "_users")

    def __init__(self, census: Census, address: str) -> None:
        self._census = census
        self._address = address
        self._users: list[str | None] = []

    def check_user(self, user: str | None) -> None:
        """See ``Census.check_user``."""
        self._census.check_user(user)

    def begin(self) -> None:
        """The connection is there."""
        self._census.count(self._address, 1)

    def open(self, user: str | None) -> None:
        """A document is open for a user."""
        self._users.append(user)
        self._census.count_user(user, 1)

    def close(self, user: str | None) -> None:
        """It is open no more."""
        self._users.remove(user)
        self._census.count_user(user, -1)

    def end(self) -> None:
        """The connection is gone, and so is whatever was open on it."""
        for user in tuple(self._users):
            self.close(user)
        self._census.count(self._address, -1)


def _count(counts: Counter[str], key: str, change: int) -> None:
    counts[key] += change
    if not counts[key]:
        del counts[key]
