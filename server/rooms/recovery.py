"""Recovery: finds who broke a document, and rebuilds it without them from the store."""

import logging
from collections.abc import Awaitable, Callable, Sequence

import anyio
from anyio.lowlevel import checkpoint

from collab.access import Access
from collab.close import CloseCode
from collab.document import Document
from collab.errors import DocumentDeleted, PoisonedUpdate, StoreError
from collab.protocol.messages import Update
from collab.quarantine import refusal
from collab.server.metrics import Metrics
from collab.server.rooms.changes import Change, now_ms
from collab.server.rooms.member import Member
from collab.server.rooms.opening import Opened
from collab.server.rooms.refusals import Refusals
from collab.server.settings import Settings

logger = logging.getLogger("collab")

_RETRY_SECONDS = 1.0

Load = Callable[[], Awaitable[Opened]]


class Recovery:
    """Tries suspects one by one on the document as the store has it.

    Args:
        name: document name.
        load: opens the document anew.
        refusals: where updates go that cannot be taken in.
        metrics: where they are counted.
        settings: bounds.
        gone: called when the document was deleted meanwhile.
    """

    def __init__(
        self,
        name: str,
        load: Load,
        refusals: Refusals,
        metrics: Metrics,
        settings: Settings,
        gone: Callable[[DocumentDeleted], None],
    ) -> None:
        self._name = name
        self._load = load
        self._refusals = refusals
        self._metrics = metrics
        self._settings = settings
        self._gone = gone

    def bound(self, document: Document) -> Document:
        """Bounds what may wait for its dependencies in a document, and who may have written it."""
        document.max_clients = self._settings.document_clients
        document.pending_max_bytes = self._settings.pending_max_bytes
        return document

    def set_aside(self, member: Member, error: PoisonedUpdate) -> None:
        """Keeps what a writer sent for whoever looks into it; readers have nothing to be kept."""
        self._metrics.count_refused_update()
        session = member.session
        if session.access >= Access.WRITE:
            refused = refusal(error, time_ms=now_ms(), author=session.identity.author)
            self._refusals.add(self._name, refused)

    async def sift(self, suspects: Sequence[Change]) -> list[Change]:
        """Tries suspects, and closes the connections of those that cannot be applied.

        Returns:
            Those that apply, and the receipts asked for between them.
        """
        good: list[Change] = []
        guilty: set[Member] = set()
        trial = await self.rebuilt()
        for member, message in suspects:
            await checkpoint()  # They may be long, and others are served meanwhile.
            if member in guilty:
                continue
            try:
                if isinstance(message, Update):
                    trial.apply(message.update)
            except PoisonedUpdate as error:
                guilty.add(member)
                member.guilty = True
                self.set_aside(member, error)
                member.connection.close(CloseCode.MALFORMED, "an update cannot be applied")
                trial = await self.rebuilt()
                for _, earlier in good:
                    await checkpoint()
                    if isinstance(earlier, Update):
                        trial.apply(earlier.update)
            else:
                good.append((member, message))
        return good

    async def rebuilt(self) -> Document:
        """Loads the document, for as long as it takes; an empty one where it was deleted."""
        while True:
            try:
                return self.bound((await self._load()).document)
            except DocumentDeleted as error:
                self._gone(error)
                return Document()
            except StoreError as error:
                logger.error("rebuilding %r: %s", self._name, error)
                await anyio.sleep(_RETRY_SECONDS)
