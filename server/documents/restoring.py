"""Restoring: a document in a room goes back to what it was, as one change that all see at once."""

import time

import anyio.to_thread

from collab.history.point import Point
from collab.server.documents.admitting import Admit
from collab.server.documents.history import History
from collab.server.rooms.opening import open_document
from collab.server.rooms.room import Room
from collab.store import Append, NewEntry, Store


async def restore(
    history: History,
    room: Room,
    to: Point,
    author: str | None,
    admit: Admit,
) -> bool:
    """Restores the document of a room, and waits until that is durable.

    What is written while the restore is computed is undone with the rest.

    Args:
        history: of the store that the room writes to.
        room: where the document is.
        to: the point to go back to.
        author: of the identity in whose name it is stored.
        admit: asked right before the change whether it may still be made.

    Returns:
        Whether anything had to be changed.

    Raises:
        DocumentNotFound: nobody ever changed the document.
        PointNotFound: its history has no such point.
        VersionNotFound: it has no such version.
        HistoryError: the CRDT cannot undo what came since.
        ServerBusy: too much waits for the store.
    """
    await room.programs.saved()
    restoration = await history.restoration(room.name, await history.find(room.name, to))
    await admit()
    return await room.programs.revise(restoration.finish, author)


async def restore_stored(store: Store, document: str, to: Point) -> bool:
    """Restores a document in a store that no server has open.

    Args:
        store: where it is; nobody else writes to it.
        document: document name.
        to: the point to go back to.

    Returns:
        Whether anything had to be changed.

    Raises:
        DocumentNotFound: the store has no such document.
        PointNotFound: its history has no such point.
        VersionNotFound: it has no such version.
        HistoryError: the CRDT cannot undo what came since.
        DocumentDeleted: it was deleted meanwhile, or is another one by now.
    """
    history = History(store)
    opened = await open_document(store, document)
    restoration = await history.restoration(document, await history.find(document, to))
    change = await anyio.to_thread.run_sync(restoration.finish, opened.document)
    if change is None:
        return False
    entry = NewEntry(update=change, time_ms=time.time_ns() // 1_000_000)
    await store.append([Append(document=document, entries=[entry], epoch=opened.stored.epoch)])
    return True
