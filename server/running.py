"""Running: the parts of an app that is entered, and how they end."""

import logging
from collections.abc import Callable
from random import Random

import anyio
from anyio.abc import TaskGroup
from starlette.routing import BaseRoute

from collab.archive import Retention
from collab.server.auth.expiry import Expiry
from collab.server.auth.guard import Guard
from collab.server.auth.origins import Origins
from collab.server.auth.passes import Passes
from collab.server.auth.rights import Rights
from collab.server.company import Company
from collab.server.departure import send_away
from collab.server.documents.catalogue import Catalogue
from collab.server.documents.compactor import Compactor
from collab.server.documents.erasing import Eraser
from collab.server.documents.history import History
from collab.server.documents.pauses import Pauses
from collab.server.endpoints import Handshakes
from collab.server.gauges import watch
from collab.server.http.answering import answering
from collab.server.http.compaction import Compaction
from collab.server.http.demo import demo_routes
from collab.server.http.documents import Documents
from collab.server.http.events import Events
from collab.server.http.following import Followed
from collab.server.http.health import Health
from collab.server.http.metrics import MetricsPage
from collab.server.http.past import Past
from collab.server.http.put_content import PutContent
from collab.server.http.sessions import SessionEndpoints
from collab.server.http.trash import TrashEndpoints
from collab.server.http.updates import Updates
from collab.server.http.versions import Versions
from collab.server.http.who_asks import WhoAsks
from collab.server.http.ysweet import YSweet
from collab.server.limits.addresses import Network
from collab.server.limits.census import Census
from collab.server.metrics import Metrics
from collab.server.rooms.feeds import Feeds
from collab.server.rooms.heartbeat import Heartbeat
from collab.server.rooms.persister import Persister
from collab.server.rooms.relays import Relays
from collab.server.rooms.rooms import Rooms
from collab.server.rooms.seeds import Seed
from collab.server.settings import Settings
from collab.server.tasks import spawner
from collab.server.timers import make_timers
from collab.server.transports.asgi import websocket_routes
from collab.server.transports.sse import Sessions, fallback_routes
from collab.store import Append, Store

logger = logging.getLogger("collab")


class Running:
    """Puts the parts of an app together and starts them; they run in its tasks.

    Args:
        store: where documents are kept; it is open.
        guard: who may do what.
        origins: the web pages that may ask.
        retention: how long changes are kept of documents for which nothing else was said.
        settings: bounds and times.
        tasks: where the parts run.
        proxies: networks whose word on a client's address is taken.
        seed: gives what a document begins with, or None.
        demo: whether ``/`` serves the editor demo.
        relays: the ties to other instances, or None.
        look_for_others: tells whether another process serves the store; None where it may.
        pass_secret: signs the client tokens of y-sweet's clients.

    Attributes:
        app: serves HTTP requests and WebSockets.
        routes: what it serves, by path.
        handshakes: lets clients in, for other transports.
        rooms: the documents that are open.
        persister: commits their changes.
        feeds: where programs hear what happens in them.
        rights: what open sessions may do.
        past: what documents were, and who made them so.
        timers: wake what waits.
        metrics: what is counted.
        settings: as given.
    """

    def __init__(
        self,
        store: Store,
        guard: Guard,
        origins: Origins,
        retention: Retention,
        settings: Settings,
        tasks: TaskGroup,
        proxies: tuple[Network, ...],
        *,
        seed: Seed | None,
        demo: bool,
        relays: Relays | None,
        look_for_others: Callable[[], bool] | None,
        pass_secret: str,
    ) -> None:
        self.settings = settings
        self._left = False
        self._drained = False
        self._has_others = relays is not None
        self.timers = make_timers()
        self.metrics = Metrics()
        spawn = spawner(tasks)
        self.feeds = Feeds(settings)
        pauses = Pauses(store, self.timers, settings, spawn, self.feeds)

        def changed(append: Append, seq: int) -> None:
            pauses.changed(append.document)
            self.feeds.committed(append, seq)

        self.persister = Persister(store, settings, self.timers, self.metrics, changed=changed)
        passes = Passes(guard, pass_secret)
        self.rooms = Rooms(
            store,
            self.persister,
            self.timers,
            settings,
            spawn,
            self.metrics,
            self.feeds,
            seed,
            relays,
            vouched=not guard.open,
        )
        self.rights = Rights(self.rooms, guard, store, relays)
        self.past = History(store)
        catalogue = Catalogue(store, self.rooms)
        self._census = census = Census(settings, self.metrics, proxies)
        self.handshakes = Handshakes(
            self.rooms, guard, passes, origins, settings, self.timers, census, self.metrics
        )
        followed = Followed(store, self.rooms, self.past, guard, census)
        instance = None if relays is None else relays.instance
        sessions = Sessions(self.handshakes, settings, self.timers, instance)
        company = Company(look_for_others, self.timers)
        watch(self.metrics, self.rooms, self.persister)
        self.routes: list[BaseRoute] = [
            *websocket_routes(self.handshakes, settings),
            *fallback_routes(sessions, self.handshakes.strangers, settings),
            *Health(self.persister, relays, company, census).routes(),
            *MetricsPage(self.metrics, guard).routes(),
            *SessionEndpoints(self.rights, guard).routes(),
            *WhoAsks(guard).routes(),
            *Documents(store, self.rooms, self.past, guard).routes(),
            *Past(self.past, self.rooms, guard).routes(),
            *Versions(store, self.rooms, guard).routes(),
            *TrashEndpoints(catalogue, guard).routes(),
            *PutContent(catalogue, guard, settings).routes(),
            *Events(followed, settings, self.metrics).routes(),
            *Updates(store, self.rooms, guard, settings).routes(),
            *YSweet(store, self.rooms, guard, passes, settings).routes(),
            *Compaction(store, guard, retention).routes(),
            *(demo_routes() if demo else []),
        ]
        self.app = answering(self.routes, origins, guard, settings.post_seconds)
        tasks.start_soon(self.timers.run)
        tasks.start_soon(self.persister.run)
        tasks.start_soon(Eraser(store, settings.trash_seconds).run)
        tasks.start_soon(Compactor(store, self.persister, settings, retention).run)
        company.start()
        Heartbeat(self.rooms, self.timers, settings).start()
        Expiry(self.rooms, self.timers, Random()).start()

    async def leave(self) -> None:
        """Lets nobody in any more and sends every client away, within ``moving_seconds``; once.

        Documents are served until their last client is told to go, and requests that are under way
        are answered.
        """
        if self._left:
            return
        self._left = True
        self._census.close()
        with anyio.CancelScope(shield=True):
            seconds = self.settings.moving_seconds if self._has_others else 0.0
            await send_away(self._census, seconds, Random())
            self.feeds.close()

    async def drain(self) -> None:
        """Leaves and waits for the last commit, within ``drain_seconds``; once."""
        await self.leave()
        if self._drained:
            return
        self._drained = True
        with anyio.move_on_after(self.settings.drain_seconds, shield=True) as scope:
            await self.rooms.close()
        if scope.cancelled_caught:
            logger.error(
                "gave up on %d bytes that the store did not take: %s",
                self.persister.backlog.uncommitted_bytes,
                self.persister.failure or "too slow",
            )
