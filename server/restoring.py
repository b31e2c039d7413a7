"""Restoring: a document in a room goes back to what it was, as one change that all see at once."""

from collections.abc import Awaitable, Callable

from collab.history.point import Point
from collab.server.history import History
from collab.server.room import Room


async def restore(
    history: History,
    room: Room,
    to: Point,
    author: str | None,
    admit: Callable[[], Awaitable[object]],
) -> bool:
    """Restores the document of a room, and waits until that is durable.

    What is written while the restore is computed is undone with the rest.

    Args:
        history: of the store that the room writes to.
        room: where the document is.
        to: the point to go back to.
        author: id of the identity in whose name it is stored.
        admit: asked right before the change whether it may still be made; raises where not.

    Returns:
        Whether anything had to be changed.

    Raises:
        DocumentNotFound: nobody ever changed the document.
        PointNotFound: its history has no such point.
        VersionNotFound: it has no such version.
        HistoryError: the CRDT cannot undo what came since.
        ServerBusy: too much waits for the store.
    """
    await room.saved()
    restoration = await history.restoration(room.name, await history.find(room.name, to))
    await admit()
    return await room.revise(restoration.finish, author)
