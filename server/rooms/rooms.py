"""Rooms: the documents in memory, each loaded once and unloaded when nobody needs it."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import anyio

from collab.access import check_name
from collab.app_messages import AppMessage
from collab.close import CloseCode
from collab.errors import NotRunning, ServerBusy
from collab.happenings import Said
from collab.server.limits.census import RESTARTS
from collab.server.metrics import Metrics
from collab.server.rooms.admission import Admission
from collab.server.rooms.facilities import Facilities
from collab.server.rooms.farewell import Farewell
from collab.server.rooms.feeds import Feeds
from collab.server.rooms.long_messages import LongMessages
from collab.server.rooms.opening import report
from collab.server.rooms.origin import Origin
from collab.server.rooms.persister import Persister
from collab.server.rooms.refusals import Refusals
from collab.server.rooms.relay import Relay
from collab.server.rooms.relays import Relays
from collab.server.rooms.room import Room
from collab.server.rooms.seeds import Seed, open_seeded
from collab.server.settings import Settings
from collab.server.tasks import Spawn
from collab.server.timers import Timers
from collab.store import Store

logger = logging.getLogger("collab")


class _Entry:
    """A room that is loading, loaded or on its way out; ``ready`` is None once it is loaded."""

    __slots__ = ("error", "leases", "ready", "relay", "room", "unload_scheduled")

    def __init__(self) -> None:
        self.ready: anyio.Event | None = anyio.Event()
        self.room: Room | None = None
        self.relay: Relay | None = None
        self.error: Exception | None = None
        self.leases = 0
        self.unload_scheduled = False


class Rooms:
    """Gives rooms out; a room stays in memory while it is held and a little longer.

    Attributes:
        spawn: runs what outlives its caller: loads, unloads, waits of transports.
        feeds: where programs follow documents, in memory or not.
    """

    def __init__(
        self,
        store: Store,
        persister: Persister,
        timers: Timers,
        settings: Settings,
        spawn: Spawn,
        metrics: Metrics,
        feeds: Feeds,
        seed: Seed | None = None,
        relays: Relays | None = None,
        *,
        vouched: bool = False,
    ) -> None:
        self.feeds = feeds
        self._store = store
        self._settings = settings
        self._metrics = metrics
        self._seed = seed
        self._relays = relays
        self.spawn = spawn
        self._facilities = Facilities(
            settings=settings,
            metrics=metrics,
            timers=timers,
            spawn=spawn,
            persister=persister,
            refusals=Refusals(store, spawn),
            admission=Admission(settings.syncs_in_flight, settings.syncs_waiting),
            long_messages=LongMessages(settings),
            feeds=feeds,
            vouched=vouched,
        )
        if relays is not None:
            persister.backlog.hasten(relays.want)
        self._entries: dict[str, _Entry] = {}
        self._changing: dict[str, anyio.Event] = {}
        self._closing = False

    @property
    def admission(self) -> Admission:
        """Who is being brought up to date, over all rooms."""
        return self._facilities.admission

    @property
    def long_messages(self) -> LongMessages:
        """What reads long changes beside the event loop."""
        return self._facilities.long_messages

    @property
    def loaded(self) -> list[Room]:
        """The rooms in memory."""
        return [room for room in self._all if not room.ended]

    def find(self, name: str) -> Room | None:
        """The room of this name if it is in memory."""
        entry = self._entry(name)
        return entry.room if entry else None

    def say(self, name: str, message: AppMessage) -> int:
        """Passes on an application's message to whoever has a document open or follows it.

        Returns:
            How many connections and programs that are.

        Raises:
            InvalidMessage: it is no JSON, or too long.
        """
        room = self.find(name)
        if room is not None:
            return room.messaging.say(message)
        text = message.encode(self._settings.app_message_max_bytes)
        if self._relays is not None:
            self._relays.tell(name, text, message.to, message.sender)
        return self.feeds.publish(name, Said(message))

    def acquire_loaded(self, name: str) -> Room | None:
        """Gives out a room that is in memory, without a wait; None where it is not."""
        entry = self._entry(name)
        if entry is None or entry.room is None or self._closing or name in self._changing:
            return None
        entry.leases += 1
        return entry.room

    async def acquire(self, name: str, *, seeded: bool = True) -> Room:
        """Gives out the room of this name, loading it if need be; ``release`` it once.

        Args:
            name: document name.
            seeded: whether a document that is not there yet begins with its seed; not so for
                whoever brings content of their own.

        Raises:
            InvalidName: this cannot name a document.
            StoreError: it could not be loaded.
            NotRunning: the server is shutting down.
            ServerBusy: too many documents are open.
        """
        check_name(name)
        await self._free(name)
        if self._closing:
            raise NotRunning("the server is shutting down")
        entry = self._entry(name)
        if entry is None:
            if len(self._entries) >= self._settings.rooms:
                self._metrics.count_limit("rooms")
                raise ServerBusy("expected fewer documents open at once")
            entry = self._entries[name] = _Entry()
            # A task of the server's, not of whoever asks first: their end must not end the load.
            self.spawn(partial(self._load, name, entry, seeded))
        entry.leases += 1
        if entry.ready is not None:
            try:
                await entry.ready.wait()
            except BaseException:
                self._release(name, entry)
                raise
        if entry.room is None:
            assert entry.error is not None
            raise entry.error
        if self._closing:
            self._release(name, entry)
            raise NotRunning("the server is shutting down")
        return entry.room

    def release(self, room: Room) -> None:
        """Gives a room back."""
        entry = self._entries.get(room.name)
        if entry is not None and entry.room is room:  # It has not ended.
            self._release(room.name, entry)

    @asynccontextmanager
    async def listening(self, name: str) -> AsyncIterator[None]:
        """Hears what other servers do with a document, for who follows it, while the context lasts.

        They are heard where the document is in memory; a server that is alone need not have it.

        Raises:
            CollabError: what ``acquire`` raises.
        """
        room = await self.acquire(name) if self._relays is not None else None
        try:
            yield
        finally:
            if room is not None:
                self.release(room)

    @asynccontextmanager
    async def without(self, name: str, farewell: Farewell) -> AsyncIterator[None]:
        """Keeps a document out of memory while the context lasts, to change it in the store.

        What was taken in of it is durable before, and nothing more is taken in. Those who have it
        open are closed afterwards, and whoever asks for it meanwhile waits. Where the context
        raises, they are told to come back.

        Args:
            name: document name.
            farewell: how they are closed.

        Raises:
            InvalidName: this cannot name a document.
        """
        check_name(name)
        await self._free(name)
        changed = self._changing[name] = anyio.Event()
        room = None
        try:
            entry = self._entry(name)
            if entry is not None and entry.ready is not None:
                await entry.ready.wait()
            room = entry.room if entry is not None else None
            if room is not None:
                await room.content.stop()
            yield
        except BaseException:
            if room is not None:
                error = ServerBusy(f"expected {name!r} to stay open, got one that is opened anew")
                room.end(Farewell(CloseCode.RESTART, "the document is opened anew", error))
            raise
        else:
            if room is not None:
                room.end(farewell)
            if self._relays is not None:
                self._relays.end(name)
        finally:
            del self._changing[name]
            changed.set()

    async def close(self) -> None:
        """Closes every connection and waits until every change is durable."""
        self._closing = True
        for room in self.loaded:
            room.close_all(CloseCode.RESTART, RESTARTS)
        for room in self._all:
            await room.settle()
            room.content.checkpoint()
        for room in self._all:
            await room.settle()
        await self._facilities.refusals.settle()

    @property
    def _all(self) -> list[Room]:
        """The rooms in memory, and those that have ended with changes on their way to the store."""
        return [entry.room for entry in self._entries.values() if entry.room is not None]

    def _entry(self, name: str) -> _Entry | None:
        """The entry of a name, unless its room has ended."""
        entry = self._entries.get(name)
        if entry is None or entry.room is None or not entry.room.ended:
            return entry
        if entry.room.content.durable:
            del self._entries[name]
            self._part(name, entry)
        return None

    async def _free(self, name: str) -> None:
        """Waits while a document is changed in the store, or a room of it that has ended is.

        What such a room has taken in is in no log yet: another one would be without it.
        """
        while True:
            entry = self._entries.get(name)
            room = entry.room if entry is not None else None
            if name in self._changing:
                await self._changing[name].wait()
            elif room is not None and room.ended and not room.content.durable:
                await room.content.settled()
            else:
                return

    def _part(self, name: str, entry: _Entry) -> None:
        """A room that is not in memory any more hears nothing from other instances."""
        if self._relays is not None and entry.relay is not None:
            self._relays.close(name, entry.relay)

    async def _load(self, name: str, entry: _Entry, seeded: bool) -> None:
        try:
            if self._relays is not None:
                entry.relay = await self._relays.open(name, self._facilities.persister.backlog)
            opened = await open_seeded(self._store, name, self._seed if seeded else None)
        except Exception as error:  # noqa: BLE001 - whoever waits for the room gets it as theirs
            entry.error = error
            del self._entries[name]
            self._part(name, entry)
        else:
            entry.room = Room(
                opened,
                self._facilities,
                origin=Origin(self._store, name),
                relay=entry.relay,
            )
            if entry.relay is not None:
                entry.relay.enter(entry.room)
            self.spawn(partial(report, self._store, opened))
            if entry.leases == 0:  # Whoever asked has given up.
                self._schedule_unload(name, entry)
        finally:
            if entry.room is None and entry.error is None:
                entry.error = NotRunning("the server has shut down")
            ready, entry.ready = entry.ready, None
            assert ready is not None
            ready.set()

    def _release(self, name: str, entry: _Entry) -> None:
        entry.leases -= 1
        if entry.leases == 0:
            self._schedule_unload(name, entry)

    def _schedule_unload(self, name: str, entry: _Entry) -> None:
        if entry.unload_scheduled or self._closing:
            return
        entry.unload_scheduled = True

        def unload() -> None:
            self.spawn(partial(self._unload, name, entry))

        self._facilities.timers.call_later(self._settings.unload_seconds, unload)

    async def _unload(self, name: str, entry: _Entry) -> None:
        """Drops a room that nobody holds, once all it was given is durable."""
        entry.unload_scheduled = False
        room = entry.room
        if room is None or self._is_held(entry):
            return
        await room.settle()
        room.content.checkpoint()
        await room.settle()
        # Nothing is awaited from the check to the removal: nobody can come in between.
        if self._entries.get(name) is entry and (room.ended or not self._is_held(entry)):
            del self._entries[name]
            self._part(name, entry)

    @staticmethod
    def _is_held(entry: _Entry) -> bool:
        return entry.leases > 0
