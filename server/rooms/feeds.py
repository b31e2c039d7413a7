"""Feeds: what happens in documents, for programs of this server that follow them."""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import anyio

from collab.access import Identity
from collab.errors import ServerBusy
from collab.happenings import Changed, Happening
from collab.revocation import Revocation
from collab.server.settings import Settings
from collab.store import Append, Entry

Wants = Callable[[Happening], bool]
"""Says whether a subscriber is to hear of something."""


class Subscription:
    """One program's place in a feed: an iterator over what happens, in order.

    It ends when the feed does. What waits for it is bounded: where the program reads too slowly it
    raises ``ServerBusy`` after what was kept.

    Args:
        wants: what it is to hear of.
        settings: the bounds.
        identity: whose it is, where it ends with their rights.
    """

    def __init__(self, wants: Wants, settings: Settings, identity: Identity | None) -> None:
        self.identity = identity
        self._wants = wants
        self._settings = settings
        self._waiting: deque[Happening] = deque()
        self._bytes = 0
        self._wake = anyio.Event()
        self._ended = False
        self._behind = False

    def __aiter__(self) -> "Subscription":
        return self

    async def __anext__(self) -> Happening:
        while not self._waiting:
            if self._behind:
                raise ServerBusy("expected a program that keeps up with the document, got a slower")
            if self._ended:
                raise StopAsyncIteration
            self._wake = anyio.Event()
            await self._wake.wait()
        happening = self._waiting.popleft()
        self._bytes -= _size(happening)
        return happening

    def offer(self, happening: Happening) -> bool:
        """Puts something in line, where it is wanted and there is space; tells whether."""
        if self._ended or self._behind or not self._wants(happening):
            return False
        self._bytes += _size(happening)
        self._behind = (
            len(self._waiting) >= self._settings.happenings_waiting
            or self._bytes > self._settings.outbox_max_bytes
        ) and bool(self._waiting)
        if not self._behind:
            self._waiting.append(happening)
        self._wake.set()
        return not self._behind

    def end(self) -> None:
        """Nothing more comes."""
        self._ended = True
        self._wake.set()


class Feeds:
    """The feeds of all documents, in memory or not. Where nobody follows, nothing is done.

    A change may be told twice, by its commit and by who has read it back before that returned, and
    what other servers write may be told late: who follows goes by the seq.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._subscriptions: dict[str, dict[Subscription, None]] = {}
        self._closed = False

    def are_followed(self, document: str) -> bool:
        """Whether anybody follows a document."""
        return document in self._subscriptions

    def committed(self, append: Append, seq: int) -> None:
        """Tells who follows a document that changes of it are durable.

        Args:
            append: the changes.
            seq: seq of the last of them.
        """
        if not self.are_followed(append.document):
            return
        for number, new in enumerate(append.entries, seq - len(append.entries) + 1):
            entry = Entry(seq=number, update=new.update, time_ms=new.time_ms, author=new.author)
            self.publish(append.document, Changed(entry))

    def publish(self, document: str, happening: Happening) -> int:
        """Tells who follows a document; returns how many that are."""
        followers = self._subscriptions.get(document, ())
        return sum(follower.offer(happening) for follower in tuple(followers))

    def end(self, document: str) -> None:
        """Ends a document's feed: it is gone."""
        for follower in self._subscriptions.get(document, ()):
            follower.end()

    def revoke(self, revocation: Revocation) -> int:
        """Ends the subscriptions of those whose sessions end; returns how many those are."""
        ended = 0
        for document, followers in self._subscriptions.items():
            for follower in followers:
                if follower.identity and revocation.covers(follower.identity, document):
                    follower.end()
                    ended += 1
        return ended

    def close(self) -> None:
        """Ends all feeds, and those that are yet to come."""
        self._closed = True
        for document in self._subscriptions:
            self.end(document)

    @contextmanager
    def follow(
        self, document: str, wants: Wants, identity: Identity | None = None
    ) -> Iterator[Subscription]:
        """Follows a document for as long as the context lasts.

        Args:
            document: document name.
            wants: says what to hear of.
            identity: whose right to read it this depends on; None where that is looked after
                elsewhere.
        """
        subscription = Subscription(wants, self._settings, identity)
        if self._closed:
            subscription.end()
        followers = self._subscriptions.setdefault(document, {})
        followers[subscription] = None
        try:
            yield subscription
        finally:
            subscription.end()
            del followers[subscription]
            if not followers:
                del self._subscriptions[document]


def _size(happening: Happening) -> int:
    """What keeps memory, in bytes: the other kinds are bounded by what they are."""
    return len(happening.entry.update) if isinstance(happening, Changed) else 0
