"""Recovery: rebuilds a document, and has what comes meanwhile wait.

One that broke is rebuilt from the store, without what broke it. One that is to take an update that
cuts pairs is made anew without them.
"""

import logging
from collections.abc import Callable, Sequence
from functools import partial

import anyio
import anyio.to_thread

from collab.access import Access
from collab.close import CloseCode
from collab.cutting import Cutting
from collab.document import Document
from collab.errors import DocumentDeleted, PoisonedUpdate
from collab.protocol.messages import Update
from collab.quarantine import refusal
from collab.server.failures import unforeseen
from collab.server.rooms.changes import Change, now_ms
from collab.server.rooms.facilities import Facilities
from collab.server.rooms.journal import Journal
from collab.server.rooms.member import Member
from collab.server.rooms.origin import Origin

logger = logging.getLogger("collab")

_RETRY_SECONDS = 1.0

Resume = Callable[[Document, Sequence[Change], Sequence[Callable[[], None]]], None]
"""Goes on with a document that was rebuilt: with what applies of what came at the same time as what
does not, and the receipts asked for in between; then with what was deferred."""


class Recovery:
    """Tries suspects one by one on the document as the store has it; what comes meanwhile waits.

    What other instances have promised to log is part of that document: once they have, they tell
    where it is in the log, not what it was.

    Args:
        name: document name.
        origin: where it is opened anew from.
        facilities: what all rooms share.
        journal: what of it is on its way to the store, which it is rebuilt from.
        resume: called when the document is rebuilt.
        gone: called when the document was deleted meanwhile.

    Attributes:
        under_way: whether the document is being rebuilt: nothing can be done with it.
        incomplete: whether the document lacks what others have promised, which was too much to be
            kept: until all of it is read back from the log, what they say of the log is not enough.
        ahead: whether a document that was rebuilt may have what readers were not sent.
    """

    __slots__ = (
        "_deferred",
        "_facilities",
        "_gone",
        "_journal",
        "_lacks_up_to",
        "_name",
        "_origin",
        "_passed_on_bytes",
        "_reads_all",
        "_resume",
        "ahead",
        "incomplete",
        "under_way",
    )

    def __init__(
        self,
        name: str,
        origin: Origin,
        facilities: Facilities,
        journal: Journal,
        *,
        resume: Resume,
        gone: Callable[[DocumentDeleted], None],
    ) -> None:
        self._name = name
        self._origin = origin
        self._facilities = facilities
        self._journal = journal
        self._resume = resume
        self._gone = gone
        self._deferred: list[Callable[[], None]] = []
        self.under_way = False
        self.incomplete = False
        self.ahead = False
        self._passed_on_bytes = 0
        self._lacks_up_to = 0
        self._reads_all = False

    def bound(self, document: Document) -> Document:
        """Bounds what may wait for its dependencies in a document, and who may come at once.

        How many clients there are is judged before; a restore, and what others have taken in, may
        be of one more.
        """
        settings = self._facilities.settings
        document.max_new_clients = settings.document_clients
        document.pending_max_bytes = settings.pending_max_bytes
        return document

    def set_aside(self, member: Member, error: PoisonedUpdate) -> None:
        """Keeps what a writer sent for whoever looks into it; readers have nothing to be kept."""
        self._facilities.metrics.count_refused_update()
        session = member.session
        if session.access >= Access.WRITE:
            refused = refusal(error, time_ms=now_ms(), author=session.identity.author)
            self._facilities.refusals.add(self._name, refused)

    def begin(self, suspects: Sequence[Change]) -> None:
        """Rebuilds the document, without what does not apply of what these members brought."""
        self._begin()
        self._facilities.spawn(partial(self._rebuild, suspects))

    def cut(self, document: Document, cutting: Cutting, changes: Sequence[Change]) -> None:
        """Makes a document anew without some pairs, and takes in what cuts them before all else.

        Nothing keeps that back meanwhile: the document would lack what others have of it.

        Args:
            document: the document, which stays the same one.
            cutting: what is to be carried out.
            changes: what cuts them; none where whoever calls defers it.
        """
        self._begin()
        self._facilities.spawn(partial(self._cut, document, cutting, changes))

    def defer(self, call: Callable[[], None]) -> None:
        """Has something done when the document is rebuilt."""
        self._deferred.append(call)

    def defer_passed_on(self, call: Callable[[], None], size: int) -> bool:
        """Has a change taken in then that others have passed on, and log.

        Args:
            call: takes it in.
            size: its bytes.

        Returns:
            Whether it is kept; where not, they are to be asked for it.
        """
        backlog = self._facilities.persister.backlog
        if backlog.full:
            self.ahead = True  # Of a part of it that the log has.
            self._lack()
            return False
        backlog.passed_on_bytes += size
        self._passed_on_bytes += size
        self._deferred.append(call)
        return True

    def read_begins(self) -> None:
        """The log is read from where the room is."""
        self._reads_all = self._journal.is_kept(self._lacks_up_to)

    def read_ends(self) -> None:
        """All that the log had then is taken in."""
        if self._reads_all:
            self.incomplete = False

    def _lack(self) -> None:
        self.incomplete = True
        self._lacks_up_to = self._journal.newest_promise
        self._reads_all = False

    def _begin(self) -> None:
        self.under_way = True
        self.ahead = False
        self._deferred = []

    async def _cut(self, document: Document, cutting: Cutting, changes: Sequence[Change]) -> None:
        try:
            await anyio.to_thread.run_sync(cutting.carry_out)
        except PoisonedUpdate as error:
            logger.error("making %r anew to cut pairs: %s", self._name, error)
            await self._rebuild(changes)
            return
        document.take_over(cutting)
        self._go_on(document, changes)

    async def _rebuild(self, suspects: Sequence[Change]) -> None:
        await self._journal.settled()
        good = await self._sift(suspects)
        self._go_on(await self._rebuilt(), good)

    def _go_on(self, document: Document, good: Sequence[Change]) -> None:
        deferred, self._deferred = self._deferred, []
        backlog = self._facilities.persister.backlog
        backlog.passed_on_bytes -= self._passed_on_bytes
        self._passed_on_bytes = 0
        self.under_way = False
        self._resume(document, good, deferred)
        backlog.offer()

    async def _sift(self, suspects: Sequence[Change]) -> Sequence[Change]:
        """Tries suspects, and closes the connections of those that cannot be applied.

        Returns:
            Those that apply, and the receipts asked for between them.
        """
        untried = suspects
        while True:
            trial = await self._rebuilt()
            for place, (member, message) in enumerate(untried):
                try:
                    if isinstance(message, Update):
                        # It may be long, and cut pairs: others are served meanwhile.
                        await anyio.to_thread.run_sync(trial.apply, message.update)
                except PoisonedUpdate as error:
                    self._expel(member, error)
                    later = [change for change in untried[place + 1 :] if change[0] is not member]
                    # Those before it, too: others may have written what they break by now.
                    untried = [*untried[:place], *later]
                    break
            else:
                return untried

    def _expel(self, member: Member, error: PoisonedUpdate) -> None:
        """Takes nothing more from who sent what does not apply, and keeps that to be looked at."""
        member.guilty = True
        self.set_aside(member, error)
        member.connection.close(CloseCode.MALFORMED, "an update cannot be applied")

    async def _rebuilt(self) -> Document:
        """Loads the document, for as long as it takes; an empty one where it was deleted."""
        left_out: set[bytes] = set()
        while True:
            try:
                opened = await self._origin.open()
                document = self.bound(opened.document)
                if opened.stored.seq > self._journal.seq:
                    self.ahead = True
                promised = self._journal.promised
                if promised.whole:
                    self._lack()
                for update in promised.updates:
                    if update in left_out:
                        continue
                    if not await anyio.to_thread.run_sync(_takes, document, update):
                        left_out.add(update)
                        break
                else:
                    return document
            except DocumentDeleted as error:
                self._gone(error)
                return Document()
            except Exception as error:
                # Whatever it is, a room that waits for ever would be worse than trying again.
                logger.error("rebuilding %r: %s", self._name, error, exc_info=unforeseen(error))
                await anyio.sleep(_RETRY_SECONDS)


def _takes(document: Document, update: bytes) -> bool:
    """Whether an update applies; where it does not, the document is of no use any more."""
    try:
        document.integrate(update)
    except PoisonedUpdate:
        return False
    return True
