"""Content: the document of a room, and all that changes it."""

import logging
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial

from collab.document import Document, merge
from collab.errors import CollabError, DocumentDeleted, PoisonedUpdate, ServerBusy
from collab.happenings import Changed
from collab.protocol import yjs
from collab.protocol.messages import EMPTY_UPDATE, Receipt, SyncStep2, Update
from collab.server.rooms.changes import Change, entries_of, now_ms, parts_of, receipts_of
from collab.server.rooms.delivery import Delivery
from collab.server.rooms.facilities import Facilities
from collab.server.rooms.journal import Journal
from collab.server.rooms.member import Batch, Member
from collab.server.rooms.opening import Opened
from collab.server.rooms.promises import Left, Promises
from collab.server.rooms.readback import Readback
from collab.server.rooms.recovery import Load, Recovery
from collab.server.rooms.relay import Relay
from collab.server.rooms.window import Window
from collab.store import Entry, NewEntry

logger = logging.getLogger("collab")


class Content:
    """Takes changes in, wherever they come from, and hands them to the store and to readers.

    Writers' changes gather in a window, are merged, applied once, passed on as one frame, and
    handed to the persister as one write. Of what may be known here for the most part (a step 2,
    another instance's answer, the log) only what is new goes on. Where something does not apply,
    the document is rebuilt without it, and whatever comes meanwhile is deferred.

    Args:
        opened: the document as it was opened.
        facilities: what all rooms share.
        load: opens it anew.
        entries_after: its log after a seq.
        delivery: who gets what.
        relay: the tie to other instances, or None.
        gone: called when the document was deleted.

    Attributes:
        document: the document.
    """

    def __init__(
        self,
        opened: Opened,
        facilities: Facilities,
        *,
        load: Load,
        entries_after: Callable[[int], AsyncIterator[Entry]],
        delivery: Delivery,
        relay: Relay | None,
        gone: Callable[[DocumentDeleted], None],
    ) -> None:
        settings, timers, spawn = facilities.settings, facilities.timers, facilities.spawn
        self.document = opened.document
        self._name = opened.stored.document
        self._load = load
        self._spawn = spawn
        self._persister = facilities.persister
        self._settings = settings
        self._metrics = facilities.metrics
        self._delivery = delivery
        self._feeds = facilities.feeds
        self._relay = relay
        self._changes = Window(timers, settings.window_max_seconds, self._flush)
        self._readback = Readback(
            entries_after,
            lambda: self._journal.seq,
            lambda: self._journal.behind,
            self._take_stored,
            timers,
            spawn,
        )
        self._journal = Journal(
            opened.stored,
            facilities.persister,
            settings,
            relay.promises if relay is not None else Promises(),
            committed=self._committed,
            released=delivery.release,
            slow=delivery.stop_waiting,
            gone=gone,
            overtaken=self._readback.look_if_behind,
        )
        self._recovery = Recovery(
            self._name, load, facilities.refusals, facilities.metrics, settings, gone
        )
        self._recovery.bound(self.document)
        self._pending: list[Change] = []
        self._deferred: list[Callable[[], None]] | None = None
        self._stopped = False
        self._end: CollabError | None = None

    @property
    def seq(self) -> int:
        """The seq up to which the document has every committed entry."""
        return self._journal.seq

    @property
    def stopped(self) -> bool:
        """Whether it takes nothing in any more."""
        return self._stopped

    @property
    def full(self) -> str | None:
        """Name of the setting that says that the document takes no more; None where it does."""
        if self._journal.stored_bytes > self._settings.document_max_bytes:
            return "document_max_bytes"
        if self.document.clients >= self._settings.document_clients:
            return "document_clients"
        return None

    @property
    def _rebuilding(self) -> bool:
        return self._deferred is not None

    # What members send.

    def defer(self, member: Member, call: Callable[[], None]) -> bool:
        """Has what a member sent wait while the document is rebuilt; tells whether it has to."""
        if self._deferred is None:
            return False
        self._deferred.append(call)
        member.hold_back()  # What is deferred is bounded by what was read already.
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
            self._delivery.answer(member, receipt.accepted, self._awaited())

    def integrate(self, member: Member, effect: SyncStep2) -> None:
        """Takes in a step 2: passes on what of it is new, acknowledges all of it."""
        self.flush()
        if self.defer(member, partial(self.integrate, member, effect)):
            return
        if self._stopped or member.guilty:
            return  # It was deferred, and much has happened.
        update, receipt = effect.update, effect.receipt
        state_before = self.document.state_vector
        news = self._news([update], [(member, Update(update, receipt))])
        if news is not None:
            self._hold_back(member)
            # All of it is acknowledged, the new part of it passed on.
            parts = {member: update}
            receipts = {member: [receipt.accepted]} if receipt is not None else {}
            entries = entries_of({member: news})
            self._publish(parts, receipts, entries, news, state_before, own=news)
        elif self._rebuilding:
            return  # It does not apply.
        elif receipt is not None:
            self._delivery.answer(member, receipt.accepted, self._awaited())
        elif member.session.dialect.echoes:
            self._delivery.acknowledge(member, update, self._awaited())

    def read_on(self, member: Member) -> None:
        """Reads from a member again; what still holds it back has it read from later."""
        if self._persister.full:
            self._persister.when_space(member.read_on)
        elif self._deferred is None:
            member.read_on()

    def set_aside(self, member: Member, error: PoisonedUpdate) -> None:
        """Keeps what a member sent, which cannot even be read, for whoever looks into it."""
        self._recovery.set_aside(member, error)

    # What this instance's programs change.

    async def take_in(self, effect: bytes, entries: Sequence[NewEntry]) -> None:
        """Takes in changes that were made elsewhere and waits until they are durable.

        Those that bring nothing new are not stored: taking them in again is harmless.

        Args:
            effect: what they come to, as one update that ``check_update`` lets pass.
            entries: the changes as they are to be stored.

        Raises:
            PoisonedUpdate: they cannot be applied; the document goes on without them.
            ServerBusy: too much waits for the store.
        """
        await self._quiet()
        self._take(effect, entries)
        await self.saved()

    async def revise(
        self, revision: Callable[[Document], bytes | None], author: str | None
    ) -> bool:
        """Makes a change that depends on what the document is, and waits until it is durable.

        Args:
            revision: gives the change to the document it is shown, or None for none; nothing
                changes the document between the one and the other.
            author: of the identity in whose name it is stored.

        Returns:
            Whether there was a change.

        Raises:
            PoisonedUpdate: it cannot be applied; the document goes on without it.
            ServerBusy: too much waits for the store.
        """
        await self._quiet()
        update = revision(self.document)
        if update is not None:
            self._take(update, [NewEntry(update=update, time_ms=now_ms(), author=author)])
        await self.saved()
        return update is not None

    # What other instances have.

    def take_relayed(self, update: bytes, *, promised: bool) -> None:
        """Takes in a change that another instance has taken in, and logs.

        Args:
            update: the change.
            promised: whether ``take_mark`` will say where that is in the log.
        """
        assert self._relay is not None
        if self._stopped:
            return
        if self._deferred is not None:
            self._deferred.append(partial(self.take_relayed, update, promised=promised))
            return
        if not promised:
            self._journal.run_ahead()
        self._pending.append((self._relay.seat, Update(update)))
        self._changes.touch(gathered=True)
        if not promised or self._feeds.are_followed(self._name):
            self._readback.look()

    def take_mark(self, seqs: Sequence[range]) -> None:
        """What others have taken in is durable.

        Args:
            seqs: where it is in the log; nothing where that is not known.
        """
        if seqs and not self._stopped:
            if self._feeds.are_followed(self._name) or self._rebuilding:
                self._readback.look()  # For what else its entries say; or for what is in them.
            else:
                self._journal.marked(seqs)
        self._journal.release()

    def integrate_relayed(self, update: bytes) -> None:
        """Takes in what another instance has that may be known here for the most part."""
        assert self._relay is not None
        self.flush()
        if self._stopped:
            return
        if self._deferred is not None:
            self._deferred.append(partial(self.take_relayed, update, promised=False))
            return
        state_before = self.document.state_vector
        news = self._news([update], [])
        if news is not None:
            self._journal.run_ahead()
            self._publish({self._relay.seat: news}, {}, [], news, state_before, own=None)

    def read_back(self) -> None:
        """Others have written to the document, or may have: what they wrote is read."""
        self._readback.look()

    async def stores(self, updates: Sequence[bytes]) -> bool:
        """Whether the store has changes that another instance has passed on.

        Raises:
            StoreError: it cannot be read.
            PoisonedUpdate: they do not apply.
        """
        stored = (await self._load()).document
        return all(stored.integrate(update) is None for update in updates)

    async def secure(self, left: Left) -> None:
        """Logs what the store has not of changes that another instance has passed on, and waits.

        Args:
            left: those changes; what others are about to log is not among them.

        Raises:
            StoreError: the store cannot be read.
            ServerBusy: the document cannot be looked at now.
            CollabError: the room has ended.
        """
        stored = (await self._load()).document
        await self._quiet()
        # As they came: what is new with them may be changes of others that have waited for them.
        missing = [update for update in left.updates if stored.integrate(update) is not None]
        if left.whole and (rest := self.document.diff(stored.state_vector)) != EMPTY_UPDATE:
            missing.append(rest)
        if missing:
            lost = merge(missing)
            logger.warning("%r: logging what another instance did not commit any more", self._name)
            entry = NewEntry(update=lost, time_ms=now_ms())
            batch = self._journal.write(
                self.document,
                [entry],
                parts={},
                receipts={},
                merged=lost,
                frame=yjs.update(lost),
                state_before=self.document.state_vector,
            )
            while self._journal.awaits(batch):
                await self._journal.next_change()
                self.refuse_if_ended()

    # How it comes to the store.

    def flush(self) -> None:
        """Applies and passes on what has gathered."""
        self._changes.run()

    async def settle(self) -> None:
        """Waits until every change so far is durable, and those made meanwhile."""
        while True:
            self.flush()
            if self._journal.durable and self._deferred is None:
                return
            self._persister.hasten()
            await self._journal.next_change()

    async def saved(self) -> None:
        """Waits until every change so far is durable, however many are made meanwhile.

        Raises:
            CollabError: the room has ended.
        """
        self.refuse_if_ended()
        self.flush()
        while self._deferred is not None:
            await self._journal.next_change()
            self.refuse_if_ended()
            self.flush()
        last, newest = self._journal.last, self._awaited()
        while self._journal.awaits(last) or (newest is not None and not newest.durable):
            self._persister.hasten()
            await self._journal.next_change()
            self.refuse_if_ended()

    def checkpoint(self) -> None:
        """Writes a checkpoint where opening the document would replay too many entries."""
        self.flush()
        if not self._stopped and not self._rebuilding:
            self._journal.checkpoint(self.document)

    async def stop(self) -> None:
        """Takes nothing in any more, and waits until what it took in is durable."""
        self.flush()
        self._stopped = True
        await self.settle()

    def refuse_if_ended(self) -> None:
        """Raises why the room has ended, if it has.

        Raises:
            CollabError: it has.
        """
        if self._end is not None:
            raise self._end

    def end(self, error: CollabError) -> None:
        """Takes nothing in any more; whoever waits for it gets ``error``."""
        self._stopped = True
        self._end = error
        self._journal.announce()

    async def _quiet(self) -> None:
        """Returns when everything that came is in the document, and changes can be made in it."""
        if self._persister.full:
            raise ServerBusy("expected the store to keep up, got too much that waits for it")
        self.flush()
        while self._deferred is not None:
            await self._journal.next_change()
            self.flush()
        self.refuse_if_ended()
        if self._stopped:
            raise ServerBusy(f"expected {self._name!r} to take changes, got one that is made anew")

    def _hold_back(self, writer: Member) -> None:
        """Does not read from a writer while too much waits for the store, or for it to read."""
        if self._persister.full:
            writer.hold_back()
            self._persister.when_space(writer.read_on)
        elif writer.paused:
            writer.hold_back()

    def _take(self, effect: bytes, entries: Sequence[NewEntry]) -> None:
        state_before = self.document.state_vector
        try:
            news = self.document.integrate(effect)
        except PoisonedUpdate:
            self._recover([])
            raise
        if news is not None:
            self._publish({}, {}, list(entries), news, state_before, own=news)

    def _committed(self) -> None:
        """Batches are committed."""
        if self._relay is not None:
            self._relay.committed()

    def _awaited(self) -> Batch | None:
        """The batch that whoever is told that all is durable waits for; None where all is."""
        newest = self._journal.newest
        if newest is not None and newest.after and self._relay is not None:
            self._relay.want()
        return newest

    def _take_stored(self, entries: Sequence[Entry]) -> bool:
        """Takes in what the log has beyond the room; tells whether it could."""
        self.flush()
        if self._stopped:
            return True
        if self._deferred is not None or entries[0].seq > self._journal.seq + 1:
            return False
        others = self._journal.caught_up(entries)
        if not others:
            return True
        state_before = self.document.state_vector
        # Where it does not apply, it is left out as the document is opened anew.
        news = self._news([entry.update for entry in others], [])
        if news is not None:
            self._publish({}, {}, [], news, state_before, own=None)
        if not self._rebuilding and self._feeds.are_followed(self._name):
            for entry in others:
                self._feeds.publish(self._name, Changed(entry))
        return True

    def _news(self, updates: Sequence[bytes], suspects: Sequence[Change]) -> bytes | None:
        """What of updates is new; None where nothing is, or where they do not apply.

        Args:
            updates: what may be known for the most part.
            suspects: the same, by the members who have brought it; nothing where others have.
        """
        try:
            return self.document.integrate(merge(updates))
        except PoisonedUpdate as error:
            if not suspects:
                logger.error("what others have of %r does not apply: %s", self._name, error)
            self._recover(suspects)
            return None

    def _flush(self) -> float | None:
        pending, self._pending = self._pending, []
        if not pending:
            return None
        seat = self._relay.seat if self._relay is not None else None
        state_before = self.document.state_vector
        try:
            parts = parts_of(pending)
            merged = merge(list(parts.values()))
            written = parts
            own: bytes | None = merged
            if seat in parts:
                written = {writer: part for writer, part in parts.items() if writer is not seat}
                own = merge(list(written.values())) if written else None
            entries = entries_of(written, pending)
            self.document.apply(merged)
        except PoisonedUpdate:
            self._recover(pending)
            return None
        receipts = receipts_of(pending)
        return self._publish(parts, receipts, entries, merged, state_before, own=own)

    def _publish(
        self,
        parts: dict[Member, bytes],
        receipts: dict[Member, list[bytes]],
        entries: list[NewEntry],
        merged: bytes,
        state_before: bytes,
        *,
        own: bytes | None,
    ) -> float:
        """Hands applied changes to the store, to other instances and to the readers.

        Args:
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
        batch = self._journal.write(
            self.document,
            entries,
            parts=parts,
            receipts=receipts,
            merged=merged,
            frame=yjs.update(merged),
            state_before=state_before,
        )
        if self._relay is not None and own is not None:
            self._relay.change(own, batch)
            if batch.after:
                self._relay.want()
        wait = soon and not batch.after
        if wait and len(parts) > 1:
            self._persister.expect()
        return self._delivery.deliver(batch, wait=wait)

    def _recover(self, suspects: Sequence[Change]) -> None:
        """Finds the update that broke the document, closes its sender, and goes on without it."""
        self._deferred = []
        self._delivery.freeze()

        async def rebuild() -> None:
            while not self._journal.durable:
                await self._journal.next_change()
            good = await self._recovery.sift(suspects)
            self.document = await self._recovery.rebuilt()
            deferred, self._deferred = self._deferred, None
            self._delivery.thaw(self.document)
            for member, message in good if self._end is None else ():
                if isinstance(message, Update):
                    self.add(member, message)
                else:
                    self.add_receipt(member, message)
                self.flush()  # One by one, as they were tried: a merge of them may be at fault.
            for call in deferred or ():
                call()
            for member in tuple(self._delivery.members):
                self.read_on(member)
            if self._journal.durable:
                self._journal.announce()

        self._spawn(rebuild)
