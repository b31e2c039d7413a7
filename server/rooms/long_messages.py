"""Long messages: read beside the event loop, and taken in a part at a time."""

from collections.abc import Sequence
from dataclasses import replace

import anyio.to_thread

from collab.checking import check_update
from collab.errors import TooLarge
from collab.lib0 import read_var_uint
from collab.nesting import MAX_LEVELS, estimate_levels, measure_levels
from collab.protocol.messages import Message, SyncStep2, Update
from collab.server.settings import Settings
from collab.session import Session
from collab.update import split

LONG_BYTES = 64 * 1024
"""A frame above this is long: reading what is made to be slow takes a twentieth of a second."""

_MAX_PIECES = 16
"""Pieces of one string: with each the CRDT reads all of the string that it has so far."""

_AT_ONCE = 2
"""Long messages that are read at the same time; the store's threads are others."""


class LongMessages:
    """Reads long frames in worker threads, a few at a time over all rooms.

    Long changes are cut, so that others are served between their parts.

    Args:
        settings: how long a part is, and how many clients may write a document.
    """

    def __init__(self, settings: Settings) -> None:
        self._part_bytes = settings.part_bytes
        self._max_clients = settings.document_clients
        self._threads = anyio.CapacityLimiter(_AT_ONCE)

    async def read(self, session: Session, frame: bytes) -> list[Message]:
        """Reads a frame.

        Returns:
            What it comes to, in order. What is to be answered stands with the last part.

        Raises:
            ProtocolError: what ``Session.read`` raises.
            TooLarge: it is a change that no document takes.
        """
        return await anyio.to_thread.run_sync(self._read, session, frame, limiter=self._threads)

    async def read_update(self, update: bytes) -> Sequence[bytes]:
        """Reads a change that came by itself.

        Returns:
            An update that can be kept, in parts to be taken in one after the other.

        Raises:
            PoisonedUpdate: it cannot be kept.
            TooLarge: no document takes it.
        """
        return await anyio.to_thread.run_sync(self._read_update, update, limiter=self._threads)

    def _read_update(self, update: bytes) -> Sequence[bytes]:
        update = check_update(update)
        if len(update) <= LONG_BYTES:
            return (update,)
        self._check_clients(update)
        return self._cut(update)

    def _read(self, session: Session, frame: bytes) -> list[Message]:
        message = session.dialect.decode(frame)
        if message is None:
            return []
        if not isinstance(message, (Update, SyncStep2)):
            return [message]
        self._check_clients(message.update)
        message = session.read(frame)
        assert isinstance(message, (Update, SyncStep2))  # as it was decoded
        *parts, last = self._cut(message.update)
        first = [
            replace(message, update=part, receipt=None, whole=message.receipt, more=True)
            for part in parts
        ]
        return [*first, replace(message, update=last)]

    # Before it is cut: nothing of what cannot be taken in whole is taken in.

    def _check_clients(self, update: bytes) -> None:
        clients, _ = read_var_uint(update, 0)
        if clients > self._max_clients:
            raise TooLarge(f"expected at most {self._max_clients} clients, got {clients}")

    def _cut(self, update: bytes) -> Sequence[bytes]:
        if estimate_levels(update) > MAX_LEVELS < measure_levels(update):
            raise TooLarge(f"expected at most {MAX_LEVELS} types inside each other, got more")
        return list(split(update, self._part_bytes, max_pieces=_MAX_PIECES))
