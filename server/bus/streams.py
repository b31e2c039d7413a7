"""Streams: where changes are kept that the store is slow with, until they are durable."""

import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import anyio

from collab.server.bus.link import LONGEST_BYTES, Appended, Removed
from collab.server.bus.links import Links
from collab.server.bus.numbers import Numbers, Own

logger = logging.getLogger("collab")

_LATE_SECONDS = 0.25
"""How long the store may take at least before a change goes into the stream."""


class Kept(NamedTuple):
    """A change in a stream.

    Attributes:
        document: of which document.
        update: the change.
        instance: whose.
        number: its number among that one's; None where that one tells no marks.
    """

    document: str
    update: bytes
    instance: str
    number: int | None


class Streams:
    """The streams of documents: who comes later finds in them what it does not find in the store.

    Args:
        links: where they are.
        instance: id of this instance.
        prefix: what their names begin with, before the documents'.
    """

    def __init__(self, links: Links, instance: str, prefix: str) -> None:
        self._links = links
        self._instance = instance
        self._prefix = prefix
        self._uncommitted: dict[str, Numbers] = {}
        self._full = False

    def follow(self, document: str, numbers: Numbers) -> None:
        """Keeps changes of this instance that stay uncommitted for a while."""
        self._uncommitted[document] = numbers

    def forget(self, document: str) -> None:
        """Keeps nothing more of a document: it is closed, after its last commit."""
        self._uncommitted.pop(document, None)

    def remove(self, document: str, ids: Sequence[bytes]) -> None:
        """Changes are durable, by their ids in the stream."""
        self._links.put(Removed(self._prefix + document, ids))

    async def read(self, documents: Sequence[str]) -> AsyncIterator[Kept]:
        """Reads what anybody has kept.

        Yields:
            The changes in order, document by document.

        Raises:
            RedisError: it cannot be read.
            OSError: likewise.
        """
        channels = [self._prefix + document for document in documents]
        async for channel, entries in self._links.read(channels):
            document = channel.removeprefix(self._prefix)
            for _, fields in entries:
                try:
                    kept = _read_kept(document, fields)
                except (KeyError, ValueError):
                    logger.error("expected a change in the stream %s, got %.200r", channel, fields)
                else:
                    yield kept

    async def run(self) -> None:
        """Looks for changes that are late, for ever."""
        while True:
            await anyio.sleep(_LATE_SECONDS)
            if self._links.failure is not None:
                continue  # What is late then is kept once there are links.
            for document, numbers in tuple(self._uncommitted.items()):
                channel = self._prefix + document
                for own in numbers.take_late():
                    if len(own.update) > LONGEST_BYTES:
                        continue
                    placed = partial(self._place, channel, own)
                    self._links.put(
                        Appended(channel, self._instance, own.number, own.update, placed)
                    )
                if numbers.durable:
                    del self._uncommitted[document]

    def _place(self, channel: str, own: Own, id_: bytes | None) -> None:
        """A change of this instance is in its stream, or the bus has no space for it."""
        if (id_ is None) != self._full:
            self._full = id_ is None
            told = "is full: who comes later misses what the store is slow with"
            logger.warning("the bus %s", told if self._full else "has space again")
        if id_ is None:
            return
        own.id = id_
        if own.committed:
            self._links.put(Removed(channel, (id_,)))


def _read_kept(document: str, fields: Mapping[bytes, bytes]) -> Kept:
    """Reads an entry.

    Raises:
        KeyError: it is none of an instance.
        ValueError: likewise.
    """
    digits = fields.get(b"n")
    number = None if digits is None else int(digits)
    return Kept(document, fields[b"u"], fields[b"i"].decode(), number)
