"""Publication: where changes go once they are in a document."""

from collections.abc import Callable

from collab.document import Document
from collab.errors import DocumentDeleted
from collab.protocol import yjs
from collab.server.rooms.delivery import Delivery
from collab.server.rooms.facilities import Facilities
from collab.server.rooms.journal import Journal
from collab.server.rooms.member import Batch, Member
from collab.server.rooms.promises import Promises
from collab.server.rooms.relay import Relay
from collab.store import NewEntry, Stored


class Publication:
    """Hands a room's changes to the store, to other instances and to the readers.

    Args:
        stored: what the room was made of.
        facilities: what all rooms share.
        delivery: who gets what.
        relay: the tie to other instances, or None.
        gone: called when the document was deleted.
        overtaken: called when others have written to the document.
        set_back: called when the store has lost what it had.

    Attributes:
        journal: what of them is on its way to the store.
    """

    __slots__ = ("_delivery", "_persister", "_relay", "journal")

    def __init__(
        self,
        stored: Stored,
        facilities: Facilities,
        delivery: Delivery,
        relay: Relay | None,
        *,
        gone: Callable[[DocumentDeleted], None],
        overtaken: Callable[[], None],
        set_back: Callable[[], None],
    ) -> None:
        self._persister = facilities.persister
        self._delivery = delivery
        self._relay = relay
        self.journal = Journal(
            stored,
            facilities.persister,
            facilities.settings,
            relay.promises if relay is not None else Promises(facilities.persister.backlog),
            committed=relay.committed if relay is not None else lambda: None,
            released=delivery.release,
            slow=delivery.stop_waiting,
            gone=gone,
            overtaken=overtaken,
            set_back=set_back,
        )

    def publish(
        self,
        document: Document,
        parts: dict[Member, bytes],
        receipts: dict[Member, list[bytes]],
        entries: list[NewEntry],
        merged: bytes,
        state_before: bytes,
        *,
        own: bytes | None,
    ) -> float:
        """Passes changes on; those that follow are to come in the order in which they were applied.

        Args:
            document: with the changes applied.
            parts: each writer's changes.
            receipts: what writers want to be sent when they are durable.
            entries: what of them this instance logs.
            merged: all of them.
            state_before: encoded state vector without them.
            own: what of them other instances do not have, or None.

        Returns:
            What is still to pay, in seconds.
        """
        soon = self._persister.soon
        batch = self.journal.write(
            document,
            entries,
            parts=parts,
            receipts=receipts,
            merged=merged,
            frame=yjs.update(merged),
            state_before=state_before,
        )
        if self._relay is not None:
            if own is not None:
                self._relay.change(own, batch)
            if batch.after and (own is not None or receipts):
                self._relay.want()
        wait = soon and not batch.after
        if wait and len(parts) > 1:
            self._persister.expect()
        return self._delivery.deliver(batch, wait=wait)

    def awaited(self) -> Batch | None:
        """The batch that whoever is told that all is durable waits for; None where all is."""
        newest = self.journal.newest
        if newest is not None and newest.after and self._relay is not None:
            self._relay.want()
        return newest

    def ask(self) -> None:
        """Asks other instances for what the document lacks."""
        if self._relay is not None:
            self._relay.ask()
