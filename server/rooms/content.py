"""Content: the document of a room, and how changes come into it."""

import logging
from collections.abc import Callable, Sequence
from functools import partial

from collab.close import CloseCode
from collab.document import Document
from collab.errors import CollabError, DocumentDeleted, PairsCut, PoisonedUpdate, ServerBusy
from collab.merging import merge
from collab.protocol.messages import Receipt, SyncStep2, Update
from collab.server.rooms.changes import Change, entries_of, now_ms, parts_of, receipts_of
from collab.server.rooms.delivery import Delivery
from collab.server.rooms.facilities import Facilities
from collab.server.rooms.long_messages import LONG_BYTES
from collab.server.rooms.member import Member
from collab.server.rooms.opening import Opened
from collab.server.rooms.origin import Origin
from collab.server.rooms.publication import Publication
from collab.server.rooms.recovery import Recovery
from collab.server.rooms.window import Window
from collab.store import NewEntry

logger = logging.getLogger("collab")


class Content:
    """Takes changes in, wherever they come from, and has them published.

    Writers' changes gather in a window, are merged, applied once, passed on as one frame, and
    handed to the persister as one write. Of what may be known here for the most part (a step 2,
    another instance's answer, the log) only what is new goes on. Where something does not apply,
    the document is rebuilt without it, and whatever comes meanwhile is deferred; likewise where a
    long document is made anew, as something cuts pairs of it.

    Args:
        opened: the document as it was opened.
        facilities: what all rooms share.
        origin: where it is opened anew from.
        delivery: who gets what.
        publication: where changes go once they are applied.
        seat: whose changes they are that other instances log; None where there are none.
        gone: called when the document was deleted.

    Attributes:
        document: the document.
        name: document name.
        recovery: rebuilds it; what comes meanwhile waits there.
        stopped: whether it takes nothing in any more.
    """

    __slots__ = (
        "_backlog",
        "_changes",
        "_delivery",
        "_end",
        "_journal",
        "_metrics",
        "_pending",
        "_persister",
        "_publication",
        "_seat",
        "_settings",
        "document",
        "name",
        "recovery",
        "stopped",
    )

    def __init__(
        self,
        opened: Opened,
        facilities: Facilities,
        *,
        origin: Origin,
        delivery: Delivery,
        publication: Publication,
        seat: Member | None,
        gone: Callable[[DocumentDeleted], None],
    ) -> None:
        settings = facilities.settings
        self.name = opened.stored.document
        self._persister = facilities.persister
        self._backlog = facilities.persister.backlog
        self._settings = settings
        self._metrics = facilities.metrics
        self._delivery = delivery
        self._publication = publication
        self._journal = publication.journal
        self._seat = seat
        self._changes = Window(facilities.timers, settings.window_max_seconds, self._flush)
        self.recovery = Recovery(
            self.name,
            origin,
            facilities,
            self._journal,
            resume=self._resume,
            gone=gone,
        )
        self.document = self._entered(self.recovery.bound(opened.document))
        self._pending: list[Change] = []
        self.stopped = False
        self._end: CollabError | None = None

    @property
    def epoch(self) -> str | None:
        """Id of the document's life; None where nothing of it is known to be committed."""
        return self._journal.epoch

    @property
    def seq(self) -> int:
        """The seq up to which the document has every committed entry."""
        return self._journal.seq

    @property
    def durable(self) -> bool:
        """Whether everything that it has handed to the store is durable."""
        return self._journal.durable

    @property
    def full(self) -> str | None:
        """Name of the setting that says that the document takes no more; None where it does."""
        if self._journal.stored_bytes > self._settings.document_max_bytes:
            return "document_max_bytes"
        if self.document.clients >= self._settings.document_clients:
            return "document_clients"
        return None

    def look_for_room(self) -> None:
        """Measures a document that is full anew: something may have been deleted."""
        self._journal.measure(self.document)

    # What members send.

    def defer(self, member: Member, call: Callable[[], None]) -> bool:
        """Has what a member sent wait while the document is rebuilt; tells whether it has to."""
        if not self.postpone(partial(self._take_deferred, member, call)):
            return False
        member.hold_back()  # What is deferred is bounded by what was read already.
        return True

    def postpone(self, call: Callable[[], None]) -> bool:
        """Has something wait while the document is rebuilt; tells whether it has to."""
        if not self.recovery.under_way:
            return False
        self.recovery.defer(call)
        return True

    def add(self, member: Member, update: Update) -> None:
        """Takes in a member's change with those that come at about the same time."""
        self._metrics.updates += 1
        self._hold_back(member)
        self._pending.append((member, update))
        self._changes.touch()

    def add_receipt(self, member: Member, receipt: Receipt) -> None:
        """Sends a member a receipt when all that it has sent so far is durable."""
        if self._pending:
            self._pending.append((member, receipt))
        else:
            self._delivery.answer(member, receipt.accepted, self._publication.awaited())

    def integrate(self, member: Member, effect: SyncStep2) -> None:
        """Takes in a step 2: passes on what of it is new, acknowledges all of it."""
        self.flush()
        if self.defer(member, partial(self.integrate, member, effect)):
            return
        if self.stopped or member.guilty:
            return  # It was deferred, and much has happened.
        update, receipt = effect.update, effect.receipt
        state_before = self.document.state_vector
        again = partial(self.integrate, member, effect)
        try:
            news = self.news([update], again, [(member, Update(update, receipt))])
        except PoisonedUpdate:
            return  # Whoever sent it hears of that as the document is rebuilt.
        if news is not None:
            self._hold_back(member)
            # All of it is acknowledged, the new part of it passed on.
            parts = {member: update}
            receipts = {member: [receipt.accepted]} if receipt is not None else {}
            entries = entries_of({member: news})
            self._publication.publish(
                self.document, parts, receipts, entries, news, state_before, own=news
            )
        elif self.recovery.under_way:
            return  # It is taken in later.
        elif receipt is not None:
            self._delivery.answer(member, receipt.accepted, self._publication.awaited())
        elif member.session.dialect.echoes:
            self._delivery.acknowledge(member, update, self._publication.awaited())

    def read_on(self, member: Member) -> None:
        """Reads from a member again; what still holds it back has it read from later."""
        if self._backlog.full:
            self._backlog.when_space(member.read_on)
        elif not self.recovery.under_way:
            member.read_on()

    def set_aside(self, member: Member, error: PoisonedUpdate) -> None:
        """Keeps what a member sent, which cannot even be read, for whoever looks into it."""
        self.recovery.set_aside(member, error)

    # What others bring.

    def gather(self, seat: Member, update: bytes) -> None:
        """Takes in a change that has waited in another instance's window, with the next."""
        self._pending.append((seat, Update(update)))
        self._changes.touch(gathered=True)

    def news(
        self,
        updates: Sequence[bytes],
        again: Callable[[], None],
        suspects: Sequence[Change] = (),
    ) -> bytes | None:
        """Takes in what of updates is new, and has not been gathered: whoever asks publishes it.

        Args:
            updates: what may be known for the most part.
            again: called to ask once more, where the document is to be made anew first.
            suspects: the same, by the members who have brought it; nothing where others have.

        Returns:
            What is new; None where nothing is, or not yet: ``again`` is called then.

        Raises:
            PoisonedUpdate: they do not apply; the document is rebuilt without them.
        """
        state_before = self.document.state_vector
        try:
            return self.document.integrate(merge(updates))
        except PairsCut as error:
            self._cut(error, state_before, [])
            self.recovery.defer(again)
            return None
        except PoisonedUpdate:
            self._recover(suspects, state_before)
            raise

    # How it comes to the store.

    def flush(self) -> None:
        """Applies and passes on what has gathered."""
        self._changes.run()

    async def settle(self) -> None:
        """Waits until every change so far is durable, and those made meanwhile."""
        while True:
            self.flush()
            if self._journal.durable and not self.recovery.under_way:
                return
            self._persister.hasten()
            await self._journal.next_change()

    async def settled(self) -> None:
        """Waits until everything that it has handed to the store is durable."""
        self._persister.hasten()
        await self._journal.settled()

    def log_anew(self) -> None:
        """Logs all of the document, for a store that has lost some of it."""
        if not self.postpone(self.log_anew):
            self._journal.write_anew(NewEntry(update=self.document.encode(), time_ms=now_ms()))

    def checkpoint(self) -> None:
        """Writes a checkpoint where opening the document would replay too many entries."""
        self.flush()
        if not self.stopped and not self.recovery.under_way:
            self._journal.checkpoint(self.document)

    async def stop(self) -> None:
        """Takes nothing in any more, and waits until what it took in is durable."""
        self.flush()
        while self.recovery.under_way:  # What waits for that was taken from whoever sent it.
            await self._journal.next_change()
            self.flush()
        self.stopped = True
        await self.settle()

    async def ready(self) -> None:
        """Returns when the document is not being rebuilt, or takes nothing in any more."""
        while self.recovery.under_way and not self.stopped:
            await self._journal.next_change()

    def refuse_if_ended(self) -> None:
        """Raises why the room has ended, if it has.

        Raises:
            CollabError: it has.
        """
        if self._end is not None:
            raise self._end

    def end(self, error: CollabError) -> None:
        """Takes nothing in any more; whoever waits for it gets ``error``."""
        self.flush()  # Whoever has sent it may be gone.
        self.stopped = True
        self._end = error
        self._journal.announce()

    async def quiet(self) -> None:
        """Returns when everything that came is in the document, and changes can be made in it.

        Raises:
            ServerBusy: the document takes none any more.
            CollabError: the room has ended.
        """
        await self.whole()
        self.refuse_if_stopped()

    def refuse_if_stopped(self) -> None:
        """Raises that the document takes no changes any more, if so.

        Raises:
            ServerBusy: it does not.
        """
        if self.stopped:
            raise ServerBusy(f"expected {self.name!r} to take changes, got one that is made anew")

    async def whole(self) -> None:
        """Returns when everything that came is in the document, and it is not being rebuilt.

        Raises:
            CollabError: the room has ended.
        """
        self.refuse_if_ended()
        self.flush()
        while self.recovery.under_way:
            await self._journal.next_change()
            self.refuse_if_ended()
            self.flush()

    def _hold_back(self, writer: Member) -> None:
        """Does not read from a writer while too much waits for the store, or for it to read."""
        if self._backlog.full:
            writer.hold_back()
            self._backlog.when_space(writer.read_on)
        elif writer.paused:
            writer.hold_back()

    def _flush(self) -> float | None:
        pending, self._pending = self._pending, []
        if not pending:
            return None
        seat = self._seat
        state_before = self.document.state_vector
        try:
            parts = parts_of(pending)
            merged = merge(list(parts.values()))
            written = parts
            own: bytes | None = merged
            if seat in parts:
                written = {writer: part for writer, part in parts.items() if writer is not seat}
                own = merge(list(written.values())) if written else None
            entries = entries_of(written, pending) if written else []
            self.document.apply(merged)
        except PairsCut as error:
            self._cut(error, state_before, pending)
            return None
        except PoisonedUpdate:
            self._recover(pending, state_before)
            return None
        receipts = receipts_of(pending)
        return self._publication.publish(
            self.document, parts, receipts, entries, merged, state_before, own=own
        )

    def _recover(self, suspects: Sequence[Change], state_before: bytes) -> None:
        """Has the document rebuilt without what broke it, and goes on then."""
        self.recovery.begin(suspects)
        self._delivery.freeze(state_before)

    def _cut(self, error: PairsCut, state_before: bytes, changes: Sequence[Change]) -> None:
        """Has the document made anew without the pairs that changes cut, and goes on then."""
        self.recovery.cut(self.document, error.cutting, changes)
        self._delivery.freeze(state_before)

    def _entered(self, document: Document) -> Document:
        """A document that is used on the event loop from now on."""
        document.max_cutting_bytes = LONG_BYTES
        return document

    def _add_tried(self, member: Member, message: Update | Receipt) -> None:
        """Takes in what was found to apply, unless what came before it breaks the document now."""
        if self.recovery.under_way:
            self.recovery.defer(partial(self._add_tried, member, message))
            return
        if isinstance(message, Update):
            self.add(member, message)
        else:
            self.add_receipt(member, message)
        self.flush()  # One by one, as they were tried: a merge of them may be at fault.

    @staticmethod
    def _take_deferred(member: Member, call: Callable[[], None]) -> None:
        try:
            call()
        except Exception:
            # It is not taken in, and nothing may be promised of it: another connection brings it.
            member.connection.close(CloseCode.INTERNAL_ERROR, "something went wrong")
            raise

    def _resume(
        self, document: Document, good: Sequence[Change], deferred: Sequence[Callable[[], None]]
    ) -> None:
        """Goes on with the document as it was rebuilt; see ``Recovery``."""
        self.document = self._entered(document)
        self._delivery.thaw(document, ahead=self.recovery.ahead)
        for member, message in good if self._end is None else ():
            self._add_tried(member, message)
        for call in deferred:
            try:
                call()
            except Exception:  # One's fault must not lose what others have brought.
                logger.exception("taking in what waited for %r failed", self.name)
        for member in tuple(self._delivery.members):
            self.read_on(member)
        self._journal.announce()
