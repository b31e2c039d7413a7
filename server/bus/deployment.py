"""Deployments: one server of Valkey or Redis, one that sentinels watch, or a cluster of them."""

from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import anyio
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import MasterNotFoundError
from redis.backoff import NoBackoff
from redis.exceptions import ClusterDownError, RedisError

CONNECT_SECONDS = 3.0
ANSWER_SECONDS = 5.0

FAILURES = (RedisError, OSError, TimeoutError)
"""What goes wrong between us and a server, whatever the reason."""

_SLOTS = 16384
"""Hash slots of a cluster (https://valkey.io/topics/cluster-spec/, "Key distribution model")."""

Address = tuple[str, int]
"""Host and port."""


@dataclass(frozen=True, slots=True)
class Entrance:
    """How a deployment's servers are entered, whichever it is.

    Attributes:
        scheme: ``redis``, or ``rediss`` with TLS.
        credentials: ``USER:PASSWORD``, percent-encoded, or nothing.
        options: more for the client, as a query.
    """

    scheme: str
    credentials: str
    options: str

    def url(self, address: Address, database: int = 0) -> str:
        """What the client calls one server and its database."""
        host, port = address
        shown = f"[{host}]" if ":" in host else host
        user = f"{self.credentials}@" if self.credentials else ""
        return f"{self.scheme}://{user}{shown}:{port}/{database}?{self.options}"


@dataclass(frozen=True, slots=True)
class Node:
    """A server that takes commands.

    Attributes:
        url: where it is.
        slots: the hash slots it serves.
    """

    url: str
    slots: Sequence[range]


class Deployment(Protocol):
    """Where the servers are at this moment.

    Attributes:
        sharded: whether keys and channels are spread over several nodes, by hash slot.
    """

    sharded: bool

    async def find(self) -> Sequence[Node]:
        """Finds the nodes that take commands, which together serve all slots.

        Raises:
            RedisError: there are none now.
            OSError: likewise.
        """
        ...


class Standalone:
    """One server, at one address.

    Args:
        entrance: how it is entered.
        address: where it is.
        database: number of its database.
    """

    sharded = False

    def __init__(self, entrance: Entrance, address: Address, database: int = 0) -> None:
        self._node = Node(entrance.url(address, database), [range(_SLOTS)])

    async def find(self) -> Sequence[Node]:
        """Tells the one there is."""
        return [self._node]


class Sentinels:
    """A server and its replicas, one of which takes its place when it dies.

    Which one it is is asked of the sentinels in turn, and then of the server itself
    (https://valkey.io/topics/sentinel-clients/).

    Args:
        watchers: how sentinels are entered.
        addresses: where they are.
        service: what they call the server they watch.
        entrance: how that one is entered.
        database: number of its database.
    """

    sharded = False

    def __init__(
        self,
        watchers: Entrance,
        addresses: Sequence[Address],
        service: str,
        entrance: Entrance,
        database: int = 0,
    ) -> None:
        self._urls = deque(watchers.url(address) for address in addresses)
        self._service = service
        self._entrance = entrance
        self._database = database

    async def find(self) -> Sequence[Node]:
        """Asks which server takes commands now."""
        why: Exception | None = None
        self._urls.rotate(-1)  # One that does not know better must not be the first for ever.
        for url in tuple(self._urls):
            try:
                async with connected(url) as sentinel:
                    found = await _ask(
                        sentinel, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._service
                    )
                if found:
                    return [await self._checked(found)]
            except FAILURES as error:
                why = error
        raise MasterNotFoundError(
            f"expected a sentinel that knows {self._service!r}, got none: {why}"
        )

    async def _checked(self, found: Sequence[bytes]) -> Node:
        host, port = found
        url = self._entrance.url((host.decode(), int(port)), self._database)
        async with connected(url) as server:
            role, *_ = await _ask(server, "ROLE")
        if role != b"master":
            raise MasterNotFoundError(
                f"expected {host.decode()}:{int(port)} to take commands, got a replica"
            )
        return Node(url, [range(_SLOTS)])


class Cluster:
    """A cluster, whose nodes share the hash slots.

    Args:
        entrance: how each node is entered.
        addresses: of some nodes; they name the others.
    """

    sharded = True

    def __init__(self, entrance: Entrance, addresses: Sequence[Address]) -> None:
        self._entrance = entrance
        self._given = tuple(addresses)
        self._known = deque(addresses)

    async def find(self) -> Sequence[Node]:
        """Asks one node after the other which has which slots."""
        why: Exception | None = None
        self._known.rotate(-1)  # One that is parted from the others must not be the first for ever.
        for address in tuple(self._known):
            try:
                async with connected(self._entrance.url(address)) as node:
                    shares = await _ask(node, "CLUSTER", "SLOTS")
                return self._read(shares, address)
            except FAILURES as error:
                why = error
        raise ClusterDownError(f"expected a node of the cluster, got none: {why}")

    def _read(self, shares: Sequence[Sequence[object]], asked: Address) -> Sequence[Node]:
        """Reads which slots each primary has; their replicas come after it.

        https://valkey.io/commands/cluster-slots/
        """
        slots: dict[Address, list[range]] = {}
        known = set(self._given)
        for first, last, *nodes in shares:
            assert isinstance(first, int)
            assert isinstance(last, int)
            primary, *replicas = [_read_address(node, asked) for node in nodes]
            if primary is None:
                raise ClusterDownError(
                    f"expected the address of who has slots {first} to {last}, got '?'"
                )
            slots.setdefault(primary, []).append(range(first, last + 1))
            known.update(address for address in (primary, *replicas) if address is not None)
        self._known.extend(known - set(self._known))
        served = sum(len(each) for ranges in slots.values() for each in ranges)
        if served < _SLOTS:
            raise ClusterDownError(f"expected nodes for {_SLOTS} slots, got some for {served}")
        return [Node(self._entrance.url(at), ranges) for at, ranges in slots.items()]


def connect(url: str) -> Redis:
    """Makes a client that fails where it fails, and does not try again."""
    client: Redis = Redis.from_url(
        url,
        protocol=3,
        socket_connect_timeout=CONNECT_SECONDS,
        socket_timeout=ANSWER_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )
    return client


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Redis]:
    """Such a client, for a question or two."""
    client = connect(url)
    try:
        yield client
    finally:
        with anyio.move_on_after(1, shield=True):
            await client.aclose()


async def _ask(server: Redis, *command: str) -> Sequence[Any]:
    """Gives the answer as it comes: what the client makes of it differs by release."""
    answer: Sequence[Any] = await server.execute_command(*command)  # type: ignore[no-untyped-call]  # redis-py's own
    return answer


def _read_address(node: object, asked: Address) -> Address | None:
    """Reads where a node is; None where whoever was asked cannot tell.

    A host that is null or empty stands for the one that was asked. One that is ``?`` is some node
    without the name it should have; its IP may stand beside it
    (https://valkey.io/commands/cluster-slots/, "Nested Result Array").
    """
    assert isinstance(node, list)
    host, port, *more = node
    if host == b"?":
        host = _read_ip(more)
        if not host:
            return None
    return (host.decode() if host else asked[0]), int(port)


def _read_ip(more: Sequence[object]) -> bytes | None:
    """Reads the IP of a node out of what stands behind its host and its port."""
    networking = more[1] if len(more) > 1 else None
    ip = networking.get(b"ip") if isinstance(networking, dict) else None
    return ip if isinstance(ip, bytes) else None
