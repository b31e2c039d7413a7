"""The bus over Valkey or Redis: publish/subscribe, and a stream for what the store is slow with.

A change is one command: it is published, with its number among its instance's changes of the
document, so that a gap shows, and with a mark of which of them are durable by now
(``collab.server.bus.marks``). Where none follows soon, instances that write in the document as well
are told it by itself, of all documents at once: what they acknowledge waits for it. The others
hear it when the document comes to rest; whoever cannot wait asks. Who comes later reads the
store, and asks the others. What is not durable after a while goes into the document's stream as
well, and stays there until it is: until then only the instances that have the document open know
it, and they may all end.

What is published of a document, and in private: a kind, the instance, and the rest, with spaces
between. ``u:MARK NUMBER INSTANCE UPDATE`` is a change, an empty one where the mark alone is news;
``f INSTANCE FRAME`` is for ``collab.relay``; ``w INSTANCE`` asks for marks of documents, and
``m INSTANCE`` tells them. A change without a mark is of an instance that has none to give.
"""

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

import anyio

from collab import lib0
from collab.errors import SettingsError
from collab.protocol.messages import EMPTY_UPDATE
from collab.server.bus.bus import Receiver
from collab.server.bus.channels import Channels
from collab.server.bus.deployment import CONNECT_SECONDS, FAILURES, Deployment
from collab.server.bus.hearing import Hearing
from collab.server.bus.instances import BEAT_SECONDS, Instances
from collab.server.bus.link import LONGEST_BYTES, Published
from collab.server.bus.links import Links
from collab.server.bus.numbers import Numbers
from collab.server.bus.questions import Questions
from collab.server.bus.streams import Streams
from collab.server.bus.telling import Telling

logger = logging.getLogger("collab")

_SUBSCRIBE_SECONDS = 2.0
"""How long opening a document waits for the bus; it is served without, and asks later."""
_DOCUMENTS_AT_ONCE = 100
_ASK_SECONDS = 0.05
"""How long a mark may be awaited before it is asked for: twice as long at most."""
_REST_SECONDS = 2.5
"""How long a document is quiet before its last mark goes out: twice as long at most."""


class ValkeyBus:
    """A bus over a deployment of Valkey or Redis.

    It needs asyncio.

    Args:
        deployment: where the servers are.
        prefix: what its keys and channels begin with: instances that share it share documents.
    """

    def __init__(self, deployment: Deployment, prefix: str = "collab:0") -> None:
        self.instance = secrets.token_hex(8)
        self._channels = Channels(prefix)
        self._subscribed: dict[str, Numbers] = {}
        self._unmarked: dict[str, Numbers] = {}
        self._questions = Questions()
        self._asking = anyio.Event()
        self._telling = Telling(self._tell)
        self._instances = Instances(self.instance)
        self._hearing = Hearing(
            self.instance,
            self._channels,
            self._subscribed,
            instances=self._instances,
            questions=self._questions,
            telling=self._telling,
        )
        self._links = Links(
            deployment,
            own=(self._channels.everyone, self._channels.private + self.instance),
            others=lambda: [self._channels.of(document) for document in self._subscribed],
            take=self._hearing.take,
            linked=self._hearing.linked,
            make_good=self._make_good,
            cut_off=self._hearing.cut_off,
        )
        self._streams = Streams(self._links, self.instance, self._channels.shared)

    @property
    def failure(self) -> str | None:
        """Why it is cut off from the others, or None while it is not."""
        return self._links.failure

    @asynccontextmanager
    async def joined(self, receiver: Receiver) -> AsyncIterator[None]:
        """Takes part for as long as the context lasts."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            message = "expected asyncio for a bus over Valkey, got another event loop"
            raise SettingsError(message) from None
        self._hearing.receiver = receiver
        connected = anyio.Event()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._links.run, connected)
            tasks.start_soon(self._beat, receiver)
            tasks.start_soon(self._streams.run)
            tasks.start_soon(self._ask, receiver)
            tasks.start_soon(self._mark_rest)
            with anyio.move_on_after(CONNECT_SECONDS):
                await connected.wait()
            try:
                yield
            finally:
                with anyio.move_on_after(1, shield=True):
                    await self._leave()
                self._links.end()
                tasks.cancel_scope.cancel()

    async def subscribe(self, document: str) -> None:
        """Hears of a document from here on."""
        self._subscribed[document] = Numbers()
        if self._links.failure is not None:
            return
        channel = self._channels.of(document)
        self._links.hear(channel)
        with anyio.move_on_after(_SUBSCRIBE_SECONDS):
            with suppress(*FAILURES):  # It is made good with all others then.
                await self._read_streams([document])
            return
        self._links.make_good_later(channel)

    def unsubscribe(self, document: str) -> None:
        """Hears of it no more."""
        subscription = self._subscribed.pop(document, None)
        if subscription is not None:
            self._publish_gap(document, subscription)
        self._streams.forget(document)
        self._unmarked.pop(document, None)
        self._questions.forget_document(document)
        self._links.unhear(self._channels.of(document))

    def change(self, document: str, update: bytes) -> None:
        """Tells all others of a change."""
        subscription = self._subscribed.get(document)
        if subscription is None:
            return
        number = subscription.begin_own(update)
        self._streams.follow(document, subscription)
        if len(update) > LONGEST_BYTES:
            self._withhold(document)
        else:
            self._publish_change(document, subscription, number, update)

    def committed(self, document: str, seqs: Sequence[range]) -> None:
        """More of the changes are durable."""
        subscription = self._subscribed.get(document)
        if subscription is None:
            return
        kept = subscription.commit_own(seqs)
        self._unmarked[document] = subscription
        if kept:
            self._streams.remove(document, kept)
        for asker, number in subscription.take_answered():
            self._telling.tell(asker, document, subscription.mark(number))
        self._telling.tell_writers(document, subscription)

    def want(self, document: str, instance: str, number: int) -> None:
        """Has another instance tell when its changes up to a number are durable."""
        self._questions.add(document, instance, number)
        self._asking.set()

    def passed_on(self, document: str) -> int:
        """Number of the last change that this instance has passed on."""
        subscription = self._subscribed.get(document)
        return subscription.passed_on if subscription is not None else 0

    def announce(self, frame: bytes) -> None:
        """Tells all others something that is about no document."""
        self._links.put(
            Published(self._channels.everyone, f"said {self.instance} ".encode() + frame)
        )

    def say(self, document: str, frame: bytes, *, to: str | None = None) -> None:
        """Tells all others something, or one of them."""
        if len(frame) > LONGEST_BYTES:
            self._withhold(document)
            return
        head = f"f {self.instance} ".encode()
        if to is None:
            self._links.put(Published(self._channels.of(document), head + frame))
        else:
            name = lib0.write_var_string(document)
            self._links.put(Published(self._channels.private + to, head + name + frame))

    def _withhold(self, document: str) -> None:
        """Has something go by way of the store, which the others read when they see a gap."""
        subscription = self._subscribed.get(document)
        if subscription is not None:
            subscription.withhold()
            self._unmarked[document] = subscription

    def _publish_gap(self, document: str, subscription: Numbers) -> bool:
        """Has all others read the store, whatever they have heard; tells whether it is time."""
        gap = subscription.take_gap()
        for number in gap:
            self._publish_change(document, subscription, number, EMPTY_UPDATE)
        return bool(gap)

    def _publish_change(
        self, document: str, subscription: Numbers, number: int, update: bytes
    ) -> None:
        mark = subscription.take_mark().encoded
        head = b"u:%b %d %b " % (mark, number, self.instance.encode())
        self._links.put(Published(self._channels.of(document), head + update))

    def _tell(self, instance: str, marks: bytes) -> None:
        head = f"m {self.instance} ".encode()
        self._links.put(Published(self._channels.private + instance, head + marks))

    async def _make_good(self, channels: Sequence[str]) -> None:
        """What was not heard or read in time: reads streams, and has instances ask each other."""
        documents = [self._channels.document(channel) for channel in channels]
        for first in range(0, len(documents), _DOCUMENTS_AT_ONCE):
            some = documents[first : first + _DOCUMENTS_AT_ONCE]
            await self._read_streams(some)
            for document in some:
                self._hearing.miss(document)

    async def _read_streams(self, documents: Sequence[str]) -> None:
        """Takes in what others have passed on and not committed yet."""
        subscribed = [document for document in documents if document in self._subscribed]
        async for kept in self._streams.read(subscribed):
            self._hearing.take_change(kept.document, kept.update, kept.instance, kept.number)

    async def _mark_rest(self) -> None:
        """Tells what is durable of documents that have come to rest, and what was not said."""
        while True:
            await anyio.sleep(_REST_SECONDS)
            for document, subscription in tuple(self._unmarked.items()):
                if self._publish_gap(document, subscription):
                    continue
                if subscription.marked:
                    del self._unmarked[document]
                elif self._instances and (number := subscription.take_rest()) is not None:
                    self._publish_change(document, subscription, number, EMPTY_UPDATE)

    async def _ask(self, receiver: Receiver) -> None:
        """Asks for marks that do not come by themselves."""
        while True:
            if not self._questions:
                self._asking = anyio.Event()
                await self._asking.wait()
            await anyio.sleep(_ASK_SECONDS)
            if self._links.failure is not None:
                continue
            for instance, wanted in self._questions.take_due(time.monotonic()).items():
                asked = bytearray(f"w {self.instance} ".encode())
                for document, number, again in wanted:
                    asked += lib0.write_var_string(document) + lib0.write_var_uint(number)
                    if again:
                        receiver.unanswered(document, instance)
                self._links.put(Published(self._channels.private + instance, bytes(asked)))

    async def _beat(self, receiver: Receiver) -> None:
        while True:
            self._links.put(Published(self._channels.everyone, f"alive {self.instance}".encode()))
            await anyio.sleep(BEAT_SECONDS)
            if self._links.failure is not None:
                continue  # Who is cut off cannot know who else is gone.
            for instance in self._instances.take_dead(time.monotonic()):
                logger.warning("instance %s is gone without a word", instance)
                self._questions.forget_instance(instance)
                receiver.died(instance, turn=self._instances.turn)

    async def _leave(self) -> None:
        if self._links.failure is not None:
            return
        if not all(subscription.durable for subscription in self._subscribed.values()):
            # Whoever says that it leaves is taken at its word, that all it passed on is durable.
            logger.warning("leaving the bus without a word: the others log what is not durable")
            return
        self._links.put(Published(self._channels.everyone, f"left {self.instance}".encode()))
        try:
            # Those of other nodes first: who hears that it has left has everything.
            await self._links.flush(last=self._channels.everyone)
        except FAILURES as error:
            logger.warning("leaving the bus: %s", error)
