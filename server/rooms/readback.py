"""Readback: takes in what other processes have committed to a document that is open here."""

import logging
from collections.abc import Callable, Sequence

from collab.archive import Base
from collab.errors import BrokenEntries, DocumentNotFound
from collab.server.failures import unforeseen
from collab.server.rooms.journal import Journal
from collab.server.rooms.origin import Origin
from collab.server.tasks import Spawn
from collab.server.timers import Timers
from collab.store import Entry

logger = logging.getLogger("collab")

_SECONDS = 1.0
"""How long it waits at least before it reads: one look then covers what a second brings."""

_BATCH_ENTRIES = 1_000


class Readback:
    """Reads a document's log on from where the room is, when there is reason to.

    Args:
        origin: where the document's log is read.
        journal: knows where the room is.
        take: takes entries in; tells whether it could.
        take_base: takes in what was before the log, where old entries were dropped; likewise.
        begins: called before it reads.
        ends: called when all that there was then is taken in.
        timers: wake it.
        spawn: runs it.
    """

    __slots__ = (
        "_begins",
        "_due",
        "_ends",
        "_journal",
        "_needed",
        "_origin",
        "_reading",
        "_seq_then",
        "_spawn",
        "_take",
        "_take_base",
        "_timers",
    )

    def __init__(
        self,
        origin: Origin,
        journal: Journal,
        take: Callable[[Sequence[Entry]], bool],
        take_base: Callable[[Base], bool],
        *,
        begins: Callable[[], None],
        ends: Callable[[], None],
        timers: Timers,
        spawn: Spawn,
    ) -> None:
        self._origin = origin
        self._journal = journal
        self._take = take
        self._take_base = take_base
        self._begins = begins
        self._ends = ends
        self._timers = timers
        self._spawn = spawn
        self._due = False
        self._needed = False
        self._reading = False
        self._seq_then = 0

    def look(self) -> None:
        """Somebody else has written, or may have."""
        self._needed = True
        self.look_if_behind()

    def look_if_behind(self) -> None:
        """Somebody else has written; they may tell what before it is time to read."""
        if not self._due:
            self._due = True
            self._seq_then = self._journal.seq
            self._timers.call_later(_SECONDS, self._read_if_needed)

    def _read_if_needed(self) -> None:
        self._due = False
        if self._reading:  # A store that is slow is not asked twice at once.
            self.look_if_behind()
            return
        needed, self._needed = self._needed, False
        behind = self._journal.behind
        if needed or (behind and self._journal.seq == self._seq_then):
            self._reading = True
            self._spawn(self._read)
        elif behind:  # They do tell, if not everything at this moment.
            self.look_if_behind()

    async def _read(self) -> None:
        self._begins()
        try:
            try:
                taken = await self._read_log()
            except BrokenEntries as error:
                logger.error("reading what others wrote: %s: taking what can be read", error)
                # What whoever opens it now has: the newest state may have what the log lacks.
                taken = self._take_base(await self._origin.whole())
        except DocumentNotFound:
            return  # Whoever has written has not committed it yet, or it was deleted.
        except Exception as error:
            logger.error("reading what others wrote: %s", error, exc_info=unforeseen(error))
            taken = False
        finally:
            self._reading = False
        if taken:
            self._ends()
        else:
            self.look()

    async def _read_log(self) -> bool:
        """Reads on from where the room is; tells whether all that there is could be taken in."""
        batch: list[Entry] = []
        came, taken = False, True
        async for entry in self._origin.entries_after(self._journal.seq):
            came = True
            batch.append(entry)
            if len(batch) == _BATCH_ENTRIES:
                taken = taken and self._take(batch)
                batch = []
        if batch:
            taken = taken and self._take(batch)
        if came and taken:
            return True
        base = await self._origin.base()
        if base.seq <= self._journal.seq:
            return taken
        # What follows it is read the next time.
        return self._take_base(base) and not came
