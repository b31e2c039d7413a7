"""Seating: a room for somebody who was permitted to be in it, and still is when it is there."""

from collab.server.auth.guard import Guard, Permit
from collab.server.rooms.room import Room
from collab.server.rooms.rooms import Rooms


async def acquire_permitted(rooms: Rooms, guard: Guard, permit: Permit) -> tuple[Room, Permit]:
    """Gives out the room of a permit's document; see ``Rooms.acquire``.

    Loading takes a while, and grants may change meanwhile. Nothing is awaited between the last
    look at them and the return.

    Returns:
        The room, which is to be released, and the permit as it is now.

    Raises:
        Unauthenticated: they are to be believed no longer.
        AccessDenied: they may not even read any more.
        InvalidName, DocumentDeleted, StoreError, NotRunning, ServerBusy: see ``Rooms.acquire``.
    """
    assert permit.document is not None
    while True:
        room = await rooms.acquire(permit.document)
        if guard.is_current(permit):
            return room, permit
        rooms.release(room)
        permit = await guard.renewed(permit)
