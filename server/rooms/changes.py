"""Changes: what gathered in a room's window, by who wrote it."""

import time
from collections.abc import Iterable, Mapping, Sequence

from collab.merging import merge
from collab.protocol.messages import Receipt, Update
from collab.server.rooms.member import Member
from collab.store import NewEntry

Change = tuple[Member, Update | Receipt]
"""A change and its writer; or a writer, and what it wants to be sent when it is durable so far."""

_ENTRY_CHANGES = 100
"""Changes of a writer that one entry of the log holds at most: history is as fine as that."""


def parts_of(changes: Sequence[Change]) -> dict[Member, bytes]:
    """Merges what each writer wrote.

    Raises:
        PoisonedUpdate: something of it cannot be merged.
    """
    if len(changes) == 1:  # As most often: what is typed in a small room goes on at once.
        ((writer, message),) = changes
        return {writer: message.update} if type(message) is Update else {}
    return {writer: merge(updates) for writer, updates in _updates_of(changes).items()}


def receipts_of(changes: Iterable[Change]) -> dict[Member, list[bytes]]:
    """Gathers what each writer wants to be sent when all of it is durable."""
    by_writer: dict[Member, list[bytes]] = {}
    for writer, message in changes:
        receipt = message.receipt if type(message) is Update else message
        if receipt is not None:
            assert isinstance(receipt, Receipt)
            by_writer.setdefault(writer, []).append(receipt.accepted)
    return by_writer


def entries_of(parts: Mapping[Member, bytes], changes: Sequence[Change] = ()) -> list[NewEntry]:
    """Makes entries of what writers wrote, as of now: one each, or one for each hundred changes.

    Args:
        parts: each writer's changes, merged.
        changes: the same one by one, where they are known.

    Raises:
        PoisonedUpdate: something of it cannot be merged.
    """
    time_ms = now_ms()
    by_writer = _updates_of(changes) if len(changes) > _ENTRY_CHANGES else {}
    return [
        NewEntry(update=step, time_ms=time_ms, author=writer.session.identity.author)
        for writer, part in parts.items()
        for step in _steps(part, by_writer.get(writer, ()))
    ]


def _steps(part: bytes, updates: Sequence[bytes]) -> Sequence[bytes]:
    """Cuts what one writer wrote; most often it is one step, merged already."""
    if len(updates) <= _ENTRY_CHANGES:
        return (part,)
    return [
        merge(updates[first : first + _ENTRY_CHANGES])
        for first in range(0, len(updates), _ENTRY_CHANGES)
    ]


def _updates_of(changes: Iterable[Change]) -> dict[Member, list[bytes]]:
    by_writer: dict[Member, list[bytes]] = {}
    for writer, message in changes:
        if type(message) is Update:
            by_writer.setdefault(writer, []).append(message.update)
    return by_writer


def now_ms() -> int:
    """Milliseconds since the Unix epoch."""
    return time.time_ns() // 1_000_000
