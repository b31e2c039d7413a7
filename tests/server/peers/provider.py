"""A Hocuspocus provider in memory, and the house it comes to."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.requests import HTTPConnection

from collab.access import Access, Identity
from collab.lib0 import write_var_string
from collab.protocol import hocuspocus, yjs
from collab.server.auth.guard import Authenticate, Guard
from collab.server.limits.census import Census, Visit
from collab.server.limits.strangers import Strangers
from collab.server.peers.hocuspocus import HocuspocusPeer
from collab.server.peers.shared import SharedConnection
from collab.server.rooms.rooms import Rooms
from collab.server.settings import Settings
from collab.server.timers import Timers
from collab.store import Store
from tests.server.stores import SteeredStore
from tests.server.wire import House, Wire, house

HANDSHAKE = {"type": "websocket", "path": "/hocuspocus", "query_string": b"", "headers": []}
APPLIED, REFUSED = b"\x08\x01", b"\x08\x00"
DENIED, CLOSED = b"\x02\x01", b"\x07"
READ_WRITE = hocuspocus.authenticated(may_write=True)


async def by_token(request: HTTPConnection) -> Identity | None:
    """Lets ``ana`` write, ``bob`` read and ``eve`` do neither."""
    known = {"Bearer ana": Access.WRITE, "Bearer bob": Access.READ, "Bearer eve": Access.NONE}
    access = known.get(request.headers.get("authorization", ""))
    return None if access is None else Identity(id="x", access=access)


class Provider:
    """A Hocuspocus provider in memory: what it says, and what each document hears."""

    def __init__(
        self,
        rooms: Rooms,
        settings: Settings,
        timers: Timers,
        visit: Visit,
        strangers: Strangers,
        authenticate: Authenticate | None = None,
    ) -> None:
        self.wire = Wire()
        guard = Guard(authenticate, None)
        shared = SharedConnection(rooms, guard, HANDSHAKE, settings, timers, visit, strangers)
        self.peer = HocuspocusPeer(shared, settings.connection_documents)
        self.wire.on_pressure(self.peer.pause, self.peer.resume)
        self.peer.opened(self.wire)
        self.heard: list[bytes] = []

    def say(self, address: str, body: bytes) -> None:
        self.wire.heard = True
        self.peer.receive(write_var_string(address) + body)

    def open(self, address: str, token: str = "") -> None:
        """Says what a provider says at once: token, step 1."""
        self.say(address, b"\x02\x00" + write_var_string(token))
        self.say(address, yjs.sync_step1(b"\x00"))

    def frames(self, address: str) -> list[bytes]:
        """What came for an address so far, without it."""
        self.heard += self.wire.read()
        prefix = write_var_string(address)
        return [frame[len(prefix) :] for frame in self.heard if frame.startswith(prefix)]

    async def until(self, address: str, body: bytes, count: int = 1) -> None:
        """Waits until a frame came so many times."""
        await self.wire.until(lambda: self.frames(address).count(body) >= count)

    async def opened(self, address: str, token: str = "") -> None:
        """Opens a document as far as its first answers, the step 2 included."""
        self.open(address, token)
        await self.wire.until(
            lambda: any(frame[:2] == b"\x00\x01" for frame in self.frames(address))
        )


@asynccontextmanager
async def inside(
    store: Store | None = None, settings: Settings | None = None
) -> AsyncIterator[House]:
    async with house(store or SteeredStore(), settings) as inner:
        yield inner


def provider(
    inner: House, authenticate: Authenticate | None = None, timers: Timers | None = None
) -> Provider:
    visit = Census(inner.settings, inner.metrics, ()).visit(HANDSHAKE)
    strangers = Strangers(inner.settings, inner.metrics)
    return Provider(
        inner.rooms, inner.settings, timers or inner.timers, visit, strangers, authenticate
    )
