"""Collab: the ASGI app, as its host enters and calls it."""

import secrets
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from types import TracebackType

import anyio
from starlette.types import Receive, Scope, Send

from collab.access import ANYONE, Identity, check_name
from collab.archive import KEEP_ALL, Retention
from collab.errors import CollabError, NotRunning, SettingsError, WrongTask
from collab.revocation import Revocation
from collab.server.asynchronous import check_asynchronous
from collab.server.auth.guard import Authenticate, Authorize, Guard
from collab.server.auth.origins import Origins
from collab.server.auth.seating import acquire_permitted
from collab.server.bus.bus import Bus
from collab.server.documents.history import History
from collab.server.ended import ended
from collab.server.limits.addresses import parse_networks
from collab.server.live import LiveDocument
from collab.server.rooms.relays import Relays
from collab.server.rooms.seeds import Seed
from collab.server.running import Running
from collab.server.settings import Settings
from collab.storage.address import open_store
from collab.storage.sqlite import SQLiteStore
from collab.store import Store


class Collab:
    """A collaborative editing backend as an ASGI app; it runs while it is entered.

    Enter it with ``async with`` where the host app starts up. Where it is the outermost app, or
    the host passes lifespan events on to it, it enters itself.

    Args:
        store: where documents are kept: a store, or an address such as ``sqlite:///collab.db``.
        authenticate: names the identity behind a request: ``collab.server.auth.tokens.Tokens``, or
            an async callable of yours; None lets anyone do anything. An async context manager is
            entered with the app.
        authorize: says what an identity may do with a document, and is asked about each; None has
            the identity's own grants say so.
        allow_origins: origins of web pages that may use it beside its own, such as
            ``https://example.org``; ``*`` for all.
        local_only: whether only host names of this machine, and of those origins, are answered:
            for a server that nobody else reaches and that authenticates nobody.
        history: how long changes are kept of documents for which nothing else was said; all of
            them, for ever, where nothing is given.
        settings: bounds and times; the defaults suit most.
        seed: gives what a document begins with that is opened for the first time, as an update
            made with ``collab.seeding``, or None; it is stored before anybody is shown it.
        demo: whether ``/`` serves the editor demo.
        trusted_proxies: networks such as ``10.0.0.0/8`` whose word on a client's address
            (``X-Forwarded-For``) is taken.
        bus: what ties it to other instances that serve the same store; None where it serves alone.
        pass_secret: signs the client tokens that y-sweet's clients are given; instances that have
            the same one take each other's. None makes one up, which ends with the app.

    Raises:
        SettingsError: ``allow_origins`` has something that is no origin, or ``trusted_proxies``
            something that is no network; or one of them is a text and no list; or
            ``authenticate``, ``authorize`` or ``seed`` is a function that is not async; or
            ``history``, ``settings`` or ``bus`` is what only the command takes, such as a text.

    Attributes:
        authenticate: as given.
        settings: as given, or the defaults.
        past: what documents were, and who made them so, while the app is entered.
    """

    def __init__(
        self,
        store: Store | str,
        *,
        authenticate: Authenticate | None = None,
        authorize: Authorize | None = None,
        allow_origins: Iterable[str] = (),
        local_only: bool = False,
        history: Retention = KEEP_ALL,
        settings: Settings | None = None,
        seed: Seed | None = None,
        demo: bool = False,
        trusted_proxies: Iterable[str] = (),
        bus: Bus | None = None,
        pass_secret: str | None = None,
    ) -> None:
        check_asynchronous("authenticate", authenticate)
        check_asynchronous("authorize", authorize)
        check_asynchronous("seed", seed)
        _check_made(history, settings, bus)
        self._relays = None if bus is None else Relays(bus)
        self._proxies = parse_networks(trusted_proxies)
        self._store = open_store(store) if isinstance(store, str) else store
        self.authenticate = authenticate
        self._guard = Guard(authenticate, authorize)
        self._origins = Origins(allow_origins, local_only=local_only)
        self._history = history
        self.settings = settings or Settings()
        self._seed = seed
        self._demo = demo
        self._pass_secret = pass_secret or secrets.token_urlsafe(32)
        self._exits = AsyncExitStack()
        self._running: Running | None = None
        self._entered_by: int | None = None
        self._ended = False

    @property
    def running(self) -> Running:
        """The parts of the running app.

        Raises:
            NotRunning: the app is not entered.
        """
        if self._running is None and self._ended:
            raise NotRunning("expected a running app, got one that has ended")
        if self._running is None:
            raise NotRunning(
                "expected a running app: enter it in the host's lifespan, `async with collab: ...`"
            )
        return self._running

    @property
    def past(self) -> History:
        """What documents were, and who made them so.

        Raises:
            NotRunning: the app is not entered.
        """
        return self.running.past

    async def __aenter__(self) -> "Collab":
        """Opens the store and starts to serve.

        Raises:
            NotRunning: it is entered already.
            StoreError: the store cannot be opened.
        """
        if self._running is not None:
            raise NotRunning("expected an app that is not running yet, got one that is")
        async with AsyncExitStack() as exits:
            await exits.enter_async_context(self._store)
            look = None
            if isinstance(self._store, SQLiteStore) and self._relays is None:
                look = exits.enter_context(self._store.neighbours()).look
            if isinstance(self.authenticate, AbstractAsyncContextManager):
                await exits.enter_async_context(self.authenticate)
            tasks = await exits.enter_async_context(anyio.create_task_group())
            exits.callback(tasks.cancel_scope.cancel)
            if self._relays is not None:
                await exits.enter_async_context(self._relays.joined())
            running = Running(
                self._store,
                self._guard,
                self._origins,
                self._history,
                self.settings,
                tasks,
                self._proxies,
                seed=self._seed,
                demo=self._demo,
                relays=self._relays,
                look_for_others=look,
                pass_secret=self._pass_secret,
            )
            exits.push_async_callback(running.drain)
            await running.rights.learn()
            self._exits = exits.pop_all()
        self._entered_by = anyio.get_current_task().id
        self._running = running
        return self

    async def __aexit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Sends every client away, commits what is left and closes the store.

        What is raised in the context comes out of it as it is, in no group.

        Raises:
            WrongTask: another task entered it; all of that was done.
        """
        if isinstance(exception, Exception):  # The task group is told of cancellations alone.
            exception_type = exception = traceback = None
        try:
            await self._exits.__aexit__(exception_type, exception, traceback)
        except RuntimeError as error:  # What anyio says of its cancel scopes then.
            if anyio.get_current_task().id == self._entered_by:
                raise
            raise WrongTask(
                "expected the app to be left in the task that entered it, got another, as of an "
                "async fixture of pytest-asyncio: enter it in the test, or use anyio's plugin"
            ) from error
        finally:
            self._running = None
            self._ended = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one ASGI scope; with 503 once the app has ended.

        Raises:
            NotRunning: the host never entered it.
        """
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
        elif self._running is None and self._ended:
            await ended(scope, receive, send)
        else:
            await self.running.app(scope, receive, send)

    @asynccontextmanager
    async def document(
        self, name: str, *, identity: Identity = ANYONE
    ) -> AsyncIterator[LiveDocument]:
        """Opens a document to read and edit it live, beside the clients that have it open.

        Leaving the context waits until what was changed is durable.

        Args:
            name: document name; a document nobody ever changed is empty.
            identity: in whose name changes are stored.

        Raises:
            InvalidName: this cannot name a document.
            Unauthenticated: the identity was revoked.
            AccessDenied: the identity may not read it; on leaving: it was changed by one that may
                only read.
            NotRunning: the app is not entered.
            DocumentDeleted: it was deleted, before or meanwhile.
            StoreError: the document cannot be loaded, or not be seeded.
            ServerBusy: too many clients are joining, or it is being rebuilt for long.
            WrongThread: on leaving: it was changed on another thread.
        """
        running = self.running
        permit = await self._guard.permit(identity, check_name(name))
        room, permit = await acquire_permitted(running.rooms, self._guard, permit)
        try:
            live = LiveDocument(room, permit, running.timers, running.past)
            with live.entered():
                await live.synced()
                yield live
                await live.saved()
        finally:
            running.rooms.release(room)

    async def revoke(
        self,
        *,
        user: str | None = None,
        token_id: str | None = None,
        document: str | None = None,
    ) -> int:
        """Ends sessions at once, and refuses their tokens from now on, on all instances.

        Tokens that are made later are good again. Where several of the arguments are given, all of
        them must fit.

        Args:
            user: whose sessions, by the id of their identity.
            token_id: of which token.
            document: in which document.

        Returns:
            How many sessions of this instance were ended.

        Raises:
            NotRunning: the app is not entered.
            StoreError: it cannot be stored: sessions were ended all the same, and instances that
                start later do not know.
        """
        revocation = Revocation(user=user, token_id=token_id, document=document)
        return await self.running.rights.revoke(revocation, time.time())

    async def recheck(self, *, user: str | None = None, document: str | None = None) -> None:
        """Asks ``authorize`` again, and has open sessions follow without a reconnect.

        Who may only read from now on stays and reads; who may not even that is sent away.

        Args:
            user: about whom, by the id of their identity; None for everybody.
            document: about which document; None for all.

        Raises:
            NotRunning: the app is not entered.
        """
        await self.running.rights.recheck(user=user, document=document)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()  # lifespan.startup
        try:
            await self.__aenter__()
        except CollabError as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.startup.complete"})
        try:
            await receive()  # lifespan.shutdown
        finally:
            await self.__aexit__(None, None, None)
        await send({"type": "lifespan.shutdown.complete"})


def _check_made(history: object, settings: object, bus: object) -> None:
    """Refuses what the command line would take, and type checkers would not."""
    if not isinstance(history, Retention):
        raise SettingsError(f"expected history like Retention.parse('30d'), got {history!r}")
    if not isinstance(settings, Settings | None):
        raise SettingsError(f"expected settings like Settings(unload_seconds=60), got {settings!r}")
    if isinstance(bus, str):
        raise SettingsError(f"expected a bus, as open_bus(address) makes one, got {bus!r}")
