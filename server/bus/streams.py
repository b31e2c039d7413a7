"""Streams: where changes are kept that the store is slow with, until they are durable."""

from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import NamedTuple

import anyio

from collab.server.bus.link import Appended, Removed
from collab.server.bus.links import Links
from collab.server.bus.numbers import Numbers, Own

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
                digits = fields.get(b"n")
                number = None if digits is None else int(digits)
                yield Kept(document, fields[b"u"], fields[b"i"].decode(), number)

    async def run(self) -> None:
        """Looks for changes that are late, for ever."""
        while True:
            await anyio.sleep(_LATE_SECONDS)
            for document, numbers in tuple(self._uncommitted.items()):
                channel = self._prefix + document
                for own in numbers.take_late():
                    placed = partial(self._place, channel, own)
                    self._links.put(
                        Appended(channel, self._instance, own.number, own.update, placed)
                    )
                if numbers.durable:
                    del self._uncommitted[document]

    def _place(self, channel: str, own: Own, id_: bytes) -> None:
        """A change of this instance is in its stream."""
        own.id = id_
        if own.committed:
            self._links.put(Removed(channel, (id_,)))
