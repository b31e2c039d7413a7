"""Remote: what others have changed of a document that is open here."""

import logging
from collections.abc import Callable, Sequence
from functools import partial

from collab.archive import Base
from collab.errors import PoisonedUpdate, StoreError
from collab.happenings import Changed
from collab.merging import merge
from collab.protocol import yjs
from collab.protocol.messages import EMPTY_UPDATE
from collab.server.rooms.changes import now_ms
from collab.server.rooms.content import Content
from collab.server.rooms.facilities import Facilities
from collab.server.rooms.member import Member
from collab.server.rooms.origin import Origin
from collab.server.rooms.promises import Left
from collab.server.rooms.publication import Publication
from collab.server.rooms.readback import Readback
from collab.store import Entry, NewEntry

logger = logging.getLogger("collab")


class Remote:
    """Takes in what other instances pass on, and what other processes have written to the log.

    They log it themselves: it is passed on here, and logged only where they fail to.

    Args:
        name: document name.
        content: the document.
        publication: passes on what is new of it.
        facilities: what all rooms share.
        origin: where it is opened anew from, and its log is read.
        seat: whose changes they are that other instances pass on; None where there are none.
    """

    __slots__ = (
        "_content",
        "_feeds",
        "_journal",
        "_lacks",
        "_learns",
        "_name",
        "_origin",
        "_publication",
        "_readback",
        "_recovery",
        "_seat",
        "_spawn",
    )

    def __init__(
        self,
        name: str,
        content: Content,
        publication: Publication,
        facilities: Facilities,
        *,
        origin: Origin,
        seat: Member | None,
    ) -> None:
        self._name = name
        self._content = content
        self._recovery = content.recovery
        self._publication = publication
        self._journal = publication.journal
        self._feeds = facilities.feeds
        self._origin = origin
        self._seat = seat
        self._spawn = facilities.spawn
        self._lacks = False
        self._learns = False
        self._readback = Readback(
            origin,
            self._journal,
            self._take_stored,
            self._take_base,
            begins=self._recovery.read_begins,
            ends=self._recovery.read_ends,
            timers=facilities.timers,
            spawn=facilities.spawn,
        )

    # What other instances have.

    def take(self, update: bytes, *, promised: bool) -> None:
        """Takes in a change that another instance has taken in, and logs.

        Args:
            update: the change.
            promised: whether ``mark`` will say where that is in the log.
        """
        assert self._seat is not None
        if self._content.stopped:
            return
        if self._recovery.under_way:
            self._defer(update, promised=promised)
            return
        if not promised:
            self._journal.run_ahead()
        self._content.gather(self._seat, update)
        if not promised or self._feeds.are_followed(self._name):
            self._readback.look()

    def integrate(self, update: bytes) -> None:
        """Takes in what another instance has that may be known here for the most part."""
        assert self._seat is not None
        content = self._content
        content.flush()
        if content.stopped:
            return
        if self._recovery.under_way:
            self._defer(update, promised=False)
            return
        state_before = content.document.state_vector
        news = self._news([update], partial(self.integrate, update))
        if news is not None:
            self._journal.run_ahead()
            parts = {self._seat: news}
            self._publication.publish(content.document, parts, {}, [], news, state_before, own=None)

    def _defer(self, update: bytes, *, promised: bool) -> None:
        """Has a change wait while the document is rebuilt, where there is space for it."""
        call = partial(self.take, update, promised=promised)
        if not self._recovery.defer_passed_on(call, len(update)) and not self._lacks:
            self._lacks = True
            self._recovery.defer(self._make_good)

    def _make_good(self) -> None:
        """Reads and asks for what there was no space for."""
        if self._content.postpone(self._make_good):
            return
        self._lacks = False
        if self._content.stopped:
            return
        self._readback.look()
        self._publication.ask()

    def mark(self, seqs: Sequence[range]) -> None:
        """What others have taken in is durable.

        Args:
            seqs: where it is in the log; nothing where that is not known.
        """
        recovery = self._recovery
        if recovery.incomplete or recovery.under_way:
            self._readback.look()  # It was opened anew before, perhaps, and is without it then.
        elif seqs and not self._content.stopped:
            if self._journal.epoch is None and not self._learns:
                self._learns = True
                self._spawn(self._learn_epoch)
            if self._feeds.are_followed(self._name):
                self._readback.look()  # For what else its entries say.
            else:
                self._journal.marked(seqs)
        self._journal.release()

    async def _learn_epoch(self) -> None:
        """Others have begun the document: what is written here is to come into no other one."""
        try:
            epoch = (await self._origin.open()).stored.epoch
        except StoreError as error:
            logger.error("looking for what others have begun of %r: %s", self._name, error)
        else:
            if epoch is not None and self._journal.epoch is None:
                self._journal.began(epoch)
        finally:
            self._learns = False

    async def stores(self, updates: Sequence[bytes]) -> bool:
        """Whether the store has changes that another instance has passed on.

        Raises:
            StoreError: it cannot be read.
            PoisonedUpdate: they do not apply.
        """
        stored = (await self._origin.open()).document
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
        stored = (await self._origin.open()).document
        content = self._content
        await content.quiet()
        # As they came: what is new with them may be changes of others that have waited for them.
        missing = [update for update in left.updates if stored.integrate(update) is not None]
        if left.whole and (rest := content.document.diff(stored.state_vector)) != EMPTY_UPDATE:
            missing.append(rest)
        if missing:
            lost = merge(missing)
            logger.warning("%r: logging what another instance did not commit any more", self._name)
            batch = self._journal.write(
                content.document,
                [NewEntry(update=lost, time_ms=now_ms())],
                parts={},
                receipts={},
                merged=lost,
                frame=yjs.update(lost),
                state_before=content.document.state_vector,
            )
            while self._journal.awaits(batch):
                await self._journal.next_change()
                content.refuse_if_ended()

    # What is in the log.

    def read_back(self) -> None:
        """Others have written to the document, or may have: what they wrote is read."""
        self._readback.look()

    def read_back_if_behind(self) -> None:
        """Others have written to the document, and may yet tell what."""
        self._readback.look_if_behind()

    def _take_stored(self, entries: Sequence[Entry]) -> bool:
        """Takes in what the log has beyond the room; tells whether it could."""
        content = self._content
        content.flush()
        if content.stopped:
            return True
        if self._recovery.under_way or entries[0].seq > self._journal.seq + 1:
            return False
        others = self._journal.caught_up(entries)
        if not others:
            return True
        self._take_others([entry.update for entry in others])
        # Some may not apply, and are left out as the document is opened anew. What the log has is
        # told either way: whoever reads it later has it, too.
        if self._feeds.are_followed(self._name):
            for entry in others:
                self._feeds.publish(self._name, Changed(entry))
        return True

    def _take_base(self, base: Base) -> bool:
        """Takes in what the log does not have any more; tells whether it could."""
        content = self._content
        content.flush()
        if content.stopped:
            return True
        if self._recovery.under_way:
            return False
        self._journal.passed(base.seq)
        if base.update is not None:
            self._take_others([base.update])
        return True

    def _take_others(self, others: Sequence[bytes]) -> None:
        """Takes in updates that the log has or had, and the journal counts as known already."""
        content = self._content
        if content.stopped:
            return
        again = partial(self._take_others, others)
        if self._recovery.under_way:
            self._recovery.defer(again)
            return
        state_before = content.document.state_vector
        news = self._news(others, again)
        if news is not None:
            self._publication.publish(content.document, {}, {}, [], news, state_before, own=None)

    def _news(self, updates: Sequence[bytes], again: Callable[[], None]) -> bytes | None:
        """What of others' updates is new; see ``Content.news``. None where they do not apply."""
        try:
            return self._content.news(updates, again)
        except PoisonedUpdate as error:
            logger.error("what others have of %r does not apply: %s", self._name, error)
            return None
